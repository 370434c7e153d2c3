"""Small folders in the forms of the sources without a table, with drawn pictures, and how to read them."""

import json
import pathlib
from typing import Any, NamedTuple

from tables import FILMS, TCONSTS, draw_pictures

from posterfusion_jax.datasets.sources.base import Entry, Pictures, Source
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.datasets.sources.registry import make_source
from posterfusion_jax.posters.folder import PosterFile

# As Kodi writes it: the file's own <video> is below <fileinfo>, and a link follows the XML.
NFO = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<movie><title>{title}</title><year>{year}</year><plot>A plot that is on no poster.</plot>{genres}
<uniqueid type="tmdb">1</uniqueid><uniqueid type="imdb" default="true">{tconst}</uniqueid>
<fileinfo><streamdetails><video><codec>h264</codec></video></streamdetails></fileinfo>
<actor><name>Somebody &amp; Co</name></actor></movie>
https://www.imdb.com/title/{tconst}/"""


class Read(NamedTuple):
    """A source and what it gave: poster -> entry, and everything else; `how` is one text."""

    source: Source
    posters: dict[PosterFile, Entry]
    pictures: Pictures
    how: str
    left_out: dict[str, list[str]]
    notes: dict[str, Any]


def read(kind: str, folder: pathlib.Path, **options: Any) -> Read:
    options = {"pictures_dir": str(folder.parent / "pictures"), **options}
    source = make_source(SourceOptions(kind=kind, folder=str(folder), **options))
    pictures = source.list_pictures()
    entries = source.read_entries(pictures.posters)
    assert [poster.poster_id for poster in pictures.posters] == sorted({poster.poster_id for poster in pictures.posters})
    posters = {poster: entry for poster in pictures.posters if (entry := entries.of(poster)) is not None}
    assert len(posters) == len(pictures.posters)
    left_out = {
        kind: [item.what for item in items] for part in (pictures.left_out, entries.left_out) for kind, items in part.items()
    }
    return Read(source, posters, pictures, "\n".join(entries.how), left_out, dict(entries.notes))


def reason(found: Read, kind: str, what: str) -> str:
    """The reason why an item was left out."""
    return next(item.reason for item in found.pictures.left_out[kind] if item.what == what)


def plain(title: str) -> str:
    return title.replace(":", "")


def make_class_folders(folder: pathlib.Path) -> pathlib.Path:
    """The films of `FILMS` as "Title (year).jpg" in the folder of each of their genres."""
    names = [f"{plain(title)} ({year})" for _, title, year, _ in FILMS]
    draw_pictures(folder / "drawn", names)
    for name, (*_, labels) in zip(names, FILMS, strict=True):
        for label in labels:
            (folder / "genres" / label).mkdir(parents=True, exist_ok=True)
            (folder / "genres" / label / f"{name}.jpg").write_bytes((folder / "drawn" / f"{name}.jpg").read_bytes())
    return folder / "genres"


def make_mm_imdb(folder: pathlib.Path, *, suffix: str = ".jpeg") -> pathlib.Path:
    """The films of `FILMS` with a JSON file each; all have a genre that is not used, too."""
    draw_pictures(folder / "dataset", [tconst[2:] for tconst in TCONSTS], suffix=suffix)
    for tconst, (_, title, year, labels) in zip(TCONSTS, FILMS, strict=True):
        about = {"title": title, "year": year, "genres": [*labels, "News"], "plot": ["A plot that is on no poster."]}
        (folder / "dataset" / f"{tconst[2:]}.json").write_text(json.dumps(about))
    return folder


def write_mm_imdb_split(folder: pathlib.Path) -> None:
    split = {"train": TCONSTS[:6], "dev": TCONSTS[6:9], "test": TCONSTS[9:]}
    (folder / "split.json").write_text(json.dumps({name: [film[2:] for film in films] for name, films in split.items()}))


def make_library(folder: pathlib.Path) -> pathlib.Path:
    """The films of `FILMS` in a folder each, with every name of a poster."""
    names = ("poster", "folder", "cover", "movie-poster", "movie")
    for k, (tconst, (_, title, year, labels)) in enumerate(zip(TCONSTS, FILMS, strict=True)):
        film = folder / f"{plain(title)} ({year})"
        draw_pictures(film, [names[k % 5]])
        picture = film / f"{names[k % 5]}.jpg"
        picture.write_bytes(picture.read_bytes() + bytes([k]))
        genres = " / ".join(labels) if k % 2 else "</genre><genre>".join(labels)
        text = NFO.format(title=title, year=year, genres=f"<genre>{genres}</genre>", tconst=tconst)
        (film / "movie.nfo").write_text(text, "utf-8-sig" if k % 3 else "utf-8")
    return folder


def labels_by_film(found: Read) -> dict[str, set[str]]:
    return {poster.film_id: set(entry.labels) for poster, entry in found.posters.items()}


LABELS = {tconst: set(labels) for tconst, (*_, labels) in zip(TCONSTS, FILMS, strict=True)}
