"""Poster files, titles and OCR records, joined to rows; whatever does not fit is left out with its reason."""

import concurrent.futures
import dataclasses
import hashlib
import io
import os
import pathlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from PIL import Image

from posterfusion_jax import genres as genre_names
from posterfusion_jax.datasets.imdb_posters.titles import Title
from posterfusion_jax.images import UnreadableImage, decode_poster
from posterfusion_jax.ocr.record import OcrRecord, usable
from posterfusion_jax.ocr.rules import NO_RULES, TextRules
from posterfusion_jax.ocr.text import text_of
from posterfusion_jax.poster_folder import PosterFile, Skipped
from posterfusion_jax.progress import progress_bar

MISSING = "missing"  # ocr_status of a poster that nobody has read yet
_EXIF_ORIENTATION = 0x0112

_T = TypeVar("_T")
LeftOut = dict[str, list[Skipped]]  # kind -> what was left out and why
ImageCheck = tuple[int, bool] | UnreadableImage
CheckImages = Callable[[Sequence[pathlib.Path]], Sequence[ImageCheck]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Poster:
    """One row of the dataset, less the image's bytes.

    `as_it_is` says that the file's bytes can be stored unchanged; all others are stored as the PNG of `decode_poster`.
    `record` is what the text was made from.
    """

    poster_id: str
    film_id: str
    title: str
    year: int | None
    genres: tuple[str, ...]
    path: pathlib.Path
    sha256: str
    size: int
    as_it_is: bool
    text: str
    ocr_status: str
    record: OcrRecord | None = None

    @property
    def labels(self) -> np.ndarray:
        """Multi-hot genres, uint8 [13]."""
        return genre_names.encode_genres(self.genres)


def join(
    posters: Sequence[PosterFile],
    titles: Mapping[str, Title],
    *,
    sha256_of: Mapping[str, str],
    find_record: Callable[[str], OcrRecord | None],
    other_genres: str = "drop_label",
    text_rules: TextRules = NO_RULES,
    check_images: CheckImages | None = None,
    progress: bool = False,
) -> tuple[list[Poster], LeftOut]:
    """Joins every poster with its film's title and genres and with the text read from it. Every image is decoded once.

    Left out, by kind: "no title row"; "no genre among the thirteen" (and, with `other_genres="drop_film"`, "genre
    outside the thirteen"); "same bytes, other film" (every copy, as nobody knows whose poster it is); "same bytes, same
    film" (all but the first); "unreadable image".

    Args:
      posters: the files, sorted by poster_id.
      titles: tconst -> Title.
      sha256_of: poster_id -> hash of the file's bytes.
      find_record: hash -> the OCR record to use, None where there is none.
      other_genres: "drop_label" keeps a film with genres outside the thirteen for its others, "drop_film" does not.
      text_rules: from a record to its poster's text.
      check_images: `check_image` of every path, in order; None: in threads of this process.
      progress: draw a progress bar.

    Returns:
      The posters in the given order, and the left-out ones by kind.
    """
    left_out: LeftOut = defaultdict(list)
    films_of_bytes = defaultdict(set)
    for poster in posters:
        films_of_bytes[sha256_of[poster.poster_id]].add(poster.film_id)

    first_of_bytes: dict[str, str] = {}
    candidates = []
    for poster in posters:
        sha256 = sha256_of[poster.poster_id]
        title = titles.get(poster.film_id)
        if title is None:
            left_out["no title row"].append(Skipped(poster.poster_id, f"{poster.film_id} is not in the titles file"))
        elif not title.genres:
            reason = f"its genres are {', '.join(title.other_genres) or 'not given'}"
            left_out["no genre among the thirteen"].append(Skipped(poster.poster_id, reason))
        elif other_genres == "drop_film" and title.other_genres:
            reason = f"it also has {', '.join(title.other_genres)}, and data.other_genres=drop_film"
            left_out["genre outside the thirteen"].append(Skipped(poster.poster_id, reason))
        elif len(films_of_bytes[sha256]) > 1:
            films = ", ".join(sorted(films_of_bytes[sha256]))
            left_out["same bytes, other film"].append(Skipped(poster.poster_id, f"the same file stands for {films}"))
        elif sha256 in first_of_bytes:
            reason = f"the same file as {first_of_bytes[sha256]}"
            left_out["same bytes, same film"].append(Skipped(poster.poster_id, reason))
        else:
            first_of_bytes[sha256] = poster.poster_id
            candidates.append((poster, title))

    rows = []
    paths = [poster.path for poster, _ in candidates]
    checks = check_images(paths) if check_images else _map(paths, check_image, "checking images", progress)
    for (poster, title), check in zip(candidates, checks, strict=True):
        if isinstance(check, UnreadableImage):
            left_out["unreadable image"].append(Skipped(poster.poster_id, str(check)))
            continue
        size, as_it_is = check
        record = find_record(sha256_of[poster.poster_id])
        rows.append(
            Poster(
                poster_id=poster.poster_id,
                film_id=poster.film_id,
                title=title.title,
                year=title.year,
                genres=title.genres,
                path=poster.path,
                sha256=sha256_of[poster.poster_id],
                size=size,
                as_it_is=as_it_is,
                text=text_of(record, text_rules) if record is not None and usable(record) else "",
                ocr_status=MISSING if record is None else record.status,
                record=record,
            )
        )
    return rows, dict(left_out)


def hash_files(paths: Sequence[pathlib.Path], *, progress: bool = False) -> list[str | OSError]:
    """sha256 of every file's bytes, in order; the error in place of a file that cannot be read."""
    return _map(paths, _hash_file, "hashing posters", progress)


def image_bytes(poster: Poster) -> bytes:
    """What the dataset stores of a poster: the file's own bytes, or an RGB PNG of its upright pixels.

    Raises:
      RuntimeError: the file is another one than when it was joined.
    """
    data = poster.path.read_bytes()
    if hashlib.sha256(data).hexdigest() != poster.sha256:
        raise RuntimeError(f"{poster.path} changed while the dataset was being built; build again.")
    if poster.as_it_is:
        return data
    png = io.BytesIO()
    decode_poster(data).save(png, format="PNG")
    return png.getvalue()


def _map(paths: Sequence[pathlib.Path], function: Callable[[pathlib.Path], _T], what: str, progress: bool) -> list[_T]:
    """`function` of every path in a few threads (Pillow and hashlib release the GIL)."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(function, paths)
        return list(progress_bar(iterable=results, desc=what, total=len(paths), unit="poster", disable=not progress))


def _hash_file(path: pathlib.Path) -> str | OSError:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return error


def check_image(path: pathlib.Path) -> ImageCheck:
    """(bytes, whether they can be stored as they are), or why the image cannot be used."""
    try:
        data = path.read_bytes()
        decode_poster(data)
        return len(data), _plain(data)
    except OSError as error:
        return UnreadableImage(f"cannot be read: {error.strerror or error}")
    except UnreadableImage as error:
        return error


def _plain(data: bytes) -> bool:
    """Whether every reader of JPEG and PNG sees the pixels of `decode_poster`: no CMYK, palette, alpha or rotation."""
    with Image.open(io.BytesIO(data)) as image:
        upright = image.getexif().get(_EXIF_ORIENTATION, 1) == 1
        jpeg = image.format == "JPEG" and image.mode in ("RGB", "L")
        png = image.format == "PNG" and image.mode == "RGB" and "transparency" not in image.info
        return upright and (jpeg or png)
