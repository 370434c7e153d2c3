"""Makes odd and hostile image files, each from code: what the table in `odd_image_kinds` is made of."""

import base64
import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageCms

RED, GREEN, BLUE, YELLOW = (200, 30, 30), (30, 160, 60), (40, 50, 200), (220, 200, 40)
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
SIZE = (24, 36)
ORIENTATION, DESCRIPTION = 0x0112, 0x010E


def quarters(size: tuple[int, int] = SIZE, colours=(RED, GREEN, BLUE, YELLOW)) -> Image.Image:
    """A poster of four colours: no turn, flip, crop or frame of it looks like another."""
    image = Image.new("RGB", size, colours[0])
    width, height = size
    for k, colour in enumerate(colours):
        left, top = (k % 2) * (width // 2), (k // 2) * (height // 2)
        if left < width and top < height and width > 1 and height > 1:
            image.paste(colour, (left, top, width if k % 2 else width // 2, height if k // 2 else height // 2))
    return image


def corners_of(image: Image.Image) -> list[tuple[int, ...]]:
    """The colours in the middle of the four quarters: left and right above, left and right below."""
    width, height = image.size
    return [image.getpixel((width * x // 4, height * y // 4)) for y in (1, 3) for x in (1, 3)]


def encode(image: Image.Image, form: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def jpeg(image: Image.Image | None = None, **options) -> bytes:
    return encode(image or quarters(), "JPEG", **({"quality": 95, "subsampling": 0} | options))


def rotated(form: str, orientation: int, **options) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encode(quarters(), form, exif=exif, **options)


def with_exif(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    """A JPEG with an EXIF directory of these entries: tag, type, count, value."""
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return jpeg(exif=b"Exif\0\0II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", following))


def with_xmp_orientation(orientation: int) -> bytes:
    xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="{orientation}"/></x:xmpmeta>'.encode()
    return jpeg(xmp=xmp)


def ycck() -> bytes:
    """A JPEG of the inverted YCbCr and black that Adobe's programs write for print."""
    inverted = Image.eval(quarters(), lambda value: 255 - value).convert("YCbCr")
    planes = [Image.eval(plane, lambda value: 255 - value) for plane in inverted.split()]
    data = jpeg(Image.merge("CMYK", [*planes, Image.new("L", SIZE, 0)]))
    marker = data.index(b"Adobe")
    return data[: marker + 11] + b"\x02" + data[marker + 12 :]  # what the four channels are: 0 CMYK, 2 YCCK


def arithmetic_jpeg() -> bytes:
    """`jpeg(quality=90)` with arithmetic in the place of Huffman codes, by `jpegtran -arithmetic`; Pillow cannot write it."""
    return base64.b85decode(
        "|JeWF01!$>Nk#wx0RR9200961|JwjV00RO70|EjA0|NsD0|NvF2n7WM1O*BQ2L=cX3JeSj3JVJj4iXRz4iOFu3lJ6%5fc;@6%`B*7Z?^47!ni}6#"
        "v@*LjeN>1O)^I2?YfS6b%av6ciK`6ciK`6ciK`6ciK`6ciK`6ciK`6ciK`6ciK`6ciK`6ciK`6ciK`6ciK`6cqo-01*fPBmfu#0TBQK5di}c0sqV"
        "Z3IGrg1pyEd1^?Or3<CiG0ucid06zf#0LUdx)s_zyDplJ_w-YUJ(DV;UcrvgchcJ21LRD~znnTw@ru}FWV6~VlFaZ-8baZR+gIkOGNq3sYYK%a|m"
        "mqiTX?Q~W)0$S;gp?g)xvX9LoEp0y-<q&W%m*BAjTgRSP0>JHf+4gX6Ep}BFlUsU32TTeD498P6o`C0(bfgD=WRVg&&5np;2Qh)3s95ZNjGQU(tR"
        "C!S;!_>U{|PGvuCrVe{BS^#^Tro{WD>d$y4asqr`zLHZ$=j-SKahnwZfpE-KfG?cU{P66nDC`(At=y;b;+HaerDcgz+}WZ0%1;LLSjeBk644GQFP"
        "N`i1oE;Cs_qJSd^#BGVnV;0(%P5;>"
    )


def many_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan, of a dozen bytes, comes again and again."""
    data = encode(Image.new("L", (2000, 2000), 128), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + scan * count + data[-2:]


def huge_jpeg() -> bytes:
    """A small one whose header says 65500 x 65500."""
    data = jpeg()
    size = data.index(b"\xff\xc0") + 5
    return data[:size] + struct.pack(">HH", 65500, 65500) + data[size + 4 :]


def twelve_bit_jpeg() -> bytes:
    data = jpeg()
    depth = data.index(b"\xff\xc0") + 4
    return data[:depth] + b"\x0c" + data[depth + 1 :]


def damaged_jpeg() -> bytes:
    """Zeros in the last quarter of the scan, the end mark in place."""
    data = jpeg(quality=100)
    return data[: -len(data) // 8] + bytes(len(data) // 8 - 2) + data[-2:]


def chunk(kind: bytes, body: bytes, crc: int = 0) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) ^ crc)


def png(
    size: tuple[int, int] = SIZE,
    *,
    depth: int = 8,
    colour: int = 2,
    rows: bytes | None = None,
    before: bytes = b"",
    broken: bytes = b"",
    end: bytes = chunk(b"IEND", b""),
) -> bytes:
    """A PNG chunk by chunk; `rows` are the pixels with a filter byte before each row, those of `quarters` if None.

    Args:
      before: chunks before the pixels.
      broken: the chunk whose checksum is wrong.
    """
    if rows is None:
        pixels = np.asarray(quarters(size))
        rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0), crc=broken == b"IHDR")
    return b"\x89PNG\r\n\x1a\n" + header + before + chunk(b"IDAT", zlib.compress(rows), crc=broken == b"IDAT") + end


def deep_png(channels: int) -> bytes:
    """`quarters` with 16 bits a channel: grey (1), RGB (3) or RGBA (4), the left half of which is transparent."""
    pixels = np.asarray(quarters().convert({1: "L", 3: "RGB", 4: "RGBA"}[channels])).reshape(SIZE[1], SIZE[0], channels)
    pixels = pixels.astype(np.uint16) * 257
    if channels == 4:
        pixels[:, : SIZE[0] // 2, 3] = 0
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return png(depth=16, colour={1: 0, 3: 2, 4: 6}[channels], rows=rows)


def deep_png_with_transparent_grey() -> bytes:
    """16-bit grey, of which the grey of the red quarter is marked as transparent."""
    data = deep_png(1)
    grey = quarters().convert("L").getpixel((0, 0)) * 257
    before_pixels = data.index(b"IDAT") - 4
    return data[:before_pixels] + chunk(b"tRNS", struct.pack(">H", grey)) + data[before_pixels:]


def text_bomb(kind: bytes) -> bytes:
    """A PNG with a chunk of text, or a colour profile, that unpacks to 8 MB."""
    packed = zlib.compress(bytes(8 << 20), 9)
    body = {b"zTXt": b"k\0\0", b"iTXt": b"k\0\1\0\0\0", b"iCCP": b"k\0\0"}[kind]
    return png(before=chunk(kind, body + packed))


def palette(**options) -> bytes:
    return encode(quarters().quantize(4), "PNG", **options)


def palette_with_transparent_red() -> bytes:
    image = quarters().quantize(4)
    return encode(image, "PNG", transparency=image.getpixel((0, 0)))


def half_transparent(mode: str) -> Image.Image:
    """The left half is transparent."""
    image = quarters().convert("RGBA")
    image.paste((9, 9, 9, 0), (0, 0, SIZE[0] // 2, SIZE[1]))
    return image.convert(mode)


def animated(form: str, **options) -> bytes:
    """`quarters`, then a blue frame."""
    return encode(quarters(), form, save_all=True, append_images=[Image.new("RGB", SIZE, BLUE)], **options)


def gif_of_no_frames() -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", *SIZE, 0, 0, 0) + b";"


def gif_larger_than_its_frame() -> bytes:
    """A frame in the left upper quarter of the picture."""
    data = encode(Image.new("RGB", (12, 18), RED), "GIF")
    return data[:6] + struct.pack("<HH", *SIZE) + data[10:]


def huge_gif_frame() -> bytes:
    """A frame of 65535 x 65535 in a picture of 24 x 36."""
    data = encode(quarters(), "GIF")
    frame = data.index(b",", 13 + 3 * 256 if len(data) > 900 else 13)
    return data[: frame + 5] + struct.pack("<HH", 65535, 65535) + data[frame + 9 :]


def tiff(values: np.ndarray) -> bytes:
    return encode(Image.fromarray(values), "TIFF")


def floats(scale: float, *, odd: bool = False) -> bytes:
    """`quarters` in grey as 32-bit floats; `odd` puts no number and infinities into three quarters."""
    values = np.asarray(quarters().convert("L"), np.float32) * np.float32(scale)
    if odd:
        values[: SIZE[1] // 2, : SIZE[0] // 2] = np.nan
        values[: SIZE[1] // 2, SIZE[0] // 2 :] = np.inf
        values[SIZE[1] // 2 :, : SIZE[0] // 2] = -np.inf
    return tiff(values)


def grey_corners(convert: Callable[[int], int] = lambda grey: grey) -> list[tuple[int, int, int]]:
    return [(convert(grey),) * 3 for grey in corners_of(quarters().convert("L"))]  # pyright: ignore[reportReturnType]


def zip_file() -> bytes:
    import zipfile

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("poster.jpg", jpeg())
    return file.getvalue()


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def eps() -> bytes:
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 24 36\n%%EndComments\nshowpage\n%%EOF\n"
