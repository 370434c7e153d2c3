"""A report as text, and the macro F1 that is its headline."""

import textwrap
from collections.abc import Mapping
from typing import Any

from posterfusion_jax.genres import list_names, most_frequent, shorten_name
from posterfusion_jax.metrics.multilabel import Report

_COLUMNS = 80
_MOST_ROWS, _NAME_WIDTH = 60, 40


def headline_f1(report: Mapping[str, Any]) -> Any:
    """Return the macro F1 to report: over the genres with a positive poster, or over all in files of earlier versions."""
    return report.get("f1_macro_present", report["f1_macro"])


def describe_absent(report: Mapping[str, Any]) -> str | None:
    """Return both macro F1 as a sentence if a genre has no positive poster; None if each has one, or it was not recorded."""
    if not report.get("absent"):
        return None
    present, labels = report["labels_present"], report["labels_present"] + len(report["absent"])
    return (
        f"macro F1 over the {present} of {labels} labels with positives: {_percent(report['f1_macro_present'])}; over all "
        f"{labels}: {_percent(report['f1_macro'])}"
    )


def format_report(report: Report) -> str:
    """Format a report as an aligned text table: percentages, except Hamming loss, Brier score and ECE.

    Of more than `_MOST_ROWS` genres those with the most positive posters are listed.
    """
    kinds = [kind for kind in ("macro", "micro", "weighted", "samples") if f"f1_{kind}" in report]
    lines = [f"{report['num_posters']} posters", "", " " * 17 + "".join(f"{kind:>10}" for kind in kinds)]
    for short, title in (("f1", "F1 %"), ("ba", "balanced acc. %")):
        lines.append(f"{title:<17}" + "".join(f"{100 * report[f'{short}_{kind}']:10.2f}" for kind in kinds))
    absent = describe_absent(report)
    if absent:
        parts = (absent, f"without positives: {list_names(report['absent'])}")
        lines += ["", *(line for part in parts for line in textwrap.wrap(part, _COLUMNS))]
    lines.append("")
    lines += [f"{title:<17}{show(report[name])}" for name, title, show in _SINGLE_FIGURES if name in report]
    entries = report["per_genre"]
    columns = [column for column in _GENRE_COLUMNS if column[0] in next(iter(entries.values()))]
    shown = most_frequent({genre: entry["support"] for genre, entry in entries.items()}, _MOST_ROWS)
    names = {genre: shorten_name(genre, _NAME_WIDTH) for genre in shown}
    width = max(10, *(len(name) + 1 for name in names.values()))
    lines += ["", f"{'genre':<{width}}" + "".join(f"{title:>7}" for _, title, _ in columns)]
    for genre, name in names.items():
        lines.append(f"{name:<{width}}" + "".join(f"{show(entries[genre][key]):>7}" for key, _, show in columns))
    if len(shown) < len(entries):
        lines.append(f"... the {len(shown)} most frequent of {len(entries)} genres")
    return "\n".join(lines)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _fraction(value: float) -> str:
    return f"{value:.4f}"


_SINGLE_FIGURES = (
    ("hamming_loss", "Hamming loss", _fraction),
    ("hit_ratio", "hit ratio %", _percent),
    ("subset_accuracy", "all right %", _percent),
    ("mean_average_precision", "mAP %", _percent),
    ("roc_auc_macro", "ROC-AUC %", _percent),
    ("brier", "Brier score", _fraction),
    ("ece", "ECE", _fraction),
)
_GENRE_COLUMNS = (
    ("precision", "prec.", _percent),
    ("recall", "recall", _percent),
    ("f1", "F1", _percent),
    ("balanced_accuracy", "BA", _percent),
    ("specificity", "spec.", _percent),
    ("average_precision", "AP", _percent),
    ("roc_auc", "AUC", _percent),
    ("brier", "Brier", _fraction),
    ("ece", "ECE", _fraction),
    ("support", "n", str),
)
