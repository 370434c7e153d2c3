"""Whatever is in them, the titles file and the split file are read rightly or refused with the file's name."""

import csv
import gzip
import io
import json
import re

import fuzzing
from hypothesis import example, given
from hypothesis import strategies as st
from imdb_folder import HEADER, title_line

from posterfusion_jax.datasets.imdb_posters.split_file import Assignment, read_split_file, write_split_file
from posterfusion_jax.datasets.imdb_posters.title_cells import parse_film_id
from posterfusion_jax.datasets.imdb_posters.titles import read_titles
from posterfusion_jax.errors import InputError

FILMS = ("tt0000001", "tt0000002", "tt0000003")
TITLES = "\n".join(
    ["\t".join(HEADER), *(title_line(film, "Drama,Sci-Fi,Western", title=f"Film {film}") for film in FILMS), ""]
).encode()
TOKENS = (b"\t", b"\n", b"\r", b"\\N", b"tt0000001", b"\xff", b"\xef\xbb\xbf", b"\0", b"99999999999999999999", b",,", b'"')


def decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("cp1252", "replace")


@fuzzing.FORMS
def test_titles(times, tmp_path):
    path = tmp_path / "title.basics.tsv"

    @fuzzing.form(times)
    @given(st.binary(max_size=200) | fuzzing.mutated(TITLES, *TOKENS), st.booleans())
    @example(TITLES.replace(b"\t1999\t", b"\t" + b"9" * 5000 + b"\t", 1), False)  # int() reads at most 4300 digits
    @example(TITLES.replace(b"\t1999\t", b"\t99999999999999999999\t", 1), False)  # no int64 of a dataset's row
    @example(TITLES.replace(b"\tgenres", b"\tgenres\tgenres", 1), False)  # which of the two?
    @example(TITLES.replace(b"Drama,", b"Drama,,", 1), True)
    def check(data: bytes, packed: bool) -> None:
        path.write_bytes(gzip.compress(data, 1) if packed else data)
        read, refusal = fuzzing.attempt(lambda: read_titles(path, wanted=FILMS), refusal=InputError)
        if refusal is not None:
            assert str(path) in refusal
            assert len(refusal) < 1000
            return
        titles, skipped = read
        lines = [line.rstrip(b"\r\n") for line in data.split(b"\n")]
        for film, title in titles.items():
            rows = [decoded(line) for line in lines if film in map(parse_film_id, decoded(line).split("\t"))]
            assert any(title.title in row or '"' in row for row in rows)
            assert title.year is None or any(1850 <= title.year <= 2150 and str(title.year) in row for row in rows)
            assert any(all(label.strip() and label in row for label in title.labels) for row in rows)
        for where, reason in skipped:
            number = int(re.fullmatch(r"title\.basics\.tsv:(\d+)", where)[1])
            assert 2 <= number <= len(lines)
            assert 0 < len(reason) < 300

    check()


@fuzzing.FORMS
def test_packed_titles_that_are_damaged(times, tmp_path):
    """A checksum guards a gzip file: damage is found, or it was in what does not count (the header's name and time)."""
    path, whole = tmp_path / "title.basics.tsv.gz", tmp_path / "whole.tsv"
    whole.write_bytes(TITLES)
    expected = read_titles(whole, wanted=FILMS)

    @fuzzing.form(times)
    @given(fuzzing.mutated(gzip.compress(TITLES, mtime=0)))
    def check(data: bytes) -> None:
        path.write_bytes(data)
        found, refusal = fuzzing.attempt(lambda: read_titles(path, wanted=FILMS), refusal=InputError)
        assert found == expected if refusal is None else str(path) in refusal

    check()


SPLITS = {"tt0000001": "train", "tt0000002": "test", "tt0000003": "validation"}
RECORDED = Assignment(unit="film", rule="by hand", splits=SPLITS, seed=5, fractions=(0.8, 0.1, 0.1))
CSV = b"film_id,split,note\ntt0000001,train,a\ntt0000002,test,b\n"
SPLIT_TOKENS = (b'"', b",", b"\n", b"train", b"test", b"split", b"_1", b"null", b"{}", b"[]", b"1e999", b"\0", b"\xff", b"NaN")


