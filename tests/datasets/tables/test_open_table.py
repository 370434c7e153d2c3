"""Files of any form as rows of cells, and folders of files as one table."""

import json

import pytest
from tables import write_csv

from posterfusion_jax.datasets.tables.open_table import open_table
from posterfusion_jax.datasets.tables.rows import BadRow
from posterfusion_jax.errors import InputError


def read(path, **options):
    rows = open_table(path, **options)
    return rows, [row if isinstance(row, BadRow) else row.cells for row in rows.read()]


def test_the_first_line_of_excel_names_the_delimiter_and_is_no_row(tmp_path):
    (tmp_path / "t.csv").write_text("sep=;\nid;genre\n1;Drama\n2;War\n")
    rows, cells = read(tmp_path / "t.csv")
    assert (rows.header, cells, rows.delimiter) == (("id", "genre"), [["1", "Drama"], ["2", "War"]], ";")


@pytest.mark.parametrize("text", ["", "\n\n\n", "sep=,\n", "  \n"], ids=["no byte", "line ends", "a hint", "spaces"])
def test_a_file_without_rows_is_refused(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=r"t\.csv' is empty"):
        open_table(tmp_path / "t.csv")


def test_zero_bytes_are_left_out_and_stated(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"id,genre\n1,Dra\0ma\n2,War\n")
    rows, cells = read(tmp_path / "t.csv")
    assert cells == [["1", "Drama"], ["2", "War"]]
    assert rows.remarks() == ["NUL characters are left out"]


def test_another_encoding_is_stated_wherever_it_begins(tmp_path):
    rows = [[k, "Drama"] for k in range(3_000)]
    file = write_csv(tmp_path / "t.csv", ["id", "genre"], [*rows, ["Amélie", "Comédie"]], encoding="latin-1")
    table, cells = read(file)
    assert cells[-1] == ["Amélie", "Comédie"]
    assert table.remarks() == ["some text is not UTF-8 and is read as Windows-1252 (latin-1)"]
    list(table.read())
    assert len(table.remarks()) == 1


@pytest.mark.parametrize("value", ["5", '"x"', "null", "[]", "{}", "[[1, 2], [3]]", "[1, null]"])
def test_json_without_objects_is_refused(tmp_path, value):
    (tmp_path / "t.json").write_text(value)
    with pytest.raises(InputError, match="must hold objects with the labels"):
        open_table(tmp_path / "t.json")


@pytest.mark.parametrize("cut", [1, 20, 100_001, 1_300_000])
def test_json_that_is_cut_off_is_refused(tmp_path, cut):
    text = json.dumps([{"id": k, "genres": ["Drama"]} for k in range(50_000)])
    (tmp_path / "t.json").write_text(text[:cut])
    with pytest.raises(InputError, match=r"is no JSON|must hold objects"):
        read(tmp_path / "t.json")


@pytest.mark.parametrize("form", ["array", "lines", "data", "one after the other", "numbers between"])
def test_json_in_several_chunks(tmp_path, form):
    objects = [{"id": k, "text": f"é{'x' * (k % 97)} ]}} [", "genres": ["Drama", "War"]} for k in range(20_000)]
    texts = {
        "array": lambda: json.dumps(objects, ensure_ascii=False),
        "lines": lambda: "\n".join(json.dumps(value, ensure_ascii=False) for value in objects),
        "data": lambda: json.dumps({"version": 3, "data": objects}),
        "one after the other": lambda: "".join(json.dumps(value, indent=1) for value in objects),
        "numbers between": lambda: "[" + ", 123456 ,".join(json.dumps(value) for value in objects) + "]",
    }
    (tmp_path / "t.json").write_text(texts[form](), encoding="utf-8")
    rows, cells = read(tmp_path / "t.json")
    assert rows.header == ("id", "text", "genres")
    assert [row for row in cells if not isinstance(row, BadRow)] == [list(value.values()) for value in objects]
    assert sum(isinstance(row, BadRow) for row in cells) == (len(objects) - 1 if form == "numbers between" else 0)


@pytest.mark.parametrize("start", ["<!DOCTYPE html>", "\n <HTML><table>", "<?xml version='1.0'?>"])
def test_a_page_is_no_table(tmp_path, start):
    (tmp_path / "t.csv").write_text(start + "x,y\n1,2\n")
    with pytest.raises(InputError, match=r"is no table but begins with .* Give CSV"):
        open_table(tmp_path / "t.csv")


def test_files_of_a_folder_with_other_columns_are_stated(tmp_path):
    write_csv(tmp_path / "a.csv", ["id", "genre"], [[1, "Drama"]])
    write_csv(tmp_path / "b.csv", ["genre", "year", "id"], [["War", 1990, 2]])
    write_csv(tmp_path / "c.csv", ["id"], [[3]])
    (tmp_path / "d.csv").write_text("")
    rows, cells = read(tmp_path)
    assert rows.header == ("id", "genre", "folder", "name of the file")
    assert cells[:3] == [["1", "Drama", "a", "a"], ["2", "War", "b", "b"], ["3", "", "c", "c"]]
    assert isinstance(cells[3], BadRow)
    assert "is empty" in cells[3].reason
    assert rows.remarks() == [
        "no column 'genre' in c.csv",
        "the column 'year' of b.csv is not read: a.csv, the first file, has none",
    ]
    assert [file.name for file in rows.files] == ["a.csv", "b.csv", "c.csv", "d.csv"]


def test_a_column_named_twice_is_stated(tmp_path):
    rows, _ = read(write_csv(tmp_path / "t.csv", ["id", "genre", "genre", ""], [[1, "Drama", "War", "x"]]))
    assert rows.header == ("id", "genre", "genre (2)", "column 4")
    assert any("'genre' is there twice" in line for line in rows.how)
