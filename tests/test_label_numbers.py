"""Label sets of any size: heads, loss, training, metrics, results and their texts take the number from their arrays."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_training import Setting, make_outputs

from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.config import defaults
from posterfusion_jax.config.registries import HEADS
from posterfusion_jax.config.sections import ModelConfig, make_section
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.aggregate import aggregate_seeds, format_aggregates
from posterfusion_jax.evaluation.results import ResultOptions, SplitOutputs, describe_common, make_results
from posterfusion_jax.genres import PAPER_GENRES
from posterfusion_jax.losses.asymmetric import make_loss
from posterfusion_jax.metrics.calibration import calibrated, calibration_report, fit_calibration
from posterfusion_jax.metrics.intervals import film_bootstrap
from posterfusion_jax.metrics.multilabel import multilabel_report
from posterfusion_jax.metrics.report_text import describe_absent, format_report
from posterfusion_jax.metrics.thresholds import MIN_POSITIVES, apply_thresholds, fit_thresholds
from posterfusion_jax.models.inputs import HeadInputs
from posterfusion_jax.models.registry import make_head
from posterfusion_jax.report.run_report import format_summary
from posterfusion_jax.train.multi_seed import train_seeds

NUMBERS = (2, 13, 24)
WIDTH = 6


def names_of(labels):
    return PAPER_GENRES if labels == 13 else tuple(f"label {k}" for k in range(labels))


def model_section(**changes):
    values = defaults.get_config().model.to_dict() | {"dim": 8, "heads": 2, "smsam_layers": 1, "ffn": (4,)}
    return make_section(ModelConfig, values | changes)


def split(labels, n=120, share=0.3, absent=()):
    """Scores of a model that knows a part of the labels; two posters per film."""
    rng = np.random.default_rng(labels)
    truth = np.repeat(rng.random((n // 2, labels)) < share, 2, axis=0)
    truth[:, list(absent)] = False
    scores = np.clip(0.4 * truth + 0.6 * rng.random(truth.shape), 0, 1)
    return scores, truth.astype(np.uint8), [f"tt{k // 2}" for k in range(n)]


def results_of(labels, seed=0, **options):
    scores, truth, films = split(labels, **options)
    outputs = SplitOutputs(
        poster_ids=[f"p{k}" for k in range(len(films))],
        film_ids=films,
        genres=names_of(labels),
        labels=truth,
        scores=scores,
        loss=0.5,
        probabilities={"fitted": calibrated(scores, fit_calibration(scores, truth))},
        gates={"image_gate": scores[:, 0]},
        controls={"text_empty": scores * 0.9},
    )
    about = {"split": "test", "seed": seed, "model": "fusion", "genres": list(names_of(labels)), "dataset": {}, "encoders": {}}
    about |= {"checkpoint": {"epoch": 1, "monitor": "loss"}, "versions": {}}
    fitted = fit_thresholds(scores, truth)
    return make_results(outputs, ResultOptions(threshold=0.5, force_top1=False, fitted=fitted, resamples=100), about)


@pytest.mark.parametrize("labels", NUMBERS)
@pytest.mark.parametrize("name", HEADS.names)
def test_every_head_has_one_logit_per_label_and_trains(name, labels):
    head = make_head(model_section(name=name), labels=labels, image_width=WIDTH, text_width=WIDTH)
    values = jax.random.normal(jax.random.key(0), (3, WIDTH))
    inputs = HeadInputs(values, jnp.ones(3, bool), values[::-1], jnp.array([True, False, True]))
    variables = head.init(jax.random.key(1), inputs)
    truth = jnp.asarray(split(labels)[1][:3])
    per_element, gradients = jax.jit(
        lambda variables: (
            make_loss("asl")(head.apply(variables, inputs), truth),
            jax.grad(lambda params: make_loss("asl")(head.apply({**variables, "params": params}, inputs), truth).mean())(
                variables["params"]
            ),
        )
    )(variables)
    assert per_element.shape == (3, labels)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_one_label_is_refused():
    with pytest.raises(InputError, match="labels=1: a model predicts 2 labels or more"):
        make_head(model_section(), labels=1, image_width=WIDTH, text_width=WIDTH)
    scores, truth = (array[:, :1] for array in split(2)[:2])
    calls = (
        lambda: multilabel_report(scores, truth, genres=("drama",)),
        lambda: fit_thresholds(scores, truth),
        lambda: fit_calibration(scores, truth),
        lambda: apply_thresholds(scores, 0.5),
        lambda: film_bootstrap(scores, truth, split(2)[2], seed=0),
    )
    for call in calls:
        with pytest.raises(ValueError, match=r"\(120, 1\); they must be \[posters, labels\], with 2 labels or more"):
            call()


@pytest.mark.parametrize("labels", [2, 24])
def test_a_training_ends_with_thresholds_and_calibration_per_label(tmp_path, labels):
    setting = Setting(labels=labels)
    outcome = setting.run(tmp_path, max_epochs=2)
    _, meta, _ = setting.read(tmp_path)
    assert outcome.epochs == meta["epoch"] == 2
    assert len(meta["thresholds"]["tuned_per_genre"]) == labels
    assert len(meta["calibration"]["slope"]) == labels


@pytest.mark.parametrize("labels", [2, 24])
def test_seeds_train_together(tmp_path, labels):
    setting = Setting(labels=labels, max_epochs=2)
    with contextlib.ExitStack() as stack:
        opened = {s: stack.enter_context(contextlib.closing(Checkpoints(tmp_path / f"{s}" / "checkpoints"))) for s in (0, 4)}
        group = stack.enter_context(contextlib.closing(Checkpoints(tmp_path / "group")))
        outputs = {s: make_outputs(tmp_path / f"{s}", own) for s, own in opened.items()}
        assert set(train_seeds(setting.trainer, outputs, group)) == {0, 4}
        assert len(opened[4].read_meta(2)["thresholds"]["tuned_per_genre"]) == labels


@pytest.mark.parametrize("labels", [*NUMBERS, 300])
def test_metrics_are_those_of_each_column_alone(labels):
    scores, truth, films = split(labels)
    names = names_of(labels)
    report = multilabel_report(scores, truth, genres=names)
    pair = multilabel_report(scores[:, -2:], truth[:, -2:], genres=names[-2:])
    assert list(report["per_genre"]) == list(names)
    assert {name: report["per_genre"][name] for name in names[-2:]} == pair["per_genre"]
    assert report["f1_macro"] == pytest.approx(np.mean([entry["f1"] for entry in report["per_genre"].values()]))
    intervals = film_bootstrap(scores, truth, films, resamples=100, seed=0)
    assert intervals["f1_macro"] == intervals["f1_macro_present"]
    fitted = fit_thresholds(scores, truth)
    assert fitted["tuned_per_genre"][-2:] == fit_thresholds(scores[:, -2:], truth[:, -2:])["tuned_per_genre"]
    found = calibration_report({"raw": scores}, truth, genres=names)["raw"]
    assert list(found["per_genre"]) == list(names)
    slopes, alone = (fit_calibration(scores[:, a:], truth[:, a:])["slope"] for a in (0, labels - 2))
    assert slopes[-2:] == alone


def test_labels_without_names_are_refused_where_names_are_needed():
    scores, truth, _ = split(24)
    for call in (multilabel_report, lambda scores, truth: calibration_report({"raw": scores}, truth)):
        with pytest.raises(ValueError, match=r"there are 24 labels.*name them with genres="):
            call(scores, truth)
    with pytest.raises(ValueError, match="genres has 2 names for 24 labels"):
        multilabel_report(scores, truth, genres=("a", "b"))
    assert list(multilabel_report(*split(13)[:2])["per_genre"]) == list(PAPER_GENRES)


@pytest.mark.parametrize("labels", NUMBERS)
def test_results_summaries_and_texts(labels):
    results = results_of(labels)
    assert results["metrics"]["absent"] == []
    assert results["metrics"]["labels_present"] == labels
    assert results["metrics"]["f1_macro_present"] == results["metrics"]["f1_macro"]
    text = format_summary({"test": results}, best_achievable=None)
    assert "labels with positives" not in text
    assert all(f"\n{name} " in text for name in names_of(labels))
    summary = aggregate_seeds([results, results_of(labels, seed=1)])
    assert list(summary["per_genre"]["metrics"]) == list(names_of(labels))
    assert format_aggregates({"run": summary}).count("\n") == 1


def test_labels_without_positives_are_stated_and_left_out_of_the_headline():
    results = results_of(24, absent=(3, 20))
    metrics, per_genre = results["metrics"], results["metrics_tuned_per_genre"]
    present = [entry["f1"] for name, entry in metrics["per_genre"].items() if name not in ("label 3", "label 20")]
    assert metrics["absent"] == ["label 3", "label 20"]
    assert metrics["labels_present"] == 22
    assert metrics["f1_macro_present"] == pytest.approx(np.mean(present))
    assert metrics["f1_macro"] == pytest.approx(np.sum(present) / 24)
    low, high = results["intervals"]["metrics"]["f1_macro_present"]
    assert low < metrics["f1_macro_present"] < high
    both = f"{100 * per_genre['f1_macro_present']:.2f}; over all 24: {100 * per_genre['f1_macro']:.2f}"
    text = format_summary({"test": results}, best_achievable=None)
    assert "macro F1 over the 22 of 24 labels with positives" in " ".join(text.split())
    assert both in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80
    assert text.splitlines()[4].split()[4] == f"{100 * per_genre['f1_macro_present']:.2f}"
    assert "without positives: label 3, label 20" in text
    assert describe_absent(multilabel_report(*split(13)[:2])) is None
    shown = format_aggregates({"run": aggregate_seeds([results])})
    assert "run: macro F1 over the 22 of 24 labels with positives; over all 24 it is" in shown


def test_without_any_positive_both_macro_f1_are_zero():
    scores, truth, films = split(2, absent=(0, 1))
    report = multilabel_report(scores, truth, genres=("a", "b"))
    assert (report["f1_macro"], report["f1_macro_present"], report["labels_present"]) == (0, 0, 0)
    assert film_bootstrap(scores, truth, films, resamples=100, seed=0)["f1_macro_present"] == (0, 0)
    assert fit_thresholds(scores, truth)["common"] == [0, 1]


def test_results_name_the_labels_that_take_the_common_threshold():
    few = results_of(24, n=60)["common_threshold"]
    positives = split(24, n=60)[1].sum(axis=0)
    assert few["genres"] == [f"label {k}" for k in range(24) if positives[k] < MIN_POSITIVES]
    assert 10 < few["count"] == len(few["genres"]) < 24
    line = describe_common(results_of(24, n=60))
    assert f"{few['count']} of 24 genres have fewer than 20 positives" in line
    assert f"and {few['count'] - 10} more" in line
    assert describe_common(results_of(24, n=400)) is None
    old = results_of(24)
    del old["common_threshold"]  # of an earlier version
    assert describe_common(old) is None


def test_results_of_earlier_versions_are_reported_and_summarized():
    old = results_of(13)
    for rule in ("metrics", "metrics_tuned", "metrics_tuned_per_genre"):
        for name in ("f1_macro_present", "labels_present", "absent"):
            del old[rule][name]
        del old["intervals"][rule]["f1_macro_present"]
    new = results_of(13)
    assert format_summary({"test": old}, best_achievable=None) == format_summary({"test": new}, best_achievable=None)
    assert "absent" not in aggregate_seeds([old, new])


def test_long_names_and_many_labels_fit_into_the_table():
    scores, truth, _ = split(300)
    names = [f"{k} " + "x" * 38 for k in range(300)]
    table = format_report(multilabel_report(scores, truth, genres=names)).splitlines()
    assert table[-1] == "... the 60 most frequent of 300 genres"
    assert max(map(len, table)) <= 111
