"""Reading IMDb's title.basics: good rows, bad rows, bad files."""

import gzip
import tracemalloc

import pytest
from imdb_folder import HEADER, title_line, write_titles

from posterfusion_jax.datasets.imdb_posters import titles as titles_lib
from posterfusion_jax.datasets.imdb_posters.titles import find_titles, read_title_table, read_titles
from posterfusion_jax.errors import InputError


def test_reads_the_wanted_films_only(tmp_path):
    path = tmp_path / "title.basics.tsv.gz"
    lines = [
        title_line("tt0000001", "Sci-Fi,Drama,Film-Noir", title='The "Quoted" Œuvre', year="1999"),
        title_line("tt0000002", "\\N", year="\\N"),
        title_line("tt0000003", "Horror"),
    ]
    write_titles(path, lines)
    titles, skipped, notes, how = read_title_table(path, wanted={"tt0000001", "tt0000002", "tt0000009"})
    assert (skipped, notes, how) == ([], {}, [])
    assert set(titles) == {"tt0000001", "tt0000002"}
    first = titles["tt0000001"]
    assert (first.title, first.year) == ('The "Quoted" Œuvre', 1999)
    assert first.labels == ("Sci-Fi", "Drama", "Film-Noir")
    assert titles["tt0000002"] == ("A Film", None, (), "", None)


def test_an_unpacked_file_and_other_columns_are_read_too(tmp_path):
    path = tmp_path / "title.basics.tsv"
    path.write_text("genres\tstartYear\ttconst\tprimaryTitle\r\nDrama\t2001\ttt0000001\tX\r\n", newline="")
    titles, _ = read_titles(path, wanted={"tt0000001"})
    assert titles["tt0000001"][:3] == ("X", 2001, ("Drama",))


def test_malformed_lines_are_reported_with_their_number(tmp_path):
    path = tmp_path / "title.basics.tsv.gz"
    good = title_line("tt0000001", "Drama")
    lines = ["\t".join(HEADER), good, "tt0000002\tmovie", title_line("tt0000003", "Drama", year="19x9"), good]
    not_utf8 = title_line("tt0000004", "Drama", title="@").encode().replace(b"@", b"\xe9")
    data = "\n".join(lines).encode() + b"\n" + not_utf8
    path.write_bytes(gzip.compress(data))
    titles, skipped, notes, _ = read_title_table(path, wanted={f"tt000000{i}" for i in range(9)})
    assert set(titles) == {"tt0000001", "tt0000003", "tt0000004"}
    assert (titles["tt0000003"].year, titles["tt0000004"].title) == (None, "\u00e9")
    assert [(what.split(":")[1], reason) for what, reason in skipped] == [
        ("3", "2 columns instead of 9"),
        ("5", "a second row of tt0000001; the first one counts"),
    ]
    assert {reason.partition(":")[0]: (note["count"], note["first"][0][0]) for reason, note in notes.items()} == {
        "startYear is no year": (1, "title.basics.tsv.gz:4"),
        "not UTF-8": (1, "title.basics.tsv.gz:6"),
    }


def test_a_small_file_that_unpacks_to_gigabytes_is_refused_early(tmp_path, monkeypatch):
    path = tmp_path / "title.basics.tsv.gz"
    header = "\t".join(HEADER).encode() + b"\n"
    path.write_bytes(gzip.compress(header + bytes(50 << 20)))
    tracemalloc.start()
    with pytest.raises(InputError, match=r"has over 1,048,576 bytes in line 2\. It must be IMDb's"):
        read_titles(path, wanted=set())
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    monkeypatch.setattr(titles_lib, "_MAX_SKIPPED", 100)
    path.write_bytes(gzip.compress(header + b"a\n" * 200))
    with pytest.raises(InputError, match="has 101 malformed lines up to line 103"):
        read_titles(path, wanted=set())


def test_line_numbers_count_blank_lines(tmp_path):
    path = tmp_path / "title.basics.tsv"
    path.write_text("\n" + "\t".join(HEADER) + "\n\nbroken\n")
    assert read_titles(path, wanted=set())[1] == [("title.basics.tsv:4", "1 columns instead of 9")]


def test_find_titles(tmp_path):
    with pytest.raises(InputError, match=r"has no title\.basics\.tsv\.gz .*developer\.imdb\.com"):
        find_titles(tmp_path)
    (tmp_path / "title.basics.tsv").touch()
    assert find_titles(tmp_path).name == "title.basics.tsv"
    (tmp_path / "title.basics.tsv.gz").touch()
    assert find_titles(tmp_path).name == "title.basics.tsv.gz"


def test_a_file_cut_off_is_refused(tmp_path):
    path = tmp_path / "title.basics.tsv.gz"
    write_titles(path, [title_line(f"tt{i:07d}", "Drama", title=str(hash((i, "x")))) for i in range(2000)])
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(InputError, match=r"cannot be read to its end.*Download it again"):
        read_titles(path, wanted=set())


@pytest.mark.parametrize("text", ["", "tt0000001\tmovie\n", "<html>\n", "tconst\tprimaryTitle\tgenres\n"])
def test_another_file_is_refused(tmp_path, text):
    path = tmp_path / "title.basics.tsv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"has no column .*startYear"):
        read_titles(path, wanted=set())
