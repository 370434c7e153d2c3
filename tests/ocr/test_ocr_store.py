"""The record file: which record counts, what damage it survives, and what it says where it cannot write."""

import os
import pathlib
import shutil
import time

import pytest
from records_for_tests import found, record, sha, write

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.records import store as store_module
from posterfusion_jax.ocr.records.record import to_json
from posterfusion_jax.ocr.records.store import RecordWriter, load_records


def test_appended_records_are_found_now_and_by_the_next_run(tmp_path):
    path = tmp_path / "new folder" / "ocr.jsonl"
    with RecordWriter(path) as store:
        assert not path.exists()  # nothing is written before there is something to write
        store.append(record("a", "one\ud800"))
        assert found(store, "a") == "one\ud800"
        store.append(record("b", "two"))
    again = RecordWriter(path)
    assert (len(again), again.skipped) == (2, [])
    assert (found(again, "a"), found(again, "b"), found(again, "c")) == ("one\ud800", "two", None)
    assert [r.text for r in again] == ["one\ud800", "two"]


def test_a_record_is_on_disk_when_append_returns(tmp_path):
    path = tmp_path / "ocr.jsonl"
    with RecordWriter(path) as store:
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


def test_preferred_engines_count_in_their_order_and_may_name_a_version(tmp_path):
    path = tmp_path / "ocr.jsonl"
    write(
        path,
        record(text="g1", engine="gemini", version="1"),
        record(text="g2", engine="gemini", version="2"),
        record(text="g1 again", engine="gemini", version="1"),
        record(text="r", engine="rapidocr", version="3"),
        record(text="", engine="tesseract", status="error"),
    )
    store = load_records([path])
    assert found(store, prefer=("gemini", "rapidocr")) == "g1 again"
    assert found(store, prefer=("gemini@2", "gemini")) == "g2"
    assert found(store, prefer=("gemini@3", "rapidocr")) == "r"
    assert found(store, prefer=("tesseract", "gemini@1")) == "g1 again"  # a failure never comes before a text
    assert found(store, prefer=("tesseract",)) == found(store) == "r"


def test_the_newest_of_an_engine_may_be_a_failure(tmp_path):
    write(
        tmp_path / "1.jsonl",
        record(text="r"),
        record(text="g", engine="gemini", version="1"),
        record(text="", engine="gemini", version="2", status="blocked"),
    )
    store = load_records([tmp_path / "1.jsonl"])
    newest = store.newest(sha("a"), "gemini")
    assert newest is not None
    assert newest.status == "blocked"
    newest = store.newest(sha("a"), "gemini@1")
    assert newest is not None
    assert newest.text == "g"
    assert store.newest(sha("a"), "tesseract") is None
    assert store.newest(sha("b"), "gemini") is None


def test_latest_gives_one_record_an_image_in_the_order_of_the_files(tmp_path):
    first, second = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    write(
        first,
        record("c", "old"),
        record("b", "b"),
        record("c", "c"),
        record("c", "", status="error"),
        record("a", "first"),
        record("d", "", status="error", version="1"),
        record("d", "", status="blocked", version="2"),
        record("e", "usable"),
        record("f", "by another", engine="gemini"),
    )
    write(second, record("a", "second"), record("e", "", status="error"), record("f", "f"))
    expected = [("b", "ok"), ("c", "ok"), ("", "blocked"), ("usable", "ok"), ("second", "ok"), ("f", "ok")]
    for _ in range(2):
        records = load_records([first, second])
        assert [(r.text, r.status) for r in records.latest("rapidocr")] == expected
    assert [r.status for r in records.latest("rapidocr@1")] == ["error"]
    assert list(records.latest("tesseract")) == []


def test_files_read_later_win_and_the_own_file_is_last(tmp_path):
    mine, theirs = tmp_path / "mine.jsonl", tmp_path / "theirs.jsonl"
    write(mine, record(text="mine"))
    write(theirs, record(text="theirs"), record("b"))
    assert found(load_records([mine, theirs])) == "theirs"
    store = RecordWriter(mine, also_read=[theirs, tmp_path / "." / "mine.jsonl"])
    assert found(store) == "mine"
    assert len(store) == 3  # the own file once


@pytest.mark.parametrize("torn", ['{"sha256": "ab', '{"sha', "\x00\x00\x00", "{}"])
def test_a_torn_last_line_is_reported_and_cut_off(tmp_path, torn):
    path = tmp_path / "ocr.jsonl"
    write(path, record("a"), record("b"), end="\n" + torn)
    with RecordWriter(path) as store:
        (skipped,) = store.skipped
        assert skipped.what == f"{path}:3"
        assert "cut short" in skipped.reason
        store.append(record("c"))
    again = RecordWriter(path)
    assert (len(again), again.skipped) == (3, [])


