"""Join poster files, titles and texts to rows; what cannot be used is left out with its reason."""

import hashlib
import io
import itertools
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from posterfusion_jax.datasets.imdb_posters.image_check import CheckImages, check_in_threads
from posterfusion_jax.datasets.imdb_posters.text_provenance import GIVEN, UNREAD, TextProvenance
from posterfusion_jax.datasets.label_set import PAPER13, LabelSet
from posterfusion_jax.datasets.sources.base import Entries, Entry, LeftOut
from posterfusion_jax.posters.decode import UnreadableImage, decode_poster, read_bytes
from posterfusion_jax.posters.folder import Skipped
from posterfusion_jax.utils.disk_collections import DiskDict, DiskList, sort_on_disk
from posterfusion_jax.utils.progress import progress_bar

_NAMED_FILMS = 5  # films with the same file that a message names


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
    """Hold one poster's file, before its film is looked up.

    `check`: (bytes, whether they can be stored unchanged), or why the image cannot be used; None: not decoded yet.
    """

    poster_id: str
    film_id: str
    file: str
    sha256: str
    check: Sequence[Any] | str | None = None


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
    checked: bool = False,
    check_images: CheckImages | None = None,
    progress: bool = False,
) -> tuple[DiskList[Poster], LeftOut]:
    """Join every poster with its title and labels; every image that is not checked yet is decoded once.

    Left out, by kind: "no title row"; no label of the set (and, with `drop_film`, a label outside the set); "same bytes, other
    film" (every copy, because the right film is unknown); "same bytes, same film" (all but the first); "unreadable image".

    Args:
      posters: sorted by poster_id; they are iterated over twice.
      entries: of the source.
      texts: sha256 of a file -> its text, and its provenance; a poster without a record is missing.
      rules: the label set and what to do with labels outside it.
      checked: every poster has its `check`, and no image is decoded here.
      check_images: `check_image` of every path, in order; None: in threads of this process.
      progress: draw a progress bar.

    Returns:
      The posters in the given order, and the left-out ones by kind.
    """
    left_out = LeftOut()
    rows, unreadable = DiskList(Poster.from_json), DiskList(Skipped._make)
    candidates = _find_candidates(posters, entries, texts, rules, left_out)
    if checked:
        checks = ((row, poster.check) for row, poster in candidates)
    else:
        kept = DiskList(Poster.from_json, (row for row, _ in candidates))
        found = (check_images or check_in_threads)(pathlib.Path(row.file) for row in kept)
        bar = progress_bar(iterable=found, desc="checking images", total=len(kept), unit="poster", disable=not progress)
        checks = zip(kept, bar, strict=True)
    for row, check in checks:
        if isinstance(check, str | UnreadableImage):
            unreadable.append(Skipped(row.poster_id, str(check)))
        elif check is not None:
            size, store_verbatim = check
            rows.append(row._replace(size=size, store_verbatim=store_verbatim))
    left_out.add("unreadable image", unreadable)
    return rows, left_out


def _find_candidates(
    posters: Iterable[HashedPoster],
    entries: Entries,
    texts: Mapping[str, tuple[str, TextProvenance]],
    rules: JoinRules,
    left_out: LeftOut,
) -> Iterator[tuple[Poster, HashedPoster]]:
    """Yield the rows of the posters whose image decides alone, each with its poster; add all others to `left_out`."""
    unit, labels = rules.unit, rules.labels
    no_label, outside = rules.kinds
    copies = _find_copies(posters)
    has_copies = len(copies) > 0
    for poster in posters:
        entry, copied = entries.of(poster), copies.get(poster.sha256) if has_copies else None
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
            yield _make_row(poster, entry, mapped.known, texts), poster


def _make_row(
    poster: HashedPoster, entry: Entry, genres: tuple[str, ...], texts: Mapping[str, tuple[str, TextProvenance]]
) -> Poster:
    """Return the row of a poster whose image is not checked yet."""
    text, reading = texts.get(poster.sha256, ("", UNREAD)) if entry.text is None else (entry.text, GIVEN)
    about = {"title": entry.title, "year": entry.year, "split": entry.split, "genres": genres}
    fields = {"poster_id": poster.poster_id, "film_id": poster.film_id, "file": poster.file, "sha256": poster.sha256}
    return Poster(**fields, **about, size=0, store_verbatim=False, text=text, reading=reading)


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
