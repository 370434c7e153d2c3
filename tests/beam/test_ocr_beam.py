"""The run on Beam: the records of the plain run, nothing read twice, and what is left of a pipeline that broke off."""

import dataclasses
import gc
import json
import os
import pathlib
import subprocess
import sys

import fake_engines
import pytest
from PIL import Image

pytest.importorskip("apache_beam", reason="apache-beam is not installed (the extra beam)")

from posterfusion_jax.beam import ocr, pipeline
from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr import worker_pool
from posterfusion_jax.ocr.engines.base import EngineChoice
from posterfusion_jax.ocr.options import ReadOptions
from posterfusion_jax.ocr.records.record import OcrRecord, to_json
from posterfusion_jax.ocr.records.store import RecordWriter, load_records
from posterfusion_jax.ocr.run import read_posters
from posterfusion_jax.ocr.summary import OcrSummary
from posterfusion_jax.posters.folder import find_posters, record_files

ROOT = pathlib.Path(__file__).resolve().parents[2]
TWO_PROCESSES = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")


# A pipeline that breaks off leaves Beam's own files open.
pytestmark = pytest.mark.filterwarnings(r"ignore:.*beam-temp-:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def _workers_find_the_engine(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests" / "helpers")]))


def draw(folder: pathlib.Path, *widths: int) -> pathlib.Path:
    """A posters folder: image k has the k-th width and the height 20 + k, so all differ."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for k, width in enumerate(widths, start=1):
        Image.new("RGB", (width, 20 + k), "navy").save(folder / "images" / f"tt0000001_{k}.png")
    return folder


FAKE = EngineChoice(name="rapidocr", make=fake_engines.make)


def run(folder: pathlib.Path, *flags: str, log: pathlib.Path | None = None, **arguments) -> OcrSummary:
    posters, _ = ocr.list_posters(str(folder))
    engine = dataclasses.replace(FAKE, options={"log": str(log)} if log else {})
    return ocr.read_with_beam(posters, str(folder), engine, flags=flags, **arguments)


def run_plainly(folder: pathlib.Path) -> OcrSummary:
    posters, _ = find_posters(folder)
    with RecordWriter(folder / "ocr.jsonl") as store:
        return read_posters(posters, store, FAKE, ReadOptions(workers=1), progress=False)


def by_image(folder: pathlib.Path) -> dict[str, OcrRecord]:
    """The records without what differs from run to run."""
    return {r.sha256: dataclasses.replace(r, seconds=None, time=None) for r in load_records(record_files(folder))}


def names(folder: pathlib.Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".index")


def timeless(summary: OcrSummary) -> OcrSummary:
    return dataclasses.replace(summary, seconds=0, seconds_per_poster=0)


def test_two_processes_leave_the_records_of_the_plain_run(tmp_path):
    widths = (30, 31, fake_engines.BLANK_WIDTH, 32, fake_engines.FAULTY_WIDTH, 33)
    for folder in (draw(tmp_path / "plain", *widths), draw(tmp_path / "beam", *widths)):
        (folder / "images" / "tt0000002_1.png").write_bytes((folder / "images" / "tt0000001_1.png").read_bytes())
        (folder / "images" / "tt0000009_1.jpg").write_text("<html>not found</html>")
    log = tmp_path / "log"
    summary = run(tmp_path / "beam", *TWO_PROCESSES, shards=3, log=log)
    assert timeless(summary) == timeless(run_plainly(tmp_path / "plain"))
    assert summary.by_status == {"empty": 1, "error": 2, "ok": 4}
    assert (summary.copies, summary.seconds > 0) == (1, True)
    assert by_image(tmp_path / "beam") == by_image(tmp_path / "plain")
    assert names(tmp_path / "beam") == ["images", *(f"ocr-0000{k}-of-00003.jsonl" for k in range(3))]
    assert len({line.split()[0] for line in log.read_text().splitlines()}) == 2  # one engine in each of two processes


def test_a_second_run_reads_nothing_and_a_later_one_what_is_new(tmp_path):
    log = tmp_path / "log"
    options = {"log": log}
    draw(tmp_path, 30, 31, fake_engines.FAULTY_WIDTH)
    run(tmp_path, **options)
    before = {path: path.read_bytes() for path in record_files(tmp_path)}
    again = run(tmp_path, **options)
    assert (again.already, again.failed_before, again.read) == (2, 1, 0)
    assert {path: path.read_bytes() for path in record_files(tmp_path)} == before
    assert len(log.read_text().splitlines()) == 3

    retried = run(tmp_path, retry=("error",), **options)
    assert (retried.already, retried.read, retried.by_status) == (2, 1, {"error": 1})
    assert names(tmp_path) == ["images", "log", "ocr-00000-of-00001.jsonl", "ocr-run002-00000-of-00001.jsonl"]
    assert {path: path.read_bytes() for path in before} == before
    (second,) = load_records([tmp_path / "ocr-run002-00000-of-00001.jsonl"])
    assert second.attempts == 2
    draw(tmp_path, 30, 31, fake_engines.FAULTY_WIDTH, 34)
    assert run(tmp_path, **options).by_status == {"ok": 1}
    assert "ocr-run003-00000-of-00001.jsonl" in names(tmp_path)


def test_the_plain_run_takes_the_shards_for_its_own(tmp_path):
    draw(tmp_path, 30, 31)
    run(tmp_path)
    posters, _ = find_posters(tmp_path)
    with RecordWriter(tmp_path / "ocr.jsonl", also_read=record_files(tmp_path)) as store:
        summary = read_posters(posters, store, FAKE, progress=False)
    assert (summary.already, summary.read) == (2, 0)


def test_records_elsewhere_are_skipped_by(tmp_path):
    run_plainly(draw(tmp_path / "posters", 30, 31))
    for pattern in (tmp_path / "posters" / "ocr.jsonl", tmp_path / "*" / "ocr.js*"):
        summary = run(tmp_path / "posters", record_files=[str(pattern)])
        assert (summary.already, summary.read) == (2, 0)
    with pytest.raises(InputError, match=r"none\*' is not a file of OCR records"):
        run(tmp_path / "posters", record_files=[str(tmp_path / "none*")])


def test_a_damaged_line_is_told_and_its_poster_read_again(tmp_path, caplog):
    draw(tmp_path, 30)
    (tmp_path / "ocr-unfinished-x.jsonl").write_text('{"sha256": ')
    assert run(tmp_path).by_status == {"ok": 1}
    assert "1 lines are not OCR records" in caplog.text


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    draw(tmp_path, 30, 31)
    posters, _ = ocr.list_posters(str(tmp_path))
    (tmp_path / "images" / "tt0000001_2.png").unlink()
    summary = ocr.read_with_beam(posters, str(tmp_path), FAKE, flags=[])
    assert (summary.total, summary.read, summary.unreadable) == (2, 1, 1)
    (failure,) = summary.failures
    assert failure.what == "tt0000001_2"
    assert "cannot be opened: [Errno 2] No such file" in failure.reason


def test_a_poster_that_kills_its_process_is_recorded_and_the_others_are_read(tmp_path):
    draw(tmp_path, 30, fake_engines.DEADLY_WIDTH, fake_engines.DEADLY_ONCE_WIDTH, 31)
    summary = run(tmp_path, log=tmp_path / "log")
    assert summary.by_status == {"error": 1, "ok": 3}
    (failure,) = summary.failures
    assert failure.what == "tt0000001_2"
    assert "died: out of memory" in failure.reason


def test_what_a_broken_pipeline_had_read_is_not_read_again(tmp_path, monkeypatch):
    draw(tmp_path, 30, 31, 32, 33)
    monkeypatch.setattr(ocr, "JOURNAL_SECONDS", 0.0)
    read, calls = worker_pool.EngineProcess.read, []

    def break_off(self, task):
        calls.append(task)
        if len(calls) == 3:
            raise RuntimeError("the machine is taken away")
        return read(self, task)

    with monkeypatch.context() as patch:
        patch.setattr(ocr.EngineProcess, "read", break_off)
        with pytest.raises(Exception, match="the machine is taken away"):
            run(tmp_path)
    gc.collect()
    assert len(load_records(record_files(tmp_path))) == 2
    assert all(path.name.startswith("ocr-unfinished-") for path in record_files(tmp_path))
    summary = run(tmp_path)
    assert (summary.already, summary.read) == (2, 2)
    assert len(by_image(tmp_path)) == 4


def test_posters_from_a_list_or_a_pattern(tmp_path):
    draw(tmp_path, 30, 31)
    images = tmp_path / "images"
    (images / "poster.png").touch()
    (images / "notes.doc").touch()
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "tt0000001_1.jpg").touch()
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"{path}\n" for path in sorted(tmp_path.rglob("*.*"))))
    by_list, skipped = ocr.list_posters(str(listed))
    assert [poster[:2] for poster in by_list] == [("tt0000001_1", "tt0000001"), ("tt0000001_2", "tt0000001")]
    assert by_list == ocr.list_posters(str(tmp_path / "**"))[0]
    assert by_list == ocr.list_posters(str(tmp_path))[0]
    assert by_list[0].path.read_bytes() == (images / "tt0000001_1.png").read_bytes()
    reasons = {pathlib.Path(item.what).name: item.reason for item in skipped}
    assert reasons.keys() == {"poster.png", "tt0000001_1.jpg"}
    assert "already there as" in reasons["tt0000001_1.jpg"]
    with pytest.raises(InputError, match="has no poster: 1 files, 1 of them"):
        ocr.list_posters(str(images / "poster.*"))
    assert ocr.list_posters(str(images))[0] == by_list  # a folder without one named images, with the posters themselves


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"engine": EngineChoice(name="none")}, r"ocr\.engine='none' reads nothing"),
        ({"engine": EngineChoice(name="tesseract5")}, r"ocr\.engine='tesseract5'"),
        ({"output": "out*"}, r"'out\*' has one of"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, arguments, named):
    draw(tmp_path, 30)
    posters, _ = ocr.list_posters(str(tmp_path))
    defaults = {"output": str(tmp_path), "engine": FAKE, "flags": []}
    with pytest.raises(InputError, match=named):
        ocr.read_with_beam(posters, **(defaults | arguments))
    assert names(tmp_path) == ["images"]


def test_a_lone_surrogate_can_be_written(tmp_path):
    record = OcrRecord(sha256="0" * 64, status="ok", text="\ud800", engine="x")
    pipeline.write_bytes(str(tmp_path / "a.jsonl"), ocr.record_line(record) + b"\n")
    assert json.loads((tmp_path / "a.jsonl").read_text()) == json.loads(to_json(record))


def launch(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "launch/ocr_beam.py", "--config=configs/paper.py", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_the_command(tmp_path):
    pytest.importorskip("rapidocr", reason="rapidocr is not installed (the extra ocr)")
    draw(tmp_path, 30, 31)
    done = launch(f"--config.data.posters_dir={tmp_path}", "--shards=2", *TWO_PROCESSES)
    assert done.returncode == 0, done.stderr
    assert "OCR: 2 posters, 2 read now" in done.stdout
    assert names(tmp_path) == ["images", "ocr-00000-of-00002.jsonl", "ocr-00001-of-00002.jsonl"]
    pattern = f"--posters={tmp_path}/images/*"
    done = launch(pattern, f"--output={tmp_path / 'new'}", f"--records={tmp_path}/ocr-*.jsonl", f"--workdir={tmp_path / 'w'}")
    assert done.returncode == 0, done.stderr
    assert "2 had been read before" in done.stdout


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("--direct_num_worker=2", "'--direct_num_worker' is a flag neither of this command nor of Beam"),
        ("--shards=-1", "--shards=-1 must be"),
        ("--posters=*.jpg", "--posters needs --output"),
        ("--config.ocr.engin=x", "engine"),
    ],
)
def test_the_command_names_what_is_wrong(tmp_path, argument, named):
    done = launch(f"--config.data.posters_dir={draw(tmp_path, 30)}", argument)
    assert done.returncode == 2
    assert named in done.stderr
