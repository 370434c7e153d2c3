"""Odd cells, names, encodings and sizes: read as they are meant, or left out with a count; memory stays bounded."""

import json
import os
import random
import subprocess
import sys
import tracemalloc
import unicodedata

import pytest
from tables import FILMS, TCONSTS, draw_pictures, write_csv

from posterfusion_jax.datasets.label_set import LabelCounts, label_key
from posterfusion_jax.datasets.sources.pictures import POSTER_ID
from posterfusion_jax.datasets.sources.table import TableSource
from posterfusion_jax.datasets.sources.table_columns import TableColumns

GOLDEN = {tconst: labels for tconst, (*_, labels) in zip(TCONSTS, FILMS, strict=True)}
ROWS = [[tconst, title, "|".join(labels)] for tconst, (_, title, _, labels) in zip(TCONSTS, FILMS, strict=True)]
HEADER = ["id", "title", "genres"]


@pytest.fixture
def images(tmp_path):
    draw_pictures(tmp_path / "images", TCONSTS)
    return tmp_path / "images"


def read(table, images, **columns):
    """The posters of a table, and their entries by poster_id."""
    source = TableSource(table, images, TableColumns(**columns))
    pictures = source.list_pictures()
    entries = source.read_entries(pictures.posters)
    return pictures, {poster.poster_id: entries.of(poster) for poster in pictures.posters}, entries


def labels_of(table, images, **columns):
    _, found, _ = read(table, images, **columns)
    return {poster_id: entry.labels for poster_id, entry in found.items()}


def test_a_column_that_is_there_twice(tmp_path, images):
    rows = [[*row, "x"] for row in ROWS]
    table = write_csv(tmp_path / "labels.csv", [*HEADER, "title"], rows)
    _, found, entries = read(table, images)
    assert found["tt0133093"].title == "The Matrix"
    assert "the column 'title' is there twice: the first counts, the second is named 'title (2)'" in entries.how
    _, found, _ = read(table, images, title="title (2)")
    assert found["tt0133093"].title == "x"


def test_names_of_columns_that_end_up_equal(tmp_path, images):
    rows = [[*row, "x", "y"] for row in ROWS]
    _, found, _ = read(write_csv(tmp_path / "labels.csv", [*HEADER, "title", "title (2)"], rows), images)
    assert found["tt0133093"].labels == ("Action", "Sci-Fi")


def test_labels_that_differ_by_case_and_spaces_are_one(tmp_path, images):
    spelled = ["Sci-Fi", " sci-fi ", "SCI FI", "Science Fiction"]
    rows = [[tconst, f"{spelled[k % 4]}|Drama"] for k, tconst in enumerate(TCONSTS)]
    labels = labels_of(write_csv(tmp_path / "labels.csv", ["id", "genres"], rows), images)
    assert {names[0] for names in labels.values()} == {"Sci-Fi", "sci-fi", "SCI FI", "Science Fiction"}
    counts = LabelCounts()
    for names in labels.values():
        counts.add(names)
    assert sorted(counts.by_name().values()) == [12, 12]


def test_pictures_without_rows_and_rows_without_pictures(tmp_path, images):
    draw_pictures(images, ["extra_picture"])
    pictures, found, entries = read(write_csv(tmp_path / "labels.csv", HEADER, [*ROWS, ["tt0000009", "A", "Drama"]]), images)
    assert set(found) == set(TCONSTS)
    assert [tuple(item) for item in pictures.left_out["picture without a row"]] == [
        ("extra_picture", "no row of labels.csv names it")
    ]
    assert [tuple(item) for item in pictures.left_out["no picture"]] == [
        ("labels.csv:14", "there is no picture of 'tt0000009'")
    ]
    assert "13 rows, 12 with a picture, 1 without; 12 posters" in entries.how


def test_columns_of_0_and_1_with_other_values(tmp_path, images):
    rows = [[tconst, k % 2, 1 - k % 2] for k, tconst in enumerate(TCONSTS * 2)][:24]
    rows[3][1], rows[4][1] = "2", "yes"
    _, found, entries = read(
        write_csv(tmp_path / "labels.csv", ["id", "Action", "Drama"], rows[:12]), images, labels="Action,Drama"
    )
    assert found[TCONSTS[3]].labels == ()
    assert found[TCONSTS[5]].labels == ("Action",)
    assert entries.notes["column 'Action' is neither 0 nor 1: taken for 0"] == {
        "count": 2,
        "first": [["labels.csv:5", "2"], ["labels.csv:6", "yes"]],
    }


def test_a_cell_of_labels_of_10000_characters(tmp_path, images):
    rows = [list(row) for row in ROWS]
    rows[0][2] = "|".join(f"label {k}" for k in range(1200))
    rows[1][2] = "x" * 10_000
    _, found, entries = read(write_csv(tmp_path / "labels.csv", HEADER, rows), images)
    assert found[TCONSTS[0]].labels == tuple(f"label {k}" for k in range(1200))
    assert found[TCONSTS[1]].labels == ("x" * 200,)
    assert found[TCONSTS[2]].labels == GOLDEN[TCONSTS[2]]
    note = entries.notes["column 'genres' has a label of over 200 characters: the rest is not read"]
    assert (note["count"], note["first"][0][0]) == (1, "labels.csv:3")


