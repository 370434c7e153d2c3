"""Section on the leakage of groups: the scores of the same systems with and without posters of a group on both sides."""

from collections.abc import Mapping
from typing import Any

from posterfusion_jax.datasets.imdb_posters.report import unit_of
from posterfusion_jax.report.page import Cell, Section, Table, Text


def leak_section(by_split: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Section:
    """Return the section that compares systems under two splits.

    Args:
      by_split: "by_film", "by_poster" -> system -> summary (`evaluation.aggregate.aggregate_seeds`).
    """
    metrics = {"f1_macro": "macro F1", "mean_average_precision": "mAP", "hit_ratio": "hit ratio"}
    names = list(by_split)
    common = [system for system in by_split[names[0]] if all(system in summaries for summaries in by_split.values())]
    rows = []
    for system in common:
        cells = []
        for metric in metrics:
            means = [by_split[name][system]["metrics"][metric]["mean"] for name in names]
            cells.append(Cell(" / ".join(f"{100 * mean:.2f}" for mean in means), f"{100 * (means[-1] - means[0]):+.2f}"))
        rows.append([system, *cells])
    unit, leaks = "film", []
    for name in names:
        dataset = next(iter(by_split[name].values()))["dataset"]
        unit = unit_of(dataset)
        leaks.append(f"{name.replace('_', ' ')} {100 * dataset['leak_share']:.1f} %")
    splits = " / ".join(name.replace("_", " ") for name in names)
    blocks = [
        Text(
            f"Share of test posters with a poster of the same {unit} in train: {', '.join(leaks)}. "
            f"Figures: {splits}, threshold 0.5."
        ),
        Table(("system", *metrics.values()), rows),
    ]
    return Section(f"{unit.capitalize()} leakage", blocks)
