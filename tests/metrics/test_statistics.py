"""Bootstrap over films, paired differences and intervals over seeds."""

import numpy as np
import pytest
from scipy import stats

from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import NUM_GENRES
from posterfusion_jax.metrics.intervals import (
    ThresholdedScores,
    film_bootstrap,
    paired_difference,
    resampled_ratios,
    seed_interval,
)
from posterfusion_jax.metrics.multilabel import multilabel_report


def random_system(films=80, posters_per_film=1, error=0.2, seed=0):
    """Decisions of which a share `error` is wrong, independent between films; the posters of a film are copies."""
    rng = np.random.default_rng(seed)
    labels = rng.uniform(size=(films, NUM_GENRES)) < 0.3
    wrong = rng.uniform(size=labels.shape) < error
    scores = np.where(labels ^ wrong, 0.9, 0.1)
    film_ids = [f"tt{film:07d}" for film in range(films) for _ in range(posters_per_film)]
    return scores.repeat(posters_per_film, axis=0), labels.repeat(posters_per_film, axis=0), film_ids


def width(interval):
    return interval[1] - interval[0]


def test_intervals_hold_the_figures_of_the_report():
    scores, labels, film_ids = random_system()
    intervals = film_bootstrap(scores, labels, film_ids, resamples=300, seed=0)
    report = multilabel_report(scores, labels)
    averages = {f"{kind}_{over}" for kind in ("f1", "ba") for over in ("macro", "micro", "weighted", "samples")}
    others = {"f1_macro_present", "hamming_loss", "hit_ratio", "subset_accuracy", "mean_average_precision"}
    assert set(intervals) == averages | others
    for name, (low, high) in intervals.items():
        assert 0 <= low < report[name] < high <= 1, name


def test_resampled_figures_are_those_of_the_report_on_the_drawn_posters():
    """With two films drawn of two, a resample is film a twice, b twice, or both: the extremes are known exactly."""
    scores, labels, film_ids = random_system(films=2, posters_per_film=3)
    intervals = film_bootstrap(scores, labels, film_ids, resamples=400, seed=0)
    alone = [multilabel_report(scores[rows], labels[rows]) for rows in (slice(0, 3), slice(3, 6))]
    # Over the labels of the whole split, of which a film has some: not a figure of the drawn posters alone.
    assert intervals.pop("f1_macro_present")[0] < alone[0]["f1_macro_present"]
    for name, (low, high) in intervals.items():
        both = multilabel_report(scores, labels)[name]
        values = sorted([alone[0][name], alone[1][name], both])
        assert (low, high) == pytest.approx((values[0], values[-1])), name


def test_interval_covers_the_truth_about_95_times_in_100():
    covered = 0
    for seed in range(100):
        scores, labels, film_ids = random_system(films=60, posters_per_film=2, error=0.2, seed=seed)
        low, high = film_bootstrap(scores, labels, film_ids, resamples=200, seed=0)["hamming_loss"]
        covered += low <= 0.2 <= high
    assert 88 <= covered <= 99


def test_copies_of_posters_do_not_narrow_the_interval():
    """Four copies a film carry no more information: by film the width stays, by poster it would halve."""
    once = film_bootstrap(*random_system(), resamples=500, seed=0)
    scores, labels, film_ids = random_system(posters_per_film=4)
    by_film = film_bootstrap(scores, labels, film_ids, resamples=500, seed=0)
    by_poster = film_bootstrap(scores, labels, [str(i) for i in range(len(scores))], resamples=500, seed=0)
    for name in ("f1_macro", "f1_micro", "hamming_loss"):
        assert by_film[name] == pytest.approx(once[name])
        assert width(by_film[name]) > 1.6 * width(by_poster[name])


def test_same_seed_same_interval_and_order_of_posters_does_not_matter():
    scores, labels, film_ids = random_system(posters_per_film=2)
    one = film_bootstrap(scores, labels, film_ids, resamples=200, seed=3)
    shuffled = np.random.default_rng(1).permutation(len(scores))
    other = film_bootstrap(scores[shuffled], labels[shuffled], [film_ids[i] for i in shuffled], resamples=200, seed=3)
    for name in one:
        assert other[name] == pytest.approx(one[name])
    assert one == film_bootstrap(scores, labels, film_ids, resamples=200, seed=3)
    assert one != film_bootstrap(scores, labels, film_ids, resamples=200, seed=4)


def test_threshold_reaches_the_decisions():
    scores, labels, film_ids = random_system()
    everything = film_bootstrap(scores, labels, film_ids, threshold=0.05, resamples=100, seed=0)
    assert everything["ba_macro"] == (0.5, 0.5)
    nothing = film_bootstrap(scores, labels, film_ids, threshold=[0.95] * NUM_GENRES, resamples=100, seed=0)
    assert nothing["f1_micro"] == (0, 0)


