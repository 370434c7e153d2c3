"""The record file: which record counts, what damage it survives, and what it says where it cannot write."""

import hashlib
import os
import pathlib
import time

import pytest

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.record import OcrRecord, to_json
from posterfusion_jax.ocr.store import RecordStore, load_records


def record(image: str = "a", text: str = "ALIEN", *, status: str = "ok", engine: str = "rapidocr") -> OcrRecord:
    return OcrRecord(sha256=sha(image), status=status, text=text, engine=engine)


def sha(image: str) -> str:
    return hashlib.sha256(image.encode()).hexdigest()


def write(path, *records: OcrRecord, end: str = "\n") -> None:
    path.write_text("\n".join(map(to_json, records)) + end, encoding="utf-8")


def found(store, image: str = "a", *, prefer: tuple[str, ...] = ()) -> str | None:
    record = store.find(sha(image), prefer=prefer)
    return record and record.text


def test_appended_records_are_found_now_and_by_the_next_run(tmp_path):
    path = tmp_path / "new folder" / "ocr.jsonl"
    with RecordStore(path) as store:
        assert not path.exists()  # nothing is written before there is something to write
        store.append(record("a", "one\ud800"))
        assert found(store, "a") == "one\ud800"
        store.append(record("b", "two"))
    again = RecordStore(path)
    assert (len(again), again.skipped) == (2, [])
    assert (found(again, "a"), found(again, "b"), found(again, "c")) == ("one\ud800", "two", None)
    assert [r.text for r in again] == ["one\ud800", "two"]


def test_a_record_is_on_disk_when_append_returns(tmp_path):
    path = tmp_path / "ocr.jsonl"
    with RecordStore(path) as store:
        store.append(record("a"))
        assert path.read_text(encoding="utf-8") == to_json(record("a")) + "\n"


def test_which_record_counts(tmp_path):
    path = tmp_path / "ocr.jsonl"
    write(
        path,
        record(text="old"),
        record(text="new"),
        record(text="", status="error"),
        record(text="g", engine="gemini"),
        record("b", "blocked", status="blocked", engine="gemini"),
        record("c", "first", status="error"),
        record("c", "second", status="error"),
    )
    store = load_records([path])
    assert found(store, prefer=("rapidocr",)) == "new"  # the newest usable one, not the newer failure
    assert found(store, prefer=("gemini",)) == "g"
    assert found(store, prefer=("tesseract",)) == "g"  # any other engine's is better than none, the newest first
    assert found(store) == "g"
    assert found(store, "b", prefer=("gemini",)) == "blocked"
    assert found(store, "b", prefer=("rapidocr",)) == "blocked"  # another engine's failure is better than nothing, too
    assert found(store, "b") == "blocked"
    assert found(store, "c", prefer=("rapidocr",)) == "second"


def test_files_read_later_win_and_the_own_file_is_last(tmp_path):
    mine, theirs = tmp_path / "mine.jsonl", tmp_path / "theirs.jsonl"
    write(mine, record(text="mine"))
    write(theirs, record(text="theirs"), record("b"))
    assert found(load_records([mine, theirs])) == "theirs"
    store = RecordStore(mine, also_read=[theirs, tmp_path / "." / "mine.jsonl"])
    assert found(store) == "mine"
    assert len(store) == 3  # the own file once


@pytest.mark.parametrize("torn", ['{"sha256": "ab', '{"sha', "\x00\x00\x00", "{}"])
def test_a_torn_last_line_is_reported_and_cut_off(tmp_path, torn):
    path = tmp_path / "ocr.jsonl"
    write(path, record("a"), record("b"), end="\n" + torn)
    with RecordStore(path) as store:
        (skipped,) = store.skipped
        assert skipped.what == f"{path}:3"
        assert "cut short" in skipped.reason
        store.append(record("c"))
    again = RecordStore(path)
    assert (len(again), again.skipped) == (3, [])


