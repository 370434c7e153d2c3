"""The run: what is read, what is left, and that neither a kill nor a dying process loses more than what was in flight."""

import collections
import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import fake_engines
import pytest
from PIL import Image

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.engines.base import EngineChoice
from posterfusion_jax.ocr.options import ReadOptions
from posterfusion_jax.ocr.records.record import OcrRecord
from posterfusion_jax.ocr.records.store import RecordWriter
from posterfusion_jax.ocr.run import read_posters
from posterfusion_jax.ocr.summary import OcrSummary, format_summary
from posterfusion_jax.posters.folder import Skipped, find_posters


def draw(folder: pathlib.Path, *widths: int) -> pathlib.Path:
    """A posters folder: image k has the k-th width and the height 20 + k, so all differ."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for k, width in enumerate(widths, start=1):
        Image.new("RGB", (width, 20 + k), "navy").save(folder / "images" / f"tt0000001_{k}.png")
    return folder


FAKE = EngineChoice(name="rapidocr", make=fake_engines.make)


def run(
    folder: pathlib.Path, engine: EngineChoice = FAKE, *, workers: int = 1, progress: bool = False, **options
) -> tuple[OcrSummary, RecordWriter]:
    posters, _ = find_posters(folder)
    with RecordWriter(folder / "ocr.jsonl") as store:
        return read_posters(posters, store, engine, ReadOptions(workers=workers, **options), progress=progress), store


def by_poster(store: RecordWriter) -> dict[str, OcrRecord]:
    """The records without what differs from run to run."""
    return {r.poster_id: dataclasses.replace(r, seconds=None, time=None) for r in store}


def test_every_poster_gets_a_record_and_none_is_read_twice(tmp_path):
    draw(tmp_path, 30, fake_engines.BLANK_WIDTH, 31)
    summary, store = run(tmp_path)
    assert (summary.total, summary.read, summary.already) == (3, 3, 0)
    assert summary.by_status == {"empty": 1, "ok": 2}
    record = by_poster(store)["tt0000001_3"]
    assert (record.text, record.lines, record.confidences) == ("31\nx 23", ("31", "x 23"), (0.9, 0.8))
    assert (record.film_id, record.source_width, record.source_height) == ("tt0000001", 31, 23)
    assert (record.engine, record.engine_version, record.model_version) == ("rapidocr", "1", "m")
    again, _ = run(tmp_path)
    assert (again.read, again.already) == (0, 3)
    assert len(RecordWriter(tmp_path / "ocr.jsonl")) == 3


def test_the_records_do_not_depend_on_the_number_of_workers(tmp_path):
    widths = (30, 31, fake_engines.BLANK_WIDTH, 32, fake_engines.FAULTY_WIDTH, 33)
    one, store_of_one = run(draw(tmp_path / "one", *widths), workers=1)
    two, store_of_two = run(draw(tmp_path / "two", *widths), workers=2)
    assert by_poster(store_of_one) == by_poster(store_of_two)
    assert one.by_status == two.by_status == {"empty": 1, "error": 1, "ok": 4}


def test_equal_files_are_read_once_and_a_renamed_file_not_again(tmp_path):
    draw(tmp_path, 30, 31)
    images = tmp_path / "images"
    (images / "tt0000002_1.png").write_bytes((images / "tt0000001_1.png").read_bytes())
    summary, _ = run(tmp_path)
    assert (summary.total, summary.read, summary.copies) == (3, 2, 1)
    (images / "tt0000001_2.png").rename(images / "tt0000003.png")
    summary, _ = run(tmp_path)
    assert (summary.read, summary.already) == (0, 3)


def test_what_cannot_be_read_is_recorded_with_the_reason_and_retried_on_demand(tmp_path):
    draw(tmp_path, 30, fake_engines.FAULTY_WIDTH)
    (tmp_path / "images" / "tt0000009_1.jpg").write_text("<html>not found</html>")
    summary, store = run(tmp_path)
    assert summary.by_status == {"error": 2, "ok": 1}
    assert [failure.what for failure in summary.failures] == ["tt0000001_2", "tt0000009_1"]
    records = by_poster(store)
    assert records["tt0000001_2"].reason == "RuntimeError: no such glyph"
    assert records["tt0000009_1"].reason.startswith("unreadable image: not an image in a format that is read (JPEG, ")
    assert (records["tt0000001_2"].source_width, records["tt0000009_1"].source_width) == (fake_engines.FAULTY_WIDTH, None)

    left, _ = run(tmp_path)
    assert (left.read, left.already, left.failed_before) == (0, 1, 2)
    again, store = run(tmp_path, retry=("error",))
    assert (again.read, again.already, again.failed_before) == (2, 1, 0)
    assert by_poster(store)["tt0000001_2"].attempts == 2


def test_a_file_that_cannot_be_opened_is_counted(tmp_path):
    draw(tmp_path, 30)
    posters, _ = find_posters(tmp_path)
    gone = posters[0]._replace(poster_id="tt0000002_1", file=str(tmp_path / "images" / "tt0000002_1.png"))
    with RecordWriter(tmp_path / "ocr.jsonl") as store:
        summary = read_posters([*posters, gone], store, FAKE, ReadOptions(workers=1), progress=False)
    assert (summary.read, summary.unreadable) == (1, 1)
    assert "tt0000002_1: cannot be read: No such file" in format_summary(summary)


def test_another_engines_text_suffices_unless_told_otherwise(tmp_path):
    draw(tmp_path, 30, 31)
    _, store = run(tmp_path)
    first, second = (r.sha256 for r in store)
    (tmp_path / "ocr.jsonl").unlink()
    with RecordWriter(tmp_path / "ocr.jsonl") as store:
        store.append(OcrRecord(sha256=first, status="ok", text="theirs", engine="gemini"))
        store.append(OcrRecord(sha256=second, status="blocked", text="", engine="gemini", attempts=3))
    summary, store = run(tmp_path)
    assert (summary.read, summary.already) == (1, 1)  # a text that another engine failed to get is still wanted
    own = store.newest(second, "rapidocr")
    assert own is not None
    assert own.attempts == 1
    summary, store = run(tmp_path, reread="engine")
    assert (summary.read, summary.already) == (1, 1)
    texts = [record and record.text for record in (store.find(first, prefer=[e]) for e in ("rapidocr", "gemini"))]
    assert texts == ["30\nx 21", "theirs"]


def test_a_new_version_reads_again_only_if_told(tmp_path):
    draw(tmp_path, 30, 31)
    run(tmp_path)
    file = tmp_path / "ocr.jsonl"
    text = re.sub(r', "check": "[0-9a-f]{8}"', "", file.read_text())  # which is that of the version
    file.write_text(text.replace('"engine_version": "1"', '"engine_version": "0.9"', 1))
    assert run(tmp_path, reread="engine")[0].already == 2
    summary, store = run(tmp_path, reread="version")
    assert (summary.read, summary.already) == (1, 1)
    assert len(store) == 3
    assert run(tmp_path, reread="version")[0].already == 2


def test_a_failure_of_the_engine_is_not_tried_again_for_another_engines_text(tmp_path):
    draw(tmp_path, 30)
    _, store = run(tmp_path)
    [sha256] = (r.sha256 for r in store)
    (tmp_path / "ocr.jsonl").unlink()
    with RecordWriter(tmp_path / "ocr.jsonl") as store:
        store.append(OcrRecord(sha256=sha256, status="ok", text="theirs", engine="gemini"))
        store.append(OcrRecord(sha256=sha256, status="error", text="", engine="rapidocr"))
    summary, _ = run(tmp_path)
    assert (summary.already, summary.by_others) == (1, 1)
    assert "1 were read by another engine only" in format_summary(summary)
    summary, _ = run(tmp_path, reread="engine")
    assert (summary.read, summary.failed_before) == (0, 1)
    assert run(tmp_path, reread="engine", retry=("error",))[0].read == 1


def test_no_engine_reads_nothing_and_writes_nothing(tmp_path):
    summary, store = run(draw(tmp_path, 30), EngineChoice(name="none"))
    assert (summary.total, summary.read, len(store)) == (1, 0, 0)
    assert not (tmp_path / "ocr.jsonl").exists()


def test_a_finished_folder_needs_no_place_to_write(tmp_path):
    run(draw(tmp_path, 30))
    (tmp_path / "file").touch()
    posters, _ = find_posters(tmp_path)
    with RecordWriter(tmp_path / "file" / "x", also_read=[tmp_path / "ocr.jsonl"]) as store:
        assert read_posters(posters, store, FAKE, progress=False).already == 1
    with RecordWriter(tmp_path / "file" / "x") as store, pytest.raises(InputError, match=r"ocr\.store"):
        read_posters(posters, store, FAKE, progress=False)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"engine": EngineChoice(name="tesseract5")}, r"ocr\.engine='tesseract5'.*rapidocr"),
        ({"retry": ("failed",)}, r"ocr\.retry='failed'.*blocked"),
        ({"reread": "always"}, r"ocr\.reread='always'"),
        ({"workers": 0}, r"ocr\.workers=0"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, arguments, named):
    with pytest.raises(InputError, match=named):
        run(draw(tmp_path, 30), **arguments)


def test_progress_goes_to_stderr_and_shows_rate_and_rest(tmp_path, capsys):
    run(draw(tmp_path, 30, 31), progress=True)
    output, errors = capsys.readouterr()
    assert output == ""
    assert "OCR: 100%" in errors
    assert "2/2" in errors
    assert "poster" in errors


def test_a_poster_that_kills_its_process_is_recorded_and_the_others_are_read(tmp_path, caplog):
    draw(tmp_path, 30, 31, fake_engines.DEADLY_WIDTH, 32, 33, 34)
    summary, store = run(tmp_path, workers=2)
    assert summary.by_status == {"error": 1, "ok": 5}
    assert len(store) == 6
    dead = by_poster(store)["tt0000001_3"]
    assert (dead.status, dead.text) == ("error", "")
    assert "died: out of memory" in (dead.reason or "")
    assert summary.failures[0].what == "tt0000001_3"
    assert not caplog.records  # one poster's fault is no reason for fewer workers


def test_a_death_that_is_no_posters_fault_loses_none_and_halves_the_workers(tmp_path, caplog):
    draw(tmp_path, 30, 31, fake_engines.DEADLY_ONCE_WIDTH, *range(32, 40))
    engine = dataclasses.replace(FAKE, options={"seconds": 0.02, "log": str(tmp_path / "pids")})
    summary, store = run(tmp_path, engine, workers=2)
    assert summary.by_status == {"ok": 11}
    assert len(store) == 11
    assert [record.getMessage() for record in caplog.records] == [
        "An OCR worker process died, probably for lack of memory; continuing with 1."
    ]


def test_deaths_one_after_another_end_the_run_with_a_clear_message(tmp_path):
    draw(tmp_path, *[fake_engines.DEADLY_WIDTH] * 5)
    with pytest.raises(InputError, match=r"died on 3 posters in a row.*ocr\.workers=1"):
        run(tmp_path, workers=2)
    assert len(RecordWriter(tmp_path / "ocr.jsonl")) == 3


def start(folder: pathlib.Path, *, seconds: float) -> subprocess.Popen:
    here = pathlib.Path(__file__).resolve()
    return subprocess.Popen(
        [sys.executable, "-c", f"import fake_engines; fake_engines.main({str(folder)!r}, 2, {seconds})"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(here.parents[2]), str(here.parents[1] / "helpers")])},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def workers_of(folder: pathlib.Path) -> set[int]:
    return {int(line.split()[0]) for line in (folder / "pids").read_text().splitlines()}


def wait_for_records(folder: pathlib.Path, count: int) -> None:
    """Until there are `count` records, and both workers have begun."""
    deadline = time.monotonic() + 60
    path = folder / "ocr.jsonl"
    while not path.exists() or path.read_bytes().count(b"\n") < count or len(workers_of(folder)) < 2:
        assert time.monotonic() < deadline, "the run wrote no records"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks at processes in /proc")
def test_a_killed_run_goes_on_where_it_was(tmp_path):
    draw(tmp_path, *range(30, 54))
    process = start(tmp_path, seconds=0.1)
    wait_for_records(tmp_path, 5)
    process.kill()
    process.communicate()
    kept = len(RecordWriter(tmp_path / "ocr.jsonl"))
    assert 5 <= kept < 24

    workers = workers_of(tmp_path)
    deadline = time.monotonic() + 20
    while any(map(alive, workers)):  # nobody told them; they notice by themselves
        assert time.monotonic() < deadline, "workers outlived their parent"
        time.sleep(0.05)

    with (tmp_path / "ocr.jsonl").open("ab") as file:
        file.write(b'{"sha256": "00')  # as if the kill had met the write
    summary, store = run(tmp_path, workers=1)
    assert (summary.already, summary.read) == (kept, 24 - kept)
    assert set(collections.Counter(r.poster_id for r in store).values()) == {1}
    again = RecordWriter(tmp_path / "ocr.jsonl")
    assert (len(again), again.skipped) == (24, [])


def test_ctrl_c_keeps_what_is_in_flight(tmp_path):
    draw(tmp_path, *range(30, 54))
    process = start(tmp_path, seconds=0.4)
    wait_for_records(tmp_path, 3)
    time.sleep(0.1)  # out of the moment of writing
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does: parent and workers
    _, errors = process.communicate(timeout=20)
    assert process.returncode != 0
    assert errors.count(b"Traceback") == 1  # the parent's KeyboardInterrupt; the workers are silent
    begun = len((tmp_path / "pids").read_text().splitlines())
    store = RecordWriter(tmp_path / "ocr.jsonl")
    assert len(store) == begun < 24
    assert store.skipped == []


def test_the_summary_is_for_people():
    summary = OcrSummary(
        total=4499,
        already=3850,
        by_others=0,
        failed_before=2,
        copies=1,
        unreadable=0,
        read=646,
        by_status={"empty": 15, "error": 12, "ok": 619},
        failures=tuple(Skipped(f"tt00000{k:02}_1", "corrupt") for k in range(12)),
        seconds=393.9,
        seconds_per_poster=0.6098,
    )
    lines = format_summary(summary).splitlines()
    assert lines[0] == "OCR: 4,499 posters, 646 read now in 394 s (0.61 s per poster): 15 empty, 12 error, 619 ok"
    assert lines[1] == "  3,850 had been read before"
    assert "copies" in lines[2]
    assert "failed before" in lines[3]
    assert lines[4] == "  tt0000000_1: corrupt"
    assert lines[-1] == "  and 2 more failures"


def test_a_log_file_gets_whole_lines(tmp_path, capsys):
    run(draw(tmp_path, 30, 31, 32), progress=True)
    log = capsys.readouterr().err
    assert "\r" not in log
    assert [line[:9] for line in log.splitlines() if "OCR" in line] == ["OCR: 100%"]
