"""Compaction: lookups stay as they were, nothing is lost on the way, and nobody who writes is disturbed."""

import itertools
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading

import pytest
from records_for_tests import found, record, sha, write

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.records import compaction
from posterfusion_jax.ocr.records.compaction import Compacted, compact, describe
from posterfusion_jax.ocr.records.record import STATUSES, to_json
from posterfusion_jax.ocr.records.store import RecordWriter, load_records

ROOT = pathlib.Path(__file__).resolve().parents[2]


def texts(path: pathlib.Path) -> list[str]:
    return [r.text for r in load_records([path])]


def test_what_counts_is_kept_and_the_rest_goes(tmp_path):
    path, rejected = tmp_path / "ocr.jsonl", tmp_path / "ocr.jsonl.rejected"
    write(
        path,
        record("a", "old"),
        record("b", "only"),
        record("a", "new"),
        record("a", "failed", status="error"),
        record("a", "version 2", version="2"),
        record("a", "gemini", engine="gemini"),
        record("c", "failed", status="error"),
        record("c", "failed again", status="blocked"),
        end="\n\nno json\n" + '{"sha256": "torn',
    )
    path.chmod(0o640)
    before = path.stat().st_size
    lines = path.read_bytes().splitlines(keepends=True)
    done = compact(path)
    assert done == Compacted(kept=5, superseded=3, rejected=2, bytes_before=before, bytes_after=path.stat().st_size)
    assert texts(path) == ["only", "new", "version 2", "gemini", "failed again"]
    assert path.read_bytes() == b"".join(lines[k] for k in (1, 2, 4, 5, 7))  # byte for byte
    assert path.stat().st_mode & 0o777 == 0o640
    assert rejected.read_bytes() == b'no json\n{"sha256": "torn\n'
    assert describe(path) == (
        {
            ("gemini", "", "ok"): 1,
            ("rapidocr", "", "blocked"): 1,
            ("rapidocr", "", "ok"): 2,
            ("rapidocr", "2", "ok"): 1,
        },
        3,
        0,
        [],
    )
    inode = path.stat().st_ino
    assert compact(path) == Compacted(5, 0, 0, path.stat().st_size, path.stat().st_size)
    assert path.stat().st_ino == inode  # left alone
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ocr.jsonl", "ocr.jsonl.index", "ocr.jsonl.rejected"]


def test_no_lookup_changes(tmp_path):
    path = tmp_path / "ocr.jsonl"
    rng = random.Random(0)
    images, engines, versions = "abcdefgh", ("rapidocr", "gemini", "tesseract"), ("1", "2")
    write(
        path,
        *(
            record(
                rng.choice(images),
                str(k),
                status=rng.choice(STATUSES),
                engine=rng.choice(engines),
                version=rng.choice(versions),
            )
            for k in range(200)
        ),
    )
    preferences = [(), *itertools.permutations((*engines, "gemini@1"), 2)]

    def answers():
        records = load_records([path])
        latest = {engine: [r.text for r in records.latest(engine)] for engine in engines}
        return latest, [found(records, image, prefer=prefer) for image in images for prefer in preferences]

    before = answers()
    assert compact(path).superseded > 100
    assert answers() == before


def test_an_index_that_is_wrong_costs_no_record(tmp_path):
    path = tmp_path / "ocr.jsonl"
    write(path, *(record(str(k), "x" * 1000) for k in range(20)), record("0", "x" * 1000))
    load_records([path])
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:10], lines[11], lines[10], *lines[12:]]))  # which the index does not notice
    assert compact(path).kept == 20
    assert len(load_records([path])) == 20


def test_the_last_line_gets_its_end_and_a_link_stays_a_link(tmp_path):
    path, link = tmp_path / "ocr.jsonl", tmp_path / "link.jsonl"
    write(path, record("a", "old"), record("a", "new"), end="")
    link.symlink_to(path)
    compact(link)
    assert link.is_symlink()
    assert path.read_text() == to_json(record("a", "new")) + "\n"


def test_a_writer_is_not_disturbed(tmp_path):
    path = tmp_path / "ocr.jsonl"
    write(path, record("a", "old"), record("a", "new"))
    with RecordWriter(path) as store:
        store.open()
        before = path.read_bytes()
        with pytest.raises(InputError, match=r"ocr\.jsonl.*being written or compacted by another process"):
            compact(path)
        assert path.read_bytes() == before
        store.append(record("b"))
    assert compact(path).superseded == 1


