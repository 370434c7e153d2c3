"""Poster files, titles and texts, joined to rows; whatever does not fit is left out with its reason."""

import dataclasses
import functools
import hashlib
import io
import pathlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from posterfusion_jax import genres as genre_names
from posterfusion_jax.datasets.imdb_posters.reading import UNREAD, Reading
from posterfusion_jax.datasets.imdb_posters.titles import Title
from posterfusion_jax.images import UnreadableImage, decode_poster, open_image, orientation_of, read_bytes
from posterfusion_jax.poster_folder import Skipped
from posterfusion_jax.progress import progress_bar
from posterfusion_jax.threads import map_in_threads

LeftOut = dict[str, list[Skipped]]  # kind -> what was left out and why
ImageCheck = tuple[int, bool] | UnreadableImage
CheckImages = Callable[[Iterable[pathlib.Path]], Iterable[ImageCheck]]


class Source(NamedTuple):
    """One poster's file and the text read from it, before its film is known to be one of ours."""

    poster_id: str
    film_id: str
    file: str
    sha256: str
    text: str = ""
    reading: Reading = UNREAD


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Poster:
    """One row of the dataset, less the image's bytes. All rows are in memory while a dataset is built: it is kept small.

    `as_it_is` says that the file's bytes can be stored unchanged; all others are stored as the PNG of `decode_poster`.
    """

    poster_id: str
    film_id: str
    title: str
    year: int | None
    genres: tuple[str, ...]
    file: str
    sha256: str
    size: int
    as_it_is: bool
    text: str
    reading: Reading

    @property
    def labels(self) -> np.ndarray:
        """Multi-hot genres, uint8 [13], not to be written to."""
        return _labels(self.genres)


def join(
    posters: Sequence[Source],
    titles: Mapping[str, Title],
    *,
    other_genres: str = "drop_label",
    check_images: CheckImages | None = None,
    progress: bool = False,
) -> tuple[list[Poster], LeftOut]:
    """Joins every poster with its film's title and genres. Every image is decoded once.

    Left out, by kind: "no title row"; "no genre among the thirteen" (and, with `other_genres="drop_film"`, "genre
    outside the thirteen"); "same bytes, other film" (every copy, as nobody knows whose poster it is); "same bytes, same
    film" (all but the first); "unreadable image".

    Args:
      posters: sorted by poster_id.
      titles: tconst -> Title.
      other_genres: "drop_label" keeps a film with genres outside the thirteen for its others, "drop_film" does not.
      check_images: `check_image` of every path, in order; None: in threads of this process.
      progress: draw a progress bar.

    Returns:
      The posters in the given order, and the left-out ones by kind.
    """
    left_out: LeftOut = defaultdict(list)
    copies = _find_copies(posters)
    first_of_bytes: dict[str, str] = {}
    candidates = []
    for poster in posters:
        title = titles.get(poster.film_id)
        if title is None:
            left_out["no title row"].append(Skipped(poster.poster_id, f"{poster.film_id} is not in the titles file"))
        elif not title.genres:
            reason = f"its genres are {', '.join(title.other_genres) or 'not given'}"
            left_out["no genre among the thirteen"].append(Skipped(poster.poster_id, reason))
        elif other_genres == "drop_film" and title.other_genres:
            reason = f"it also has {', '.join(title.other_genres)}, and data.other_genres=drop_film"
            left_out["genre outside the thirteen"].append(Skipped(poster.poster_id, reason))
        elif poster.sha256 not in copies:
            candidates.append(poster)
        elif len(copies[poster.sha256]) > 1:
            films = ", ".join(sorted(copies[poster.sha256]))
            left_out["same bytes, other film"].append(Skipped(poster.poster_id, f"the same file stands for {films}"))
        elif poster.sha256 in first_of_bytes:
            reason = f"the same file as {first_of_bytes[poster.sha256]}"
            left_out["same bytes, same film"].append(Skipped(poster.poster_id, reason))
        else:
            first_of_bytes[poster.sha256] = poster.poster_id
            candidates.append(poster)

    rows = []
    checks = (check_images or check_in_threads)(pathlib.Path(poster.file) for poster in candidates)
    bar = progress_bar(iterable=checks, desc="checking images", total=len(candidates), unit="poster", disable=not progress)
    for poster, check in zip(candidates, bar, strict=True):
        if isinstance(check, UnreadableImage):
            left_out["unreadable image"].append(Skipped(poster.poster_id, str(check)))
            continue
        size, as_it_is = check
        title = titles[poster.film_id]
        rows.append(
            Poster(
                poster_id=poster.poster_id,
                film_id=poster.film_id,
                title=title.title,
                year=title.year,
                genres=title.genres,
                file=poster.file,
                sha256=poster.sha256,
                size=size,
                as_it_is=as_it_is,
                text=poster.text,
                reading=poster.reading,
            )
        )
    return rows, dict(left_out)