def test_a_last_line_that_lacks_only_its_end_is_kept(tmp_path):
    path = tmp_path / "ocr.jsonl"
    write(path, record("a"), record("b"), end="")
    with RecordStore(path) as store:
        assert (len(store), store.skipped) == (2, [])
        store.append(record("c"))
    again = RecordStore(path)
    assert (len(again), again.skipped) == (3, [])


def test_every_place_to_cut_a_file_loses_one_record_at_most(tmp_path):
    path = tmp_path / "ocr.jsonl"
    write(path, record("a", "ä"), record("b", "ö"))
    data = path.read_bytes()
    for length in range(0, len(data), 3):  # bytes of a two-byte letter and both line ends among them
        path.write_bytes(data[:length])
        with RecordStore(path) as store:
            store.append(record("c"))
        again = RecordStore(path)
        assert again.skipped == []
        assert len(again) == 1 + data[: length + 1].count(b"\n")  # a line without its line break is whole as well


def test_bad_lines_inside_are_listed_and_left_alone(tmp_path):
    path = tmp_path / "ocr.jsonl"
    good = to_json(record("a")).encode()
    path.write_bytes(b"\n".join([good, b"", b"no json", b'{"sha256": "\xff"}', b"{}", good.replace(b"ok", b"so"), b""]))
    with RecordStore(path) as store:
        assert [skipped.what for skipped in store.skipped] == [f"{path}:{n}" for n in (3, 4, 5, 6)]
        assert "'sha256' is missing" in store.skipped[2].reason
        assert "'status'" in store.skipped[3].reason
        before = path.read_bytes()
        store.append(record("b"))
    assert path.read_bytes().startswith(before)


def test_windows_line_ends_are_read(tmp_path):
    path = tmp_path / "ocr.jsonl"
    path.write_bytes(to_json(record("a")).encode() + b"\r\n")
    assert len(load_records([path])) == 1


def test_an_empty_file_holds_nothing(tmp_path):
    (tmp_path / "ocr.jsonl").touch()
    assert len(load_records([tmp_path / "ocr.jsonl"])) == 0


def test_a_missing_file_is_an_error_for_reading(tmp_path):
    with pytest.raises(InputError, match="no_such"):
        load_records([tmp_path / "no_such.jsonl"])
    with pytest.raises(InputError, match="no_such"):
        RecordStore(tmp_path / "ocr.jsonl", also_read=[tmp_path / "no_such.jsonl"])


def test_a_place_that_cannot_be_written_names_field_and_fix(tmp_path):
    (tmp_path / "file").touch()
    store = RecordStore(tmp_path / "file" / "ocr.jsonl")
    with pytest.raises(InputError, match=r"(?s)ocr\.store=.*--config\.ocr\.store=PATH"):
        store.open()
    with pytest.raises(InputError, match="cannot be read"):
        RecordStore(tmp_path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, the disk that is always full")
def test_a_full_disk_is_told(tmp_path):
    store = RecordStore(tmp_path / "none.jsonl")
    with (
        store,
        pathlib.Path("/dev/full").open("wb", buffering=0) as full,
    ):
        store._file = full
        with pytest.raises(InputError, match=r"No space left.*make room"):
            store.append(record())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_serves_for_reading(tmp_path):
    write(tmp_path / "ocr.jsonl", record())
    tmp_path.chmod(0o500)
    try:
        store = RecordStore(tmp_path / "ocr.jsonl")
        assert found(store) == "ALIEN"
        (tmp_path / "ocr.jsonl").chmod(0o400)
        with pytest.raises(InputError, match="Permission denied"):
            store.open()
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.real
def test_the_records_of_real_posters_load_quickly(shared_dir):
    started = time.perf_counter()
    records = load_records([shared_dir / "posters" / "ocr.jsonl"])
    seconds = time.perf_counter() - started
    assert len(records) == 3850
    assert records.skipped == []
    assert sum(r.status == "empty" for r in records) == 44
    assert seconds < 1
