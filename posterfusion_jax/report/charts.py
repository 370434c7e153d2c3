"""Charts of the reports as matplotlib figures, narrow enough to be read on a phone.

Charts by genre grow with the genres and show `_MOST_GENRES` at most, the most frequent; long names take two lines.
"""

import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from posterfusion_jax.genres import most_frequent, shorten_name
from posterfusion_jax.metrics.report_text import headline_f1
from posterfusion_jax.report.page import STYLE
from posterfusion_jax.report.plotting import Figure, chart_style, make_figure, replace_missing_letters
from posterfusion_jax.utils.console import sanitize

OURS, OTHER, PAPER = "#0b5fa5", "#8fa7bf", "#d1711c"
_SPLITS = {"train": "#0b5fa5", "validation": "#56a0d3", "test": "#d1711c"}
_KINDS = {"raw": ("raw scores", "#8a929c"), "closed_form": ("closed form", "#d1711c"), "fitted": ("fitted", "#0b5fa5")}
_WIDTH = 6.4  # inches
_ROW = 0.27  # inches per genre
_MOST_GENRES, _MOST_CO_OCCURRING, _MOST_WITH_NUMBERS = 60, 30, 20
_NAME_WIDTH = 24  # characters of a genre on one line
_CAPTION = 22  # characters of the title above an image


def plot_training(history: Sequence[Mapping[str, Any]], best_epoch: int) -> Figure:
    """Plot losses and validation metrics by epoch.

    Args:
      history: one entry per epoch: epoch, train_loss, validation_loss, validation_f1_macro, validation_hit_ratio (fractions).
      best_epoch: epoch of the checkpoint in use.
    """
    with chart_style(STYLE):
        figure, (upper, lower) = make_figure(_WIDTH, 5.2, 2, 1, sharex=True)
        epochs = [entry["epoch"] for entry in history]
        upper.plot(epochs, [entry["train_loss"] for entry in history], color=OTHER, label="training")
        upper.plot(epochs, [entry["validation_loss"] for entry in history], color=OURS, label="validation")
        upper.set(title="Loss", yscale="log")
        lower.plot(epochs, [100 * entry["validation_f1_macro"] for entry in history], color=OURS, label="macro F1 at 0.5")
        lower.plot(epochs, [100 * entry["validation_hit_ratio"] for entry in history], color=PAPER, label="hit ratio")
        lower.set(title="Validation", xlabel="epoch", ylabel="%", ylim=(0, 100))
        for axes in (upper, lower):
            axes.axvline(best_epoch, color="0.5", linestyle=":", label="checkpoint used")
            axes.legend()
    return figure


def plot_genre_f1(metrics: Mapping[str, Any], best_achievable: Mapping[str, Any] | None) -> Figure:
    """Plot the F1 per genre, sorted.

    Args:
      metrics: "per_genre" and "f1_macro" of a results file.
      best_achievable: "per_genre" of the best achievable scores of drawn posters; None for other posters.
    """
    entries = metrics["per_genre"]
    shown = most_frequent({genre: entry["support"] for genre, entry in entries.items()}, _MOST_GENRES)
    order = sorted(shown, key=lambda genre: entries[genre]["f1"])
    macro = 100 * headline_f1(metrics)
    with chart_style(STYLE):
        figure, axes = make_figure(_WIDTH, 1.09 + _ROW * max(len(order), 4))
        axes.barh(range(len(order)), [100 * entries[genre]["f1"] for genre in order], color=OURS)
        _name_rows(axes, order, notes=[f" ({entries[genre]['support']})" for genre in order])
        if best_achievable:
            best = [100 * best_achievable["per_genre"][genre]["f1"] for genre in order]
            axes.plot(best, range(len(order)), "D", color="black", markersize=5, clip_on=False, label="best achievable")
            axes.legend(loc="lower right")
        axes.axvline(macro, color="0.4", linestyle=":")
        axes.grid(axis="y", visible=False)
        over = f"\nover the {metrics['labels_present']} of {len(entries)} with posters" if metrics.get("absent") else ""
        title = f"F1 by genre, macro F1 {macro:.1f} %{over}{_part(order, entries)}"
        axes.set(xlim=(0, 100), xlabel="F1, %", title=title)
    return figure


