"""Tables that are wrong as a whole: each ends in an error that names the fix; rows that cannot be read are counted."""

import gzip
import json
import zipfile

import pytest
from tables import FILMS, TCONSTS, draw_pictures, write_csv

from posterfusion_jax.datasets.sources.table import TableSource
from posterfusion_jax.datasets.sources.table_columns import TableColumns
from posterfusion_jax.datasets.tables import text_rows
from posterfusion_jax.errors import InputError

ROWS = [[tconst, title, "|".join(labels)] for tconst, (_, title, _, labels) in zip(TCONSTS, FILMS, strict=True)]
HEADER = ["id", "title", "genres"]


@pytest.fixture
def images(tmp_path):
    draw_pictures(tmp_path / "images", TCONSTS)
    return tmp_path / "images"


def read(table, images, **columns):
    """The posters of a table, and their entries."""
    source = TableSource(table, images, TableColumns(**columns))
    pictures = source.list_pictures()
    return pictures, source.read_entries(pictures.posters)


def error_of(table, images, **columns):
    """The message with which a table ends."""
    with pytest.raises(InputError) as caught:
        read(table, images, **columns)
    return str(caught.value)


def labels_of(pictures, entries):
    return {poster.poster_id: entries.of(poster).labels for poster in pictures.posters}


GOLDEN = {tconst: labels for tconst, (*_, labels) in zip(TCONSTS, FILMS, strict=True)}


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"], ids=["no byte", "blank lines", "byte order mark"])
def test_an_empty_file(tmp_path, images, content):
    (tmp_path / "labels.csv").write_text(content, "utf-8")
    assert "labels.csv' is empty. Give a file with a line of column names" in error_of(tmp_path / "labels.csv", images)


def test_column_names_without_rows(tmp_path, images):
    message = error_of(write_csv(tmp_path / "labels.csv", HEADER, []), images)
    assert "has columns (id, title, genres) and no row that can be read" in message


def test_a_missing_table_names_its_neighbors(tmp_path, images):
    for name in ("labels.csv", "splits.tsv.gz", ".hidden.csv", "readme.md"):
        (tmp_path / name).touch()
    message = error_of(tmp_path / "label.csv", images)
    assert "label.csv' does not exist. That folder has 'labels.csv', 'splits.tsv.gz'." in message
    assert "does not exist. There is no folder" in error_of(tmp_path / "no folder" / "label.csv", images)


def test_a_folder_without_tables(tmp_path, images):
    assert "is a folder without a table (.csv, .tsv" in error_of(images, images)


def test_a_missing_or_empty_folder_of_pictures(tmp_path):
    table = write_csv(tmp_path / "labels.csv", HEADER, ROWS)
    assert "data.images=" in (message := error_of(table, tmp_path / "posters"))
    assert "is no folder. Name the folder with the pictures" in message
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").touch()
    assert "holds no picture (1 file skipped (1 .txt))" in error_of(table, tmp_path / "empty")


def test_a_table_for_other_pictures(tmp_path, images):
    rows = [[f"book{k}", "|".join(labels)] for k, (*_, labels) in enumerate(FILMS)]
    message = error_of(write_csv(tmp_path / "labels.csv", ["id", "genres"], rows), images)
    assert "rows name 'book0', 'book1', 'book2' (tried 'id')" in message
    assert f"the pictures are {', '.join(map(repr, sorted(TCONSTS)[:3]))} and 9 more" in message
    for field in ("data.table=", "data.images=", "data.table_columns.picture=COLUMN", "data.table_columns.id=COLUMN"):
        assert field in message


def test_a_table_without_labels(tmp_path, images):
    rows = [[tconst, title, k] for k, (tconst, title, _) in enumerate(ROWS)]
    message = error_of(write_csv(tmp_path / "films.csv", ["id", "title", "rank"], rows), images)
    assert "has no column of labels" in message
    assert "id: 'tt0114709'; title: 'Toy Story'; rank: '0'" in message
    assert "data.table_columns.labels=COLUMN" in message
    assert "data.table_columns.label_table=FILE" in message


@pytest.mark.parametrize("role", ["id", "picture", "group", "title", "year", "labels", "split", "text"])
def test_a_column_that_does_not_exist(tmp_path, images, role):
    table = write_csv(tmp_path / "labels.csv", HEADER, ROWS)
    message = error_of(table, images, **{role: "Gattung"})
    assert f"data.table_columns.{role}='Gattung'" in message
    assert "It has id, title, genres." in message


