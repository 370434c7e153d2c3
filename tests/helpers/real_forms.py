"""Turn a folder of films into the forms in which people have posters and labels, by links to its pictures.

    python tests/helpers/real_forms.py POSTERS OUT [FILMS]

makes OUT/<form>/ for every form, and prints the flags with which it is read.
"""

import hashlib
import json
import os
import pathlib
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from tables import write_csv, write_json_lines

from posterfusion_jax.datasets.sources.imdb_folder import ImdbFolderSource

TMDB = {"Sci-Fi": "Science Fiction"}


class Film(NamedTuple):
    """A film with one poster."""

    tconst: str
    title: str
    year: int
    labels: tuple[str, ...]
    picture: str

    @property
    def number(self) -> int:
        return int(self.tconst[2:])

    @property
    def tmdb_labels(self) -> list[str]:
        return [TMDB.get(label, label) for label in self.labels]


class Form(NamedTuple):
    """A table, if the form has one, and a folder of pictures."""

    table: pathlib.Path | None
    images: pathlib.Path

    @property
    def flags(self) -> list[str]:
        return [*([f"--table={self.table}"] if self.table else []), f"--images={self.images}"]


def read_films(posters: pathlib.Path, most: int | None = None) -> list[Film]:
    """Films with labels and a year, as the reader of IMDb's files has them, by their first poster; all pictures differ."""
    source = ImdbFolderSource(posters)
    found = {}
    for poster in source.list_pictures().posters:
        found.setdefault(poster.film_id, poster)
    entries = source.read_entries(found.values())
    seen, films = set(), []
    for tconst, poster in found.items():
        entry = entries.of(poster)
        digest = hashlib.sha256(pathlib.Path(poster.path).read_bytes()).digest()
        if entry is not None and entry.labels and entry.year and digest not in seen:
            seen.add(digest)
            films.append(Film(tconst, entry.title, entry.year, entry.labels, os.path.abspath(poster.path)))
    return films if most is None else films[:: max(len(films) // most, 1)][:most]


def link(folder: pathlib.Path, films: Iterable[Film], name: Callable[[Film], str], *, suffix: str = ".jpg") -> pathlib.Path:
    for film in films:
        file = folder / f"{name(film)}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to(film.picture)
    return folder


def kaggle_posters(folder: pathlib.Path, films: Sequence[Film]) -> Form:
    """Form 1."""
    images = folder / "SampleMoviePosters"
    link(images / "SampleMoviePosters", films, lambda film: str(film.number))
    header = ["imdbId", "Imdb Link", "Title", "IMDB Score", "Genre", "Poster"]
    rows = (
        [
            f.number,
            f"http://www.imdb.com/title/tt{f.number}",
            f"{f.title} ({f.year})",
            7.1,
            "|".join(f.labels),
            "https://x/y.jpg",
        ]
        for f in films
    )
    file = folder / "MovieGenre.csv"
    write_csv(file, header, rows)
    file.write_bytes(file.read_text("utf-8").encode("latin-1", "replace"))
    return Form(file, images)


def kaggle_with_paths(folder: pathlib.Path, films: Sequence[Film]) -> Form:
    """Form 1b."""
    images = link(folder / "data" / "images", films, lambda film: film.tconst)
    header = ["row_id", "Title", "Genre", "image_path", "image_match_source", "image_exists"]
    rows = ([k, f.title, "|".join(f.labels), f"data/images/{f.tconst}.jpg", "exact", True] for k, f in enumerate(films))
    return Form(write_csv(folder / "splits.csv", header, rows), images)


def list_and_indicators(folder: pathlib.Path, films: Sequence[Film]) -> Form:
    """Form 2."""
    images = link(folder / "Images", films, lambda film: film.tconst)
    names = sorted({label for film in films for label in film.labels})
    rows = ([f.tconst, str(list(f.labels)), *(int(name in f.labels) for name in names)] for f in films)
    return Form(write_csv(folder / "train.csv", ["Id", "Genre", *names], rows), images)


def mongo(folder: pathlib.Path, films: Sequence[Film]) -> Form:
    """Form 3."""
    images = link(folder / "Movie_Poster_Dataset", films, lambda film: f"{film.year}/{film.tconst}")
    truth = folder / "groundtruth"
    truth.mkdir()
    for year in sorted({film.year for film in films}):
        records = (
            '{\n  "_id": ObjectId("58c5d71f6118f376a1e1f3f7"),'
            + json.dumps({"imdbID": f.tconst, "Title": f.title, "Year": str(f.year), "Genre": list(f.labels)}, indent=2)[1:]
            for f in films
            if f.year == year
        )
        (truth / f"{year}.txt").write_text("\n".join(records) + "\n", "utf-16" if year % 2 else "utf-8")
    return Form(truth, images)


def indicators_by_split(folder: pathlib.Path, films: Sequence[Film]) -> Form:
    """Form 3b."""
    names = sorted({label for film in films for label in film.labels})
    half = len(films) * 4 // 5
    for split, part in {"train": films[:half], "val": films[half:]}.items():
        link(folder / "movie_posters" / split, part, lambda film: film.tconst)
        rows = ([f.tconst, *(int(name in f.labels) for name in names)] for f in part)
        write_csv(folder / "movie_posters" / split / "metadata.csv", ["Id", *names], rows)
    return Form(folder / "movie_posters", folder / "movie_posters")


def mm_imdb(folder: pathlib.Path, films: Sequence[Film]) -> Form:
    """Form 4."""
    link(folder / "mmimdb" / "dataset", films, lambda film: film.tconst[2:], suffix=".jpeg")
    for f in films:
        record = {"genres": list(f.labels), "title": f.title, "year": f.year, "plot": ["A plot."]}
        (folder / "mmimdb" / "dataset" / f"{f.tconst[2:]}.json").write_text(json.dumps(record))
    ids = [film.tconst[2:] for film in films]
    parts = {
        "train": ids[: len(ids) * 3 // 5],
        "dev": ids[len(ids) * 3 // 5 : len(ids) * 4 // 5],
        "test": ids[len(ids) * 4 // 5 :],
    }
    (folder / "mmimdb" / "split.json").write_text(json.dumps(parts))
    return Form(None, folder / "mmimdb")


def class_folders(folder: pathlib.Path, films: Sequence[Film]) -> Form:
    """Form 5, with a film in the folder of each of its labels."""
    for film in films:
        for label in film.labels:
            link(folder / "posters" / label, [film], lambda film: film.tconst)
    return Form(None, folder / "posters")


def tmdb(folder: pathlib.Path, films: Sequence[Film]) -> Form:
    """Form 6."""
    images = link(folder / "posters", films, lambda film: str(film.number))
    header = ["id", "title", "vote_average", "status", "release_date", "adult", "imdb_id", "overview", "poster_path", "genres"]
    rows = (
        [
            *(f.number, f.title, 7.5, "Released", f"{f.year}-03-30", False, f.tconst, 'A "plot",\nof two lines'),
            *(f"/x{f.number}.jpg", ", ".join(f.tmdb_labels)),
        ]
        for f in films
    )
    return Form(write_csv(folder / "TMDB_movie_dataset_v11.csv", header, rows), images)


def tmdb_poster_path(folder: pathlib.Path, films: Sequence[Film]) -> Form:
    """Form 6b."""
    images = link(folder / "w342", films, lambda film: f"hash{film.number}")
    header = ["adult", "genres", "id", "imdb_id", "original_title", "poster_path", "release_date"]
    rows = (
        [
            *("False", str([{"id": k, "name": name} for k, name in enumerate(f.tmdb_labels)]), f.number, f.tconst),
            *(f.title, f"/hash{f.number}.jpg", f"{f.year}-01-01"),
        ]
        for f in films
    )
    return Form(write_csv(folder / "movies_metadata.csv", header, rows), images)


def tmdb_5000(folder: pathlib.Path, films: Sequence[Film]) -> Form:
    """Form 6c."""
    images = link(folder / "images", films, lambda film: str(film.number))
    rows = (
        [
            237,
            json.dumps([{"id": k, "name": name} for k, name in enumerate(f.tmdb_labels)]),
            "http://x.example/",
            f.number,
            f.title,
        ]
        for f in films
    )
    return Form(write_csv(folder / "tmdb_5000_movies.csv", ["budget", "genres", "homepage", "id", "title"], rows), images)


def json_lines(folder: pathlib.Path, films: Sequence[Film]) -> Form:
    """Form 7, as a file of JSON lines with the pictures as files."""
    images = link(folder / "images", films, lambda film: f"2ae3e9{film.number}")
    rows = (
        {
            "id": f"2ae3e9{f.number}",
            "title": f.title,
            "genres": [{"id": k, "name": name} for k, name in enumerate(f.tmdb_labels)],
            "release_date": f"{f.year}-01-01",
            "overview": "A plot that is on no poster.",
        }
        for f in films
    )
    return Form(write_json_lines(folder / "movies.jsonl", rows), images)


def long_form(folder: pathlib.Path, films: Sequence[Film]) -> Form:
    """Form 8."""
    images = link(folder / "posters", films, lambda film: str(1_000_000 + film.number))
    write_csv(folder / "genres.csv", ["id", "genre"], ([1_000_000 + f.number, label] for f in films for label in f.labels))
    write_csv(folder / "posters.csv", ["id", "link"], ([1_000_000 + f.number, "https://x.example/y.jpg"] for f in films))
    rows = ([1_000_000 + f.number, f.title, f.year, ""] for f in films)
    return Form(write_csv(folder / "movies.csv", ["id", "name", "date", "tagline"], rows), images)


def movielens(folder: pathlib.Path, films: Sequence[Film]) -> Form:
    """Form 9."""
    images = link(folder / "posters", films, lambda film: film.tconst)
    links = ([k + 1, f.tconst[2:], 860 + k] for k, f in enumerate(films))
    write_csv(folder / "links.csv", ["movieId", "imdbId", "tmdbId"], links)
    rows = ([k + 1, f"{f.title} ({f.year})", "|".join(f.labels)] for k, f in enumerate(films))
    return Form(write_csv(folder / "movies.csv", ["movieId", "title", "genres"], rows), images)


def media_library(folder: pathlib.Path, films: Sequence[Film]) -> Form:
    """Form 11."""
    link(folder / "library", films, lambda film: f"{film.tconst}/poster")
    for f in films:
        genres = "".join(f"<genre>{escape(label)}</genre>" for label in f.labels)
        (folder / "library" / f.tconst / "movie.nfo").write_text(
            f'<?xml version="1.0" encoding="UTF-8"?>\n<movie><title>{escape(f.title)}</title><year>{f.year}</year>{genres}'
            f'<uniqueid type="imdb">{f.tconst}</uniqueid></movie>\n',
            "utf-8",
        )
    return Form(None, folder / "library")


FORMS = (
    *(kaggle_posters, kaggle_with_paths, list_and_indicators, mongo, indicators_by_split, mm_imdb, class_folders, tmdb),
    *(tmdb_poster_path, tmdb_5000, json_lines, long_form, movielens, media_library),
)


def main(posters: str, out: str, most: str | None = None) -> None:
    """Make all forms."""
    films = read_films(pathlib.Path(posters), int(most) if most else None)
    for form in FORMS:
        (pathlib.Path(out) / form.__name__).mkdir(parents=True)
        print(form.__name__, *form(pathlib.Path(out) / form.__name__, films).flags)


if __name__ == "__main__":
    main(*sys.argv[1:])
