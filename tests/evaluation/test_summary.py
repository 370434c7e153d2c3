"""Summaries over seeds."""

import json

import numpy as np
import pytest

from posterfusion_jax.evaluation.aggregate import GENRE_METRICS, METRICS, RULES, aggregate_seeds, format_aggregates
from posterfusion_jax.evaluation.results import ResultOptions, SplitOutputs, make_results
from posterfusion_jax.genres import GENRES
from posterfusion_jax.metrics.intervals import seed_interval

LABELS = np.repeat(np.random.default_rng(0).random((20, 13)) < 0.3, 3, axis=0).astype(np.uint8)  # 20 films of 3 posters


def results_of(seed):
    rng = np.random.default_rng(seed)
    scores = np.clip(0.5 * LABELS + rng.random((60, 13)) * 0.6, 0, 1)
    about = {"model": "gmu", "split": "test", "seed": seed, "checkpoint": {"epoch": 3 + seed, "monitor": "loss"}}
    outputs = SplitOutputs(
        poster_ids=[f"tt{i // 3}_{i}" for i in range(60)],
        film_ids=[f"tt{i // 3}" for i in range(60)],
        labels=LABELS,
        scores=scores,
        loss=0.1,
        probabilities={"fitted": scores**2},
        controls={"text_empty": scores / 2},
        gates={"image_gate": rng.random(60), "level_0_image": np.array([0.5 + seed])},
    )
    fitted = {"fixed": 0.5, "tuned": 0.4, "tuned_per_genre": [0.4] * 13}
    options = ResultOptions(threshold=0.5, force_top1=False, fitted=fitted, resamples=100)
    return make_results(outputs, options, {**about, "dataset": {}, "encoders": {}, "versions": {}})


@pytest.fixture(scope="module")
def runs():
    return [results_of(seed) for seed in range(3)]


def test_summary_has_every_metric_of_every_seed(runs):
    summary = aggregate_seeds(runs)
    assert summary["seeds"] == [0, 1, 2]
    assert summary["best_epochs"] == [3, 4, 5]
    for rule in RULES:
        for metric in METRICS:
            values = [run[rule][metric] for run in runs]
            assert summary[rule][metric] == {"values": values, **seed_interval(values)._asdict()}
        for genre in GENRES:
            assert set(summary["per_genre"][rule][genre]) == set(GENRE_METRICS)
    assert summary["per_genre"]["metrics"]["drama"]["f1"]["values"][1] == runs[1]["metrics"]["per_genre"]["drama"]["f1"]
    assert json.loads(json.dumps(summary)) == summary


def test_gates_are_means_over_posters_and_by_genre(runs):
    gates = runs[0]["gates"]
    assert gates["level_0_image"] == {"mean": 0.5}
    values = np.random.default_rng(0)
    values.random((60, 13))
    image_gate = values.random(60)
    assert gates["image_gate"]["mean"] == pytest.approx(image_gate.mean())
    assert gates["image_gate"]["per_genre"]["crime"] == pytest.approx(image_gate[LABELS[:, GENRES.index("crime")] > 0].mean())
    assert aggregate_seeds(runs)["gates"]["level_0_image"]["values"] == [0.5, 1.5, 2.5]


def test_calibration_of_every_seed_and_the_bins_of_the_first(runs):
    summary = aggregate_seeds(runs)["calibration"]
    assert set(summary) == {"raw", "fitted"}
    for kind, described in summary.items():
        for name in ("brier", "ece"):
            values = [run["calibration"][kind][name] for run in runs]
            assert described[name] == {"values": values, **seed_interval(values)._asdict()}
        assert described["bins_first_seed"] == runs[0]["calibration"][kind]["bins"]
    assert summary["raw"]["brier"]["values"] == [run["metrics"]["brier"] for run in runs]


def test_one_seed_has_no_interval(runs):
    summary = aggregate_seeds(runs[:1])
    assert set(summary["metrics"]["f1_macro"]) == {"values", "mean"}
    assert "nan" in format_aggregates({"gmu": summary})
