"""Images that a caller has, as files or in memory, brought to one form."""

import os
import pathlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.decode import UnreadableImage, convert_image, read_poster
from posterfusion_jax.utils.user_path import expand_path

AnyImage = str | pathlib.Path | Image.Image | np.ndarray  # a file, or an image: PIL, or uint8 [h, w, 3]


class PosterImage(NamedTuple):
    """One image to predict.

    Attributes:
      name: of the file, or "image 3" for the image at position 3.
      source: the file, the image, or why there is none.
    """

    name: str
    source: pathlib.Path | Image.Image | UnreadableImage


def list_images(images: AnyImage | Iterable[AnyImage]) -> list[PosterImage]:
    """Return the images in order, each with a name; what is no image has the reason in its place."""
    single = isinstance(images, str | os.PathLike | Image.Image) or (isinstance(images, np.ndarray) and images.ndim <= 3)
    if not single and not isinstance(images, Iterable):
        raise InputError(f"images={images!r}: give files, PIL images or uint8 arrays [h, w, 3], one or several.")
    several: Any = [images] if single else images
    return [_as_image(image, number) for number, image in enumerate(several)]


def _as_image(image: Any, number: int) -> PosterImage:
    if isinstance(image, str | os.PathLike):
        name = os.fspath(image)
        try:
            return PosterImage(name, pathlib.Path(expand_path(name, name) if isinstance(image, str) else image))
        except InputError as error:
            return PosterImage(name, UnreadableImage(str(error).removeprefix(f"{name}: ")))
    name = str(getattr(image, "filename", "") or f"image {number}")
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            reason = f"an array of {image.dtype} {list(image.shape)}; give uint8 [height, width, 3], in RGB"
            return PosterImage(name, UnreadableImage(reason))
        image = Image.fromarray(np.ascontiguousarray(image), "RGB")
    if not isinstance(image, Image.Image):
        return PosterImage(name, UnreadableImage(f"a {type(image).__name__}; give a file, a PIL image or a uint8 array"))
    try:
        return PosterImage(name, convert_image(image))
    except UnreadableImage as error:
        return PosterImage(name, error)


def open_image(poster: PosterImage) -> Image.Image:
    """Return the RGB pixels. Raises UnreadableImage."""
    if isinstance(poster.source, UnreadableImage):
        raise poster.source
    return read_poster(poster.source) if isinstance(poster.source, pathlib.Path) else poster.source


def save_image(poster: PosterImage, path: pathlib.Path) -> pathlib.Path | None:
    """Return a file of the image written to `path` if it has none; None where there is no image."""
    if isinstance(poster.source, Image.Image):
        poster.source.save(path, compress_level=1)
        return path
    return None if isinstance(poster.source, UnreadableImage) else poster.source
