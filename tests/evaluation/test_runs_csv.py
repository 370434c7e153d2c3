"""The table of all runs of a sweep: a row per run, split and threshold rule."""

import csv
import pathlib

from posterfusion_jax.cli import sweep
from posterfusion_jax.evaluation.results import read_results
from posterfusion_jax.evaluation.runs_csv import result_rows, write_runs
from posterfusion_jax.genres import GENRES

LABELLED = {"genre": {"f1": 0.5}}


def make_results(seed: int = 0, split: str = "test", **metrics: float) -> dict:
    report = {"num_posters": 9, "f1_macro": 0.25, "hamming_loss": 0.1, "per_genre": LABELLED, **metrics}
    return {
        "seed": seed,
        "model": "=fusion",
        "split": split,
        "checkpoint": {"epoch": 4},
        "loss": 0.5,
        "metrics": report,
        "metrics_tuned": {**report, "f1_macro": 0.5},
        "metrics_tuned_per_genre": {**report, "f1_macro": 0.75},
        "intervals": {"metrics": {"f1_macro": [0.125, 0.375]}},
    }


def read(path: pathlib.Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_per_rule_with_scalar_metrics_and_intervals():
    fixed, tuned, per_genre = result_rows(make_results(seed=3), {"cell": "a", "model.dim": "16"})
    assert fixed == {
        "cell": "a",
        "model.dim": "16",
        "seed": 3,
        "model": "=fusion",
        "split": "test",
        "thresholds": "fixed",
        "epoch": 4,
        "loss": 0.5,
        "num_posters": 9,
        "f1_macro": 0.25,
        "f1_macro_low": 0.125,
        "f1_macro_high": 0.375,
        "hamming_loss": 0.1,
    }
    assert (tuned["thresholds"], tuned["f1_macro"]) == ("tuned", 0.5)
    assert (per_genre["thresholds"], per_genre["f1_macro"]) == ("tuned_per_genre", 0.75)
    assert "f1_macro_low" not in tuned


def test_rows_with_different_metrics_share_a_table(tmp_path):
    path = tmp_path / "runs.csv"
    rows = [*result_rows(make_results(own=0.5), {"cell": "a"}), *result_rows(make_results(), {"cell": "=b"})]
    write_runs(path, rows)
    found = read(path)
    assert [row["cell"] for row in found] == ["a"] * 3 + ["'=b"] * 3
    assert [row["own"] for row in found] == ["0.5"] * 3 + [""] * 3
    assert {row["model"] for row in found} == {"'=fusion"}
    assert float(found[0]["f1_macro_low"]) == 0.125


def test_a_sweep_writes_the_rows_of_its_finished_cells(tmp_path, monkeypatch, capsys):
    import result_files

    class Section:
        splits = ("validation", "test")

    class Config:
        evaluate = Section

    class Run:
        def __init__(self, folder: pathlib.Path) -> None:
            self.config = Config
            self.paths = type("Paths", (), {"results": folder / "results"})

    def run_seeds(config, root, seeds, *, split):
        if "broken" in str(root):
            raise sweep.InputError("it is broken")
        for seed in seeds:
            for name in Section.splits:
                result_files.write_run(
                    root / f"seed{seed}", seed=seed, split=name, genres=list(GENRES), loss=0.5, metrics={"f1_macro": 0.5}
                )
        return [Run(root / f"seed{seed}") for seed in seeds]

    monkeypatch.setattr(sweep, "load", lambda *_: None)
    monkeypatch.setattr(sweep, "run_seeds", run_seeds)
    monkeypatch.setattr(sweep, "aggregate_seeds", lambda results: {})
    monkeypatch.setattr(sweep, "format_aggregates", lambda cells: ", ".join(cells))
    status = sweep.main(["--config=x", f"--root={tmp_path}", "--seeds=0,1", "--grid=model.name=fusion,broken,gmu"])
    assert status == 1
    rows = read(tmp_path / "runs.csv")
    assert [(row["cell"], row["model.name"], row["seed"], row["split"]) for row in rows] == [
        (cell, cell, seed, split) for cell in ("fusion", "gmu") for seed in "01" for split in Section.splits
    ]
    results = read_results(tmp_path / "gmu" / "seed1" / "results", "test")
    assert results is not None
    assert float(rows[-1]["f1_macro"]) == results["metrics"]["f1_macro"]
    printed = capsys.readouterr()
    assert f"all runs: {tmp_path / 'runs.csv'}" in printed.out
    assert "failed: broken: it is broken" in printed.err