def plot_dataset(splits: Mapping[str, Any], *, unit: str = "film") -> Figure:
    """Plot the posters per genre, stacked by split, with the number of films or other groups.

    Args:
      splits: splits of the dataset's report: name -> {"genres": {genre: {"posters", "films"}}}.
      unit: what a group of posters is.
    """
    genres = next(iter(splits.values()))["genres"]
    totals = {genre: sum(part["genres"][genre]["posters"] for part in splits.values()) for genre in genres}
    order = sorted(most_frequent(totals, _MOST_GENRES), key=lambda genre: totals[genre])
    with chart_style(STYLE):
        figure, axes = make_figure(_WIDTH, 1.29 + _ROW * max(len(order), 4))
        left = np.zeros(len(order))
        for name, part in splits.items():
            counts = np.array([part["genres"][genre]["posters"] for genre in order])
            axes.barh(range(len(order)), counts, left=left, color=_SPLITS[name], label=name)
            left += counts
        for place, genre in enumerate(order):
            films = sum(part["genres"][genre]["films"] for part in splits.values())
            axes.text(left[place], place, f"  {int(left[place]):,} of {films:,} {unit}s", va="center", fontsize=8)
        _name_rows(axes, order)
        axes.set(xlabel="posters", title=f"Posters by genre{_part(order, genres)}", xlim=(0, max(1.3 * left.max(), 1)))
        axes.grid(axis="y", visible=False)
        axes.legend(loc="lower right")
    return figure


def plot_co_occurrence(labels: np.ndarray, genres: Sequence[str]) -> Figure:
    """Plot co-occurrence: the share, in per cent, of the posters of a row's genre that also have the column's genre.

    Args:
      labels: multi-hot [n, g].
      genres: g names.
    """
    places = {genre: column for column, genre in enumerate(genres)}
    totals = labels.sum(axis=0, dtype=int).tolist()
    shown = most_frequent(dict(zip(genres, totals, strict=True)), _MOST_CO_OCCURRING)
    labels = labels[:, [places[genre] for genre in shown]]
    counts = labels.T.astype(float) @ labels
    share = 100 * counts / np.maximum(np.diag(counts), 1)[:, None]
    np.fill_diagonal(share, np.nan)
    with chart_style({**STYLE, "axes.grid": False}):
        figure, axes = make_figure(_WIDTH, 5.8)
        image = axes.imshow(share, cmap="Blues", vmin=0)
        for (row, column), value in np.ndenumerate(share) if len(shown) <= _MOST_WITH_NUMBERS else ():
            if np.isfinite(value) and value >= 0.5:
                colour = "white" if value > 0.55 * np.nanmax(share) else "0.25"
                axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=7.5, color=colour)
        names = [_name(genre) for genre in shown]
        size = min(10, 210 / len(names))
        columns = {"rotation": 60, "ha": "right", "rotation_mode": "anchor", "fontsize": size, "parse_math": False}
        axes.set_xticks(range(len(names)), names, **columns)
        axes.set_yticks(range(len(names)), names, fontsize=size, parse_math=False)
        axes.set(title=f"Co-occurrence of genres{_part(shown, genres)}")
        figure.colorbar(image, shrink=0.7, label="% of the row's posters")
    return figure


def plot_reliability(calibration: Mapping[str, Any]) -> Figure:
    """Plot the reliability diagram of all posters and genres together.

    Args:
      calibration: entry of a results file: kind -> {"bins": {"edges", "count", "mean_score", "positive_share"}, "ece"}.
    """
    with chart_style(STYLE):
        figure, (upper, lower) = make_figure(5.2, 6.2, 2, 1, sharex=True, height_ratios=[4, 1])
        upper.plot([0, 100], [0, 100], color="0.6", linestyle=":", label="perfect")
        for kind, entry in calibration.items():
            title, colour = _KINDS[kind]
            bins = entry["bins"]
            count = np.array(bins["count"])
            seen = count > 0
            mean, positives = (100 * np.array(bins[name], float)[seen] for name in ("mean_score", "positive_share"))
            upper.plot(mean, positives, "o-", color=colour, markersize=4, label=f"{title}, ECE {100 * entry['ece']:.1f} %")
            lower.stairs(np.maximum(count, 0.5), 100 * np.array(bins["edges"]), color=colour)
        upper.set(title="Reliability", ylabel="observed, %", xlim=(0, 100), ylim=(0, 100))
        upper.legend(loc="upper left")
        lower.set(yscale="log", xlabel="predicted probability, %", ylabel="decisions")
    return figure


