"""What becomes of each kind of image file: the one table that the tests go through and docs/image-formats.md shows.

`python tests/helpers/odd_image_kinds.py` prints it.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from odd_images import (
    BLACK,
    BLUE,
    GREEN,
    RED,
    SIZE,
    WHITE,
    YELLOW,
    animated,
    arithmetic_jpeg,
    chunk,
    corners_of,
    damaged_jpeg,
    deep_png,
    deep_png_with_transparent_grey,
    encode,
    eps,
    floats,
    gif_larger_than_its_frame,
    gif_of_no_frames,
    grey_corners,
    half_transparent,
    huge_gif_frame,
    huge_jpeg,
    jpeg,
    many_scans,
    palette,
    palette_with_transparent_red,
    png,
    quarters,
    rotated,
    srgb_profile,
    text_bomb,
    tiff,
    twelve_bit_jpeg,
    with_exif,
    with_xmp_orientation,
    ycck,
    zip_file,
)

COLOURS = (RED, GREEN, BLUE, YELLOW)
TURNED = {  # orientation -> the quarters of the upright poster
    1: COLOURS,
    2: (GREEN, RED, YELLOW, BLUE),
    3: (YELLOW, BLUE, GREEN, RED),
    4: (BLUE, YELLOW, RED, GREEN),
    5: (RED, BLUE, GREEN, YELLOW),
    6: (BLUE, RED, YELLOW, GREEN),
    7: (YELLOW, GREEN, BLUE, RED),
    8: (GREEN, YELLOW, RED, BLUE),
}


class Read(NamedTuple):
    """It becomes RGB pixels of this size, with these colours in its quarters."""

    how: str = "unchanged"
    size: tuple[int, int] = SIZE
    corners: tuple | list = COLOURS
    tolerance: int = 0


class Refused(NamedTuple):
    """The reason that is given has these words."""

    reason: str


class Kind(NamedTuple):
    name: str
    make: Callable[[], bytes]
    outcome: Read | Refused


def lossy(how: str = "unchanged", **fields) -> Read:
    return Read(how, **({"tolerance": 24} | fields))


def orientations(form: str, which, **options) -> list[Kind]:
    return [
        Kind(
            f"{form} with EXIF orientation {k}",
            lambda k=k: rotated(form, k, **options),
            lossy("upright", size=SIZE if k < 5 else SIZE[::-1], corners=TURNED[k]),
        )
        for k in which
    ]


LEFT_WHITE = (WHITE, GREEN, WHITE, YELLOW)
GREY = grey_corners()
NOT_READ = "not an image in a format that is read"

KINDS = [
    # JPEG
    Kind("JPEG", jpeg, lossy()),
    Kind("progressive JPEG", lambda: jpeg(progressive=True), lossy()),
    Kind("arithmetic-coded JPEG", arithmetic_jpeg, lossy()),
    Kind("JPEG with RGB in the place of YCbCr", lambda: jpeg(keep_rgb=True), lossy()),
    Kind("grey JPEG", lambda: jpeg(quarters().convert("L")), lossy("as grey", corners=GREY)),
    Kind("CMYK JPEG", lambda: jpeg(quarters().convert("CMYK")), lossy("in Pillow's plain conversion to RGB")),
    Kind("YCCK JPEG", ycck, lossy("in Pillow's plain conversion to RGB")),
    *orientations("JPEG", range(1, 9), quality=95, subsampling=0),
    Kind("JPEG with EXIF orientation 9", lambda: rotated("JPEG", 9, quality=95), lossy("without rotation")),
    Kind("JPEG with the orientation in XMP", lambda: with_xmp_orientation(3), lossy("upright", corners=TURNED[3])),
    Kind("JPEG with EXIF that is noise", lambda: jpeg(exif=b"Exif\0\0nonsense"), lossy("without rotation")),
    Kind("JPEG with EXIF cut off", lambda: jpeg(exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01"), lossy("without rotation")),
    Kind("JPEG with EXIF that refers to itself", lambda: with_exif((0x8769, 4, 1, 8), following=8), lossy("without rotation")),
    Kind("JPEG with the orientation as a text", lambda: with_exif((0x0112, 2, 4, 0x00373635)), lossy("without rotation")),
    Kind("JPEG with a colour profile", lambda: jpeg(icc_profile=srgb_profile()), lossy("without the profile")),
    Kind("JPEG with a broken colour profile", lambda: jpeg(icc_profile=b"nonsense" * 20), lossy("without the profile")),
    Kind("JPEG with something behind its end", lambda: jpeg() + bytes(1000), lossy()),
    Kind(
        "JPEG with a damaged scan",
        damaged_jpeg,
        lossy("with the damage, since JPEG has no checksum", corners=(RED, GREEN, None, None)),
    ),
    Kind("MPO (several pictures in a JPEG)", lambda: animated("MPO", quality=95, subsampling=0), lossy("in its first picture")),
    Kind("JPEG cut off in its scan", lambda: jpeg()[:-100], Refused("truncated")),
    Kind("JPEG without its end mark", lambda: jpeg()[:-2], Refused("truncated")),
    Kind("JPEG cut off in its header", lambda: jpeg()[:100], Refused("truncated")),
    Kind("JPEG of two bytes", lambda: jpeg()[:2], Refused(NOT_READ)),
    Kind("JPEG of 12 bits a colour", twelve_bit_jpeg, Refused(NOT_READ)),
    Kind("JPEG that claims 65500 x 65500", huge_jpeg, Refused("more than the 80,000,000 pixels allowed")),
    Kind("JPEG of 3000 scans", lambda: many_scans(3000), Refused("scans, more than the 1,000 allowed at its size")),
    # PNG
    Kind("PNG", png, Read()),
    Kind("palette PNG", palette, Read()),
    Kind(
        "palette PNG with a transparent colour", palette_with_transparent_red, Read("over white", corners=(WHITE, *COLOURS[1:]))
    ),
    Kind("RGBA PNG", lambda: encode(half_transparent("RGBA"), "PNG"), Read("over white", corners=LEFT_WHITE)),
    Kind(
        "grey PNG with alpha (LA)",
        lambda: encode(half_transparent("LA"), "PNG"),
        Read("as grey over white", corners=(WHITE, GREY[1], WHITE, GREY[3])),
    ),
    Kind(
        "RGB PNG with a transparent colour",
        lambda: encode(quarters(), "PNG", transparency=RED),
        Read("over white", corners=(WHITE, *COLOURS[1:])),
    ),
    Kind(
        "1-bit PNG",
        lambda: encode(quarters().convert("L").point(lambda v: 255 * (v > 100), "1"), "PNG"),
        Read("in black and white", corners=grey_corners(lambda v: 255 * (v > 100))),
    ),
    Kind("16-bit grey PNG", lambda: deep_png(1), Read("as grey, scaled to 8 bits", corners=GREY)),
    Kind(
        "16-bit grey PNG with a transparent grey",
        deep_png_with_transparent_grey,
        Read("as grey, scaled to 8 bits, over white", corners=[WHITE, *GREY[1:]]),
    ),
    Kind("16-bit RGB PNG", lambda: deep_png(3), Read("in the upper 8 bits")),
    Kind("16-bit RGBA PNG", lambda: deep_png(4), Read("in the upper 8 bits, over white", corners=LEFT_WHITE)),
    *orientations("PNG", (3, 6)),
    Kind("animated PNG", lambda: animated("PNG"), Read("in its first frame")),
    Kind(
        "PNG with pixels for more than its size",
        lambda: png(rows=bytes(50 << 20)),
        Read("up to the size in its header", corners=(BLACK,) * 4),
    ),
    Kind("PNG of 1 x 1", lambda: png((1, 1)), Read(size=(1, 1), corners=(RED,) * 4)),
    Kind("PNG of 20000 x 10", lambda: png((20000, 10)), Read(size=(20000, 10))),
    Kind("PNG of 10 x 20000", lambda: png((10, 20000)), Read(size=(10, 20000))),
    Kind("PNG with a wrong checksum of a text", lambda: png(before=chunk(b"tEXt", b"a\0b", crc=1)), Refused(NOT_READ)),
    Kind("PNG with a text that unpacks to 8 MB (zTXt)", lambda: text_bomb(b"zTXt"), Refused("too large")),
    Kind("PNG with a text that unpacks to 8 MB (iTXt)", lambda: text_bomb(b"iTXt"), Refused("too large")),
    Kind("PNG with a profile that unpacks to 8 MB", lambda: text_bomb(b"iCCP"), Refused("too large")),
    Kind("PNG of 65536 x 1", lambda: png((65536, 1)), Refused("a side of more than the 65,500 allowed")),
    Kind("PNG that claims 9000 x 9000", lambda: png((9000, 9000), rows=bytes(100)), Refused("more than the 80,000,000")),
    Kind(
        "PNG that claims 100000 x 100000", lambda: png((100000, 100000), rows=bytes(100)), Refused("more than the 80,000,000")
    ),
    Kind("PNG that claims 0 x 36", lambda: png((0, 36), rows=b""), Refused(NOT_READ)),
    Kind("PNG with a wrong checksum of its header", lambda: png(broken=b"IHDR"), Refused(NOT_READ)),
    Kind("PNG with a wrong checksum of its pixels", lambda: png(broken=b"IDAT"), Refused("broken PNG file")),
    Kind(
        "PNG with too few pixels",
        lambda: png(rows=bytes(73 * 10)),
        Read("with black for what is missing", corners=(BLACK,) * 4),
    ),
    Kind("PNG without its end chunk", lambda: png(end=b""), Refused("truncated PNG file")),
    Kind("PNG cut off in its pixels", lambda: png()[:-40], Refused("truncated")),
    Kind("PNG cut off in its header", lambda: png()[:20], Refused("Truncated")),
    # WebP, GIF, AVIF
    Kind("WebP", lambda: encode(quarters(), "WEBP", quality=95), lossy()),
    Kind("WebP without loss", lambda: encode(quarters(), "WEBP", lossless=True), Read()),
    Kind(
        "WebP with alpha",
        lambda: encode(half_transparent("RGBA"), "WEBP", lossless=True),
        Read("over white", corners=LEFT_WHITE),
    ),
    Kind("animated WebP", lambda: animated("WEBP", lossless=True), Read("in its first frame")),
    *orientations("WEBP", (6,), lossless=True),
    Kind("WebP cut off", lambda: encode(quarters(), "WEBP", quality=95)[:-20], Refused("corrupt, truncated")),
    Kind("GIF", lambda: encode(quarters(), "GIF"), Read()),
    Kind("animated GIF", lambda: animated("GIF"), Read("in its first frame")),
    Kind(
        "GIF with a transparent colour", lambda: encode(half_transparent("RGBA"), "GIF"), Read("over white", corners=LEFT_WHITE)
    ),
    Kind(
        "GIF larger than its frame",
        gif_larger_than_its_frame,
        Read("with the first colour of its palette around the frame", corners=(RED,) * 4),
    ),
    Kind("GIF without a frame", gif_of_no_frames, Refused(NOT_READ)),
    Kind("GIF with a frame of 65535 x 65535", huge_gif_frame, Refused("more than the 80,000,000 pixels allowed")),
    Kind("GIF cut off", lambda: encode(quarters(), "GIF")[:-30], Refused("truncated")),
    Kind("AVIF", lambda: encode(quarters(), "AVIF", quality=95), lossy()),
    Kind("animated AVIF", lambda: animated("AVIF", quality=95), lossy("in its first frame")),
    *orientations("AVIF", (6,), quality=95),
    Kind("AVIF cut off", lambda: encode(quarters(), "AVIF", quality=95)[:-30], Refused("Truncated data")),
    # BMP, TIFF
    Kind("BMP", lambda: encode(quarters(), "BMP"), Read()),
    Kind("TIFF", lambda: encode(quarters(), "TIFF"), Read()),
    Kind("TIFF of several pages", lambda: animated("TIFF"), Read("in its first page")),
    Kind("CMYK TIFF", lambda: encode(quarters().convert("CMYK"), "TIFF"), lossy("in Pillow's plain conversion to RGB")),
    Kind("Lab TIFF", lambda: encode(quarters().convert("LAB"), "TIFF"), lossy("converted to sRGB")),
    Kind(
        "16-bit grey TIFF",
        lambda: tiff(np.asarray(quarters().convert("L"), np.uint16) * 257),
        Read("as grey, scaled to 8 bits", corners=GREY),
    ),
    Kind(
        "32-bit integer TIFF",
        lambda: tiff(np.asarray(quarters().convert("L"), np.int32) * 257),
        Read("as grey, scaled from 16 bits; what is above is white", corners=GREY),
    ),
    Kind("32-bit float TIFF, 0 to 1", lambda: floats(1 / 255), Read("as grey with 1 as white", corners=GREY)),
    Kind(
        "32-bit float TIFF, 0 to 255",
        lambda: floats(1.0),
        Read(
            "as grey with its largest number as white",
            corners=grey_corners(lambda v: round(v * 255 / max(c[0] for c in GREY))),
            tolerance=1,
        ),
    ),
    Kind(
        "32-bit float TIFF with NaN and infinities",
        lambda: floats(1 / 255, odd=True),
        Read("as grey; NaN is black, infinity white", corners=(BLACK, WHITE, BLACK, GREY[3])),
    ),
    *orientations("TIFF", (6,)),
    # no image, or not one of ours
    Kind("no bytes at all", lambda: b"", Refused("the file is empty (0 bytes)")),
    Kind("HTML", lambda: b"<!DOCTYPE html><html>404</html>", Refused(NOT_READ)),
    Kind("SVG", lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="24" height="36"/>', Refused(NOT_READ)),
    Kind("text", lambda: b"not a poster\n", Refused(NOT_READ)),
    Kind("ZIP", zip_file, Refused(NOT_READ)),
    Kind("zeros", lambda: bytes(1000), Refused(NOT_READ)),
    Kind("EPS (a program)", eps, Refused(NOT_READ)),
    Kind("ICO", lambda: encode(quarters(), "ICO"), Refused(NOT_READ)),
    Kind("JPEG 2000", lambda: encode(quarters(), "JPEG2000"), Refused(NOT_READ)),
    Kind("PPM", lambda: encode(quarters(), "PPM"), Refused(NOT_READ)),
    Kind("HEIC", lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), Refused(NOT_READ)),
]


def assert_looks(image, outcome: Read) -> None:
    """Whether the decoded image is what the table says."""
    assert image.mode == "RGB"
    assert image.size == outcome.size
    assert image.info == {}
    for found, expected in zip(corners_of(image), outcome.corners, strict=True):
        assert expected is None or np.abs(np.subtract(found, expected)).max() <= outcome.tolerance


def format_kinds() -> str:
    """The table of docs/image-formats.md."""
    rows = ["| file | outcome |", "| --- | --- |"]
    for kind in KINDS:
        if isinstance(kind.outcome, Refused):
            outcome = f"refused: {kind.outcome.reason}"
        else:
            width, height = kind.outcome.size
            size = "" if {width, height} == set(SIZE) else f", {width} x {height}"
            outcome = f"read {kind.outcome.how}" + size
        rows.append(f"| {kind.name} | {outcome} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(format_kinds())
