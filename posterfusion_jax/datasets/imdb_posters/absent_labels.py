"""Find the labels of which a split has no positive poster, and state the consequences."""

from collections.abc import Mapping
from typing import Any

_CONSEQUENCES = {
    "train": "never learned",
    "validation": "no threshold or calibration of their own",
    "test": "recall and F1 are 0 there, and average precision is not defined",
}
_SHOWN = 30  # names per line


def absent_labels(report: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return split -> the labels without a positive poster in it, for the splits that lack some.

    Args:
      report: of a dataset (`report.make_report`), or of a view on it.
    """
    absent = {
        split: tuple(label for label, counts in part["genres"].items() if not counts["posters"])
        for split, part in report["splits"].items()
    }
    return {split: labels for split, labels in absent.items() if labels}


def format_absent_labels(report: Mapping[str, Any]) -> list[str]:
    """Return one line per split that lacks labels; empty if every split has a positive poster of every label."""
    lines = []
    for split, labels in absent_labels(report).items():
        names = ", ".join(labels[:_SHOWN]) + (f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else "")
        consequence = _CONSEQUENCES.get(split, "not measured where this is the test fold")
        lines.append(f"no positive poster in {split} of {names}: {consequence}")
    return lines
