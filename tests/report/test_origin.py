"""Sentences on where the data of a run came from."""

import pytest

from posterfusion_jax.report.origin import describe_labels, describe_origin

SPLIT = {"rule": "by group, stratified", "seed": 3, "fractions": [0.8, 0.1, 0.1]}
NAMES = {"genres_order": ["algebra", "botany"]}
DATA = {
    "source": "table",
    "table": "/home/me/books.csv",
    "split_by": "group",
    "split_file": "",
    "drawn_films": 40,
    "drawn_seed": 1,
}
BOOKS = {"source": {"name": "table", "unit": "book", "labels": "table"}}


def test_a_table_of_books():
    report = {
        **(NAMES | BOOKS),
        "split": SPLIT,
        "label_set": {"rule": "all", "least_posters": 3, "below": {"rare": 1}, "below_count": 1},
        "titles_file": {"how": ["labels: column 'subjects'", "group: 'title'", "200 rows"], "notes": {}},
    }
    assert describe_origin(report, DATA, groups=1200) == [
        "Posters: the rows of books.csv and the pictures that they name.",
        "Labels: all labels on at least 3 posters: 2; 1 with fewer is not used; column 'subjects'.",
        "Books: 1,200; from 'title'.",
        "Split: by group, stratified; seed 3; shares of train, validation and test 0.8, 0.1, 0.1.",
    ]
    assert describe_labels(BOOKS, DATA) == "Labels come from the table; a poster need not show what they name."


def test_labels_that_were_named_and_a_split_file():
    data = {**DATA, "split_by": "file", "split_file": "/home/me/split.csv"}
    split = {"rule": "file split.csv", "seed": None, "fractions": None}
    report = {
        **(NAMES | BOOKS),
        "split": split,
        "label_set": {"rule": "list", "least_posters": 0, "below": {}, "below_count": 0},
    }
    lines = describe_origin(report, data, groups=2)
    assert lines[1] == "Labels: 2, named in data.labels."
    assert lines[3] == "Split: file split.csv."
    report["split"] = {**split, "rule": "by shelf"}
    assert describe_origin(report, data, groups=2)[3] == "Split: by shelf; file split.csv."


@pytest.mark.parametrize(
    ("source", "posters", "labels"),
    [
        ("folder", "a folder of films as IMDb names them", "Genres are IMDb's genres of the film, not of the poster."),
        ("synthetic", "drawn by the generator of PosterFusion for 40 films, seed 1; none is a real poster", "drawn for."),
    ],
)
def test_films_as_imdb_names_them(source, posters, labels):
    data = {**DATA, "source": source, "table": ""}
    lines = describe_origin({**NAMES, "split": SPLIT}, data, groups=30)
    assert lines[0] == f"Posters: {posters}."
    assert lines[1] == "Labels: the 2 genres of the paper."
    assert lines[2] == "Films: 30; from the id in the names of the files."
    assert describe_labels({}, data).endswith(labels)


def test_a_source_of_ones_own():
    assert (
        describe_origin(NAMES | {"split": SPLIT}, {**DATA, "source": "mine:Shelf"}, groups=1)[0]
        == "Posters: the source mine:Shelf."
    )
