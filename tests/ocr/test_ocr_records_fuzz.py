"""Whatever a line or a file of records holds, what is read is a record that can be kept, or a line that is told."""

import dataclasses
import hashlib
import json
import logging
import math
import re

import fuzzing
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from posterfusion_jax.datasets.imdb_posters.hashing import hash_json
from posterfusion_jax.ocr.records.json_lines import rewrite_as_lines
from posterfusion_jax.ocr.records.record import STATUSES, OcrRecord, from_json, to_json
from posterfusion_jax.ocr.records.store import RecordWriter, load_records
from posterfusion_jax.ocr.text.clean import record_text
from posterfusion_jax.utils.checksums import CHECK

SHA = "0123456789abcdef" * 4
FULL = OcrRecord(
    sha256=SHA,
    status="ok",
    text="A\nB",
    engine="rapidocr",
    poster_id="tt0000001_1",
    film_id="tt0000001",
    lines=("A", "B"),
    confidences=(0.5, 0.75),
    boxes=((0.0, 0.0, 1.0, 0.5), (0.0, 0.5, 1.0, 1.0)),
    engine_version="1",
    usage={"tokens": 3},
    seconds=0.5,
    time="2026-01-01T00:00:00+00:00",
    source_width=30,
    source_height=40,
)
SEALED = to_json(FULL).encode()  # with a checksum, which finds all damage before any field is looked at
LINE = fuzzing.dumped({name: value for name, value in json.loads(SEALED).items() if name != CHECK})  # as others write it
FIELDS = [field.name for field in dataclasses.fields(OcrRecord)]
TOKENS = (
    b'"',
    b",",
    b"[",
    b"]",
    b"{",
    b"}",
    b"null",
    b"NaN",
    b"1e999",
    b"-1",
    b"true",
    b"\\ud800",
    b"\n",
    b"\0",
    b"\xff",
    b": ",
)


def changed(change: dict) -> bytes:
    return fuzzing.dumped({**json.loads(LINE), **change})


LINES = (
    st.binary(max_size=100)
    | fuzzing.JSON.map(fuzzing.dumped)
    | fuzzing.mutated(LINE, *TOKENS)
    | fuzzing.mutated(SEALED, *TOKENS)
    | st.dictionaries(st.sampled_from(FIELDS), fuzzing.JSON, min_size=1, max_size=3).map(changed)
)
CRASHED = [
    ("seconds", 10**400),  # no float, so math.isfinite raised OverflowError
    ("usage", {"tokens": math.nan}),  # was read, and could not be written again
    ("engine", "\ud800"),  # was read, and SQLite did not take it into the index
    ("engine_version", "\ud800"),
    ("attempts", True),  # was read as a number
    ("usage", {"a": json.loads("[" * 900 + "]" * 900)}),
]


def assert_is_sound(record: OcrRecord) -> None:
    assert record.status in STATUSES
    assert len(record.sha256) == 64
    for values in (record.confidences, record.boxes):
        assert len(values) in (0, len(record.lines))
    assert all(0 <= confidence <= 1 for confidence in record.confidences)
    assert type(record.attempts) is int
    line = to_json(record)
    assert "\n" not in line
    assert from_json(line) == record
    hash_json([[record.sha256, line]])
    record_text(record).encode()


@fuzzing.FORMS
def test_one_line(times):
    @fuzzing.form(times, short=400)
    @given(LINES)
    def check(line: bytes) -> None:
        record, refusal = fuzzing.attempt(lambda: from_json(line.decode()), refusal=ValueError)
        if refusal is not None:
            assert 0 < len(refusal) < 500
        else:
            assert_is_sound(record)
            given_fields = json.loads(line)
            assert (record.text, list(record.lines)) == (given_fields["text"], given_fields.get("lines") or [])

    for field, value in CRASHED:
        check = example(changed({field: value}))(check)
    check = example(b'{"check": "00000000", "usage": ' + b"[" * 950 + b"]" * 950 + b"}")(check)  # read, but too deep to sum up
    check()


@fuzzing.FORMS
def test_a_damaged_line_is_never_another_record(times):
    @fuzzing.form(times, short=400)
    @given(fuzzing.mutated(SEALED, *TOKENS))
    def check(line: bytes) -> None:
        record, refusal = fuzzing.attempt(lambda: from_json(line.decode()), refusal=ValueError)
        assert refusal is not None or record == FULL or CHECK not in json.loads(line)

    check()


