"""Two systems against each other, from the files that runs leave: what is read, refused, computed and printed."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from result_files import FILMS, LABELS, TUNED_PER_GENRE, write_run

from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.compare import compare, format_comparison, read_system
from posterfusion_jax.evaluation.results import BOOTSTRAP_SEED
from posterfusion_jax.metrics.intervals import ThresholdedScores, paired_difference
from posterfusion_jax.metrics.multilabel import multilabel_report

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def systems(tmp_path):
    """A good system of three seeds, a bad one of two."""
    good = [write_run(tmp_path / "good" / f"seed{seed}", seed=seed) for seed in (0, 2, 11)]
    bad = [write_run(tmp_path / "bad" / f"seed{seed}", seed=seed, strength=0.2, model="gmu") for seed in (0, 1)]
    (tmp_path / "good" / "features").mkdir()
    return tmp_path, np.stack(good), np.stack(bad)


@pytest.mark.parametrize(
    ("rule", "threshold"), [("metrics", 0.5), ("metrics_tuned", 0.4), ("metrics_tuned_per_genre", TUNED_PER_GENRE)]
)
def test_compares_all_seeds_at_their_own_thresholds(systems, rule, threshold):
    root, good, bad = systems
    found = compare(read_system(f"{root}/good", "test"), read_system(f"{root}/bad", "test"), rule=rule, resamples=200)
    a, b = ThresholdedScores(good, [threshold] * 3), ThresholdedScores(bad, [threshold] * 2)
    expected = paired_difference(a, b, LABELS, FILMS, resamples=200, seed=BOOTSTRAP_SEED)
    assert found["metrics"] == {name: difference._asdict() for name, difference in expected.items()}
    means = [np.mean([multilabel_report(s, LABELS, threshold=threshold)["f1_macro"] for s in of]) for of in (good, bad)]
    assert [found["metrics"]["f1_macro"][side] for side in "ab"] == pytest.approx(means)
    assert found["metrics"]["mean_average_precision"]["low"] > 0
    assert (found["split"], found["rule"], found["resamples"]) == ("test", rule, 200)
    assert (found["posters"], found["films"], found["paired_seeds"]) == (60, 30, False)


def test_says_what_is_compared_without_folders(systems):
    root, _, _ = systems
    found = compare(read_system(f"{root}/good", "test"), read_system(f"{root}/bad/seed1", "test"), resamples=100)
    assert found["a"] == {
        "model": "fusion",
        "seeds": [0, 2, 11],
        "control": None,
        "monitor": "f1_macro",
        "best_epochs": [7, 9, 18],
        "encoders": {"image": "scratch, seed 0 / scratch, seed 2 / scratch, seed 11", "text": "minilm"},
    }
    assert found["b"]["seeds"] == [1]
    assert str(root) not in json.dumps(found)
    shown = format_comparison(found, name_a="good", name_b="bad/seed1")
    for words in ("A  good: fusion; seeds 0, 2, 11; stopped on validation f1_macro", "B  bad/seed1: gmu; seeds 1;", "f1_macro"):
        assert words in shown
    (line,) = [line for line in shown.splitlines() if line.startswith("hit_ratio")]
    hit = found["metrics"]["hit_ratio"]
    assert line.split()[1:4] == [f"{100 * hit['a']:.2f}", f"{100 * hit['b']:.2f}", f"{100 * hit['difference']:+.2f}"]


def test_a_system_against_itself_on_changed_input_draws_the_same_seeds(systems):
    root, good, _ = systems
    a, b = read_system(f"{root}/good", "test"), read_system(f"{root}/good@text_empty", "test")
    found = compare(a, b, resamples=100)
    assert found["b"]["control"] == "text_empty"
    changed = good * np.float32(0.8)
    expected = paired_difference(good, changed, LABELS, FILMS, paired_seeds=True, resamples=100, seed=BOOTSTRAP_SEED)
    assert found["paired_seeds"]
    assert found["metrics"]["f1_micro"] == expected["f1_micro"]._asdict()
    same = compare(a, a, resamples=100)["metrics"]["f1_macro"]
    assert (same["difference"], same["low"], same["high"], same["p_value"]) == (0, 0, 0, 1)
    assert "the same seeds of both" in format_comparison(found)


def test_a_folder_may_have_an_at_in_its_name(tmp_path):
    write_run(tmp_path / "runs@home")
    assert read_system(f"{tmp_path}/runs@home", "test").control is None
    assert read_system(f"{tmp_path}/runs@home@text_empty", "test").control == "text_empty"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", "there is no folder"),
        ("good/features", "neither results/"),
        ("good@text_full", "no control 'text_full' in its results of the test split; there are @text_empty"),
        ("untested", "untested/seed1 has no results of the test split. Run python -m posterfusion_jax.main --mode=evaluate"),
        ("old", "has results of format 2, this version compares"),
        ("mixed", "mixed/seed1 and .*mixed/seed0 differ in model.dim: they are not seeds of one system"),
    ],
)
def test_what_cannot_be_read_is_refused(systems, name, message):
    root, _, _ = systems
    for seed, hidden in ((0, 16), (1, 32)):
        write_run(root / "mixed" / f"seed{seed}", seed=seed, hidden=hidden)
        write_run(root / "untested" / f"seed{seed}", seed=seed, split=("test", "validation")[seed])
    write_run(root / "old", format=2)
    with pytest.raises(InputError, match=message):
        read_system(f"{root}/{name}", "test")


def test_what_cannot_be_compared_is_refused(systems):
    root, _, _ = systems
    a = read_system(f"{root}/good", "test")
    other_data = {"row_hash": "0123", "split": {"rule": "by poster", "seed": 3}, "posters": {"train": 10, "test": 60}}
    write_run(root / "data", dataset=other_data)
    with pytest.raises(
        InputError, match=r"datasets differ, \[460 posters, split: by film, seed 0.*\[70 posters, split: by poster"
    ):
        compare(a, read_system(f"{root}/data", "test"))
    write_run(root / "top1", evaluate={"force_top1": True})
    with pytest.raises(InputError, match=r"evaluate.force_top1"):
        compare(a, read_system(f"{root}/top1", "test"))
    write_run(root / "split", split="validation")
    with pytest.raises(InputError, match="the split is test and validation"):
        compare(a, read_system(f"{root}/split", "validation"))
    b = read_system(f"{root}/bad", "test")
    names = b.scores[1]["poster_ids"]
    b.scores[1]["poster_ids"] = np.where(names == "tt4_9", "tt5_9", names)
    with pytest.raises(InputError, match="bad/seed1 cannot be compared: poster_ids has in row 9 tt4_9 and tt5_9"):
        compare(a, b)
    b.scores[1]["poster_ids"] = names[:8]
    with pytest.raises(InputError, match="the number of posters is 60 and 8"):
        compare(a, b)
    with pytest.raises(InputError, match="rule='f1'"):
        compare(a, a, rule="f1")


def call(*flags):
    command = [sys.executable, "launch/compare.py", *map(str, flags)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)


def test_the_command_prints_a_table_and_writes_it(systems):
    root, _, _ = systems
    out = root / "out" / "comparison.json"
    rule = "--rule=metrics_tuned"
    result = call(f"{root}/good", f"{root}/bad@text_empty", rule, "--resamples=100", f"--out={out}")
    assert result.returncode == 0, result.stderr
    b = read_system(f"{root}/bad@text_empty", "test")
    expected = compare(read_system(f"{root}/good", "test"), b, rule="metrics_tuned", resamples=100)
    assert json.loads(out.read_text()) == expected
    assert "95 % interval" in result.stdout
    assert f"{root}/bad@text_empty: gmu, input text_empty; seeds 0, 1" in result.stdout


@pytest.mark.parametrize(
    ("flags", "message"),
    [(["good", "absent"], "error: there is no folder"), (["good", "good", "--resamples=10"], "error: resamples=10 is too few")],
)
def test_the_command_refuses_with_status_2(systems, flags, message):
    names = [f"{systems[0]}/{flag}" for flag in flags[:2]]
    result = call(*names, *flags[2:])
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