def test_a_last_line_that_lacks_only_its_end_is_kept(tmp_path):
    path = tmp_path / "ocr.jsonl"
    write(path, record("a"), record("b"), end="")
    with RecordWriter(path) as store:
        assert (len(store), store.skipped) == (2, [])
        store.append(record("c"))
    again = RecordWriter(path)
    assert (len(again), again.skipped) == (3, [])


def test_every_place_to_cut_a_file_loses_one_record_at_most(tmp_path):
    path = tmp_path / "ocr.jsonl"
    write(path, record("a", "ä"), record("b", "ö"))
    data = path.read_bytes()
    for length in range(0, len(data), 3):  # bytes of a two-byte letter and both line ends among them
        path.write_bytes(data[:length])
        with RecordWriter(path) as store:
            store.append(record("c"))
        again = RecordWriter(path)
        assert again.skipped == []
        assert len(again) == 1 + data[: length + 1].count(b"\n")  # a line without its line break is whole as well


def test_bad_lines_inside_are_listed_and_left_alone(tmp_path):
    path = tmp_path / "ocr.jsonl"
    good = to_json(record("a")).encode()
    path.write_bytes(b"\n".join([good, b"", b"no json", b'{"sha256": "\xff"}', b"{}", good.replace(b"ok", b"so"), b""]))
    with RecordWriter(path) as store:
        assert [skipped.what for skipped in store.skipped] == [f"{path}:{n}" for n in (3, 4, 5, 6)]
        assert "'sha256' is missing" in store.skipped[2].reason
        assert "damaged" in store.skipped[3].reason
        before = path.read_bytes()
        store.append(record("b"))
    assert path.read_bytes().startswith(before)


def test_lookups_do_not_disturb_a_walk_through_all_records(tmp_path):
    write(tmp_path / "ocr.jsonl", *(record(str(k), str(k) * 1000) for k in range(100)))
    with RecordWriter(tmp_path / "ocr.jsonl") as store:
        walked = []
        for k, walking in enumerate(store):
            walked.append(walking)
            assert found(store, str((7 * k) % 100)) == str((7 * k) % 100) * 1000
            if k < 5:
                store.append(record(f"new {k}"))
    assert walked == [record(str(k), str(k) * 1000) for k in range(100)] + [record(f"new {k}") for k in range(5)]


def test_two_stores_on_one_file_see_what_the_other_appends(tmp_path):
    path = tmp_path / "ocr.jsonl"
    with RecordWriter(path) as one, RecordWriter(path) as two:
        one.append(record("a", "by one"))
        assert found(two, "a") is None  # it opened the file for reading before there was one
        two.append(record("b", "by two"))
        assert (found(two, "a"), found(one, "b")) == ("by one", "by two")
        one.append(record("b", "newer"))
        assert (found(one, "b"), found(two, "b")) == ("newer", "newer")
        assert len(one) == len(two) == 3
    again = RecordWriter(path)
    assert ([r.text for r in again], again.skipped) == (["by one", "by two", "newer"], [])


@pytest.mark.parametrize("left", ['{"sha256": "ab', to_json(record("whole"))])
def test_what_another_killed_writer_left_costs_no_record(tmp_path, left):
    path = tmp_path / "ocr.jsonl"
    with RecordWriter(path) as one:
        one.append(record("a"))
        with path.open("a") as other:
            other.write(left)
        with RecordWriter(path) as two:  # it cannot know whether that line is still being written, and leaves it
            two.append(record("b"))
            one.append(record("c"))
        assert [found(one, image) for image in "abc"] == ["ALIEN"] * 3
        assert (found(one, "whole") is None) == (len(one.skipped) == 1) == (not left.endswith("}"))


def test_a_line_that_landed_behind_a_torn_one_is_written_again(tmp_path, monkeypatch):
    path = tmp_path / "ocr.jsonl"
    with RecordWriter(path) as store:
        store.append(record("a"))
        ends_line = store_module._ends_line
        torn = iter([True])

        def torn_in_between(file, size):
            ended = ends_line(file, size)
            if next(torn, False):
                with path.open("a") as other:
                    other.write("{")
            return ended

        monkeypatch.setattr(store_module, "_ends_line", torn_in_between)
        store.append(record("b"))
        assert found(store, "b") == "ALIEN"
        assert [line.what for line in store.skipped] == [f"{path}:2"]


def test_a_torn_line_longer_than_a_block_is_cut_off_and_told(tmp_path, caplog):
    path = tmp_path / "ocr.jsonl"
    write(path, record("a"), end="\n" + "\0" * 300_000)
    with RecordWriter(path) as store:
        store.append(record("b"))
    assert path.read_text() == "".join(to_json(record(image)) + "\n" for image in "ab")
    assert "cut short (300000 bytes)" in caplog.text


