"""Titles files that went through other programs: pandas, Excel, R, browsers and archive tools."""

import bz2
import gzip
import io
import lzma
import pathlib
import zipfile

import pytest
from imdb_folder import HEADER, title_line

from posterfusion_jax.datasets.imdb_posters.titles import find_titles, read_title_table
from posterfusion_jax.errors import InputError

FILMS = [f"tt{k:07d}" for k in range(1, 13)]
ROWS = [
    title_line(film, "Comedy,Drama", title=f'The "{film}" Film, \u00e9', year="1999.0" if k % 3 else "")
    for k, film in enumerate(FILMS)
]
PLAIN = "\n".join(["\t".join(HEADER), *ROWS, ""])


def zipped(members: dict[str, str]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return data.getvalue()


def with_cells(change) -> str:
    """The file with each row changed: `change` gets the number of the row (0: the header) and its cells."""
    rows = [line.split("\t") for line in PLAIN.splitlines()]
    return "".join("\t".join(change(number, cells)) + "\n" for number, cells in enumerate(rows))


def quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def separated(separator: str) -> str:
    rows = [line.split("\t") for line in PLAIN.splitlines()]
    return "".join(separator.join(quoted(c) if separator in c or '"' in c else c for c in cells) + "\n" for cells in rows)


FORMS = {
    "years of pandas": PLAIN.encode(),
    "byte order mark": b"\xef\xbb\xbf" + PLAIN.encode(),
    "CRLF": PLAIN.replace("\n", "\r\n").encode(),
    "CR only": PLAIN.replace("\n", "\r").encode(),
    "UTF-16 of Excel": PLAIN.replace("\n", "\r\n").encode("utf-16"),
    "UTF-16 without a mark": PLAIN.encode("utf-16-le"),
    "UTF-16 big-endian": b"\xfe\xff" + PLAIN.encode("utf-16-be"),
    "UTF-32": PLAIN.encode("utf-32"),
    "Windows-1252": PLAIN.encode("cp1252"),
    "gzip": gzip.compress(PLAIN.encode()),
    "gzip twice": gzip.compress(gzip.compress(PLAIN.encode())),
    "bzip2": bz2.compress(PLAIN.encode()),
    "xz": lzma.compress(PLAIN.encode()),
    "zip": zipped({"title.basics.tsv": PLAIN, "__MACOSX/._title.basics.tsv": "x"}),
    "gzip of UTF-16": gzip.compress(PLAIN.encode("utf-16")),
    "commas": separated(",").encode(),
    "semicolons": separated(";").encode(),
    "a hint to Excel": ("sep=;\n" + separated(";")).encode(),
    "commas, quoted, mark": b"\xef\xbb\xbf"
    + "".join(",".join(map(quoted, line.split("\t"))) + "\r\n" for line in PLAIN.splitlines()).encode(),
    "genres with bare commas": PLAIN.replace("\u00e9", "e")
    .replace(" Film, ", " Film ")
    .replace("\t", ",")
    .replace('"', "")
    .encode(),
    "all quoted": with_cells(lambda _, cells: map(quoted, cells)).encode(),
    "titles quoted": with_cells(lambda _, cells: [quoted(c) if '"' in c else c for c in cells]).encode(),
    "genres quoted, by Excel": with_cells(lambda _, cells: [quoted(c) if "," in c else c for c in cells]).encode(),
    "a tab in a title": with_cells(
        lambda n, cells: [quoted(f"{c}\t") if n and k in (2, 3) else c for k, c in enumerate(cells)]
    ).encode(),
    "index without a name": with_cells(lambda n, cells: [str(n - 1) if n else "", *cells]).encode(),
    "Unnamed: 0": with_cells(lambda n, cells: [str(n - 1) if n else "Unnamed: 0", *cells]).encode(),
    "row names of R": with_cells(lambda n, cells: [str(n), *cells] if n else cells).encode(),
    "quoted row names of R": with_cells(lambda n, cells: map(quoted, [str(n), *cells] if n else cells)).encode(),
    "header in capitals": with_cells(lambda n, cells: [c if n else c.upper() for c in cells]).encode(),
    "header with spaces": with_cells(lambda n, cells: [c if n else f" {c} " for c in cells]).encode(),
    "header of R": PLAIN.replace("primaryTitle", "primary_title").replace("startYear", "start_year").encode(),
    "tabs at the end": with_cells(lambda n, cells: [*cells, "", ""] if n else cells).encode(),
    "genres in front, cells missing at the end": with_cells(
        lambda n, cells: [cells[8], cells[0], cells[2], cells[5]][: 3 if n and not cells[5] else 4]
    ).encode(),
    "ids without tt": with_cells(
        lambda n, cells: [cells[0].removeprefix("tt").lstrip("0") if n else cells[0], *cells[1:]]
    ).encode(),
    "ids without zeros": with_cells(
        lambda n, cells: [cells[0].replace("tt00000", "tt") if n else cells[0], *cells[1:]]
    ).encode(),
    "ids with spaces": with_cells(lambda n, cells: [f" {cells[0]} ", *cells[1:]]).encode(),
    "genres with bars": PLAIN.replace("Comedy,Drama", "Comedy|Drama").encode(),
    "genres in a list": PLAIN.replace("Comedy,Drama", "['Comedy', 'Drama']").encode(),
}


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS.keys())
def test_no_film_is_lost(tmp_path, data):
    path = tmp_path / "title.basics.tsv.gz"
    path.write_bytes(data)
    titles, skipped, notes, _ = read_title_table(path, wanted=FILMS)
    assert skipped == []
    assert list(titles) == FILMS
    for k, title in enumerate(titles.values()):
        assert sorted(label.lower() for label in title.labels) == ["comedy", "drama"]
        assert title.year == (1999 if k % 3 else None)
        assert title.title.strip().replace('"', "").startswith(f"The {FILMS[k]} Film")
    assert not any("startYear" in reason for reason in notes)


