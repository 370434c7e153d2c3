"""Tables in the forms that people have, each read with two paths and nothing else."""

import json

import pytest
from tables import FILMS, TCONSTS, draw_pictures, write_csv, write_json_lines

from posterfusion_jax.datasets.sources.table import TableSource
from posterfusion_jax.datasets.sources.table_columns import TableColumns

LABELS = {tconst: labels for tconst, (*_, labels) in zip(TCONSTS, FILMS, strict=True)}
TMDB = {"Sci-Fi": "Science Fiction"}


def kaggle_posters(folder):
    """Form 1: latin-1, ids without "tt" and zeros, a doubled folder, links as pictures, ids that repeat."""
    draw_pictures(folder / "SampleMoviePosters" / "SampleMoviePosters", (str(number) for number, *_ in FILMS))
    header = ["imdbId", "Imdb Link", "Title", "IMDB Score", "Genre", "Poster"]
    rows = [
        [
            number,
            f"http://www.imdb.com/title/tt{number}",
            f"{title} ({year})",
            7.1,
            "|".join(labels),
            "https://images.example/x.jpg",
        ]
        for number, title, year, labels in FILMS
    ]
    return write_csv(folder / "MovieGenre.csv", header, [*rows, rows[0]], encoding="latin-1"), folder / "SampleMoviePosters"


def with_paths(folder):
    """Form 1b: a column of paths."""
    draw_pictures(folder / "data" / "images", TCONSTS)
    rows = [
        [k, title, "|".join(labels), f"data/images/{tconst}.jpg", "exact", True]
        for k, (tconst, (_, title, _, labels)) in enumerate(zip(TCONSTS, FILMS, strict=True))
    ]
    header = ["row_id", "Title", "Genre", "image_path", "image_match_source", "image_exists"]
    return write_csv(folder / "splits.csv", header, rows), folder / "data" / "images"


def list_and_indicators(folder):
    """Form 2: a Python list beside columns of 0 and 1."""
    draw_pictures(folder / "Images", TCONSTS)
    names = sorted({label for labels in LABELS.values() for label in labels})
    rows = [[tconst, str(list(labels)), *(int(name in labels) for name in names)] for tconst, labels in LABELS.items()]
    return write_csv(folder / "train.csv", ["Id", "Genre", *names], rows), folder / "Images"


def indicators(folder):
    """Form 3b: columns of 0 and 1 in a table for each split, beside the pictures."""
    names = sorted({label for labels in LABELS.values() for label in labels})
    for split, part in {"train": TCONSTS[:8], "val": TCONSTS[8:]}.items():
        draw_pictures(folder / "movie_posters" / split, part)
        rows = [[tconst, *(int(name in LABELS[tconst]) for name in names)] for tconst in part]
        write_csv(folder / "movie_posters" / split / "metadata.csv", ["Id", *names], rows)
    return folder / "movie_posters", folder / "movie_posters"


def mongo(folder):
    """Form 3: objects one after the other, one file a year, one of them in UTF-16."""
    for k, (_, title, year, labels) in enumerate(FILMS):
        tconst = TCONSTS[k]
        draw_pictures(folder / "Movie_Poster_Dataset" / str(year), [tconst])
        (folder / "groundtruth").mkdir(exist_ok=True)
        record = json.dumps({"imdbID": tconst, "Title": title, "Year": str(year), "Genre": list(labels)}, indent=2)
        record = '{\n  "_id": ObjectId("58c5d71f6118f376a1e1f3f7"),' + record[1:]
        file = folder / "groundtruth" / f"{year}.txt"
        before = file.read_text("utf-16" if year == 1999 else "utf-8") if file.exists() else ""
        file.write_text(f"{before}{record}\n", "utf-16" if year == 1999 else "utf-8")
    return folder / "groundtruth", folder / "Movie_Poster_Dataset"


def tmdb(folder):
    """Form 6: TMDB's table, pictures named by id though it has poster_path."""
    draw_pictures(folder / "posters", (str(number) for number, *_ in FILMS))
    header = [
        "id",
        "title",
        "vote_average",
        "status",
        "release_date",
        "adult",
        "imdb_id",
        "overview",
        "poster_path",
        "tagline",
        "genres",
    ]
    rows = [
        [
            number,
            title,
            7.5,
            "Released",
            f"{year}-03-30",
            False,
            tconst,
            'A "plot",\nof two lines',
            f"/x{number}.jpg",
            "",
            ", ".join(labels),
        ]
        for tconst, (number, title, year, labels) in zip(TCONSTS, FILMS, strict=True)
    ]
    return write_csv(folder / "TMDB_movie_dataset_v11.csv", header, rows), folder / "posters"