def test_lines_reach_the_disk_in_batches(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(store_module.os, "fsync", synced.append)
    now = [0.0]
    monkeypatch.setattr(store_module.time, "monotonic", lambda: now[0])
    with RecordWriter(tmp_path / "ocr.jsonl", sync_every=3, sync_seconds=10) as store:
        store.open()
        synced.clear()  # of the folder's entry
        counts = []
        for second in (0, 1, 2, 3, 4, 20, 21, 29, 30, 31):
            now[0] = second
            store.append(record())
            counts.append(len(synced))
        assert counts == [1, 1, 1, 2, 2, 3, 3, 3, 4, 4]  # the first; three more; 10 s later; 10 s later
        store.sync()
        store.sync()
        assert len(synced) == 5
        store.append(record())
    assert len(synced) == 6


def test_a_file_system_without_locks_is_told_and_written_all_the_same(tmp_path, monkeypatch, caplog):
    def no_locks(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", no_locks)
    write(tmp_path / "ocr.jsonl", record("a"), end="\n{")
    with RecordWriter(tmp_path / "ocr.jsonl") as store:
        store.append(record("b"))
    assert "cannot be locked (Operation not supported)" in caplog.text
    assert (len(RecordWriter(tmp_path / "ocr.jsonl")), RecordWriter(tmp_path / "ocr.jsonl").skipped) == (2, [])


def test_windows_line_ends_are_read(tmp_path):
    path = tmp_path / "ocr.jsonl"
    path.write_bytes(to_json(record("a")).encode() + b"\r\n")
    assert len(load_records([path])) == 1


def test_what_is_appended_to_an_empty_file_is_found(tmp_path):
    (tmp_path / "ocr.jsonl").touch()
    with RecordWriter(tmp_path / "ocr.jsonl") as store:
        store.append(record())
        assert found(store) == "ALIEN"
        assert store.newest(sha("a"), "rapidocr") is not None


def test_an_empty_file_holds_nothing(tmp_path):
    (tmp_path / "ocr.jsonl").touch()
    assert len(load_records([tmp_path / "ocr.jsonl"])) == 0


def test_a_missing_file_is_an_error_for_reading(tmp_path):
    with pytest.raises(InputError, match="no_such"):
        load_records([tmp_path / "no_such.jsonl"])
    with pytest.raises(InputError, match="no_such"):
        RecordWriter(tmp_path / "ocr.jsonl", also_read=[tmp_path / "no_such.jsonl"])


def test_a_place_that_cannot_be_written_names_field_and_fix(tmp_path):
    (tmp_path / "file").touch()
    store = RecordWriter(tmp_path / "file" / "ocr.jsonl")
    with pytest.raises(InputError, match=r"(?s)ocr\.store=.*--config\.ocr\.store=PATH"):
        store.open()
    with pytest.raises(InputError, match="cannot be read"):
        RecordWriter(tmp_path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, the disk that is always full")
def test_a_full_disk_is_told(tmp_path):
    store = RecordWriter(tmp_path / "none.jsonl")
    with (
        store,
        pathlib.Path("/dev/full").open("wb", buffering=0) as full,
    ):
        store._file = full
        with pytest.raises(InputError, match=r"No space left.*make room"):
            store.append(record())


@pytest.mark.parametrize("indexed", [False, True])
def test_a_read_only_folder_serves_for_reading(tmp_path, indexed):
    write(tmp_path / "ocr.jsonl", record())
    if indexed:
        load_records([tmp_path / "ocr.jsonl"])
    tmp_path.chmod(0o500)
    try:
        store = RecordWriter(tmp_path / "ocr.jsonl")
        assert found(store) == "ALIEN"
        assert (tmp_path / "ocr.jsonl.index").exists() == indexed
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_file_is_not_opened_for_appending(tmp_path):
    write(tmp_path / "ocr.jsonl", record())
    (tmp_path / "ocr.jsonl").chmod(0o400)
    with pytest.raises(InputError, match="Permission denied"):
        RecordWriter(tmp_path / "ocr.jsonl").open()


@pytest.mark.real
def test_the_records_of_real_posters_load_quickly(shared_dir, tmp_path):
    path = tmp_path / "ocr.jsonl"
    shutil.copyfile(shared_dir / "posters" / "ocr.jsonl", path)
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        records = load_records([path])
        seconds.append(time.perf_counter() - started)
        assert len(records) == 3850
    assert records.skipped == []
    assert sum(r.status == "empty" for r in records) == 44
    assert seconds[0] < 3
    assert seconds[1] < 0.3