@pytest.mark.parametrize("form", ["titles quoted", "all quoted", "genres quoted, by Excel", "commas", "a tab in a title"])
def test_quotes_of_other_programs_are_taken_off(tmp_path, form):
    path = tmp_path / "title.basics.tsv"
    path.write_bytes(FORMS[form])
    titles, *_ = read_title_table(path, wanted=FILMS)
    assert titles[FILMS[0]].title.strip() == 'The "tt0000001" Film, \u00e9'


def test_what_was_done_is_noted(tmp_path):
    path = tmp_path / "title.basics.tsv"
    path.write_bytes(FORMS["a hint to Excel"].decode().encode("utf-16"))
    assert read_title_table(path, wanted=FILMS).how == ["converted from utf-16-le", "cells are separated by semicolons"]
    path.write_bytes(FORMS["ids without tt"])
    notes = read_title_table(path, wanted=FILMS).notes
    assert notes == {
        "tconst without 'tt' or its zeros, or not spelled plainly: completed": {
            "count": 12,
            "first": [["title.basics.tsv:2", "1"], ["title.basics.tsv:3", "2"], ["title.basics.tsv:4", "3"]],
        }
    }


@pytest.mark.parametrize("year", ["19x9", "-1999", "12", "99999", "1999.5"])
def test_a_year_that_is_none_costs_no_film(tmp_path, year):
    path = tmp_path / "title.basics.tsv"
    path.write_text(PLAIN.replace("1999.0", year))
    titles, skipped, notes, _ = read_title_table(path, wanted=FILMS)
    assert (len(titles), skipped) == (12, [])
    assert {title.year for title in titles.values()} == {None}
    assert notes["startYear is no year: the year is unknown, the film is kept"] == {
        "count": 8,
        "first": [[f"title.basics.tsv:{line}", year] for line in (3, 4, 6)],
    }


