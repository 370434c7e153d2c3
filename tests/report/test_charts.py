"""Charts for any number of labels: every row is named, sizes grow, what is left out is stated."""

import matplotlib.colors
import numpy as np
import pytest

from posterfusion_jax.metrics.multilabel import multilabel_report
from posterfusion_jax.report import charts


def names_of(labels):
    return [f"label {k}" if k % 5 else f"a label with a very long name $x^2$ {k}" for k in range(labels)]


def report_of(labels, absent=0):
    rng = np.random.default_rng(labels)
    truth = rng.random((200, labels)) < np.linspace(0.1, 0.4, labels)
    truth[:, :absent] = False
    return multilabel_report(np.clip(0.4 * truth + 0.6 * rng.random(truth.shape), 0, 1), truth, genres=names_of(labels))


def splits_of(labels):
    entries = {name: {"posters": k + 1, "films": k + 1} for k, name in enumerate(names_of(labels))}
    return {split: {"genres": entries} for split in ("train", "validation", "test")}


def figures_of(labels):
    rng = np.random.default_rng(0)
    names = names_of(labels)
    gates = {"image_gate": {"mean": 0.5, "per_genre": dict.fromkeys(names, 0.5)}}
    return {
        "f1": charts.plot_genre_f1(report_of(labels), None),
        "dataset": charts.plot_dataset(splits_of(labels)),
        "co_occurrence": charts.plot_co_occurrence((rng.random((50, labels)) < 0.3).astype(np.uint8), names),
        "gates": charts.plot_gates(gates),
    }


def drawn(figure):
    """Renders a figure and returns its axes and the extents of their names and title in inches."""
    figure.draw_without_rendering()
    axes = figure.axes[0]
    named = [label for label in (*axes.get_yticklabels(), *axes.get_xticklabels()) if "label" in label.get_text()]
    extents = [text.get_window_extent() for text in (*named, axes._left_title)]
    return axes, [np.array([box.x0, box.y0, box.x1, box.y1]) / figure.dpi for box in extents if box.width]


@pytest.mark.parametrize("labels", [2, 13, 24, 60, 300])
def test_rows_are_named_within_the_figure_and_do_not_overlap(labels):
    for name, figure in figures_of(labels).items():
        axes, extents = drawn(figure)
        width, height = figure.get_size_inches()
        assert width == charts._WIDTH
        inside = [min(*box[:2], width - box[2], height - box[3]) > -0.02 for box in extents]
        assert all(inside), name
        rows = sorted(label.get_window_extent().y0 for label in axes.get_yticklabels())
        tall = axes.get_yticklabels()[0].get_window_extent().height
        assert np.diff(rows).min() > 0.7 * tall, name
        most = charts._MOST_CO_OCCURRING if name == "co_occurrence" else charts._MOST_GENRES
        assert len(rows) == min(labels, most)
        title = axes.get_title(loc="left")
        assert (f"of {labels}" in title) == (labels > most), name


def test_names_that_begin_alike_have_rows_of_their_own():
    axes, _ = drawn(charts.plot_dataset(splits_of(24)))
    named = [label.get_text() for label in axes.get_yticklabels()]
    assert len(named) == len(set(named)) == 24
    assert max(len(line) for name in named for line in name.split("\n")) <= charts._NAME_WIDTH
    assert max(name.count("\n") for name in named) == 1
    assert "a label with a very long\nname $x^2$ 20" in named


def test_the_headline_of_the_f1_chart_is_over_labels_with_posters():
    report = report_of(24, absent=3)
    axes, _ = drawn(charts.plot_genre_f1(report, None))
    title = axes.get_title(loc="left")
    assert title == f"F1 by genre, macro F1 {100 * report['f1_macro_present']:.1f} %\nover the 21 of 24 with posters"
    lines = [line.get_xdata()[0] for line in axes.get_lines()]
    assert lines == [pytest.approx(100 * report["f1_macro_present"])]


def test_the_most_frequent_labels_are_shown():
    axes, _ = drawn(charts.plot_dataset(splits_of(100)))
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert shown[-1] == "label 99"
    assert "label 39" not in shown
    assert "label 41" in shown
    blue = matplotlib.colors.to_rgba(charts._SPLITS["train"])
    assert sum(patch.get_facecolor() == blue for patch in axes.patches) == charts._MOST_GENRES