def test_readers_are_not_disturbed_and_a_store_that_opens_later_appends_to_the_new_file(tmp_path):
    path = tmp_path / "ocr.jsonl"
    write(path, record("a", "old"), record("a", "new"), record("b", "b"))
    reader, store = load_records([path]), RecordWriter(path)
    compact(path)
    assert [r.text for r in reader] == ["old", "new", "b"]
    assert (found(reader, "a"), found(store, "b")) == ("new", "b")
    with store:
        store.append(record("c", "c"))
        assert [found(store, image) for image in "abc"] == ["new", "b", "c"]
    assert texts(path) == ["new", "b", "c"]


def test_who_opens_the_file_to_write_waits_for_the_compaction(tmp_path, monkeypatch):
    path = tmp_path / "ocr.jsonl"
    write(path, record("a", "old"), record("a", "new"))
    opened = threading.Event()

    def append():
        with RecordWriter(path) as store:
            store.append(record("b", "b"))
        opened.set()

    replace = os.replace
    writer = threading.Thread(target=append)

    def replace_late(*paths):
        writer.start()
        assert not opened.wait(0.3)
        replace(*paths)

    monkeypatch.setattr(compaction.os, "replace", replace_late)
    compact(path)
    assert opened.wait(20)
    writer.join()
    assert texts(path) == ["new", "b"]


def test_what_cannot_be_compacted_is_named(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"no_such\.jsonl"):
        compact(tmp_path / "no_such.jsonl")
    with pytest.raises(InputError, match=r"no_such\.jsonl"):
        describe(tmp_path / "no_such.jsonl")
    write(tmp_path / "ocr.jsonl", record(), record())
    (tmp_path / "ocr.jsonl.compacting").mkdir()
    with pytest.raises(InputError, match=r"ocr\.jsonl.*cannot be compacted: Is a directory"):
        compact(tmp_path / "ocr.jsonl")


KILLED = """
import os, signal, sys
from posterfusion_jax.ocr import compaction
from posterfusion_jax.ocr.records.indexed_file import RecordFile

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

name = sys.argv[2]
if name == "after the renaming":
    compaction.sync_folder = die
elif name == "before the renaming":
    os.replace = die
elif name == "before bad lines are moved":
    compaction._append_once = die
elif name == "while writing":
    read, left = RecordFile.read_line, iter(range(20))
    RecordFile.read_line = lambda *place: die() if next(left, None) is None else read(*place)
compaction.compact(sys.argv[1])
"""
MOMENTS = ("while writing", "before bad lines are moved", "before the renaming", "after the renaming")


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_any_moment_it_leaves_a_whole_file(tmp_path, moment):
    path = tmp_path / "ocr.jsonl"
    write(path, *(record(str(k % 30), str(k)) for k in range(60)), end="\nbad\n")
    load_records([path])
    before = path.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, path, moment], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    after = b"".join(line + b"\n" for line in before.splitlines()[30:60])
    assert path.read_bytes() == (after if moment == "after the renaming" else before)
    assert [found(load_records([path]), str(k)) for k in range(30)] == [str(k) for k in range(30, 60)]
    compact(path)
    assert path.read_bytes() == after
    assert path.with_name("ocr.jsonl.rejected").read_bytes() == b"bad\n"


def command(*arguments) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "launch" / "ocr_records.py", *arguments], capture_output=True, text=True, timeout=60
    )


def test_the_command(tmp_path):
    path = tmp_path / "ocr.jsonl"
    write(path, record("a"), record("a"), record("b", engine="gemini", version="v1", status="blocked"), end="\nbad\n")
    shown = command("show", path)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines() == [
        "engine    version  status   records",
        "gemini    v1       blocked        1",
        "rapidocr           ok             2",
        "",
        "3 records of 2 images, 1 of them superseded",
        "1 lines that are not records",
        f"  {path}:4: not JSON: Expecting value: line 1 column 1 (char 0)",
    ]
    done = command("compact", path)
    assert done.returncode == 0, done.stderr
    assert "2 records kept, 1 superseded ones removed" in done.stdout
    assert f"1 lines that are not records moved to {path}.rejected" in done.stdout
    assert command("compact", path).stdout == "nothing to do: all 2 records count\n"
    with RecordWriter(path) as store:
        store.append(record(sha("a")))
        refused = command("compact", path)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: OCR records '{path}' are being written")
