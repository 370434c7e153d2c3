"""Tables that are wrong: a clear error with the field that helps, or a row that is recorded and skipped."""

import gzip
import json
import pathlib
import tracemalloc
import zipfile

import pytest
from tables import draw_pictures, write_csv

from posterfusion_jax.datasets.label_set import LabelCounts, choose_labels
from posterfusion_jax.datasets.sources.table import TableSource
from posterfusion_jax.datasets.sources.table_columns import TableColumns
from posterfusion_jax.datasets.tables.open_table import open_table
from posterfusion_jax.datasets.tables.rows import Row
from posterfusion_jax.errors import InputError

NAMES = [f"p{k}" for k in range(12)]


@pytest.fixture
def images(tmp_path) -> pathlib.Path:
    draw_pictures(tmp_path / "images", NAMES)
    return tmp_path / "images"


def read(table: pathlib.Path, images: pathlib.Path, **columns: str):
    """Poster -> labels, left-out items by kind, notes, and how the table was read."""
    source = TableSource(table, images, TableColumns(**columns))
    pictures = source.list_pictures()
    entries = source.read_entries(pictures.posters)
    labels = {poster.poster_id: entries.of(poster).labels for poster in pictures.posters}
    left_out = {
        kind: [tuple(item) for item in items] for kind, items in (*pictures.left_out.items(), *entries.left_out.items())
    }
    return labels, left_out, entries.notes, "\n".join(entries.how)


def write_text(folder: pathlib.Path, text: str | bytes, name: str = "labels.csv") -> pathlib.Path:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / name


def rows(*, header: str = "id,genre", cell: str = "Drama|Comedy") -> str:
    return "\n".join([header, *(f"{name},{cell}" for name in NAMES)]) + "\n"


def refusal(table: pathlib.Path, images: pathlib.Path, **columns: str) -> str:
    with pytest.raises(InputError) as caught:
        read(table, images, **columns)
    assert len(str(caught.value)) < 1000
    return str(caught.value)


def test_a_column_that_is_there_twice(tmp_path, images):
    table = write_text(tmp_path, "id,genre,genre\n" + "".join(f"{name},Drama|Comedy,other\n" for name in NAMES))
    labels, _, _, how = read(table, images)
    assert labels["p3"] == ("Drama", "Comedy")
    assert "the column 'genre' is there twice: the first counts, the second is named 'genre (2)'" in how
    assert read(table, images, labels="genre (2)")[0]["p3"] == ("other",)


def test_some_rows_with_other_numbers_of_cells_are_recorded(tmp_path, images):
    table = write_text(tmp_path, rows() + "p1,a,b\np2\n\n,\n")
    labels, left_out, _, how = read(table, images)
    assert len(labels) == 12
    assert left_out["table row"] == [("labels.csv:14", "3 cells, and 2 columns"), ("labels.csv:15", "1 cells, and 2 columns")]
    assert "12 rows" in how


def test_many_such_rows_are_an_error_that_names_the_delimiter(tmp_path, images):
    table = write_text(
        tmp_path,
        "id,title,genre\n"
        + "".join(f"{name},Crime, and what follows,Drama\n" for name in NAMES)
        + "".join(f"{name},x,Drama\n" for name in NAMES[:4]),
    )
    message = refusal(table, images)
    assert "12 of 16 rows cannot be read" in message
    assert "labels.csv:2: 4 cells, and 3 columns" in message
    assert "data.table_columns.delimiter=','" in message


def test_labels_that_differ_by_case_or_spaces_are_one(tmp_path, images):
    cells = ["Self-Help", "self help", " SELF-HELP ", "Cooking"] * 3
    table = write_text(tmp_path, "id,genre\n" + "".join(f"{name},{cell}\n" for name, cell in zip(NAMES, cells, strict=True)))
    labels, *_ = read(table, images)
    counts = LabelCounts()
    for names in labels.values():
        counts.add(names)
    chosen = choose_labels(("all",), counts).labels
    assert chosen.names in (("Cooking", "Self-Help"), ("Cooking", "SELF-HELP"), ("Cooking", "self help"))
    assert sum(len(chosen.map(names).known) for names in labels.values()) == 12


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("id,genre\n", r"has columns \(id, genre\) and no row"),
        (b"\x00" * 1000, "holds nothing but NUL characters"),
        ("{", "is no JSON at '{'"),
        ("17", "no column of labels|no row"),
        ('"text"', "no column of labels|no row"),
        ("[1, 2, 3]", r"holds values such as 1, and must hold objects"),
        ("[[1, 2], [3, 4]]", r"holds values such as \[1, 2\]"),
        ("{}", "holds values such as|holds nothing|must hold objects"),
        ('{"a": 1}', "no column of labels"),
        ('[{"id": "p1", "genre": ["Drama"]}, {"id": "p2", "gen', "is no JSON at"),
        ('[{"id": "p1", "genre": ["Drama"]}', "the array does not end"),
        ("<html><body>404</body></html>", "is no table but begins with|no column of labels"),
        (b"\xff\xd8\xff\xe0JFIF", "is no table but begins with"),
        (b"%PDF-1.4", "is no table but begins with"),
    ],
)
def test_files_that_are_no_tables(tmp_path, images, text, message):
    with pytest.raises(InputError, match=message):
        read(write_text(tmp_path, text), images)