def test_other_columns_that_no_model_reads_cost_no_film(tmp_path):
    path = tmp_path / "title.basics.tsv"
    rows = [["tconst", "titleType", "primaryTitle", "isAdult", "startYear", "runtimeMinutes", "genres"]]
    rows += [[film, "???", "x" * 5000, "maybe", "\\N", "90 min", "Drama"] for film in FILMS]
    path.write_text("".join("\t".join(row) + "\n" for row in rows))
    titles, skipped, notes, _ = read_title_table(path, wanted=FILMS)
    assert (len(titles), skipped) == (12, [])
    assert {len(title.title) for title in titles.values()} == {1000}
    assert [note["count"] for note in notes.values()] == [12]


def broken(rows: int) -> str:
    """A tab more, without quotes, in the titles of the first rows."""
    return with_cells(lambda n, cells: ["\t".join(cells[:2]), "A\tB", *cells[3:]] if 0 < n <= rows else cells)


@pytest.mark.parametrize("rows", [5, 8, 12])
def test_a_large_share_of_lost_films_ends_the_run(tmp_path, rows):
    path = tmp_path / "title.basics.tsv"
    path.write_text(broken(rows))
    with pytest.raises(InputError) as error:
        read_title_table(path, wanted=FILMS)
    message = str(error.value)
    assert f"{str(path)!r} cannot be used for {rows} of the 12 films" in message
    assert all(f"line {line}: 'tt000000{line - 1}|movie|A|B|" in message for line in (2, 3, 4))
    assert "line 5" not in message
    assert "10 columns instead of 9" in message
    assert "index=False" in message


def test_a_small_share_is_counted(tmp_path):
    path = tmp_path / "title.basics.tsv"
    path.write_text(broken(4))
    titles, skipped, *_ = read_title_table(path, wanted=FILMS)
    assert len(titles) == 8
    assert skipped == [(f"title.basics.tsv:{line}", "10 columns instead of 9") for line in (2, 3, 4, 5)]
    read_title_table(path, wanted=[*FILMS, *(f"tt99{k:05d}" for k in range(20))])


def test_all_of_a_few_films_lost_ends_the_run(tmp_path):
    path = tmp_path / "title.basics.tsv"
    path.write_text(broken(2))
    with pytest.raises(InputError, match="for 2 of the 2 films"):
        read_title_table(path, wanted=FILMS[:2])


def test_lines_of_other_films_end_nothing(tmp_path):
    path = tmp_path / "title.basics.tsv"
    path.write_text(broken(8))
    titles, skipped, *_ = read_title_table(path, wanted=FILMS[8:])
    assert (len(titles), len(skipped)) == (4, 8)


@pytest.mark.parametrize("bad", ["Film {}", "nm{:07d}", ""])
def test_ids_that_are_none_end_the_run_with_examples(tmp_path, bad):
    path = tmp_path / "title.basics.tsv"
    path.write_text(with_cells(lambda n, cells: [bad.format(n), *cells[1:]] if n else cells))
    with pytest.raises(InputError, match=r"for 12 of the 12 films.*no IMDb id in tconst.*line 2: tconst .*line 4: tconst "):
        read_title_table(path, wanted=FILMS)


def test_some_ids_that_are_none_are_noted(tmp_path):
    path = tmp_path / "title.basics.tsv"
    path.write_text(with_cells(lambda n, cells: ["?" if n in (3, 4) else cells[0], *cells[1:]]))
    titles, _, notes, _ = read_title_table(path, wanted=FILMS)
    assert len(titles) == 10
    assert notes["tconst is no IMDb id: the row is not used"]["first"] == [
        ["title.basics.tsv:4", "?"],
        ["title.basics.tsv:5", "?"],
    ]


