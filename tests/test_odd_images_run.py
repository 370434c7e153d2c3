"""A folder of all odd files goes through OCR, dataset, features and prediction: each is read or reported, none ends a run."""

import json
import os
import pathlib
import subprocess
import sys
from collections import Counter

import imdb_folder
import pytest
from odd_files import ENTRIES, NAMES
from odd_image_kinds import KINDS, Read, assert_looks
from odd_images import jpeg

from posterfusion_jax.datasets.imdb_posters import paths
from posterfusion_jax.genres import GENRES
from posterfusion_jax.ocr.engines.base import EngineChoice, OcrResult
from posterfusion_jax.ocr.options import ReadOptions
from posterfusion_jax.ocr.records.store import RecordWriter, load_records
from posterfusion_jax.ocr.run import read_posters
from posterfusion_jax.ocr.summary import format_summary
from posterfusion_jax.pipeline.build import build
from posterfusion_jax.pipeline.dataset import open_run_dataset
from posterfusion_jax.pipeline.features import extract_features
from posterfusion_jax.pipeline.predict import predict
from posterfusion_jax.pipeline.train import train_model
from posterfusion_jax.posters.decode import decode_poster
from posterfusion_jax.posters.folder import find_posters, shown
from posterfusion_jax.report.prediction import as_json, as_text

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's remarks on EXIF data

KIND_OF = {f"tt{1000 + number:07d}_1": kind for number, kind in enumerate(KINDS)}
ENTRY_OF = {f"tt{2000 + number:07d}_1": entry for number, entry in enumerate(ENTRIES)}


