"""Tables of the paper with our figures next to the paper's, and further tables over the summaries of many systems."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from posterfusion_jax.datasets.imdb_posters.report import unit_of
from posterfusion_jax.evaluation.aggregate import RULES
from posterfusion_jax.report import charts
from posterfusion_jax.report.leakage import leak_section
from posterfusion_jax.report.page import Cell, Chart, Section, Table, Text
from posterfusion_jax.report.run_report import CALIBRATIONS, describe_encoder, name_controls

COLUMNS = {
    "f1_macro": "macro F1",
    "ba_macro": "macro BA",
    "f1_micro": "micro F1",
    "ba_micro": "micro BA",
    "f1_weighted": "weighted F1",
    "ba_weighted": "weighted BA",
    "f1_samples": "samples F1",
    "ba_samples": "samples BA",
    "hamming_loss": "Hamming loss",
    "hit_ratio": "hit ratio",
}
GENRE_COLUMNS = {
    "balanced_accuracy": "BA",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "specificity": "specificity",
}
TITLES = {
    "table_i": "Table I: comparison with baselines and state of the art",
    "table_ii": "Table II: one modality",
    "table_iii": "Table III: ablations",
    "ours_too": "Simple baselines: systems that need no knowledge of the paper",
    "text_controls": "Other texts: our model, trained and tested on ablated texts",
    "stopped_later": "Other stopping: early stopping on validation macro F1 instead of the loss",
}
OURS = "ours_l4"  # the paper's model
THRESHOLDS: dict[str, str] = dict(
    zip(RULES, ("threshold 0.5", "one threshold tuned on validation", "one per genre tuned on validation"), strict=True)
)
_PAPER_NOTE = " Below each figure: the paper's figure, and the difference."
_NOT_THE_PAPERS = (
    "The paper's figures are from its own posters and a split by poster, ours from the posters named above: the differences "
    "are between experiments, not between implementations."
)

Summaries = Mapping[str, Mapping[str, Any]]


class Printed(NamedTuple):
    """Hold the paper's figures from data/paper_tables.json, in per cent; the Hamming loss is a fraction.

    Attributes:
      tables: table -> row -> metric -> figure.
      genres: Table IV, genre -> metric -> figure.
    """

    tables: Mapping[str, Mapping[str, Mapping[str, float]]]
    genres: Mapping[str, Mapping[str, float]]


def printed_of(paper_tables: Mapping[str, Any]) -> Printed:
    """Return the figures of data/paper_tables.json, with the hit ratio of each row given in text or Fig. 4."""
    hits = paper_tables["hit_ratio"]

    def with_hit(row: str, figures: Mapping[str, float]) -> dict[str, float]:
        name = "ours" if row == OURS else row
        return {**figures, **({"hit_ratio": hits[name]} if name in hits else {})}

    tables = {
        name: {row: with_hit(row, figures) for row, figures in rows.items()}
        for name, rows in paper_tables.items()
        if name in TITLES
    }
    return Printed(tables, paper_tables["table_iv"])


def table_of(name: str, rows: Mapping[str, str], summaries: Summaries, printed: Printed, *, rule: str = "metrics") -> Table:
    """Return one of Tables I to III, with one row per system that was run.

    Args:
      name: one of `TITLES`.
      rows: row -> system.
      summaries: system -> summary (`evaluation.aggregate.aggregate_seeds`).
      printed: the paper's figures.
      rule: threshold rule of our figures, one of `evaluation.aggregate.RULES`.

    Returns:
      Cells with the mean over seeds and half the width of its 95 % interval, in the paper's units; below, the paper's figure
      and the difference. Our best figure of a column is bold.
    """
    run = {row: summaries[system][rule] for row, system in rows.items() if system in summaries}
    best = {}
    for metric in COLUMNS:
        means = [measured[metric]["mean"] for measured in run.values()]
        best[metric] = (min if metric == "hamming_loss" else max)(means, default=None)
    lines = []
    for row, measured in run.items():
        paper = printed.tables.get(name, {}).get(row, {})
        cells = []
        for metric in COLUMNS:
            kind = "best" if len(run) > 1 and measured[metric]["mean"] == best[metric] else ""
            cells.append(Cell(_ours(measured[metric], metric), _paper_note(measured[metric], paper.get(metric), metric), kind))
        lines.append([row, *cells])
    return Table(("system", *COLUMNS.values()), lines, f"{TITLES[name]}.{_PAPER_NOTE if name in printed.tables else ''}")


def genre_table(summary: Mapping[str, Any], printed: Printed, *, rule: str = "metrics") -> Table:
    """Return Table IV: our model by genre, with the paper's figures below."""
    lines = []
    for genre, measured in summary["per_genre"][rule].items():
        paper = printed.genres.get(genre, {})
        lines.append([genre, *(Cell(_ours(measured[m], m), _paper_note(measured[m], paper.get(m), m)) for m in GENRE_COLUMNS)])
    return Table(("genre", *GENRE_COLUMNS.values()), lines, f"Table IV: the genres of {OURS}.{_PAPER_NOTE}")


