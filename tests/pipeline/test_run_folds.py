"""A cross-validation from posters to out-of-fold figures: what is shared, skipped, checked and written."""

import csv
import json

import pytest

from posterfusion_jax.cli import folds as folds_command
from posterfusion_jax.config.run import from_json, to_json
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.results import read_results
from posterfusion_jax.features.reader import open_features
from posterfusion_jax.pipeline import folds as folds_pipeline
from posterfusion_jax.pipeline.folds import RESULTS_FILE, TABLE_FILE, run_folds, write_out_of_fold
from posterfusion_jax.utils.checksums import read_checked_json

FOLDS, POSTERS = 3, 80


@pytest.fixture
def config(tmp_path, posters_dir, clip_folder, tiny_run):
    run = tiny_run(tmp_path / "unused", posters_dir, clip_folder, ocr__engine="none", train__max_epochs=1)
    return from_json(to_json(run.config))


def test_a_cross_validation_tests_every_poster_once_and_resumes(config, tmp_path, capsys, monkeypatch):
    root = tmp_path / "root"

    def stop(run):
        if run.config.data.fold == 2:
            raise KeyboardInterrupt
        return train(run)

    train = folds_pipeline.train_model
    monkeypatch.setattr(folds_pipeline, "train_model", stop)
    with pytest.raises(KeyboardInterrupt):
        run_folds(config, root, FOLDS)
    monkeypatch.undo()
    capsys.readouterr()

    runs = run_folds(config, root, FOLDS)
    printed = capsys.readouterr().out
    assert printed.count("training: up to date") == 2
    assert printed.count("evaluation: test is up to date") == 2
    assert printed.count("evaluation: test written to") == 1
    assert len(list((root / "dataset").rglob("*fold_*.array_record*"))) == FOLDS
    assert len(open_features(root / "features").poster_ids) == POSTERS

    found = write_out_of_fold(runs, root)
    assert found["posters"] == POSTERS
    assert found["groups"] == 40
    assert found == {k: v for k, v in read_checked_json(root / RESULTS_FILE, fix="").items() if k in found}
    with (root / TABLE_FILE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["poster"] for row in rows}) == len(rows) == POSTERS
    assert {row["fold"] for row in rows} == {"0", "1", "2"}
    assert all(row["title"] == f"Film {int(row['group'][2:])}" for row in rows)
    for fold, run in enumerate(runs):
        results = read_results(run.paths.results, "test")
        assert results is not None
        assert results["dataset"]["split"]["fold"] == fold
        assert results["dataset"]["posters"]["test"] == sum(row["fold"] == str(fold) for row in rows)
        assert sum(results["dataset"]["posters"].values()) == POSTERS

    capsys.readouterr()
    monkeypatch.setattr(folds_command, "load", lambda *_: config)
    assert folds_command.main([f"--workdir={root}", "--config=paper", f"--folds={FOLDS}"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("up to date, finished") == FOLDS
    assert "80 posters of 40 groups, each tested once, in 3 folds" in printed
    assert "macro F1 %" in printed
    assert "ranks posters of different folds against each other" in " ".join(printed.split())
    assert json.loads((root / RESULTS_FILE).read_text())["metrics"] == found["metrics"]


def test_folds_that_cannot_be_run_are_refused_before_anything_is_written(config, tmp_path):
    root = tmp_path / "root"
    with pytest.raises(InputError, match=r"data\.folds=2: give 3"):
        run_folds(config, root, 2)
    config.evaluate.splits = ("validation",)
    with pytest.raises(InputError, match=r"--split=test: there will be no results"):
        run_folds(config, root, FOLDS)
    assert not root.exists()


def test_more_folds_than_films_are_refused_by_the_build(config, tmp_path):
    with pytest.raises(InputError, match=r"data\.folds=50 leaves a fold empty: 40 films are too few"):
        run_folds(config, tmp_path / "root", 50)
