"""Summaries of our systems beside the numbers that the paper prints, as Markdown tables."""

from typing import Any

from posterfusion_jax.genres import GENRES

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
    "ours_too": "Not in the paper: what a user would try first",
}


def format_table(
    title: str,
    rows: dict[str, str],
    summaries: dict[str, dict[str, Any]],
    printed: dict[str, dict[str, float]],
    *,
    rule: str = "metrics",
) -> str:
    """One table of systems: three lines each, ours, the paper's, and the difference.

    Args:
      title: its heading.
      rows: row -> system.
      summaries: system -> summary (`summary.summarise`).
      printed: row -> the paper's figures: per cent, but the Hamming loss, which is a fraction.
      rule: threshold rule of our figures: "metrics" (0.5), "metrics_tuned" or "metrics_tuned_per_genre".

    Returns:
      Markdown. Ours is the mean over seeds and half the width of its 95 % interval, in the paper's units.
    """
    lines = _head(title, ["system", "", *COLUMNS.values(), "hit ratio"])
    missing = []
    for row, system in rows.items():
        paper = printed.get(row, {})
        if system not in summaries:
            missing.append(row)
            continue
        measured = summaries[system][rule]
        lines.append(_line([row, "ours", *(_ours(measured[m], m) for m in (*COLUMNS, "hit_ratio"))]))
        if paper:
            figures = [(m, paper.get(m)) for m in (*COLUMNS, "hit_ratio")]
            lines.append(_line(["", "paper", *("" if p is None else _figure(p, m) for m, p in figures)]))
            lines.append(_line(["", "difference", *("" if p is None else _difference(measured[m], p, m) for m, p in figures)]))
    if missing:
        lines += ["", "Not run: " + ", ".join(missing) + "."]
    return "\n".join(lines)


def format_genres(summary: dict[str, Any], printed: dict[str, dict[str, float]], *, rule: str = "metrics") -> str:
    """Table IV: our model by genre, each cell ours and, in brackets, the paper's figure.

    Args:
      summary: of our model.
      printed: genre -> the paper's figures, per cent.
      rule: see `format_table`.
    """
    lines = _head("Table IV: the genres (in brackets: the paper)", ["genre", *GENRE_COLUMNS.values()])
    for genre in GENRES:
        measured = summary["per_genre"][rule][genre]
        cells = [f"{_ours(measured[m], m)} ({_figure(printed[genre][m], m)})" for m in GENRE_COLUMNS]
        lines.append(_line([genre, *cells]))
    return "\n".join(lines)


def _head(title: str, columns: list[str]) -> list[str]:
    return [f"### {title}", "", _line(columns), "|---|" + "---:|" * (len(columns) - 1)]


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _scale(metric: str) -> float:
    return 1.0 if metric == "hamming_loss" else 100.0


def _figure(value: float, metric: str) -> str:
    return f"{value:.4f}" if metric == "hamming_loss" else f"{value:.2f}"


def _ours(measured: dict[str, Any], metric: str) -> str:
    scale = _scale(metric)
    mean = _figure(scale * measured["mean"], metric)
    return f"{mean} ± {_figure(scale * (measured['high'] - measured['mean']), metric)}" if "high" in measured else mean


def _difference(measured: dict[str, Any], printed: float, metric: str) -> str:
    difference = _scale(metric) * measured["mean"] - printed
    return ("+" if difference >= 0 else "-") + _figure(abs(difference), metric)