def overview(tables: Mapping[str, Mapping[str, str]], by_split: Mapping[str, Summaries], printed: Printed) -> Table:
    """Return a compact table of all systems that were run, for a README.

    Args:
      tables: table -> row -> system.
      by_split: "by_film", and optionally "by_poster" -> system -> summary.
      printed: the paper's figures, whose macro F1 is the last column.

    Returns:
      Cells with the mean over seeds and half the width of its 95 % interval, per cent, one decimal.
    """
    first, *others = by_split.values()
    columns = [("metrics", "f1_macro"), ("metrics_tuned_per_genre", "f1_macro"), ("metrics", "mean_average_precision")]
    columns.append(("metrics", "hit_ratio"))
    lines = {}
    for table, rows in tables.items():
        for row, system in rows.items():
            if system not in first or system in lines:
                continue
            cells = [_short(first[system][rule][metric]) for rule, metric in columns]
            cells += [_short(other[system]["metrics"]["f1_macro"]) if system in other else "" for other in others]
            paper = printed.tables.get(table, {}).get(row, {}).get("f1_macro")
            lines[system] = [system, *cells, "" if paper is None else f"{paper:.1f}"]
    names = ["macro F1 at 0.5", "macro F1 tuned per genre", "mAP", "hit ratio"]
    names += [f"macro F1 at 0.5, {name.replace('_', ' ')}" for name in list(by_split)[1:]]
    return Table(("system", *names, "paper: macro F1"), list(lines.values()))