def test_identical_systems_do_not_differ():
    scores, labels, film_ids = random_system()
    for difference in paired_difference(scores, scores, labels, film_ids, resamples=200, seed=0).values():
        assert difference == (difference.a, difference.a, 0, 0, 0, 1)


def test_a_better_system_is_told_from_a_worse_one():
    good, labels, film_ids = random_system(films=200, error=0.1)
    bad = np.where(np.random.default_rng(9).uniform(size=good.shape) < 0.2, 1 - good, good)
    found = paired_difference(good, bad, labels, film_ids, resamples=300, seed=0)["f1_macro"]
    expected = multilabel_report(good, labels)["f1_macro"] - multilabel_report(bad, labels)["f1_macro"]
    assert found.difference == pytest.approx(expected)
    assert (found.a, found.b) == pytest.approx([multilabel_report(scores, labels)["f1_macro"] for scores in (good, bad)])
    assert 0 < found.low < found.difference < found.high
    assert found.p_value == pytest.approx(2 / 301)
    reverse = paired_difference(bad, good, labels, film_ids, resamples=300, seed=0)["f1_macro"]
    assert reverse == pytest.approx((found.b, found.a, -found.difference, -found.high, -found.low, found.p_value))


def test_pairing_narrows_the_interval():
    """Two systems with mostly the same faults: their difference is surer than either figure."""
    scores, labels, film_ids = random_system(films=200)
    similar = np.where(np.random.default_rng(9).uniform(size=scores.shape) < 0.02, 1 - scores, scores)
    paired = paired_difference(scores, similar, labels, film_ids, resamples=300, seed=0)["f1_micro"]
    alone = film_bootstrap(scores, labels, film_ids, resamples=300, seed=0)["f1_micro"]
    assert paired.high - paired.low < 0.6 * width(alone)


def test_each_system_has_its_own_threshold():
    scores, labels, film_ids = random_system()
    lower = ThresholdedScores(scores * 0.5, 0.25)  # the same decisions at half the threshold
    found = paired_difference(scores, lower, labels, film_ids, resamples=100, seed=0)
    assert all(difference.difference == 0 for difference in found.values())


def test_false_alarms_are_about_5_in_100():
    alarms = 0
    for seed in range(100):
        a, labels, film_ids = random_system(films=60, seed=seed)
        wrong = np.random.default_rng(10_000 + seed).uniform(size=labels.shape) < 0.2
        b = np.where(labels ^ wrong, 0.9, 0.1)
        alarms += paired_difference(a, b, labels, film_ids, resamples=100, seed=0)["hamming_loss"].p_value < 0.05
    assert alarms <= 12


def seeds_of_a_system(labels, errors, seed):
    """A trained system a seed, with the given shares of wrong decisions, which are the seeds' own."""
    rng = np.random.default_rng(seed)
    return np.stack([np.where(labels ^ (rng.uniform(size=labels.shape) < error), 0.9, 0.1) for error in errors])


def test_one_seed_of_each_is_the_difference_of_two_systems():
    scores, labels, film_ids = random_system()
    other = seeds_of_a_system(labels, [0.25], seed=1)
    one = ThresholdedScores(other[0], [0.4] * 13)
    expected = paired_difference(scores, one, labels, film_ids, resamples=200, seed=0)
    for thresholds in ([0.4], [[0.4] * 13], 0.4):
        many = ThresholdedScores(other, thresholds)
        found = paired_difference(scores[None], many, labels, film_ids, resamples=200, seed=0)
        assert found == expected


def test_figures_of_several_seeds_are_their_means():
    labels, film_ids = random_system(films=40)[1:]
    a, b = seeds_of_a_system(labels, [0.1, 0.2, 0.3], seed=1), seeds_of_a_system(labels, [0.2, 0.2], seed=2)
    limits = [[0.5] * NUM_GENRES, [0.95] * NUM_GENRES]
    found = paired_difference(a, ThresholdedScores(b, limits), labels, film_ids, resamples=100, seed=0)
    for name in ("f1_macro", "mean_average_precision"):
        of_a = np.mean([multilabel_report(scores, labels)[name] for scores in a])
        of_b = np.mean([multilabel_report(scores, labels, threshold=t)[name] for scores, t in zip(b, limits, strict=True)])
        assert found[name][:3] == pytest.approx((of_a, of_b, of_a - of_b))


@pytest.mark.slow
def test_the_interval_covers_the_seeds_too():
    """With films enough only the seeds are left to chance: the interval is that of the mean of a few figures."""
    labels, film_ids = random_system(films=2000)[1:]
    errors = np.array([0.10, 0.14, 0.18, 0.22])
    a, b = seeds_of_a_system(labels, errors, seed=1), seeds_of_a_system(labels, [0.16] * 4, seed=2)
    found = paired_difference(a, b, labels, film_ids, resamples=1000, seed=0)["hamming_loss"]
    assert found.high - found.low == pytest.approx(2 * 1.96 * errors.std() / 2, rel=0.12)
    one = paired_difference(a[0], b[0], labels, film_ids, resamples=200, seed=0)["hamming_loss"]
    assert found.high - found.low > 4 * (one.high - one.low)


