"""Join poster files, titles and texts to rows; what cannot be used is left out with its reason."""

import hashlib
import io
import itertools
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from PIL import Image

from posterfusion_jax.datasets.imdb_posters.text_provenance import GIVEN, UNREAD, TextProvenance
from posterfusion_jax.datasets.label_set import PAPER13, LabelSet
from posterfusion_jax.datasets.sources.base import Entries, Entry, LeftOut
from posterfusion_jax.posters.decode import UnreadableImage, decode_poster, open_image, orientation_of, read_bytes
from posterfusion_jax.posters.folder import Skipped
from posterfusion_jax.utils.disk_collections import DiskDict, DiskList, sort_on_disk
from posterfusion_jax.utils.prefetch import threaded_map
from posterfusion_jax.utils.progress import progress_bar

_NAMED_FILMS = 5  # films with the same file that a message names

ImageCheck = tuple[int, bool] | UnreadableImage
CheckImages = Callable[[Iterable[pathlib.Path]], Iterable[ImageCheck]]


class JoinRules(NamedTuple):
    """Hold what decides whether a poster becomes a row.

    Attributes:
      labels: the label set.
      drop_film: leave out a poster with a label outside the set; otherwise it keeps its others.
      unit: what a group of posters is: "film".
      table: what the labels come from, for messages.
    """

    labels: LabelSet
    drop_film: bool = False
    unit: str = "film"
    table: str = "titles file"

    @property
    def kinds(self) -> tuple[str, str]:
        """Return the kinds of posters left out for having no label of the set, and a label outside it."""
        if self.labels.rule == PAPER13:
            return "no genre among the thirteen", "genre outside the thirteen"
        return f"no label among the {len(self.labels.names)}", f"label outside the {len(self.labels.names)}"

    @property
    def no_row(self) -> str:
        """Return the kind of posters left out for having no row."""
        return "no title row" if self.table == "titles file" else "no row"


class HashedPoster(NamedTuple):
    """Hold one poster's file, before its film is looked up."""

    poster_id: str
    film_id: str
    file: str
    sha256: str


class Poster(NamedTuple):
    """Hold one row of the dataset without the image's bytes.

    `store_verbatim`: the file's bytes can be stored unchanged; all others are stored as the PNG of `decode_poster`.
    `split`: the source's own, "" where it has none.
    """

    poster_id: str
    film_id: str
    title: str
    year: int | None
    file: str
    sha256: str
    size: int
    store_verbatim: bool
    text: str
    split: str
    genres: tuple[str, ...]
    reading: TextProvenance

    @classmethod
    def from_json(cls, values: Sequence[Any]) -> "Poster":
        """Return the row whose JSON value is `values`."""
        *others, genres, reading = values
        return cls._make((*others, tuple(genres), TextProvenance.from_json(reading)))


def join(
    posters: Iterable[HashedPoster],
    entries: Entries,
    texts: Mapping[str, tuple[str, TextProvenance]],
    rules: JoinRules,
    *,
    check_images: CheckImages | None = None,
    progress: bool = False,
) -> tuple[DiskList[Poster], LeftOut]:
    """Join every poster with its title and labels; every image is decoded once.

    Left out, by kind: "no title row"; no label of the set (and, with `drop_film`, a label outside the set); "same bytes, other
    film" (every copy, because the right film is unknown); "same bytes, same film" (all but the first); "unreadable image".

    Args:
      posters: sorted by poster_id; they are iterated over twice.
      entries: of the source.
      texts: sha256 of a file -> its text, and its provenance; a poster without a record is missing.
      rules: the label set and what to do with labels outside it.
      check_images: `check_image` of every path, in order; None: in threads of this process.
      progress: draw a progress bar.

    Returns:
      The posters in the given order, and the left-out ones by kind.
    """
    unit, labels = rules.unit, rules.labels
    no_label, outside = rules.kinds
    left_out = LeftOut()
    copies = _find_copies(posters)
    candidates = DiskList(Poster.from_json)
    for poster in posters:
        entry, copied = entries.of(poster), copies.get(poster.sha256)
        mapped = labels.map(entry.labels) if entry else None
        if entry is None or mapped is None:
            left_out[rules.no_row].append(Skipped(poster.poster_id, f"{poster.film_id} is not in the {rules.table}"))
        elif not mapped.known:
            reason = f"its genres are {', '.join(mapped.other) or 'not given'}"
            left_out[no_label].append(Skipped(poster.poster_id, reason))
        elif rules.drop_film and mapped.other:
            reason = f"it also has {', '.join(mapped.other)}, and data.other_genres=drop_film"
            left_out[outside].append(Skipped(poster.poster_id, reason))
        elif copied is not None and copied.films > 1:
            reason = f"the same file is the poster of {copied.named}"
            left_out[f"same bytes, other {unit}"].append(Skipped(poster.poster_id, reason))
        elif copied is not None and copied.first != poster.poster_id:
            reason = f"the same file as {copied.first}"
            left_out[f"same bytes, same {unit}"].append(Skipped(poster.poster_id, reason))
        else:
            candidates.append(_make_row(poster, entry, mapped.known, texts))

    rows = DiskList(Poster.from_json)
    checks = (check_images or check_in_threads)(pathlib.Path(poster.file) for poster in candidates)
    bar = progress_bar(iterable=checks, desc="checking images", total=len(candidates), unit="poster", disable=not progress)
    for poster, check in zip(candidates, bar, strict=True):
        if isinstance(check, UnreadableImage):
            left_out["unreadable image"].append(Skipped(poster.poster_id, str(check)))
            continue
        size, store_verbatim = check
        rows.append(poster._replace(size=size, store_verbatim=store_verbatim))
    return rows, left_out