def comparison_table(comparisons: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return the differences of a and b in points, with their 95 % intervals.

    Args:
      comparisons: name -> output of launch/compare.py.

    Returns:
      Cells of kind "good" or "bad" if the interval excludes 0.
    """
    rows = []
    for name, found in comparisons.items():
        cells = []
        for metric in ("f1_macro", "mean_average_precision", "hit_ratio"):
            entry = found["metrics"][metric]
            significant = entry["low"] > 0 or entry["high"] < 0
            kind = ("good" if entry["difference"] > 0 else "bad") if significant else ""
            interval = f"{100 * entry['low']:+.1f} to {100 * entry['high']:+.1f}"
            cells.append(Cell(f"{100 * entry['difference']:+.1f}", interval, kind))
        rows.append([name, *cells])
    return Table(("a against b", "macro F1", "mAP", "hit ratio"), rows)


def missing_of(rows: Mapping[str, str], summaries: Summaries) -> list[str]:
    """Return the rows of a table whose systems were not run."""
    return [row for row, system in rows.items() if system not in summaries]


def system_sections(
    tables: Mapping[str, Mapping[str, str]],
    by_split: Mapping[str, Summaries],
    printed: Printed,
    comparisons: Mapping[str, Mapping[str, Any]],
    *,
    rule: str,
) -> list[Section]:
    """Return all sections of the page over systems.

    Args:
      tables: table -> row -> system, see configs/tables.py.
      by_split: "by_film", "by_poster" -> system -> summary; the first one fills the tables.
      printed: the paper's figures.
      comparisons: name -> output of launch/compare.py.
      rule: threshold rule of the tables.
    """
    summaries = next(iter(by_split.values()))
    sections = [Section("Systems", _about(summaries))]
    for name, rows in tables.items():
        missing = missing_of(rows, summaries)
        blocks: list[Text | Table | Chart] = []
        if len(missing) < len(rows):
            blocks.append(table_of(name, rows, summaries, printed, rule=rule))
        if missing:
            blocks.append(Text(f"Not run: {', '.join(missing)}.", "note"))
        if name in printed.tables:
            blocks.append(Text(_NOT_THE_PAPERS, "note"))
        sections.append(Section(TITLES[name].partition(":")[0], blocks))
    if OURS in summaries:
        sections.append(Section("Table IV", [genre_table(summaries[OURS], printed, rule=rule)]))
    sections.append(Section("Hit ratio", [_hit_chart(tables, summaries, printed)]))
    if comparisons:
        sections.append(Section("Paired comparisons", _comparison_blocks(comparisons)))
    sections.append(Section("Ablations of the input", _control_blocks(summaries)))
    if len(by_split) > 1:
        sections.append(leak_section(by_split))
    sections.append(Section("Calibration", _calibration_blocks(summaries)))
    return sections


def subtitle_of(summaries: Summaries, rule: str) -> str:
    """Return dataset, split and threshold of the tables as a sentence."""
    first = next(iter(summaries.values()))
    dataset, split = first["dataset"], first["split"]
    return (
        f"{len(summaries)} systems on {dataset['posters'][split]:,} {split} posters of {dataset['films'][split]:,} "
        f"{unit_of(dataset)}s, split {dataset['split']['rule']}; {THRESHOLDS[rule]}. "
        "Mean over seeds, ± half of its 95 % interval."
    )


def _scale(metric: str) -> float:
    return 1.0 if metric == "hamming_loss" else 100.0


def _figure(value: float, metric: str) -> str:
    return f"{value:.4f}" if metric == "hamming_loss" else f"{value:.2f}"


def _short(measured: Mapping[str, Any]) -> str:
    half = f" ± {100 * (measured['high'] - measured['mean']):.1f}" if "high" in measured else ""
    return f"{100 * measured['mean']:.1f}{half}"


def _ours(measured: Mapping[str, Any], metric: str) -> str:
    scale = _scale(metric)
    mean = _figure(scale * measured["mean"], metric)
    return f"{mean} ± {_figure(scale * (measured['high'] - measured['mean']), metric)}" if "high" in measured else mean


def _paper_note(measured: Mapping[str, Any], printed: float | None, metric: str) -> str:
    if printed is None:
        return ""
    difference = _scale(metric) * measured["mean"] - printed
    sign = "+" if difference >= 0 else "-"
    return f"{_figure(printed, metric)}, {sign}{_figure(abs(difference), metric)}"


def _about(summaries: Summaries) -> list[Table]:
    rows = []
    for name, summary in summaries.items():
        encoders = {side: describe_encoder(passport) for side, passport in summary["encoders"].items()}
        epochs = ", ".join(str(epoch) for epoch in summary["best_epochs"])
        rows.append(
            [
                name,
                summary["model"],
                encoders["image"],
                encoders["text"],
                f"{len(summary['seeds'])}",
                summary["monitor"],
                epochs,
            ]
        )
    return [Table(("system", "head", "picture", "text", "seeds", "stopped on", "best epochs"), rows)]


def _hit_chart(tables: Mapping[str, Mapping[str, str]], summaries: Summaries, printed: Printed) -> Chart:
    seen: dict[str, tuple[str, Mapping[str, Any] | None, float | None]] = {}
    for table, rows in tables.items():
        for row, system in rows.items():
            ours = summaries[system]["metrics"]["hit_ratio"] if system in summaries else None
            paper = printed.tables.get(table, {}).get(row, {}).get("hit_ratio")
            if system not in seen:
                seen[system] = (system, ours, paper)
    return Chart(
        "hit_ratio",
        charts.plot_hit_ratios(list(seen.values())),
        "The share of test posters whose top-scored genre is true. Bars: measured here; diamonds: the paper's.",
    )


def _comparison_blocks(comparisons: Mapping[str, Mapping[str, Any]]) -> list[Text | Table]:
    unit = next(iter(comparisons.values())).get("unit", "film")
    return [
        Text(
            f"Differences on the same posters, in points; below, the 95 % interval over resampled {unit}s and seeds. "
            "Coloured: the interval excludes 0."
        ),
        comparison_table(comparisons),
    ]


def _control_blocks(summaries: Summaries) -> list[Text | Table]:
    titles = name_controls(unit_of(next(iter(summaries.values()))["dataset"]) if summaries else "film")
    names = [control for control in titles if any(control in summary["controls"] for summary in summaries.values())]
    rows = []
    for name, summary in summaries.items():
        own = summary["metrics"]["f1_macro"]["mean"]
        cells: list[str | Cell] = [name, f"{100 * own:.2f}"]
        for control in names:
            changed = summary["controls"].get(control)
            mean = changed and changed["metrics"]["f1_macro"]["mean"]
            cells.append(Cell("") if mean is None else Cell(f"{100 * mean:.2f}", f"{100 * (mean - own):+.2f}"))
        rows.append(cells)
    return [
        Text("Macro F1 at 0.5 of the same weights with changed input of the test posters; below, the difference."),
        Table(("system", "unchanged", *(titles[name] for name in names)), rows),
    ]


def _calibration_blocks(summaries: Summaries) -> list[Text | Table | Chart]:
    rows = []
    for name, summary in summaries.items():
        for kind, entry in summary["calibration"].items():
            rows.append([f"{name}, {CALIBRATIONS[kind]}", f"{entry['brier']['mean']:.4f}", f"{100 * entry['ece']['mean']:.2f}"])
    blocks: list[Text | Table | Chart] = [Table(("system, probabilities", "Brier score", "ECE, %"), rows, "Mean over seeds")]
    if OURS in summaries:
        first = {
            kind: {"bins": entry["bins_first_seed"], "ece": entry["ece"]["values"][0]}
            for kind, entry in summaries[OURS]["calibration"].items()
        }
        blocks.insert(0, Chart("reliability_ours", charts.plot_reliability(first), f"{OURS}, first seed, all genres together."))
    return blocks