def test_repeated_rows_are_counted_and_cost_no_film(tmp_path):
    path = tmp_path / "title.basics.tsv"
    path.write_text(PLAIN + "\n".join(ROWS) + "\n")
    titles, skipped, *_ = read_title_table(path, wanted=FILMS)
    assert (len(titles), len(skipped)) == (12, 12)
    assert skipped[0].reason == "a second row of tt0000001; the first one counts"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (zipped({"a.tsv": PLAIN, "b.tsv": PLAIN}), r"zip archive with 2 text files, .*'a\.tsv', 'b\.tsv'"),
        (zipped({"a.png": "x"}), r"zip archive with 0 text files.*'a\.png'"),
        (zipped({"[Content_Types].xml": "x"}), "is an Excel or Word document"),
        (b"\x28\xb5\x2f\xfd....", "packed with zstd"),
        (gzip.compress(PLAIN.encode())[:-20], "cannot be read to its end"),
        (lzma.compress(PLAIN.encode())[:-20], "cannot be read to its end"),
        (bz2.compress(PLAIN.encode())[:-20], "cannot be read to its end"),
        (zipped({"a.tsv": PLAIN})[:-20], "cannot be read to its end"),
        (b"PAR1\0\0\0", "has no column"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, data, message):
    path = tmp_path / "title.basics.tsv.gz"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_title_table(path, wanted=FILMS)


FOUND = [
    "title.basics.tsv/data.tsv",
    "title.basics.tsv.gz/data.tsv.gz",
    "title.basics.tsv.gz/title.basics.tsv",
    "title.basics.tsv/unpacked.txt",
    "data.tsv",
    "data.tsv.gz",
    "title.basics (1).tsv.gz",
    "title.basics.tsv (1).gz",
    "title.basics.tsv.gz.gz",
    "title_basics.tsv",
    "TITLE.BASICS.TSV",
    "title.basics.txt",
    "title.basics.csv",
    "title.basics",
    "title.basics.tsv.zip",
    "title.basics.tsv.bz2",
    "title-basics.tsv.xz",
    "archive/title.basics.tsv",
    "archive/title.basics.tsv/data.tsv",
]


def lay_out(folder: pathlib.Path, *names: str) -> pathlib.Path:
    for name in ("images/tt0000001_1.jpg", *names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("name", FOUND)
def test_the_titles_file_is_found(tmp_path, name, caplog):
    lay_out(tmp_path, name, "._title.basics.tsv.gz", "title.basics.tsv.gz.part", "ocr.jsonl", "__MACOSX/title.basics.tsv")
    assert find_titles(tmp_path) == tmp_path / name
    assert f"titles are read from {name}" in caplog.text


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["title.basics (1).tsv.gz", "title.basics (2).tsv.gz"], r"several candidates: 'title\.basics \(1\)\.tsv\.gz', 'title"),
        (["data.tsv", "data.tsv.gz"], r"several candidates: 'data\.tsv', 'data\.tsv\.gz'\. Keep one"),
        (["title.basics.tsv/data.tsv", "title.basics.tsv.gz/data.tsv"], r"several candidates: 'title\.basics\.tsv/data\.tsv'"),
        (["title.basics.tsv.gz/.DS_Store"], r"'title\.basics\.tsv\.gz' is a folder without a file of titles in it"),
        (["title.basics.tsv/a", "title.basics.tsv/b"], "is a folder without a file of titles"),
        (["title.akas.tsv.gz", "movies.csv"], r"it holds 'images/', 'movies\.csv', 'title\.akas\.tsv\.gz'\. Download it"),
    ],
)
def test_what_was_found_instead_is_named(tmp_path, names, message):
    with pytest.raises(InputError, match=message):
        find_titles(lay_out(tmp_path, *names))


def test_the_folder_above_is_named(tmp_path):
    lay_out(tmp_path, "title.basics.tsv.gz")
    with pytest.raises(InputError, match=r"The folder above it has title\.basics\.tsv\.gz"):
        find_titles(tmp_path / "images")


def test_the_exact_name_comes_first(tmp_path):
    lay_out(tmp_path, "title.basics.tsv.gz", "title.basics.tsv", "title.basics (1).tsv.gz", "data.tsv")
    assert find_titles(tmp_path).name == "title.basics.tsv.gz"