def tmdb_poster_path(folder):
    """Form 6b: Python's lists of dicts, pictures named as in poster_path."""
    draw_pictures(folder / "w342", (f"hash{number}" for number, *_ in FILMS))
    rows = [
        [
            "False",
            str([{"id": k, "name": name} for k, name in enumerate(labels)]),
            number,
            tconst,
            title,
            f"/hash{number}.jpg",
            f"{year}-01-01",
        ]
        for tconst, (number, title, year, labels) in zip(TCONSTS, FILMS, strict=True)
    ]
    header = ["adult", "genres", "id", "imdb_id", "original_title", "poster_path", "release_date"]
    return write_csv(folder / "movies_metadata.csv", header, rows), folder / "w342"


def tmdb_5000(folder):
    """Form 6c: JSON's lists of objects, no poster_path."""
    draw_pictures(folder / "images", (str(number) for number, *_ in FILMS), suffix=".png")
    rows = [
        [
            237000000,
            json.dumps([{"id": k, "name": name} for k, name in enumerate(labels)]),
            "http://www.example.com/",
            number,
            title,
        ]
        for number, title, _, labels in FILMS
    ]
    return write_csv(folder / "tmdb_5000_movies.csv", ["budget", "genres", "homepage", "id", "title"], rows), folder / "images"


def json_lines(folder):
    """Form 7: one object a line, lists of objects."""
    draw_pictures(folder / "images", (f"2ae3e9{number}" for number, *_ in FILMS))
    rows = (
        {
            "id": f"2ae3e9{number}",
            "title": title,
            "genres": [{"id": k, "name": name} for k, name in enumerate(labels)],
            "release_date": f"{year}-01-01",
            "overview": "A plot that is on no poster.",
        }
        for number, title, year, labels in FILMS
    )
    return write_json_lines(folder / "movies.jsonl", rows), folder / "images"


def long_form(folder):
    """Form 8: labels in a second table."""
    draw_pictures(folder / "posters", (str(1000000 + k) for k in range(len(FILMS))))
    write_csv(
        folder / "genres.csv",
        ["id", "genre"],
        [[1000000 + k, label] for k, (*_, labels) in enumerate(FILMS) for label in labels],
    )
    write_csv(folder / "posters.csv", ["id", "link"], [[1000000 + k, "https://example.org/x.jpg"] for k in range(len(FILMS))])
    rows = [[1000000 + k, title, year, ""] for k, (_, title, year, _) in enumerate(FILMS)]
    return write_csv(folder / "movies.csv", ["id", "name", "date", "tagline"], rows), folder / "posters"


def movielens(folder):
    """Form 9: MovieLens with links.csv, pictures named by IMDb's ids."""
    draw_pictures(folder / "posters", TCONSTS)
    write_csv(
        folder / "links.csv",
        ["movieId", "imdbId", "tmdbId"],
        [[k + 1, f"{number:07d}", 860 + k] for k, (number, *_) in enumerate(FILMS)],
    )
    rows = [[k + 1, f"{title} ({year})", "|".join(labels)] for k, (_, title, year, labels) in enumerate(FILMS)]
    return write_csv(folder / "movies.csv", ["movieId", "title", "genres"], rows), folder / "posters"


def movielens_1m(folder):
    """Form 9: no header, "::", latin-1."""
    draw_pictures(folder / "posters", (str(k + 1) for k in range(len(FILMS))))
    lines = [f"{k + 1}::{title} ({year})::{'|'.join(labels)}" for k, (_, title, year, labels) in enumerate(FILMS)]
    (folder / "movies.dat").write_text("\n".join(lines) + "\n", "latin-1")
    return folder / "movies.dat", folder / "posters"


def nested_json(folder):
    """Form 10: an object of objects, with inner objects."""
    draw_pictures(folder / "images", TCONSTS)
    content = {
        tconst: {"imdb": {"genres": list(labels), "title": title, "year": year}, "trailers": ["x"]}
        for tconst, (_, title, year, labels) in zip(TCONSTS, FILMS, strict=True)
    }
    (folder / "metadata.json").write_text(json.dumps(content, indent=1))
    return folder / "metadata.json", folder / "images"


