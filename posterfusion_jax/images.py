"""Poster files to pixels: the one decoder that OCR, the dataset, the encoders and `predict` share."""

import io
import pathlib

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

MAX_PIXELS = 80_000_000  # beyond it a file is taken for a decompression bomb; Pillow itself warns from 89 million on
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_TURN = {  # EXIF orientation -> what sets the image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnreadableImage(ValueError):
    """The bytes are not a whole, decodable image; the message says why."""


def decode_poster(data: bytes) -> Image.Image:
    """Decodes one poster to 8-bit RGB, upright.

    CMYK, palette, greyscale, 1-bit and 16-bit images are converted; transparency is laid over white; the EXIF rotation is
    applied (EXIF data that is corrupt counts as none); of an animation the first frame counts.

    Args:
      data: the bytes of a JPEG, PNG, WebP (or whatever else Pillow reads) file.

    Returns:
      An RGB image of the poster's own size.

    Raises:
      UnreadableImage: empty, truncated, corrupt, not an image, or larger than `MAX_PIXELS`.
    """
    if not data:
        raise UnreadableImage("the file is empty (0 bytes)")
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UnreadableImage(f"{image.width} x {image.height} pixels, more than the {MAX_PIXELS:,} allowed")
            image.load()
            return _to_rgb(_upright(image))
    except UnreadableImage:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImage("not an image in a format that Pillow knows") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableImage(f"more than the {MAX_PIXELS:,} pixels allowed: {error}") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise UnreadableImage(f"corrupt or truncated: {error}") from error


def read_poster(path: str | pathlib.Path) -> Image.Image:
    """`decode_poster` of a file. Raises `UnreadableImage`, also where the file itself cannot be read."""
    try:
        data = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise UnreadableImage(f"cannot be read: {error.strerror or error}") from error
    return decode_poster(data)


def _upright(image: Image.Image) -> Image.Image:
    # Not ImageOps.exif_transpose: it also writes the EXIF data anew and fails on some that are corrupt.
    try:
        turn = _TURN.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # whatever Pillow's TIFF parser runs into; the pixels are sound
        return image
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":  # 16-bit grey (some PNG and TIFF files) or wider
        values = np.asarray(image, np.float64)
        scale = 65535.0 if image.mode.startswith("I") else max(float(values.max()), 1.0)
        return Image.fromarray((values.clip(0, scale) * (255.0 / scale)).round().astype(np.uint8), "L").convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")