class SizeReader:
    """An engine that reads the size of the image."""

    name, version, model_version = "rapidocr", "1", None

    def read(self, image):
        return OcrResult(lines=(f"{image.width} x {image.height}",))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty good films and every odd file, each of a film of its own."""
    folder = imdb_folder.make_folder(tmp_path_factory.mktemp("odd"), read_every=10**6)
    (folder / "ocr.jsonl").unlink()
    for poster_id, kind in KIND_OF.items():
        (folder / "images" / f"{poster_id}.jpg").write_bytes(kind.make())
    for poster_id, entry in ENTRY_OF.items():
        entry.make(folder / "images" / f"{poster_id}.jpg")
    for number, name in enumerate(NAMES):
        path = folder / "images" / "names" / name.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(comment=str(number).encode()))
    films = {poster_id.partition("_")[0] for poster_id in (*KIND_OF, *ENTRY_OF)}
    titles = [imdb_folder.title_line(imdb_folder.film_id(k), imdb_folder.GENRE_SETS[k % 6]) for k in range(1, 41)]
    imdb_folder.write_titles(
        folder / "title.basics.tsv.gz", [*titles, *(imdb_folder.title_line(film, "Drama") for film in sorted(films))]
    )
    return folder


@pytest.fixture(scope="module")
def summary(folder):
    posters, _ = find_posters(folder)
    with RecordWriter(folder / "ocr.jsonl") as store:
        engine = EngineChoice(name="rapidocr", make=lambda *_, **__: SizeReader())
        return read_posters(posters, store, engine, ReadOptions(workers=1), progress=False)


@pytest.fixture(scope="module")
def run(folder, summary, tmp_path_factory, clip_folder, tiny_run):
    run = tiny_run(tmp_path_factory.mktemp("run"), folder, clip_folder, ocr__engine="none", train__max_epochs=1)
    for stage in (build, extract_features, train_model):
        stage(run)
    return run


def is_readable(entry) -> bool:
    return not entry.when_read or ("permission" in entry.name and os.geteuid() == 0)


@pytest.mark.slow
def test_ocr_has_a_record_with_the_reason_for_each_and_goes_on(folder, summary):
    records = {record.poster_id: record for record in load_records([folder / "ocr.jsonl"])}
    for poster_id, kind in KIND_OF.items():
        record = records[poster_id]
        if isinstance(kind.outcome, Read):
            width, height = kind.outcome.size
            assert (record.status, record.text) == ("ok", f"{width} x {height}"), kind.name
        else:
            assert record.status == "error"
            assert record.reason.startswith("unreadable image: ")
            assert kind.outcome.reason in record.reason, kind.name
    listed = {poster_id: entry for poster_id, entry in ENTRY_OF.items() if not entry.in_folder}
    assert {i for i in ENTRY_OF if i in records} == {i for i, entry in listed.items() if is_readable(entry)}
    assert summary.unreadable == sum(not is_readable(entry) for entry in listed.values())
    reasons = {failure.what: failure.reason for failure in summary.failures}
    assert all(entry.when_read in reasons[i] for i, entry in listed.items() if not is_readable(entry))
    assert summary.by_status["ok"] > 100
    assert f"{summary.unreadable} could not be opened" in format_summary(summary)


@pytest.mark.slow
def test_the_dataset_holds_what_can_be_read_and_lists_the_rest(folder, run):
    rows = {row["poster_id"]: row for split in open_run_dataset(run).splits.values() for row in split}
    lines = (paths.dataset_dir(run.paths.dataset, "film") / paths.LEFT_OUT_FILE).read_text().splitlines()
    left_out = {item["what"]: item for item in map(json.loads, lines)}
    for poster_id, kind in KIND_OF.items():
        if isinstance(kind.outcome, Read):
            assert_looks(decode_poster(rows[poster_id]["image"]), kind.outcome)
            assert rows[poster_id]["text"] == "{} x {}".format(*kind.outcome.size)
        else:
            assert poster_id not in rows
            assert left_out[poster_id]["kind"] == "unreadable image"
            assert kind.outcome.reason in left_out[poster_id]["reason"], kind.name
    for poster_id, entry in ENTRY_OF.items():
        if entry.in_folder:
            assert left_out[f"{poster_id}.jpg"]["reason"] == entry.in_folder
        elif is_readable(entry):
            assert poster_id in rows
        else:
            assert entry.when_read in left_out[poster_id]["reason"]
    for name in NAMES:
        assert (name.poster in rows or name.poster in left_out) if name.poster else shown(f"names/{name.name}") in left_out
    assert len(rows) > 140


@pytest.mark.slow
def test_prediction_answers_for_every_file(folder, run):
    predictions = {prediction.file: prediction for prediction in predict(run, [str(folder / "images")])}
    for poster_id, kind in KIND_OF.items():
        prediction = predictions.pop(str(folder / "images" / f"{poster_id}.jpg"))
        if isinstance(kind.outcome, Read):
            assert prediction.error is None, kind.name
            assert list(prediction.scores) == list(GENRES)
        else:
            assert kind.outcome.reason in prediction.error
            assert set(as_json(prediction)) == {"file", "error"}
    for poster_id, entry in ENTRY_OF.items():
        prediction = predictions.pop(str(folder / "images" / f"{poster_id}.jpg"), None)
        if prediction is None:
            assert entry.name == "a link to a folder"  # a folder named is searched, and a link in a folder is not followed
        elif is_readable(entry):
            assert prediction.error is None
        else:
            assert entry.when_read in prediction.error
    for name in NAMES:
        prediction = predictions.pop(str(folder / "images" / "names" / name.name))
        assert prediction.error is None
        assert as_text(prediction).splitlines()[0].isprintable()
        assert json.loads(json.dumps(as_json(prediction)))["file"] == prediction.file
    assert Counter(p.error for p in predictions.values()) == {None: len(list((folder / "images").glob("tt00000*.jpg")))}


@pytest.mark.slow
def test_files_may_be_named_that_are_links_to_nothing_or_pipes(run, tmp_path):
    good = tmp_path / "-good\n\udcff.jpg"
    good.write_bytes(jpeg())
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    names = [str(tmp_path / "pipe.jpg"), str(tmp_path / "loop.jpg"), str(good)]
    assert [bool(prediction.error) for prediction in predict(run, names)] == [True, True, False]


@pytest.mark.slow
def test_the_command_predicts_the_others_and_says_so_in_its_status(run, tmp_path):
    (tmp_path / "-broken\n.jpg").write_bytes(b"<html>")
    (tmp_path / "\udcff.jpg").write_bytes(jpeg())
    os.mkfifo(tmp_path / "pipe.jpg")
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "",
        "PYTHONPATH": str(pathlib.Path(__file__).parent.parent),
    }
    command = [sys.executable, "-m", "posterfusion_jax.main", "--mode=predict", f"--workdir={run.paths.workdir}"]
    for flags, names, status in (
        ([], ["-broken\n.jpg", "\udcff.jpg", "pipe.jpg"], 0),
        (["--json"], ["-broken\n.jpg", "pipe.jpg"], 1),
    ):
        done = subprocess.run(
            [*command, *flags, "--", *names], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        if flags:
            assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == names
        else:
            assert [line for line in done.stdout.splitlines() if line.endswith(".jpg")] == [
                r"-broken\n.jpg",
                r"\udcff.jpg",
                "pipe.jpg",
            ]
