"""The index beside a record file: used without reading the file, not believed when it is wrong, not missed when it is gone."""

import dataclasses
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys

import pytest
from records_for_tests import found, record, write

from posterfusion_jax.ocr.records import index, indexed_file, record_lines
from posterfusion_jax.ocr.records.record import from_json, to_json
from posterfusion_jax.ocr.records.store import RecordWriter, load_records

IMAGES = [str(k) for k in range(50)]


@pytest.fixture
def path(tmp_path) -> pathlib.Path:
    """Fifty records and a bad line in the midst, not indexed yet."""
    lines = [to_json(record(image, image)) for image in IMAGES]
    (tmp_path / "ocr.jsonl").write_text("\n".join([*lines[:20], "bad", *lines[20:], ""]))
    return tmp_path / "ocr.jsonl"


@pytest.fixture
def parsed(monkeypatch) -> list[str]:
    """The lines that are parsed from here on."""
    lines: list[str] = []
    from_json = indexed_file.from_json

    def counted(line: str):
        lines.append(line)
        return from_json(line)

    monkeypatch.setattr(indexed_file, "from_json", counted)
    monkeypatch.setattr(record_lines, "from_json", counted)
    return lines


def index_of(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(path.name + ".index")


def assert_right(records, images=IMAGES) -> None:
    assert [found(records, image) for image in images] == images
    assert len(records) == len(images)


def test_an_indexed_file_is_opened_without_parsing_it(path, parsed):
    load_records([path])
    assert len(parsed) == 51
    parsed.clear()
    records = load_records([path])
    assert (len(records), [line.what for line in records.skipped]) == (50, [f"{path}:21"])
    assert parsed == []
    assert_right(records)
    assert len(parsed) == 50  # those that were asked for


def test_only_what_was_appended_is_parsed(path, parsed):
    load_records([path])
    with path.open("a") as file:
        file.write("bad, too\n" + to_json(record("new", "new")) + "\n")
    parsed.clear()
    records = load_records([path])
    assert len(parsed) == 2
    assert [line.what for line in records.skipped] == [f"{path}:21", f"{path}:52"]
    assert_right(records, [*IMAGES, "new"])


def test_a_store_leaves_an_index_of_what_it_appended(path, parsed):
    with RecordWriter(path) as store:
        store.append(record("new", "new"))
    parsed.clear()
    assert len(RecordWriter(path)) == 51
    assert parsed == []


def test_moving_the_file_with_its_index_costs_nothing_and_without_it_one_reading(path, parsed):
    load_records([path])
    moved = path.with_name("moved.jsonl")
    path.rename(moved)
    index_of(path).rename(index_of(moved))
    parsed.clear()
    records = load_records([moved])
    assert [line.what for line in records.skipped] == [f"{moved}:21"]
    assert parsed == []
    again = moved.with_name("again.jsonl")
    moved.rename(again)
    records = load_records([again])
    assert len(parsed) == 51
    assert_right(records)
    copy = shutil.copyfile(again, path)
    shutil.copyfile(index_of(again), index_of(path))
    parsed.clear()
    assert len(load_records([copy])) == 50
    assert parsed == []


def other_sql(path: pathlib.Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE mine (a)")
    db.close()


def other_format(path: pathlib.Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 7")
    db.execute("DROP TABLE records")
    db.commit()
    db.close()


def overwrite(path: pathlib.Path, start: int) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\xa5" * (path.stat().st_size - start))


DAMAGES = {
    "missing": lambda path: path.unlink(),
    "no database": lambda path: path.write_bytes(b"not SQLite" * 1000),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "overwritten": lambda path: overwrite(path, 0),
    "overwritten behind its head": lambda path: overwrite(path, 4096),
    "another database": lambda path: (path.unlink(), other_sql(path)),
    "another format": other_format,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_an_index_that_cannot_be_used_is_made_again(path, damage, parsed):
    load_records([path])
    damage(index_of(path))
    assert_right(load_records([path]))
    parsed.clear()
    records = load_records([path])
    assert parsed == []
    assert_right(records)


def test_damage_while_it_is_open_is_mended(path, caplog):
    records = load_records([path])
    overwrite(index_of(path), 100)
    records._files[0]._index._db.execute("PRAGMA cache_size = 0")
    records._files[0]._index._db.execute("PRAGMA shrink_memory")
    os.utime(index_of(path))
    with sqlite3.connect(index_of(path)) as db, pytest.raises(sqlite3.DatabaseError):
        db.execute("SELECT * FROM records").fetchall()
    db.close()
    assert_right(records)
    assert "is damaged" in caplog.text


@pytest.mark.parametrize(
    "replace",
    [
        lambda lines: lines[:30],  # an older copy
        lambda lines: lines[10:],  # as after an edit
        lambda lines: lines[::-1],  # of equal length
        lambda lines: [*lines[:-1], to_json(dataclasses.replace(from_json(lines[-1]), engine="tesserac"))],
        lambda lines: [*lines[1:], *lines],  # longer
        lambda lines: [],
    ],
)
def test_the_index_of_another_file_is_not_believed(path, replace):
    load_records([path])
    lines = replace([line for line in path.read_text().splitlines() if line != "bad"])
    path.unlink()
    path.write_text("".join(line + "\n" for line in lines))
    records = load_records([path])
    assert len(records) == len(lines)
    assert records.skipped == []
    for image in IMAGES:
        assert (found(records, image) == image) == any(f'"text": "{image}"' in line for line in lines)


def test_an_edit_in_the_midst_of_the_same_length_is_noticed_when_it_matters(tmp_path, caplog):
    path = tmp_path / "ocr.jsonl"
    write(path, *(record(str(k), str(k) * 2000) for k in range(9)))  # more than the bytes by which the file is known
    load_records([path])
    lines = path.read_text().splitlines(keepends=True)
    lines[4], lines[5] = lines[5], lines[4]
    lines[6] = lines[6].replace('"status": "ok"', '"status": "so"')
    path.write_text("".join(lines))
    records = load_records([path])
    assert [found(records, image) for image in ("4", "5")] == ["4" * 2000, "5" * 2000]
    assert found(records, "6") is None
    assert "changed other than by appending" in caplog.text


def test_a_record_without_a_line_end_is_indexed_too(tmp_path, parsed, caplog):
    path = tmp_path / "ocr.jsonl"
    write(path, record("a", "a"), record("b", "b"), end="")
    load_records([path])
    parsed.clear()
    records = load_records([path])
    assert parsed == []
    assert [r.text for r in records.latest("rapidocr")] == ["a", "b"]
    with path.open("a") as file:
        file.write("\nbad\n" + to_json(record("c", "c")))
    for again in (records, load_records([path])):
        assert_right(again, ["a", "b", "c"])
        assert [line.what for line in again.skipped] == [f"{path}:3"]
    assert not caplog.records
    with path.open("a") as file:
        file.write("glued\n")
    for again in (records, load_records([path])):
        assert_right(again, ["a", "b"])
        assert [line.what for line in again.skipped] == [f"{path}:3", f"{path}:4"]


def test_a_file_that_shrinks_while_it_is_open_is_indexed_anew(path):
    records = load_records([path])
    lines = path.read_text().splitlines(keepends=True)
    os.truncate(path, len("".join(lines[:10])))
    assert_right(records, IMAGES[:10])


def test_readers_go_on_with_the_file_that_they_opened(path):
    records = load_records([path])
    other = path.with_name("other.jsonl")
    write(other, record("other", "other"))
    other.replace(path)
    assert_right(load_records([path]), ["other"])
    assert_right(records)


def test_where_no_index_can_be_written_there_is_one_in_memory(path, caplog, monkeypatch):
    index_of(path).mkdir()
    records = load_records([path])
    assert_right(records)
    assert not caplog.records  # nothing to tell of what costs nothing
    monkeypatch.setattr(indexed_file, "_SLOW_S", 0.0)
    with RecordWriter(path) as store:
        store.append(record("new", "new"))
        assert_right(store, [*IMAGES, "new"])
    assert "it is rebuilt in memory" in caplog.text


def test_an_index_that_another_process_holds_is_copied(path, monkeypatch):
    load_records([path])
    with path.open("a") as file:
        file.write(to_json(record("new", "new")) + "\n")
    monkeypatch.setattr(index, "_WAIT_S", 0.05)
    holder = sqlite3.connect(index_of(path), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    records = load_records([path])
    assert_right(records, [*IMAGES, "new"])
    assert "locked" in (records._files[0]._index.in_memory_reason or "")
    holder.execute("ROLLBACK")
    holder.close()
    assert load_records([path])._files[0]._index.in_memory_reason is None


def test_a_long_file_is_indexed_in_steps_and_shows_progress(path, monkeypatch):
    shown, bar = [], indexed_file.progress_bar
    monkeypatch.setattr(indexed_file, "progress_bar", lambda **options: shown.append(options["desc"]) or bar(**options))
    monkeypatch.setattr(indexed_file, "_STEP_BYTES", 1000)
    monkeypatch.setattr(indexed_file, "_SLOW_S", 0.0)
    records = load_records([path])
    assert_right(records)
    assert [line.what for line in records.skipped] == [f"{path}:21"]
    assert set(shown) == {"Indexing ocr.jsonl"}


def test_appended_lines_go_into_the_index_before_they_are_many(tmp_path, monkeypatch):
    monkeypatch.setattr(indexed_file, "RECENT_BYTES", 2000)
    path = tmp_path / "ocr.jsonl"
    with RecordWriter(path) as store:
        for image in IMAGES:
            store.append(record(image, image))
            assert found(store, image) == image
            assert sum(map(len, store._files[0]._recent.values())) < 12
        assert_right(store)


def test_processes_that_index_a_file_at_a_time_do_not_get_in_each_others_way(tmp_path):
    path = tmp_path / "ocr.jsonl"
    write(path, *(record(str(k), str(k)) for k in range(3000)))
    command = """
import sys, pathlib
from posterfusion_jax.ocr.records import indexed_file
from posterfusion_jax.ocr.records.store import load_records
indexed_file._STEP_BYTES = 20_000
records = load_records([sys.argv[1]])
print(len(records), sum(r.text == str(k) for k, r in enumerate(records.latest("rapidocr"))), records.skipped)
"""
    root = str(pathlib.Path(__file__).resolve().parents[2])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", command, path], env=os.environ | {"PYTHONPATH": root}, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    assert [process.communicate()[0] for process in processes] == ["3000 3000 []\n"] * 3
    assert len(load_records([path])) == 3000