def test_packed_and_foreign_files(tmp_path, images):
    whole = gzip.compress(rows().encode() * 1000)
    assert "cannot be read to its end" in refusal(write_text(tmp_path, whole[: len(whole) // 2], "cut.csv.gz"), images)
    assert len(read(write_text(tmp_path, gzip.compress(rows().encode()), "good.csv.gz"), images)[0]) == 12
    with zipfile.ZipFile(tmp_path / "book.xlsx", "w") as file:
        file.writestr("[Content_Types].xml", "<x/>")
    assert "is an Excel or Word document" in refusal(tmp_path / "book.xlsx", images)
    (tmp_path / "empty_folder").mkdir()
    assert "is a folder without a table" in refusal(tmp_path / "empty_folder", images)
    assert "does not exist. That folder has" in refusal(tmp_path / "lables.csv", images)


def test_the_pictures_of_another_table(tmp_path, images):
    table = write_text(tmp_path, rows().replace("p", "q"))
    message = refusal(table, images)
    assert "rows name 'q0', 'q1', 'q2' (tried 'id'), the pictures are 'p0', 'p1', 'p10' and 9 more" in message
    assert "--config.data.table_columns.picture=COLUMN" in message
    assert "is no folder" in refusal(table, tmp_path / "nowhere")
    (tmp_path / "bare").mkdir()
    assert "holds no picture" in refusal(table, tmp_path / "bare")


def test_pictures_without_rows_and_rows_without_pictures_are_listed(tmp_path, images):
    table = write_text(tmp_path, rows().replace("p3,", "x3,"))
    labels, left_out, _, how = read(table, images)
    assert len(labels) == 11
    assert left_out["no picture"] == [("labels.csv:5", "there is no picture of 'x3'")]
    assert left_out["picture without a row"] == [("p3", "no row of labels.csv names it")]
    assert "12 rows, 11 with a picture, 1 without" in how


def test_indicators_with_other_values_are_counted_and_taken_for_0(tmp_path, images):
    lines = [f"{name},{k % 2},{int(k % 3 == 0)},0" for k, name in enumerate(NAMES)]
    more = [f"x{k},0,1,0" for k in range(90)]
    lines[4], lines[5] = "p4,2,1,0", "p5,yes,0,1"
    labels, _, notes, _ = read(write_text(tmp_path, "id,Drama,Comedy,War\n" + "\n".join(lines + more) + "\n"), images)
    assert labels["p4"] == ("Comedy",)
    assert labels["p5"] == ("War",)
    assert notes == {
        "column 'Drama' is neither 0 nor 1: taken for 0": {
            "count": 2,
            "first": [["labels.csv:6", "2"], ["labels.csv:7", "yes"]],
        }
    }


@pytest.mark.parametrize("cell", ["", "NaN", "nan", "N/A", "None", "null", "(no genres listed)", "-", "[]", "\\N", "unknown"])
def test_placeholders_are_no_labels_and_are_counted(tmp_path, images, cell):
    text = rows().replace("p7,Drama|Comedy", f"p7,{cell}")
    labels, _, notes, _ = read(write_text(tmp_path, text), images)
    assert labels["p7"] == ()
    assert notes["column 'genre' stands for no label"]["count"] == 1


def test_hostile_cells_are_texts(tmp_path, images):
    cells = [
        "=cmd|'/c calc'!A1",
        "\x1b[31mRed",
        "Drama\x00x",
        "x" * 10_000,
        "<script>",
        "Drama;" * 1_500 + "War",
        "🎬",
        "a\nb",
        "'; --",
    ]
    content = [[name, cell] for name, cell in zip(NAMES, [*cells, "Drama", "Drama", "Drama"], strict=True)]
    labels, _, _, how = read(write_csv(tmp_path / "labels.csv", ["id", "genre"], content), images, separator=";")
    assert labels["p0"] == ("=cmd|'/c calc'!A1",)
    assert all(len(name) <= 200 for names in labels.values() for name in names)
    assert labels["p5"] == ("Drama", "War")
    assert labels["p6"] == ("🎬",)
    assert "\x1b" not in how
    assert "\x00" not in how


def test_names_of_pictures_that_are_paths_of_any_kind(tmp_path):
    names = ["a/one", "b/one", "a: b", 'quo"te', "ünï", "C/two", "up/three", "four.five"]
    draw_pictures(tmp_path / "images", names)
    cells = [
        "a/one.jpg",
        "b/one.jpg",
        "a: b.jpg",
        'quo"te.jpg',
        "ünï.jpg",
        "C:\\pictures\\C\\two.jpg",
        "../../up/three.jpg",
        "four.five.jpg",
    ]
    table = write_csv(tmp_path / "labels.csv", ["file", "genre"], [[cell, f"g{k % 2}"] for k, cell in enumerate(cells)])
    labels, left_out, *_ = read(table, tmp_path / "images")
    assert len(labels) == 8, left_out
    assert left_out == {}
    assert {"a__one", "b__one", "a_ b", "quo_te"} <= set(labels)


def test_an_id_cannot_leave_the_folder(tmp_path, images):
    (tmp_path / "secret.jpg").write_bytes((images / "p1.jpg").read_bytes())
    table = write_text(tmp_path, rows() + "../secret,Drama\n/etc/passwd,Drama\n")
    labels, left_out, *_ = read(table, images)
    assert len(labels) == 12
    assert len(left_out["no picture"]) == 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(tmp_path, images, encoding, end):
    text = rows(cell="Drame|Comédie").replace("\n", end)
    labels, *_ = read(write_text(tmp_path, text.encode(encoding)), images)
    assert set(labels.values()) == {("Drame", "Comédie")}
    assert len(labels) == 12


@pytest.mark.parametrize(("delimiter", "name"), [(";", ";"), ("\t", "tab"), ("|", "|"), (",", ",")])
def test_delimiters(tmp_path, images, delimiter, name):
    content = [[picture, 'A "title", of; many|parts\nin two lines', "7,5", "Drama/Comedy"] for picture in NAMES]
    table = write_csv(tmp_path / "labels.csv", ["id", "title", "score", "genre"], content, delimiter=delimiter)
    labels, _, _, how = read(table, images)
    assert set(labels.values()) == {("Drama", "Comedy")}
    assert f"cells separated by {name!r}" in how


def test_wrong_statements_about_a_table(tmp_path, images):
    table = write_text(tmp_path, rows())
    assert "table_columns.labels='genres': " in refusal(table, images, labels="genres")
    assert "has no such column. It has id, genre" in refusal(table, images, id="name")
    assert "separator=':': allowed are list, |, ;, ,, /" in refusal(table, images, separator=":")
    assert "delimiter='x': allowed are ,, tab, ;, |, ::" in refusal(table, images, delimiter="x")
    assert "encoding='utf-9' is no encoding" in refusal(table, images, encoding="utf-9")
    latin = write_text(tmp_path, rows(cell="Comédie").encode("latin-1"), "latin.csv")
    assert "is no utf-8 in line 2" in refusal(latin, images, encoding="utf-8")
    other = write_text(tmp_path, "key,genre\n1,Drama\n", "other.csv")
    plain = write_text(tmp_path, "id,name\n" + "".join(f"{name},x\n" for name in NAMES), "plain.csv")
    assert "needs a column of labels, such as 'genre', and one that plain.csv has" in refusal(
        plain, images, label_table=str(other)
    )
    other.unlink()
    table.unlink()
    latin.unlink()
    message = refusal(plain, images)
    assert "no column of labels that is known" in message
    assert "id: 'p0'; name: 'x'" in message


def test_a_json_object_of_other_rows_is_recorded(tmp_path, images):
    content = [*({"id": name, "genre": ["Drama", "War"]} for name in NAMES), 17, ["x"]]
    labels, left_out, *_ = read(write_text(tmp_path, json.dumps(content), "labels.json"), images)
    assert len(labels) == 12
    assert [reason for _, reason in left_out["table row"]] == ["no object but 17", 'no object but ["x"]']


def test_a_line_without_end_and_many_labels_take_bounded_memory(tmp_path):
    with (tmp_path / "zeros.csv").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(InputError, match="has over 16,777,216 bytes in line 1"):
        open_table(tmp_path / "zeros.csv", delimiter=",")
    table = tmp_path / "many.csv"
    with table.open("w") as file:
        file.write("id,genre\n")
        file.writelines(f"p{k},label {k}|other {k}\n" for k in range(300_000))
    tracemalloc.start()
    count = sum(isinstance(row, Row) for row in open_table(table).read())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 300_000
    assert peak < 20 << 20