def assert_is_split(path, assignment: Assignment) -> None:
    assert assignment.unit in ("film", "poster")
    assert assignment.splits
    assert set(assignment.splits.values()) <= {"train", "validation", "test"}
    form = r"tt[0-9]{7,10}" if assignment.unit == "film" else r"tt[0-9]{7,10}(_[0-9]+)?"
    assert all(re.fullmatch(form, name) for name in assignment.splits)
    assert assignment.rule.isprintable()
    write_split_file(path, assignment)
    assert read_split_file(path) == assignment


def read_or_refuse(path, data: bytes) -> Assignment | None:
    path.write_bytes(data)
    assignment, refusal = fuzzing.attempt(read_split_file, path, refusal=InputError)
    assert refusal is None or (str(path) in refusal and len(refusal) < 1500)
    return assignment


@fuzzing.FORMS
def test_split_files_in_json(times, tmp_path):
    write_split_file(tmp_path / "whole", RECORDED)
    recorded = (tmp_path / "whole").read_bytes()
    fields = json.loads(recorded)
    changed = st.dictionaries(st.sampled_from([*fields, *SPLITS]), fuzzing.JSON, min_size=1, max_size=3)
    without_hash = {name: value for name, value in fields.items() if name != "sha256"}

    @fuzzing.form(times)
    @given(
        st.binary(max_size=100).map(lambda data: b"{" + data)
        | fuzzing.mutated(recorded, *SPLIT_TOKENS)
        | changed.map(lambda change: fuzzing.dumped({**without_hash, **change}))
        | changed.map(lambda change: fuzzing.dumped({**SPLITS, **change}))
    )
    @example(b'{"a":' * 100_000)  # deeper than json.loads goes
    @example(b'{"seed": ' + b"9" * 5000 + b"}")  # int() reads at most 4300 digits
    @example(fuzzing.dumped({**without_hash, "fractions": 5}))
    @example(fuzzing.dumped({**without_hash, "rule": "\ud800"}))  # was printed, and no terminal takes it
    @example(fuzzing.dumped({"tt\u0660\u0660\u0660\u0660\u0660\u0660\u0661": "train"}))  # digits of another script
    def check(data: bytes) -> None:
        assignment = read_or_refuse(tmp_path / "given", data)
        if assignment is not None:
            content = json.loads(data.decode("utf-8-sig"))
            assert dict(assignment.splits) == content.get("assignment", content)
            assert_is_split(tmp_path / "again", assignment)

    check()


@fuzzing.FORMS
def test_a_recorded_split_that_is_damaged(times, tmp_path):
    """The hash guards what is assigned: it is as it was written, or the file is refused."""
    write_split_file(tmp_path / "whole", RECORDED)
    recorded = (tmp_path / "whole").read_bytes()
    hash_at = recorded.index(b'"sha256"')

    @fuzzing.form(times)
    @given(fuzzing.mutated(recorded[hash_at:], *SPLIT_TOKENS))
    def check(rest: bytes) -> None:
        assignment = read_or_refuse(tmp_path / "given", recorded[:hash_at] + rest)
        if assignment is not None and b'"sha256": "' in rest:
            assert dict(assignment.splits) == SPLITS

    check()


@fuzzing.FORMS
def test_split_files_in_csv(times, tmp_path):
    @fuzzing.form(times)
    @given(
        st.binary(max_size=100) | fuzzing.mutated(CSV, *SPLIT_TOKENS) | fuzzing.mutated(CSV.partition(b"\n")[2], *SPLIT_TOKENS)
    )
    @example(b"tt0000001," + b"x" * 200_000)  # longer than the csv module allows a field to be
    @example(b"film_id,split,split\ntt0000001,train,test\n")
    @example(b'"tt0000001,train\ntt0000002,test\n')
    def check(data: bytes) -> None:
        assignment = read_or_refuse(tmp_path / "given", data)
        if assignment is not None and not data.lstrip().startswith(b"{"):
            rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(data.decode("utf-8-sig")))]
            assert all(any(name in row and split in row for row in rows) for name, split in assignment.splits.items())
            assert_is_split(tmp_path / "again", assignment)

    check()