def test_false_alarms_over_seeds_are_about_5_in_100():
    """Systems of five seeds each that differ by chance alone; with one seed taken for the system it would be half of them."""
    alarms, alarms_of_one = 0, 0
    for seed in range(60):
        rng = np.random.default_rng(1000 + seed)
        _, labels, film_ids = random_system(films=150, seed=seed)
        a, b = (seeds_of_a_system(labels, rng.normal(0.2, 0.02, size=5), seed=[seed, i]) for i in (1, 2))
        alarms += paired_difference(a, b, labels, film_ids, resamples=100, seed=0)["hamming_loss"].p_value < 0.05
        alarms_of_one += paired_difference(a[0], b[0], labels, film_ids, resamples=100, seed=0)["hamming_loss"].p_value < 0.05
    assert alarms <= 9
    assert alarms_of_one >= 15


def test_paired_seeds_cancel_what_the_seeds_have_in_common():
    labels, film_ids = random_system(films=300)[1:]
    a = seeds_of_a_system(labels, [0.1, 0.2, 0.3], seed=1)
    same = paired_difference(a, a, labels, film_ids, paired_seeds=True, resamples=100, seed=0)["f1_macro"]
    assert same[2:] == (0, 0, 0, 1)
    apart = paired_difference(a, a, labels, film_ids, resamples=100, seed=0)["f1_macro"]
    assert apart.low < -0.05
    assert apart.high > 0.05
    with pytest.raises(InputError, match="there are 3 and 2"):
        paired_difference(a, a[:2], labels, film_ids, paired_seeds=True, seed=0)


def test_bad_input():
    scores, labels, film_ids = random_system(films=5)
    with pytest.raises(ValueError, match="3 thresholds do not fit the scores of 2 seeds"):
        paired_difference(ThresholdedScores([scores] * 2, [0.5] * 3), scores, labels, film_ids, seed=0)
    with pytest.raises(InputError, match="all 5 posters are of tt1"):
        film_bootstrap(scores, labels, ["tt1"] * 5, seed=0)
    with pytest.raises(InputError, match="resamples=10"):
        film_bootstrap(scores, labels, film_ids, resamples=10, seed=0)
    with pytest.raises(ValueError, match="4 film_ids"):
        film_bootstrap(scores, labels, film_ids[:4], seed=0)
    with pytest.raises(ValueError, match="labels have the shape"):
        paired_difference(scores, scores[:3], labels, film_ids, seed=0)


def test_seed_interval_is_the_t_interval():
    values = [0.641, 0.655, 0.632, 0.648, 0.660]
    found = seed_interval(values)
    low, high = stats.t.interval(0.95, df=4, loc=np.mean(values), scale=stats.sem(values))
    assert found == pytest.approx((np.mean(values), np.std(values, ddof=1), low, high, 5))
    # The table value for four degrees of freedom is 2.776.
    assert (found.high - found.mean) / (found.std / 5**0.5) == pytest.approx(2.776, abs=5e-4)


def test_resampled_ratios_are_of_sums_and_of_whole_films():
    """Two films, so a resample is one of them twice or both: three ratios are possible, with known chances."""
    above, below = [[1, 1], [2, 0], [3, 0]], [[2, 1], [2, 1], [4, 0]]
    drawn = resampled_ratios(above, below, ["a", "a", "b"], resamples=4000, seed=0)
    assert drawn.shape == (4001, 2)
    assert drawn[0] == pytest.approx([6 / 8, 1 / 2])
    assert drawn[1:, 0] == pytest.approx(3 / 4)  # either film has three of four
    assert np.mean(np.isnan(drawn[1:, 1])) == pytest.approx(1 / 4, abs=0.03)  # film b twice: nothing to divide by
    one_to_one = resampled_ratios([[1], [3]], [[1], [1]], ["a", "b"], resamples=4000, seed=1)[1:, 0]
    for ratio, chance in ((1, 1 / 4), (2, 1 / 2), (3, 1 / 4)):
        assert np.mean(one_to_one == ratio) == pytest.approx(chance, abs=0.03)
    with pytest.raises(ValueError, match="alike"):
        resampled_ratios([[1], [3]], [[1]], ["a", "b"], seed=0)


@pytest.mark.parametrize("values", [[], [0.5], [0.5, float("nan")]])
def test_seed_interval_needs_two_runs(values):
    with pytest.raises(InputError, match="at least two finite figures"):
        seed_interval(values)
