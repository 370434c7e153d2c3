"""Out-of-fold metrics: every poster once, each fold's own thresholds, and what the pooled figures are of."""

import numpy as np
import pytest

from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.out_of_fold import (
    MEASURES,
    RULES,
    FoldOutputs,
    format_out_of_fold,
    out_of_fold_results,
    pool_folds,
)
from posterfusion_jax.genres import GENRES, NUM_GENRES
from posterfusion_jax.metrics.multilabel import multilabel_report

FOLDS, POSTERS = 4, 40  # posters per fold, two per film


def make_outputs(*, shift: float = 0.0, force_top1: bool = False) -> list[FoldOutputs]:
    """Folds whose scores rise by `shift` from one to the next, with thresholds of their own."""
    outputs = []
    for fold in range(FOLDS):
        rng = np.random.default_rng(fold)
        labels = np.repeat(rng.random((POSTERS // 2, NUM_GENRES)) < 0.3, 2, axis=0).astype(np.uint8)
        scores = np.clip(0.2 * labels + 0.5 * rng.random(labels.shape) + shift * fold, 0, 1).astype(np.float32)
        films = [f"tt{fold}{i // 2:03d}" for i in range(POSTERS)]
        thresholds = {"fixed": 0.5, "tuned": 0.3 + shift * fold, "tuned_per_genre": (rng.random(NUM_GENRES) * 0.6).tolist()}
        results = {
            "genres": list(GENRES),
            "model": "fusion",
            "seed": 0,
            "dataset": {"row_hash": "abc", "split": {"rule": "folds", "folds": FOLDS, "fold": fold}},
            "encoders": {},
            "evaluate": {"force_top1": force_top1},
            "thresholds": thresholds,
        }
        for rule, name in RULES.items():
            results[rule] = multilabel_report(scores, labels, threshold=np.asarray(thresholds[name]), force_top1=force_top1)
        arrays = {"poster_ids": np.array([f"{film}_{i}" for i, film in enumerate(films)]), "film_ids": np.array(films)}
        arrays |= {"scores": scores, "labels": labels, "genres": np.array(GENRES)}
        outputs.append(FoldOutputs(fold, results, arrays))
    return outputs


def ids_of(outputs: list[FoldOutputs]) -> list[str]:
    return [poster for output in outputs for poster in output.arrays["poster_ids"].tolist()]


def results_of(outputs: list[FoldOutputs]) -> dict:
    return out_of_fold_results(outputs, pool_folds(outputs, poster_ids=ids_of(outputs)), resamples=100)


def test_folds_with_equal_thresholds_are_measured_as_one_split():
    outputs = make_outputs()
    results = results_of(outputs)
    scores, labels = (np.concatenate([output.arrays[name] for output in outputs]) for name in ("scores", "labels"))
    report = multilabel_report(scores, labels, threshold=0.5)
    assert results["metrics"] == report
    assert results["posters"] == FOLDS * POSTERS
    assert results["groups"] == FOLDS * POSTERS // 2
    assert results["dataset"] == {"row_hash": "abc", "split": {"rule": "folds", "folds": FOLDS}}


@pytest.mark.parametrize("force_top1", [False, True])
def test_each_folds_own_thresholds_decide_on_its_posters(force_top1):
    outputs = make_outputs(shift=0.1, force_top1=force_top1)
    results = results_of(outputs)
    for rule, name in RULES.items():
        counts = np.zeros((3, NUM_GENRES))
        for output in outputs:
            scores = output.arrays["scores"].astype(np.float64)
            decided = scores > np.asarray(output.results["thresholds"][name])
            if force_top1:
                without = ~decided.any(axis=1)
                decided[without, scores[without].argmax(axis=1)] = True
            present = output.arrays["labels"] > 0
            counts += [(decided & present).sum(0), (decided & ~present).sum(0), (~decided & present).sum(0)]
        tp, fp, fn = counts
        np.testing.assert_allclose(results[rule]["f1_macro"], (2 * tp / (2 * tp + fp + fn)).mean())
        np.testing.assert_allclose(results[rule]["f1_micro"], 2 * tp.sum() / (2 * tp.sum() + fp.sum() + fn.sum()))
        np.testing.assert_allclose(results[rule]["hamming_loss"], (fp + fn).sum() / (FOLDS * POSTERS * NUM_GENRES))
        assert results[rule]["mean_average_precision"] == results["metrics"]["mean_average_precision"]


def test_scores_of_different_scales_lower_the_pooled_precision_and_not_the_mean():
    same, shifted = results_of(make_outputs()), results_of(make_outputs(shift=0.1))
    name = "mean_average_precision"
    for rule in RULES:
        means = [results["over_folds"][rule][name]["mean"] for results in (same, shifted)]
        np.testing.assert_allclose(*means, atol=1e-6)
        assert shifted[rule][name] < same[rule][name] - 0.05
    assert shifted["pooling"].startswith("mAP of the pooled posters")


def test_mean_and_deviation_over_folds_are_of_their_own_results():
    outputs = make_outputs(shift=0.05)
    over = results_of(outputs)["over_folds"]
    for rule in RULES:
        for name in MEASURES:
            values = [output.results[rule][name] for output in outputs]
            assert over[rule][name]["values"] == values
            np.testing.assert_allclose(
                (over[rule][name]["mean"], over[rule][name]["std"]), (np.mean(values), np.std(values, ddof=1))
            )


def test_intervals_surround_the_figures():
    results = results_of(make_outputs())
    for rule in RULES:
        for name in MEASURES:
            low, high = results["intervals"][rule][name]
            assert low <= results[rule][name] <= high
            assert low < high


def test_the_printed_table_has_all_figures_in_80_columns():
    results = results_of(make_outputs())
    lines = format_out_of_fold(results).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "160 posters of 80 groups, each tested once, in 4 folds"
    assert sum(line.lstrip().startswith("macro F1 %") for line in lines) == len(RULES)
    assert f"{100 * results['constant']['f1_macro']:.2f}" in lines[3]


def test_a_poster_that_is_not_tested_once_is_an_error():
    outputs = make_outputs()
    ids = ids_of(outputs)
    with pytest.raises(InputError, match=r"0 are tested again, 1 are not tested, 0 are not in the dataset, such as 'more'"):
        pool_folds(outputs, poster_ids=[*ids, "more"])
    with pytest.raises(InputError, match=r"0 are not tested, 1 are not in the dataset, such as 'tt0000_0'"):
        pool_folds(outputs, poster_ids=ids[1:])
    again = outputs[3]._replace(arrays=outputs[0].arrays)
    with pytest.raises(InputError, match="40 are tested again, 40 are not tested"):
        pool_folds([*outputs[:3], again], poster_ids=ids)


def test_results_of_another_fold_or_dataset_are_an_error():
    outputs = make_outputs()
    ids = ids_of(outputs)
    swapped = [outputs[1]._replace(fold=0), outputs[0]._replace(fold=1), *outputs[2:]]
    with pytest.raises(InputError, match="the results of fold 0 are of fold 1 of the dataset abc"):
        pool_folds(swapped, poster_ids=ids)
    split = outputs[2].results["dataset"]["split"]
    other = outputs[2]._replace(results={**outputs[2].results, "dataset": {"row_hash": "other", "split": split}})
    with pytest.raises(InputError, match="the results of fold 2 are of fold 2 of the dataset other"):
        pool_folds([*outputs[:2], other, outputs[3]], poster_ids=ids)
    renamed = outputs[1]._replace(results={**outputs[1].results, "genres": [*GENRES[:-1], "western"]})
    with pytest.raises(InputError, match="different genres"):
        pool_folds([outputs[0], renamed, *outputs[2:]], poster_ids=ids)
