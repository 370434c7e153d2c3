"""Hash poster files, and check that their images can be decoded and how they are stored."""

import hashlib
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from PIL import Image

from posterfusion_jax.posters.decode import UnreadableImage, decode_poster, open_image, orientation_of, read_bytes
from posterfusion_jax.utils.prefetch import threaded_map
from posterfusion_jax.utils.progress import progress_bar

_FILES_A_TASK = 64  # of hashing alone, which takes less time than handing over a task

ImageCheck = tuple[int, bool] | UnreadableImage
CheckImages = Callable[[Iterable[pathlib.Path]], Iterable[ImageCheck]]


class FileCheck(NamedTuple):
    """Hold the sha256 of a file's bytes, and the check of the image in them; None: not checked."""

    sha256: str
    check: ImageCheck | None


def hash_files(
    files: Iterable[str], *, count: int, check: bool = False, progress: bool = False
) -> Iterator[FileCheck | UnreadableImage]:
    """Read every file once, and yield its hash in order, or the error of a file that cannot be read.

    Args:
      files: the paths.
      count: the number of files, for the progress bar.
      check: also check the images, which takes ten times as long.
      progress: draw a progress bar.
    """
    if check:
        found, verb = threaded_map(_hash_and_check, files), "checking images"
    else:
        found, verb = threaded_map(_hash_file, files, chunk_size=_FILES_A_TASK), "hashing posters"
    yield from progress_bar(iterable=found, desc=verb, total=count, unit="poster", disable=not progress)


def check_in_threads(paths: Iterable[pathlib.Path]) -> Iterator[ImageCheck]:
    """Yield `check_image` of every path, in order, computed in threads."""
    return threaded_map(check_image, paths)


def check_image(path: pathlib.Path) -> ImageCheck:
    """Return (bytes, whether they can be stored unchanged), or why the image cannot be used."""
    try:
        return _check_bytes(read_bytes(path))
    except UnreadableImage as error:
        return error


def _hash_file(name: str) -> FileCheck | UnreadableImage:
    try:
        return FileCheck(hashlib.sha256(read_bytes(name)).hexdigest(), None)
    except UnreadableImage as error:
        return error


def _hash_and_check(name: str) -> FileCheck | UnreadableImage:
    try:
        data = read_bytes(name)
    except UnreadableImage as error:
        return error
    return FileCheck(hashlib.sha256(data).hexdigest(), _check_bytes(data))


def _check_bytes(data: bytes) -> ImageCheck:
    """Return `check_image` of the file with these bytes."""
    try:
        if _is_plain_jpeg(data):
            return len(data), True
        decode_poster(data)
        with open_image(data) as image:
            return len(data), _is_plain(image)
    except UnreadableImage as error:
        return error


def _is_plain_jpeg(data: bytes) -> bool:
    """Return whether the data is a JPEG that `decode_poster` decodes to its end and whose bytes can be stored.

    Decodes at an eighth of the size, in two thirds of the time: libjpeg still reads the whole file and stops
    at the same faults, but skips most of the arithmetic.
    """
    try:
        with open_image(data) as image:
            if image.format != "JPEG" or not _is_plain(image):
                return False
            image.draft(None, (1, 1))
            image.load()
            return True
    except UnreadableImage:  # `decode_poster` reports the reason
        return False


def _is_plain(image: Image.Image) -> bool:
    """Return whether every JPEG or PNG reader sees the pixels of `decode_poster`: no CMYK, palette, alpha or rotation."""
    upright = orientation_of(image) == 1
    jpeg = image.format == "JPEG" and image.mode in ("RGB", "L")
    png = image.format == "PNG" and image.mode == "RGB" and "transparency" not in image.info
    return upright and (jpeg or png)