def plot_hit_ratios(systems: Sequence[tuple[str, Mapping[str, Any] | None, float | None]]) -> Figure:
    """Plot Fig. 4 of the paper: the hit ratio per system, ours with its interval over seeds, the paper's as a marker.

    Args:
      systems: name, our figure {"mean", "low", "high"} (fractions) or None, the paper's figure in per cent or None.
    """
    shown = list(reversed([entry for entry in systems if entry[1] is not None or entry[2] is not None]))
    with chart_style(STYLE):
        figure, axes = make_figure(_WIDTH, 1.2 + 0.32 * len(shown))
        for place, (name, ours, paper) in enumerate(shown):
            if ours is not None:
                mean = 100 * ours["mean"]
                error = [[100 * (ours["mean"] - ours["low"])], [100 * (ours["high"] - ours["mean"])]] if "low" in ours else None
                colour = OURS if name.startswith("ours") else OTHER
                axes.barh(place, mean, color=colour, xerr=error, error_kw={"elinewidth": 1.2, "capsize": 3})
            if paper is not None:
                axes.plot(paper, place, "D", color=PAPER, markersize=6)
        axes.plot([], [], "D", color=PAPER, label="printed in the paper (its own posters)")
        axes.barh(0, 0, color=OURS, label="measured here, 95 % interval over seeds")
        axes.set_yticks(range(len(shown)), [name for name, _, _ in shown])
        axes.set(xlim=(0, 100), xlabel="hit ratio, %", title="Hit ratio: the top-scored genre is true")
        axes.grid(axis="y", visible=False)
        figure.legend(loc="outside lower center", fontsize=8.5)
    return figure


def plot_gates(entries: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Plot the modality gates of a head by genre.

    Args:
      entries: gate -> {"mean", "per_genre": {genre: mean over its posters or None}}, for gates that differ between posters.
    """
    known = next(iter(entries.values()))["per_genre"]
    genres = list(known)[:_MOST_GENRES]
    with chart_style(STYLE):
        figure, axes = make_figure(_WIDTH, 0.9 + 0.3 * max(len(genres), 4))
        for k, (name, entry) in enumerate(entries.items()):
            values = [entry["per_genre"][genre] for genre in genres]
            places = [place for place, value in enumerate(values) if value is not None]
            axes.plot([v for v in values if v is not None], places, "o", color=(OURS, PAPER, OTHER)[k % 3], label=name)
            axes.axvline(entry["mean"], color=(OURS, PAPER, OTHER)[k % 3], linestyle=":")
        _name_rows(axes, genres)
        first = f"\nthe first {len(genres)} of {len(known)} genres" if len(genres) < len(known) else ""
        axes.set(title=f"Gates by genre (dotted: mean){first}", xlabel="0: text only, 1: image only")
        axes.legend()
    return figure


def _name(genre: str) -> str:
    return replace_missing_letters(shorten_name(sanitize(genre), _NAME_WIDTH))


def _name_rows(axes: Any, genres: Sequence[str], *, notes: Sequence[str] = ()) -> None:
    """Label the rows 0, 1, ... with names and notes, a long name on two lines; a dollar sign would start a formula."""
    names = [_name_lines(genre) + note for genre, note in zip(genres, notes or [""] * len(genres), strict=True)]
    axes.set_yticks(range(len(names)), names, parse_math=False)
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        if "\n" in name:
            label.set_fontsize(7)
    axes.set_ylim(-0.6, len(names) - 0.4)


def _name_lines(genre: str) -> str:
    name = replace_missing_letters(shorten_name(sanitize(genre), 2 * _NAME_WIDTH))
    lines = textwrap.wrap(name, _NAME_WIDTH)
    return "\n".join(lines if len(lines) <= 2 else (name[:_NAME_WIDTH], name[_NAME_WIDTH:]))


def _part(shown: Sequence[str], genres: Collection[str]) -> str:
    """Return the end of a title that states which genres are shown, where some are not."""
    return f"\nthe {len(shown)} most frequent of {len(genres)} genres" if len(shown) < len(genres) else ""


def plot_attention(posters: Sequence[tuple[np.ndarray, np.ndarray, str]]) -> Figure:
    """Plot the attention of the words over the image, per poster.

    Args:
      posters: per poster, encoder input pixels uint8 [s, s, 3], weights [p, p] of sum at most 1, and a caption.
    """
    columns = min(4, len(posters))
    rows = -(-len(posters) // columns)
    with chart_style({**STYLE, "axes.grid": False}):
        figure, grid = make_figure(1.75 * columns, 2.15 * rows, rows, columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, (pixels, weights, caption) in zip(grid.flat, posters, strict=False):
            size = len(pixels)
            axes.imshow(pixels.mean(axis=-1), cmap="gray", vmin=0, vmax=255)
            # Relative to uniform attention, which is not coloured.
            relative = weights * weights.size
            extent = (-0.5, size - 0.5, size - 0.5, -0.5)
            axes.imshow(relative, cmap="inferno", vmin=0, vmax=max(2.0, relative.max()), alpha=0.6, extent=extent)
            # A dollar sign would start a formula.
            axes.set_title(
                replace_missing_letters(sanitize(caption, width=_CAPTION)), fontsize=7.5, fontweight="normal", parse_math=False
            )
    return figure