@pytest.mark.parametrize(("field", "value"), CRASHED, ids=[f"{k} {field}" for k, (field, _) in enumerate(CRASHED)])
def test_what_was_read_wrongly_is_refused_with_its_field(field, value):
    with pytest.raises(ValueError, match=f"the field '{field}'"):
        from_json(changed({field: value}).decode())


@fuzzing.FORMS
def test_a_file_of_lines(times, tmp_path, caplog):
    """The records of a file, with an index and without: those of its sound lines, and the other lines with their numbers."""
    caplog.set_level(logging.ERROR)  # it is told of each file that was changed

    @fuzzing.form(times, short=40)
    @given(st.lists(st.just(LINE) | LINES, max_size=6), st.booleans())
    def check(lines: list[bytes], ended: bool) -> None:
        data = b"\n".join(lines) + (b"\n" if ended else b"")
        for leftover in tmp_path.iterdir():
            leftover.unlink()
        path = tmp_path / "ocr.jsonl"
        path.write_bytes(data)
        assume(rewrite_as_lines(path) is None)
        records = load_records([path])
        sound, bad = [], []
        for number, line in enumerate(data.split(b"\n"), 1):
            try:
                sound.append(from_json(line.decode()))
            except ValueError:
                bad += [f"{path}:{number}"] if line.strip() else []
        assert list(records) == sound
        assert len(records) == len(sound)
        assert [line.what for line in records.skipped] == bad
        assert list(load_records([path])) == sound  # and by the index that is there now
        with RecordWriter(path) as store:
            store.append(FULL)
            assert store.newest(SHA, "rapidocr") == FULL
        assert list(load_records([path])) == [*sound, FULL]

    check()


@fuzzing.FORMS
def test_a_damaged_index(times, tmp_path, caplog):
    """Records come from the file of records. Damage to what is derived from it costs time, and never a record."""
    caplog.set_level(logging.CRITICAL)  # each rebuilt index is logged
    path, index = tmp_path / "ocr.jsonl", tmp_path / "ocr.jsonl.index"
    records = [dataclasses.replace(FULL, sha256=f"{k:064x}", engine="gemini" if k % 3 else "rapidocr") for k in range(20)]
    path.write_text("".join(to_json(record) + "\n" for record in records))
    load_records([path])
    whole = index.read_bytes()
    in_use = [k for k, byte in enumerate(whole) if byte]  # most of the pages is empty

    @fuzzing.form(times, short=80)
    @given(fuzzing.edits(st.sampled_from(in_use)), st.booleans())
    @example([(0, len(whole), b"")], False)
    @example([(0, len(whole), b"no database")], False)
    def check(changes: fuzzing.Edits, in_place: bool) -> None:
        if in_place:  # nothing moves
            changes = [(at, len(piece), piece) for at, _, piece in changes]
        index.write_bytes(fuzzing.edited(whole, changes))
        found = load_records([path])
        for record in records:
            assert found.find(record.sha256) == record
            assert found.newest(record.sha256, record.engine) == record
        assert [*found] == records
        latest = load_records([path]).latest("gemini")
        assert list(latest) == [record for record in records if record.engine == "gemini"]

    check()


def test_a_record_is_found_however_its_entry_in_the_index_is_damaged(tmp_path, caplog):
    path, index = tmp_path / "ocr.jsonl", tmp_path / "ocr.jsonl.index"
    records = [dataclasses.replace(FULL, sha256=hashlib.sha256(b"%d" % k).hexdigest()) for k in range(20)]
    path.write_text("".join(to_json(record) + "\n" for record in records))
    load_records([path])
    whole = index.read_bytes()
    image = bytes.fromhex(records[7].sha256)
    places = [match.start() for match in re.finditer(re.escape(image), whole)]
    assert len(places) == 2  # the row, and the tree by which it is found
    for place in places:
        index.write_bytes(fuzzing.edited(whole, [(place, 1, bytes([whole[place] ^ 1]))]))
        assert load_records([path]).find(records[7].sha256) == records[7]
    assert "is damaged (records are missing from it); it is rebuilt" in caplog.text
