"""Decode poster files to pixels: the one decoder that OCR, the dataset, the encoders and `predict` share.

Posters are untrusted, so the cost of a file is limited: its bytes, its pixels, its longer side and, for a JPEG, its scans.
docs/image-formats.md lists kinds of files and how each is handled.
"""

import contextlib
import io
import os
import pathlib
import stat
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

USUAL_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
SUFFIXES = (*USUAL_SUFFIXES, ".jpe", ".jfif", ".gif", ".avif", ".bmp", ".tif", ".tiff")
# Formats of the content, independent of the suffix. Pillow knows forty formats; each decoder is one more that
# an untrusted file can attack, and for EPS it starts a program.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP", "TIFF")
MAX_BYTES = 256 << 20  # of a file
MAX_PIXELS = 80_000_000  # above it a file is treated as a decompression bomb; Pillow itself warns from 89 million on
MAX_SIDE = 65_500  # pixels, the most that libjpeg reads or writes; resampling takes memory in proportion to it
# Pixels times scans: each scan of a progressive JPEG may take only ten bytes, and updates all pixels, a billion of them
# per second (the libjpeg-turbo project's note "Two Issues with the JPEG Standard"). Ten scans are usual.
MAX_SCANNED = 4_000_000_000
_SCAN = b"\xff\xda"  # the marker before each
_BAND_PIXELS = 4_000_000  # converted at a time
_TURN = {  # EXIF orientation -> the transposition that makes the image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnreadableImage(ValueError):
    """Report that the bytes are not a whole, decodable image; the message has the reason."""


def decode_poster(data: bytes) -> Image.Image:
    """Decode one poster to 8-bit RGB, upright.

    CMYK, palette, grayscale, 1-bit and 16-bit images are converted; transparency is blended with white; the EXIF rotation
    is applied (corrupt EXIF data counts as none); the first frame of an animation is used; color profiles
    are not applied.

    Args:
      data: the bytes of a file in one of `FORMATS`.

    Returns:
      An RGB image of the poster's own size, without the file's metadata.

    Raises:
      UnreadableImage: empty, truncated, corrupt, not an image, of another format, or beyond a limit.
    """
    with open_image(data) as image:
        if image.format == "PNG":  # Pillow does not look at the checksums of the pixels
            with Image.open(io.BytesIO(data), formats=("PNG",)) as checked:
                checked.verify()
        image.load()
        return _to_rgb(_upright(image))


def convert_image(image: Image.Image) -> Image.Image:
    """Convert an image that is in memory as `decode_poster` converts a file's.

    Args:
      image: of any mode; one that Pillow has opened and not yet decoded is decoded here.

    Returns:
      An RGB image of its own size, upright, without metadata.

    Raises:
      UnreadableImage: it has no pixels, cannot be decoded, or is beyond a limit.
    """
    try:
        if not image.width * image.height:
            raise UnreadableImage(f"{image.width} x {image.height} pixels")
        _check_limits(image, b"")
        image.load()
        return _to_rgb(_upright(image))
    except (UnreadableImage, MemoryError):
        raise
    except Exception as error:  # each of Pillow's decoders has its own
        raise UnreadableImage(f"corrupt, truncated or of a kind that is not read: {error}") from error


@contextlib.contextmanager
def open_image(data: bytes) -> Iterator[Image.Image]:
    """Open an image whose header is read and within the limits; its pixels are not decoded yet.

    Raises:
      UnreadableImage: it cannot be opened, exceeds a limit, or fails to decode inside the block.
    """
    if not data:
        raise UnreadableImage("the file is empty (0 bytes)")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_limits(image, data)
            yield image
    except (UnreadableImage, MemoryError):  # the latter is this machine's fault and not the file's
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImage(
            f"not an image in a format that is read ({', '.join(FORMATS)}), or broken at its start, {data[:16]!r}"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableImage(f"more than the {MAX_PIXELS:,} pixels allowed") from error
    except Exception as error:  # each of Pillow's decoders has its own
        raise UnreadableImage(f"corrupt, truncated or of a kind that is not read: {error}") from error


def read_poster(path: str | pathlib.Path) -> Image.Image:
    """Read and decode the poster in a file.

    Raises:
      UnreadableImage: the file cannot be read or decoded.
    """
    return decode_poster(read_bytes(path))


class RemoteFile(Protocol):
    """Represent a file that is not opened by a path, such as one of an object store."""

    def read_bytes(self) -> bytes:
        """Return the whole content."""
        ...


def read_bytes(path: str | pathlib.Path | RemoteFile) -> bytes:
    """Return the bytes of a poster's file.

    Raises:
      UnreadableImage: it cannot be read, has more than `MAX_BYTES`, or is a pipe, a device or the like.
    """
    if not isinstance(path, str | pathlib.Path):
        data = path.read_bytes()
        if len(data) > MAX_BYTES:
            raise UnreadableImage(f"{len(data):,} bytes, more than the {MAX_BYTES:,} allowed")
        return data
    try:
        with open(path, "rb", buffering=0, opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableImage("cannot be read: it is a pipe or a device, not a file")
            if status.st_size > MAX_BYTES:
                raise UnreadableImage(f"{status.st_size:,} bytes, more than the {MAX_BYTES:,} allowed")
            return file.readall()
    except OSError as error:
        raise UnreadableImage(f"cannot be read: {error.strerror or error}") from error


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # without it, opening a pipe waits for a writer


def _check_limits(image: Image.Image, data: bytes) -> None:
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise UnreadableImage(f"{image.width} x {image.height} pixels, more than the {MAX_PIXELS:,} allowed")
    if max(image.size) > MAX_SIDE:
        raise UnreadableImage(f"{image.width} x {image.height} pixels, with a side of more than the {MAX_SIDE:,} allowed")
    scans = data.count(_SCAN) if image.format in ("JPEG", "MPO") else 1
    if pixels * scans > MAX_SCANNED:
        raise UnreadableImage(f"a JPEG of {scans:,} scans, more than the {MAX_SCANNED // pixels:,} allowed at its size")


def _upright(image: Image.Image) -> Image.Image:
    # Not ImageOps.exif_transpose: it also rewrites the EXIF data and fails on some that are corrupt.
    turn = _TURN.get(orientation_of(image))
    return image if turn is None else image.transpose(turn)


def orientation_of(image: Image.Image) -> int:
    """Return the orientation of the pixels by EXIF or XMP, 1 to 8; 1 (upright) if it is missing or invalid."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # any error of Pillow's TIFF parser; the pixels are sound
        return 1
    return orientation if orientation in _TURN else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        rgb = image.convert("RGB")
    else:  # in bands, because some conversions take many times the memory of the result
        brightest = _brightest(image) if image.mode == "F" else 1.0
        rgb = Image.new("RGB", image.size)
        rows = max(_BAND_PIXELS // image.width, 1)
        for top in range(0, image.height, rows):
            band = image.crop((0, top, image.width, min(top + rows, image.height)))
            rgb.paste(_band_to_rgb(band, brightest), (0, top))
    rgb.info = {}  # no comment, profile or rotation may get into a file made from these pixels
    return rgb


def _band_to_rgb(image: Image.Image, brightest: float) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey (some PNG and TIFF files) or wider
        values = np.asarray(image)
        grey = ((values.clip(0, 65535).astype(np.uint32) + 128) // 257).astype(np.uint8)  # 65535 / 257 = 255
        grey[values == image.info.get("transparency", -1)] = 255
        return Image.fromarray(grey, "L").convert("RGB")
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image, np.float64), nan=0.0, posinf=brightest, neginf=0.0)
        return Image.fromarray((values.clip(0, brightest) * (255.0 / brightest)).round().astype(np.uint8), "L").convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _brightest(image: Image.Image) -> float:
    """Return the value that becomes white in an image of floats: 1, or its largest number if that is more."""
    values = np.asarray(image)
    return max(float(values.max(initial=1.0, where=np.isfinite(values))), 1.0)