@pytest.mark.parametrize(
    ("field", "allowed"), [("delimiter", ",, tab, ;, |, ::"), ("separator", "list, |, ;, ,, /"), ("encoding", "utf-8")]
)
def test_a_notation_that_is_not_known(tmp_path, images, field, allowed):
    message = error_of(write_csv(tmp_path / "labels.csv", HEADER, ROWS), images, **{field: "#!"})
    assert f"data.table_columns.{field}='#!'" in message
    assert allowed in message


def test_the_wrong_delimiter(tmp_path, images):
    message = error_of(write_csv(tmp_path / "labels.csv", HEADER, ROWS), images, delimiter="tab")
    assert "one column, 'id,title,genres', with the cells 'tt0114709,Toy Story,Animation|Adventure|Comedy', 'tt" in message
    assert "is data.table_columns.delimiter='tab' right?" in message


def test_the_wrong_separator_keeps_each_cell_as_one_label(tmp_path, images):
    pictures, entries = read(write_csv(tmp_path / "labels.csv", HEADER, ROWS), images, separator=";")
    assert labels_of(pictures, entries)["tt0114709"] == ("Animation|Adventure|Comedy",)
    assert "labels: column 'genres', separated by ';'" in entries.how
    assert any("labels Animation|Adventure|Comedy" in line for line in entries.how)


def test_the_wrong_encoding(tmp_path, images):
    table = write_csv(tmp_path / "labels.csv", HEADER, ROWS)
    assert "is no ascii in line 8" in (message := error_of(table, images, encoding="ascii"))
    assert "data.table_columns.encoding" in message
    latin = write_csv(tmp_path / "latin.csv", HEADER, ROWS, encoding="latin-1")
    assert "is no utf-8 in line 8" in error_of(latin, images, encoding="utf-8")
    pictures, entries = read(latin, images)
    assert labels_of(pictures, entries) == GOLDEN
    assert "some text is not UTF-8 and is read as Windows-1252 (latin-1)" in entries.how


@pytest.mark.parametrize("header", [["rating", "genre"], ["id"], ["film", "genre"]], ids=["no id", "no label", "other id"])
def test_a_table_of_labels_that_shares_no_column(tmp_path, images, header):
    table = write_csv(tmp_path / "films.csv", ["id", "title"], [row[:2] for row in ROWS])
    other = write_csv(tmp_path / "genres.csv", header, [row[: len(header)] for row in ROWS])
    message = error_of(table, images, label_table=str(other))
    assert "data.table_columns.label_table=" in message
    assert "needs a column of labels, such as 'genre', and one that films.csv has, too, such as 'id'" in message
    assert f"it has {', '.join(header)}." in message
    assert "does not exist" in error_of(table, images, label_table=str(tmp_path / "none.csv"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2, 3]", "values such as 1"),
        ("[[1, 2], [3, 4]]", "values such as [1, 2]"),
        ('["tt1", "tt2"]', 'values such as "tt1"'),
        ('[{"id": "tt0114709", "genres": ["Comedy"]}, {"id"', "Is the file complete?"),
        ('{"a": 1}', "has no column of labels"),
        ('{"a": {"b": {"c": {"d": 1}}}}', "has no column of labels"),
        ('{"genres": {"Comedy": ["tt1"]}}', "data.table_columns."),
        ("[]", "holds nothing"),
        ("{}", "must hold objects"),
        ("[" * 100_000, "is no JSON"),
        ('{"a":' * 100_000, "is no JSON"),
    ],
    ids=[
        "numbers",
        "lists",
        "texts",
        "truncated",
        "one number",
        "nested",
        "by label",
        "empty",
        "no field",
        "deep",
        "deep dict",
    ],
)
def test_json_of_other_shapes(tmp_path, images, content, message):
    (tmp_path / "labels.json").write_text(content)
    assert message in (found := error_of(tmp_path / "labels.json", images))
    assert "data.table=" in found


def test_a_number_as_json(tmp_path, images):
    (tmp_path / "labels.json").write_text("5")
    assert "labels.json" in error_of(tmp_path / "labels.json", images)