@pytest.mark.parametrize("notation", ["|", "list"])
def test_a_cell_of_labels_that_is_too_long_is_read_in_part(tmp_path, images, notation):
    names = [f"label {k}" for k in range(3_000)]
    rows = [[row[0], json.dumps(row[2].split("|")) if notation == "list" else row[2]] for row in ROWS]
    rows[0][1] = json.dumps(names) if notation == "list" else "|".join(names)
    _, found, entries = read(write_csv(tmp_path / "labels.csv", ["id", "genres"], rows), images)
    labels = found[TCONSTS[0]].labels
    assert 1_000 < len(labels) < 3_000
    assert labels == tuple(names[: len(labels)])
    assert entries.notes["column 'genres' has 20,000 characters or more: the rest is not read"]["count"] == 1


@pytest.mark.parametrize("cell", ["nan", "NaN", "N/A", "None", "null", "", " ", "[]", "(no genres listed)"])
def test_cells_without_a_label_are_counted(tmp_path, images, cell):
    rows = [list(row) for row in ROWS]
    rows[0][2] = cell
    _, found, entries = read(write_csv(tmp_path / "labels.csv", HEADER, rows), images)
    assert found[TCONSTS[0]].labels == ()
    assert entries.notes["column 'genres' stands for no label"]["count"] == 1


def test_formulas_and_nul_bytes_are_text(tmp_path, images):
    rows = [list(row) for row in ROWS]
    rows[0][1], rows[0][2] = "=cmd|' /C calc'!A0", "=1+1|Comedy"
    rows[1][1], rows[1][2] = "nul\0byte", "Adven\0ture|Family"
    _, found, entries = read(write_csv(tmp_path / "labels.csv", HEADER, rows), images)
    assert found[TCONSTS[0]].title == "=cmd|' /C calc'!A0"
    assert found[TCONSTS[0]].labels == ("=1+1", "Comedy")
    assert found[TCONSTS[1]].labels == ("Adventure", "Family")
    assert found[TCONSTS[1]].title == "nulbyte"
    assert "NUL characters are left out" in entries.how


def test_ids_with_slashes_and_parents_stay_inside_the_folder(tmp_path, images):
    (tmp_path / "outside").mkdir()
    draw_pictures(tmp_path / "outside", ["secret"])
    rows = [*ROWS, ["../outside/secret", "A", "Drama"], ["/etc/passwd", "B", "Drama"], ["a/../../b", "C", "Drama"]]
    for columns in ({}, {"picture": "id"}):
        pictures, found, _ = read(write_csv(tmp_path / "labels.csv", HEADER, rows), images, **columns)
        assert set(found) == set(TCONSTS)
        assert len(pictures.left_out["no picture"]) == 3


def test_the_same_name_in_two_folders(tmp_path):
    names = ["a/cover", "b/cover", "c/other"]
    draw_pictures(tmp_path / "images", names)
    rows = [["a/cover.jpg", "Drama|War"], ["b/cover.jpg", "Comedy"], ["c/other.jpg", "Drama"]]
    labels = labels_of(write_csv(tmp_path / "labels.csv", ["file", "genres"], rows), tmp_path / "images")
    assert labels == {"a__cover": ("Drama", "War"), "b__cover": ("Comedy",), "c__other": ("Drama",)}


@pytest.mark.parametrize(
    "name",
    [
        'what: a "film"?',
        "it's",
        "Amélie",
        unicodedata.normalize("NFD", "Amélie"),
        "千と千尋の神隠し",
        "a%20b",
        "a..b",
        "x" * 200,
    ],
)
def test_odd_names_of_pictures(tmp_path, name):
    draw_pictures(tmp_path / "images", [name, "other"])
    for cell in dict.fromkeys((name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name))):
        rows = [[f"{cell}.jpg", "Drama|War"], ["other.jpg", "Comedy|War"]]
        pictures, found, _ = read(write_csv(tmp_path / "labels.csv", ["file", "genres"], rows), tmp_path / "images")
        assert sorted(entry.labels for entry in found.values()) == [("Comedy", "War"), ("Drama", "War")], pictures.left_out
        assert all(POSTER_ID.fullmatch(poster_id) for poster_id in found)


def test_a_picture_whose_name_is_not_unicode(tmp_path, images):
    name = b"caf\xe9.jpg"
    (images / "x.jpg").write_bytes((images / f"{TCONSTS[0]}.jpg").read_bytes())
    try:
        os.rename(images / "x.jpg", os.fsencode(images) + b"/" + name)
    except OSError:
        pytest.skip("this file system has no such names")
    pictures, found, _ = read(write_csv(tmp_path / "labels.csv", HEADER, ROWS), images)
    assert set(found) == set(TCONSTS)
    assert len(pictures.left_out["picture without a row"]) == 1