def _make_row(
    poster: HashedPoster, entry: Entry, genres: tuple[str, ...], texts: Mapping[str, tuple[str, TextProvenance]]
) -> Poster:
    """Return the row of a poster whose image is not checked yet."""
    text, reading = texts.get(poster.sha256, ("", UNREAD)) if entry.text is None else (entry.text, GIVEN)
    about = {"title": entry.title, "year": entry.year, "split": entry.split, "genres": genres}
    return Poster(**poster._asdict(), **about, size=0, store_verbatim=False, text=text, reading=reading)


def hash_files(files: Iterable[str], *, count: int, progress: bool = False) -> Iterator[str | UnreadableImage]:
    """Yield the sha256 of every file's bytes in order, or the error of a file that cannot be read.

    Args:
      files: the paths.
      count: the number of files, for the progress bar.
      progress: draw a progress bar.
    """
    hashes = threaded_map(_hash_file, files, chunk_size=64)
    yield from progress_bar(iterable=hashes, desc="hashing posters", total=count, unit="poster", disable=not progress)


def image_bytes(poster: Poster) -> bytes:
    """Return the bytes to store for a poster: the file's own, or an RGB PNG of its upright pixels.

    Raises:
      RuntimeError: the file changed since it was joined.
    """
    data = read_bytes(poster.file)
    if hashlib.sha256(data).hexdigest() != poster.sha256:
        raise RuntimeError(f"{poster.file} changed while the dataset was being built; build again.")
    if poster.store_verbatim:
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
    """Yield `check_image` of every path, in order, computed in threads."""
    return threaded_map(check_image, paths)


def check_image(path: pathlib.Path) -> ImageCheck:
    """Return (bytes, whether they can be stored unchanged), or why the image cannot be used."""
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
    """Return whether the data is a JPEG that `decode_poster` decodes to its end and whose bytes can be stored.

    Decodes at an eighth of the size, in a quarter of the time: libjpeg still reads the whole file and stops
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


class _Copies(NamedTuple):
    """Hold the number of films that share a file, some of their names, and its first poster."""

    films: int
    named: str
    first: str


def _find_copies(posters: Iterable[HashedPoster]) -> DiskDict[_Copies]:
    """Return the files that occur more than once, by their hash."""
    by_hash = sort_on_disk(HashedPoster._make, ((poster.sha256 + poster.film_id, poster) for poster in posters))
    copies = DiskDict(_Copies._make)
    for sha256, same in itertools.groupby(by_hash, key=lambda poster: poster.sha256):
        times, films, named, first = 0, 0, [], None
        for film_id, of_film in itertools.groupby(same, key=lambda poster: poster.film_id):
            films += 1
            named += [film_id] if films <= _NAMED_FILMS else []
            for poster in of_film:
                times += 1
                first = min(first or poster.poster_id, poster.poster_id)
        if first is not None and times > 1:
            others = f" and {films - len(named):,} more" if films > len(named) else ""
            copies[sha256] = _Copies(films, ", ".join(named) + others, first)
    return copies
