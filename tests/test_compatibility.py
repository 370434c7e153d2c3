"""A run made by version 0.1.0 still predicts, evaluates, resumes and reports to the same numbers."""

import json
import pathlib
import shutil
import tarfile

import numpy as np
import pytest
import tiny_runs

from posterfusion_jax.cli import stages

ARCHIVE = pathlib.Path(__file__).parent / "fixtures" / "run_0_1_0.tar.gz"
TOLERANCE = 1e-5  # sums are added in another order on another CPU


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """The extracted run: posters, clip, workdir, expected."""
    folder = tmp_path_factory.mktemp("run_0_1_0")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def workdir(old, tmp_path):
    return shutil.copytree(old / "workdir", tmp_path / "workdir")


def old_run(old, workdir, **changes):
    return tiny_runs.tiny_run(workdir, old / "posters", old / "clip", ocr__engine="none", **changes)


def assert_close(found, expected):
    """Compares JSON values, numbers within the tolerance; entries that are new are not compared."""
    if isinstance(expected, dict):
        for name, value in expected.items():
            assert_close(found[name], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert_close(a, b)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=TOLERANCE)
    else:
        assert found == expected


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_stage_finds_its_files_up_to_date(old, workdir, capsys):
    before = {path: path.read_bytes() for path in sorted((workdir / "results").iterdir())}
    stages.run_stages(old_run(old, workdir), None)
    out = capsys.readouterr().out
    assert out.startswith("everything up to date")
    assert {path: path.read_bytes() for path in before} == before
    assert (workdir / "report" / "report.html").is_file()


def test_evaluation_gives_the_same_results(old, workdir):
    shutil.rmtree(workdir / "results")
    stages.run_stages(old_run(old, workdir), "evaluate")
    for split in ("validation", "test"):
        then = json.loads((old / "workdir" / "results" / f"{split}.json").read_text())
        now = json.loads((workdir / "results" / f"{split}.json").read_text())
        for name in ("metrics", "intervals", "thresholds", "dataset", "encoders", "config"):
            if name in then:
                assert_close(now[name], then[name])
        a, b = (np.load(folder / "results" / f"{split}_scores.npz") for folder in (workdir, old / "workdir"))
        assert a["poster_ids"].tolist() == b["poster_ids"].tolist()
        np.testing.assert_allclose(a["scores"], b["scores"], atol=TOLERANCE)
        np.testing.assert_array_equal(a["labels"], b["labels"])


def test_features_and_dataset_are_rebuilt_to_the_same_numbers(old, workdir):
    for name in ("dataset", "features"):
        shutil.rmtree(workdir / name)
    run = old_run(old, workdir)
    for stage in ("build", "features"):
        stages.run_stages(run, stage)
    report = "dataset/imdb_posters/by_film/1.1.0/report.json"
    then, now = (json.loads((folder / report).read_text()) for folder in (old / "workdir", workdir))
    assert now["row_hash"] == then["row_hash"]
    then, now = (json.loads((folder / "features" / "passport.json").read_text()) for folder in (old / "workdir", workdir))
    assert now == then
    for path in sorted((old / "workdir" / "features").glob("shard-*/*.npy")):
        other = workdir / path.relative_to(old / "workdir")
        np.testing.assert_allclose(np.load(other), np.load(path), atol=TOLERANCE)


def test_training_resumes_to_the_same_numbers(old, workdir):
    run = old_run(old, workdir, train__max_epochs=5)
    for stage in ("train", "evaluate"):
        stages.run_stages(run, stage)
    now, then = lines_of(workdir / "logs" / "metrics.jsonl"), lines_of(old / "expected" / "metrics_epoch_5.jsonl")
    assert len(now) == len(then) == 5
    for a, b in zip(now, then, strict=True):
        assert_close(a, {name: value for name, value in b.items() if name not in ("seconds", "check")})
    expected = json.loads((old / "expected" / "test_epoch_5.json").read_text())
    assert_close(json.loads((workdir / "results" / "test.json").read_text())["metrics"], expected["metrics"])


def test_predictions_are_the_same(old, workdir):
    from posterfusion_jax.pipeline.predict import predict

    expected = lines_of(old / "expected" / "predictions.jsonl")
    files = [str(old / prediction["file"]) for prediction in expected]
    found = list(predict(old_run(old, workdir), files))
    for prediction, then in zip(found, expected, strict=True):
        assert prediction.error is None
        assert sorted(prediction.genres) == sorted(then["genres"])
        assert_close(prediction.scores, then["scores"])
        assert_close(prediction.probabilities, then["probabilities"])
