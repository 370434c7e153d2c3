"""Convert posters to the square pixels that an image tower takes.

Images are resized once, in Pillow, on the host, and normalized inside the jitted forward pass, so bytes are transferred.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8
from PIL import Image

from posterfusion_jax.errors import InputError

RESIZE = ("crop", "squash", "pad")

# The pixel statistics of OpenAI's CLIP training images: https://github.com/openai/CLIP/blob/main/clip/clip.py (Normalize).
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def resize_poster(image: Image.Image, *, size: int, how: str) -> UInt8[np.ndarray, "s s 3"]:
    """Return a poster as size x size pixels, resampled bicubically.

    - "crop": the shorter edge becomes `size` and the middle is kept, as CLIP's own preprocessing does: exactly the pixels of
      transformers' CLIPImageProcessor. Of a 2:3 poster the upper and lower sixth are lost, often with the title.
    - "squash": the whole poster, its proportions not kept.
    - "pad": the whole poster, proportions kept, with bars in the mean color of CLIP's training images (0 when normalized).

    Args:
      image: an RGB image (see `posters.decode.decode_poster`).
      size: edge of the result in pixels, at least 1.
      how: one of `RESIZE`.

    Returns:
      uint8 [size, size, 3].

    Raises:
      InputError: `how` is none of the three.
    """
    width, height = image.size
    if how == "squash":
        return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))
    if how == "crop":
        return np.asarray(_crop(image, size))
    if how == "pad":
        scale = size / max(width, height)
        inner = max(round(width * scale), 1), max(round(height * scale), 1)
        square = Image.new("RGB", (size, size), tuple(round(255 * channel) for channel in CLIP_MEAN))
        square.paste(image.resize(inner, Image.Resampling.BICUBIC), ((size - inner[0]) // 2, (size - inner[1]) // 2))
        return np.asarray(square)
    raise InputError(f"encoders.resize is {how!r}; allowed: {', '.join(RESIZE)}")


def _crop(image: Image.Image, size: int) -> Image.Image:
    """Resize the shortest edge to `size` and cut out the center, with the roundings of CLIPImageProcessor.

    Resizing only what the crop keeps (Pillow's `box=`) is a millisecond faster, but Pillow picks the order of its two passes
    by the sizes, so the pixels would differ by up to 11 of 255.
    """
    width, height = image.size
    limit = 50 * min(width, height)
    if max(width, height) > limit:  # a very narrow image would be enlarged to gigabytes before the crop
        left, top = max(width - limit, 0) // 2, max(height - limit, 0) // 2
        image = image.crop((left, top, left + min(width, limit), top + min(height, limit)))
        width, height = image.size
    resized_width = size if width <= height else int(size * width / height)
    resized_height = size if height <= width else int(size * height / width)
    left, top = (resized_width - size) // 2, (resized_height - size) // 2
    resized = image.resize((resized_width, resized_height), Image.Resampling.BICUBIC)
    return resized.crop((left, top, left + size, top + size))


def normalize(
    images: UInt8[Array | np.ndarray, "b s s 3"], *, mean: tuple[float, ...], std: tuple[float, ...]
) -> Float[Array, "b s s 3"]:
    """Scale bytes to the range that the tower was trained on: (images / 255 - mean) / std per channel.

    Args:
      images: uint8 [b, s, s, 3].
      mean: three channel means, of pixel values in [0, 1].
      std: three channel standard deviations, likewise.

    Returns:
      float32 [b, s, s, 3].
    """
    channels = (1, 1, 1, 3)
    mean_, std_ = jnp.asarray(mean, jnp.float32).reshape(channels), jnp.asarray(std, jnp.float32).reshape(channels)
    return (jnp.asarray(images).astype(jnp.float32) / 255.0 - mean_) / std_