def test_a_truncated_archive(tmp_path, images):
    rows = "".join(f"{tconst},{title * 50},{labels}\n" for tconst, title, labels in ROWS)
    packed = gzip.compress(f"id,title,genres\n{rows}".encode())
    (tmp_path / "labels.csv.gz").write_bytes(packed[: len(packed) // 2])
    message = error_of(tmp_path / "labels.csv.gz", images)
    assert "cannot be read" in message
    assert "Is it complete" in message
    (tmp_path / "labels.csv.gz").write_bytes(packed)
    assert len(read(tmp_path / "labels.csv.gz", images)[0].posters) == len(FILMS)


def test_an_excel_file(tmp_path, images):
    with zipfile.ZipFile(tmp_path / "labels.csv", "w") as book:
        book.writestr("[Content_Types].xml", "<Types/>")
        book.writestr("xl/worksheets/sheet1.xml", "<worksheet/>")
    assert "is an Excel or Word document. Save it as CSV" in error_of(tmp_path / "labels.csv", images)


def test_an_old_excel_file(tmp_path, images):
    (tmp_path / "labels.xls").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000))
    assert "Save it as CSV" in error_of(tmp_path / "labels.xls", images)


@pytest.mark.parametrize(
    "start", ["<!DOCTYPE html>", "<html>", "<!doctype html>", "\n <HTML lang=en>", "<?xml version='1.0'?>"]
)
def test_a_web_page_with_the_name_of_a_table(tmp_path, images, start):
    (tmp_path / "labels.csv").write_text(f"{start}<body>Log in, please</body>\n<p>a,b</p>\n")
    message = error_of(tmp_path / "labels.csv", images)
    assert "is no table but begins with" in message
    assert "CSV, TSV, JSON" in message


def test_a_picture_as_a_table(tmp_path, images):
    assert "is no table but begins with" in error_of(images / f"{TCONSTS[0]}.jpg", images)


def test_a_line_without_end(tmp_path, images, monkeypatch):
    monkeypatch.setattr(text_rows, "_MAX_LINE", 1000)
    (tmp_path / "labels.csv").write_text("id,genres\n" + "a" * 2000)
    assert "has over 1,000 bytes in line 2: it is no table" in error_of(tmp_path / "labels.csv", images)


def test_a_quote_without_end(tmp_path, images):
    lines = [",".join(row) for row in ROWS]
    lines[2] = '"' + lines[2]
    text = "\n".join(["id,title,genres", *lines, *("x,y,z" for _ in range(50_000))])
    (tmp_path / "labels.csv").write_text(text)
    pictures, entries = read(tmp_path / "labels.csv", images)
    assert len(pictures.posters) >= 2
    assert len(entries.left_out["table row"]) >= 1


def test_few_ragged_rows_are_recorded(tmp_path, images):
    rows = [*ROWS, ["tt0000001", "A, B"], ["tt0000002"], ["tt0000003", "C", "Drama", "more"]]
    pictures, entries = read(write_csv(tmp_path / "labels.csv", HEADER, rows), images)
    assert labels_of(pictures, entries) == GOLDEN
    assert [tuple(item) for item in entries.left_out["table row"]] == [
        ("labels.csv:14", "2 cells, and 3 columns"),
        ("labels.csv:15", "1 cells, and 3 columns"),
        ("labels.csv:16", "4 cells, and 3 columns"),
    ]


def test_many_ragged_rows_are_one_error(tmp_path, images):
    rows = [*ROWS, *(["tt0000001", "A", " B"] for _ in range(3)), *(["tt0000001", "A", "B", "Drama"] for _ in range(10))]
    message = error_of(write_csv(tmp_path / "labels.csv", HEADER, rows), images)
    assert "10 of 25 rows cannot be read (labels.csv:17: 4 cells, and 3 columns; labels.csv:18" in message
    assert "data.table_columns.delimiter=','" in message
    assert "must be in quotes" in message


def test_json_rows_that_are_no_objects(tmp_path, images):
    values = [{"id": tconst, "genres": labels.split("|")} for tconst, _, labels in ROWS]
    (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, [*values, 5, None, ["x"]])))
    pictures, entries = read(tmp_path / "labels.jsonl", images)
    assert labels_of(pictures, entries) == GOLDEN
    assert [item.reason for item in entries.left_out["table row"]] == [
        "no object but 5",
        "no object but null",
        'no object but "x"',
    ]
