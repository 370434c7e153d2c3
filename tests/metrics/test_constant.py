"""The best constant answers, against the metrics of all constant answers."""

import itertools

import numpy as np
import pytest

from posterfusion_jax.genres import NUM_GENRES
from posterfusion_jax.metrics.constant import constant_measures
from posterfusion_jax.metrics.multilabel import multilabel_report


def test_no_constant_answer_is_better():
    rng = np.random.default_rng(0)
    labels = np.zeros((50, NUM_GENRES), np.uint8)
    labels[:, :7] = rng.random((50, 7)) < [0.7, 0.55, 0.4, 0.3, 0.2, 0.1, 0.04]
    labels[0, 7:] = 1  # every label occurs
    best = {"f1_macro": 0.0, "f1_micro": 0.0, "hit_ratio": 0.0, "hamming_loss": 1.0, "mean_average_precision": 0.0}
    answers = [*itertools.product((0.0, 1.0), repeat=7)]
    for rest in (0.0, 1.0):
        for answer in answers:
            scores = np.tile([*answer, *[rest] * (NUM_GENRES - 7)], (50, 1))
            report = multilabel_report(scores, labels)
            for name, value in best.items():
                best[name] = (min if name == "hamming_loss" else max)(value, report[name])
    found = constant_measures(labels)
    assert found.keys() == best.keys()
    for name, value in best.items():
        np.testing.assert_allclose(found[name], value, atol=1e-12, err_msg=name)


def test_labels_that_do_not_occur():
    labels = np.array([[1, 0], [0, 0]])
    assert constant_measures(labels) == {
        "f1_macro": pytest.approx(1 / 3),
        "f1_micro": pytest.approx(2 / 3),
        "hamming_loss": 0.25,
        "hit_ratio": 0.5,
        "mean_average_precision": 0.5,
    }
    assert set(constant_measures(np.zeros((3, 2))).values()) == {0.0}


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (3,)])
def test_shapes_without_labels_are_refused(shape):
    with pytest.raises(ValueError, match="must be"):
        constant_measures(np.zeros(shape))