def hash_files(files: Sequence[str], *, progress: bool = False) -> Iterator[str | UnreadableImage]:
    """sha256 of every file's bytes, in order; the error in place of a file that cannot be read."""
    hashes = map_in_threads(_hash_file, files, at_once=64)
    yield from progress_bar(iterable=hashes, desc="hashing posters", total=len(files), unit="poster", disable=not progress)


def image_bytes(poster: Poster) -> bytes:
    """What the dataset stores of a poster: the file's own bytes, or an RGB PNG of its upright pixels.

    Raises:
      RuntimeError: the file is another one than when it was joined.
    """
    data = read_bytes(poster.file)
    if hashlib.sha256(data).hexdigest() != poster.sha256:
        raise RuntimeError(f"{poster.file} changed while the dataset was being built; build again.")
    if poster.as_it_is:
        return data
    png = io.BytesIO()
    decode_poster(data).save(png, format="PNG")
    return png.getvalue()


def _hash_file(name: str) -> str | UnreadableImage:
    try:
        return hashlib.sha256(read_bytes(name)).hexdigest()
    except UnreadableImage as error:
        return error


def check_in_threads(paths: Iterable[pathlib.Path]) -> Iterator[ImageCheck]:
    """`check_image` of every path, in order."""
    return map_in_threads(check_image, paths)


def check_image(path: pathlib.Path) -> ImageCheck:
    """(bytes, whether they can be stored as they are), or why the image cannot be used."""
    try:
        data = read_bytes(path)
        if _is_plain_jpeg(data):
            return len(data), True
        decode_poster(data)
        with open_image(data) as image:
            return len(data), _is_plain(image)
    except UnreadableImage as error:
        return error


def _is_plain_jpeg(data: bytes) -> bool:
    """Whether it is a JPEG that `decode_poster` decodes to its end and whose bytes can be stored.

    Decoded at an eighth of its size, in a quarter of the time: libjpeg reads the whole file all the same and stops at the
    same faults, it only does without most of the arithmetic.
    """
    try:
        with open_image(data) as image:
            if image.format != "JPEG" or not _is_plain(image):
                return False
            image.draft(None, (1, 1))
            image.load()
            return True
    except UnreadableImage:  # `decode_poster` says why
        return False


def _is_plain(image: Image.Image) -> bool:
    """Whether every reader of JPEG and PNG sees the pixels of `decode_poster`: no CMYK, palette, alpha or rotation."""
    upright = orientation_of(image) == 1
    jpeg = image.format == "JPEG" and image.mode in ("RGB", "L")
    png = image.format == "PNG" and image.mode == "RGB" and "transparency" not in image.info
    return upright and (jpeg or png)


def _find_copies(posters: Iterable[Source]) -> dict[str, set[str]]:
    """Hash -> films, of the files that are there more than once."""
    once: set[str] = set()
    copied = {poster.sha256 for poster in posters if poster.sha256 in once or once.add(poster.sha256)}
    films: dict[str, set[str]] = {}
    for poster in posters if copied else ():
        if poster.sha256 in copied:
            films.setdefault(poster.sha256, set()).add(poster.film_id)
    return films


@functools.cache
def _labels(genres: tuple[str, ...]) -> np.ndarray:
    labels = genre_names.encode_genres(genres)
    labels.flags.writeable = False  # shared by all posters with these genres
    return labels