FORMS = [
    *(kaggle_posters, with_paths, list_and_indicators, indicators, mongo, tmdb, tmdb_poster_path, tmdb_5000, json_lines),
    *(long_form, movielens, movielens_1m, nested_json),
]
UNTITLED = (list_and_indicators, indicators)
UNDATED = (*UNTITLED, with_paths, tmdb_5000)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_a_form_is_read_with_two_paths(tmp_path, form):
    table, images = form(tmp_path)
    source = TableSource(table, images)
    pictures = source.list_pictures()
    posters = list(pictures.posters)
    entries = source.read_entries(posters)
    assert len(posters) == len(FILMS), entries.how
    assert posters == sorted(posters)
    found = {poster.poster_id: entries.of(poster) for poster in posters}
    assert sorted(sorted(entry.labels) for entry in found.values()) == sorted(sorted(labels) for labels in LABELS.values())
    if form not in UNTITLED:
        by_title = {entry.title: entry for entry in found.values()}
        assert {title: set(entry.labels) for title, entry in by_title.items()} == {
            title: set(labels) for _, title, _, labels in FILMS
        }
        if form not in UNDATED:
            assert {title: entry.year for title, entry in by_title.items()} == {title: year for _, title, year, _ in FILMS}
    assert all(entry.text is None for entry in found.values())
    assert len({poster.film_id for poster in posters}) == len(FILMS)
    assert {kind: len(items) for kind, items in pictures.left_out.items()} == (
        {"second row of a picture": 1} if form is kaggle_posters else {}
    )
    assert source.unit == ("group" if form in (with_paths, tmdb_5000, json_lines, long_form, movielens_1m) else "film")
    assert len(entries.how) >= 7


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_the_decisions_repeat_the_reading(tmp_path, form):
    table, images = form(tmp_path)
    first = TableSource(table, images)
    given = {
        field.removeprefix("data.table_columns."): value for field, value in first.decisions().items() if "columns" in field
    }
    again = TableSource(table, images, TableColumns(**given))
    assert list(again.list_pictures().posters) == list(first.list_pictures().posters)
    posters = list(first.list_pictures().posters)
    assert [again.read_entries(posters).of(poster) for poster in posters] == [
        first.read_entries(posters).of(poster) for poster in posters
    ]
    assert again.decisions() == first.decisions()
    assert again.hash_labels() == first.hash_labels()


def test_the_splits_of_folders_and_columns(tmp_path):
    table, images = indicators(tmp_path / "folders")
    source = TableSource(table, images)
    posters = list(source.list_pictures().posters)
    splits = [source.read_entries(posters).of(poster).split for poster in posters]
    assert sorted(splits) == ["train"] * 8 + ["validation"] * 4
    draw_pictures(tmp_path / "images", TCONSTS)
    rows = [[tconst, "Drama", ("train", "dev", "TEST")[k % 3]] for k, tconst in enumerate(TCONSTS)]
    source = TableSource(write_csv(tmp_path / "labels.csv", ["id", "label", "split"], rows), tmp_path / "images")
    posters = list(source.list_pictures().posters)
    assert sorted(source.read_entries(posters).of(poster).split for poster in posters) == sorted(
        ["train", "validation", "test"] * 4
    )


def test_words_of_a_column_and_several_posters_of_an_id(tmp_path):
    draw_pictures(tmp_path / "images", ["a_1", "a_2", "b", "c_1"])
    rows = [["a", "Drama", "THE A"], ["b", "Comedy", ""], ["c", "Drama;Comedy", "SEE"]]
    source = TableSource(write_csv(tmp_path / "labels.csv", ["id", "tags", "ocr_text"], rows), tmp_path / "images")
    posters = list(source.list_pictures().posters)
    assert [(poster.poster_id, poster.film_id) for poster in posters] == [("a_1", "a"), ("a_2", "a"), ("b", "b"), ("c_1", "c")]
    entries = source.read_entries(posters)
    assert [entries.of(poster).text for poster in posters] == ["THE A", "THE A", None, "SEE"]
    assert entries.of(posters[3]).labels == ("Drama", "Comedy")


def test_example_rows_and_counts_are_stated(tmp_path):
    table, images = movielens(tmp_path)
    (images / "tt0114709.jpg").rename(images / "other.jpg")
    source = TableSource(table, images)
    pictures = source.list_pictures()
    how = "\n".join(source.read_entries(pictures.posters).how)
    assert "labels: column 'genres', separated by '|'" in how
    assert "12 rows, 11 with a picture, 1 without; 11 posters" in how
    assert "movies.csv:3: picture tt0113497; title Jumanji; year 1995; labels Adventure, Family; group" in how
    assert [tuple(item) for item in pictures.left_out["no picture"]] == [("movies.csv:2", "there is no picture of '0114709'")]
    assert [tuple(item) for item in pictures.left_out["picture without a row"]] == [("other", "no row of movies.csv names it")]


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")

    draw_pictures(tmp_path / "images", TCONSTS)
    table = pyarrow.table(
        {"tconst": TCONSTS, "genres": [list(labels) for labels in LABELS.values()], "image": [b"x"] * len(TCONSTS)}
    )
    parquet.write_table(table, tmp_path / "labels.parquet")
    source = TableSource(tmp_path / "labels.parquet", tmp_path / "images")
    posters = list(source.list_pictures().posters)
    assert [source.read_entries(posters).of(poster).labels for poster in posters] == [
        LABELS[tconst] for tconst in sorted(TCONSTS)
    ]
    assert "columns with bytes are not read: image" in "\n".join(source.read_entries(posters).how)