@pytest.mark.parametrize(
    "path",
    [
        "C:\\posters\\images\\{}.jpg",
        "images\\{}.JPG",
        "/home/other/posters/images/{}.jpg",
        "./images/{}.jpg",
        "file:///x/{}.jpg",
    ],
)
def test_paths_of_other_machines(tmp_path, images, path):
    rows = [[k, path.format(row[0]), row[2]] for k, row in enumerate(ROWS)]
    assert labels_of(write_csv(tmp_path / "labels.csv", ["row", "path", "genres"], rows), images) == GOLDEN


def test_halves_of_surrogate_pairs_in_json(tmp_path, images):
    rows = [{"id": row[0], "title": row[1], "genres": row[2].split("|")} for row in ROWS]
    rows[0] |= {"title": "\ud800 Story", "genres": ["Comedy\udfff"]}
    rows.append({"id": "\ud83d", "title": "A", "genres": ["Drama"]})
    (tmp_path / "labels.json").write_text(json.dumps(rows))
    pictures, found, _ = read(tmp_path / "labels.json", images)
    assert (found[TCONSTS[0]].title, found[TCONSTS[0]].labels) == ("? Story", ("Comedy?",))
    assert len(pictures.left_out["no picture"]) == 1


def test_a_long_list_in_a_cell(tmp_path, images):
    rows = [[row[0], json.dumps(row[2].split("|"))] for row in ROWS]
    rows[0][1] = json.dumps([f"label {k}" for k in range(1200)])
    _, found, entries = read(write_csv(tmp_path / "labels.csv", ["id", "genres"], rows), images)
    assert found[TCONSTS[0]].labels == tuple(f"label {k}" for k in range(1200))
    assert found[TCONSTS[1]].labels == GOLDEN[TCONSTS[1]]
    assert not entries.notes


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_encodings_and_line_ends(tmp_path, images, encoding, end):
    text = "\n".join(",".join(cells) for cells in (HEADER, *ROWS)) + "\n"
    (tmp_path / "labels.csv").write_bytes(text.replace("\n", end).encode(encoding))
    _, found, _ = read(tmp_path / "labels.csv", images)
    assert {poster_id: entry.labels for poster_id, entry in found.items()} == GOLDEN
    assert found["tt0211915"].title == "Amélie"


def test_semicolons_and_decimal_commas(tmp_path, images):
    rows = [[row[0], row[1], f"{k},{k}", row[2].replace("|", ", ")] for k, row in enumerate(ROWS)]
    (tmp_path / "labels.csv").write_text("id;title;score;genres\n" + "".join(";".join(row) + "\n" for row in rows), "utf-8")
    assert labels_of(tmp_path / "labels.csv", images) == GOLDEN


def test_quoted_line_ends_and_commas(tmp_path, images):
    rows = [[row[0], f'{row[1]}, "the film",\nof {k}', row[2].replace("|", ", ")] for k, row in enumerate(ROWS)]
    _, found, _ = read(write_csv(tmp_path / "labels.csv", HEADER, rows), images)
    assert {poster_id: entry.labels for poster_id, entry in found.items()} == GOLDEN
    assert found["tt0114709"].title.startswith('Toy Story, "the film",')


def test_very_many_distinct_labels_are_read_and_counted_in_bounded_memory(tmp_path):
    draw_pictures(tmp_path / "images", (f"p{k}" for k in range(10)))
    rows = ([f"p{k}" if k < 10 else f"q{k}", "|".join(f"label {20 * k + i}" for i in range(20))] for k in range(5_000))
    table = write_csv(tmp_path / "labels.csv", ["id", "genres"], rows)
    tracemalloc.start()
    try:
        assert len(labels_of(table, tmp_path / "images")) == 10
        counts = LabelCounts()
        for k in range(15_000):
            counts.add(f"label {20 * k + i}" for i in range(20))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        label_key.cache_clear()
    assert counts.uncounted == 100_000
    assert peak < 70e6  # of that 40 MB for the 200,000 spellings that are counted


LIMITED = """
import resource, sys
from posterfusion_jax.datasets.sources.table import TableSource
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
source = TableSource(sys.argv[1], sys.argv[2])
pictures = source.list_pictures()
print(len(pictures.posters), len(pictures.left_out["no picture"]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_a_table_of_200_megabytes_is_read_as_a_stream(tmp_path, images):
    rng = random.Random(0)
    plots = ["".join(rng.choices("abcdefgh ", k=900)) for _ in range(100)]
    rows = ([*(ROWS[k] if k < len(ROWS) else (f"q{k}", "A", "Drama|War")), plots[k % 100]] for k in range(220_000))
    table = write_csv(tmp_path / "labels.csv", [*HEADER, "plot"], rows)
    assert table.stat().st_size > 200e6
    done = subprocess.run([sys.executable, "-c", LIMITED, table, images], capture_output=True, text=True, check=True)
    posters, without, kilobytes = map(int, done.stdout.split())
    assert (posters, without) == (12, 220_000 - 12)
    assert kilobytes < 100_000, "KiB beyond the imports"
