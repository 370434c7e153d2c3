"""Results files to what people look at: tables in Markdown and pictures."""

import io
import pathlib
import textwrap
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset
from posterfusion_jax.genres import GENRES, decode_genres
from posterfusion_jax.images import decode_poster
from posterfusion_jax.metrics import format_report
from posterfusion_jax.thresholds import apply_thresholds

_RULES = {"metrics": "fixed", "metrics_tuned": "tuned", "metrics_tuned_per_genre": "per genre"}
_COLUMNS = {
    "f1_macro": "macro F1",
    "f1_micro": "micro F1",
    "f1_weighted": "weighted F1",
    "f1_samples": "samples F1",
    "ba_macro": "macro BA",
    "hit_ratio": "hit ratio",
}
_ORACLES = {"both": "both cues", "picture": "picture cues only", "words": "word cues only"}
_SHOWN = 8  # posters in the gallery


def write_report(
    folder: pathlib.Path,
    results: dict[str, dict[str, Any]],
    scores: dict[str, np.ndarray],
    history: list[dict[str, Any]],
    dataset: PosterDataset,
    *,
    best_achievable: dict[str, Any] | None,
) -> None:
    """Writes report.md, training.png, per_genre.png and predictions.png into `folder`.

    Args:
      results: split -> results file.
      scores: the arrays beside the last split's results file.
      history: one entry an epoch.
      dataset: of the run, for the gallery's posters.
      best_achievable: of drawn posters, as `synthetic.best_achievable` gives it for the last split.
    """
    folder.mkdir(parents=True, exist_ok=True)
    last = list(results)[-1]
    _save(_plot_training(history, results[last]["checkpoint"]["epoch"]), folder / "training.png")
    _save(_plot_genres(results[last]["metrics"], best_achievable), folder / "per_genre.png")
    _save(
        _plot_gallery(scores, dataset, last, results[last]["thresholds"]["fixed"], results[last]["evaluate"]["force_top1"]),
        folder / "predictions.png",
    )
    (folder / "report.md").write_text(_markdown(results, last, best_achievable))


def format_summary(results: dict[str, dict[str, Any]], *, best_achievable: dict[str, Any] | None) -> str:
    """The table that a run ends with: per cent, with 95 % intervals (films resampled) of macro F1 and hit ratio."""
    lines = [f"\n{'split':<12}{'threshold':<11}{'macro F1':>20}{'micro F1':>10}{'hit ratio':>20}{'Hamming':>9}{'mAP':>7}"]
    for split, result in results.items():
        for rule, name in _RULES.items():
            metrics, interval = result[rule], result["intervals"][rule]
            lines.append(
                f"{split:<12}{name:<11}{_with_interval(metrics, interval, 'f1_macro'):>20}{100 * metrics['f1_micro']:>10.2f}"
                f"{_with_interval(metrics, interval, 'hit_ratio'):>20}{metrics['hamming_loss']:>9.4f}"
                f"{100 * metrics['mean_average_precision']:>7.2f}"
            )
    if best_achievable:
        last = list(results)[-1]
        lines.append(f"\nbest achievable on the {last} posters, given what the generator planted (macro F1 %, hit ratio %):")
        for name, title in _ORACLES.items():
            lines.append(
                f"  {title:<20}{100 * best_achievable[name]['f1_macro']:7.2f}{100 * best_achievable[name]['hit_ratio']:9.2f}"
            )
    last_result = results[list(results)[-1]]
    return "\n".join(
        [
            *lines,
            "",
            f"{last_result['split']} split, threshold {last_result['thresholds']['fixed']}:",
            format_report(last_result["metrics"]),
        ]
    )


def _with_interval(metrics: dict[str, Any], interval: dict[str, Any], name: str) -> str:
    low, high = interval[name]
    return f"{100 * metrics[name]:.2f} [{100 * low:.1f}, {100 * high:.1f}]"


def _markdown(results: dict[str, dict[str, Any]], last: str, best_achievable: dict[str, Any] | None) -> str:
    about = results[last]
    split = about["dataset"]["split"]
    encoders = about["encoders"]
    leak = about["dataset"]["leak_share"]
    lines = [
        "# Report",
        "",
        f"Model `{about['model']}`, seed {about['seed']}, checkpoint of epoch {about['checkpoint']['epoch']} "
        f"(best validation {about['checkpoint']['monitor']}).",
        "",
        f"Split: {split['rule']}, seed {split['seed']}; {100 * leak:.1f} % of the test posters have a poster of the same "
        "film in the training split.",
        "",
        f"Image encoder: {_encoder(encoders['image'])}. Text encoder: {_encoder(encoders['text'])}.",
        "",
        "Per cent; in brackets the 95 % interval when films are resampled.",
        "",
        "| split | threshold | " + " | ".join(_COLUMNS.values()) + " | Hamming loss | mAP |",
        "|---|---|" + "---:|" * (len(_COLUMNS) + 2),
    ]
    for name, result in results.items():
        for rule, title in _RULES.items():
            cells = [_with_interval(result[rule], result["intervals"][rule], column) for column in _COLUMNS]
            cells += [f"{result[rule]['hamming_loss']:.4f}", f"{100 * result[rule]['mean_average_precision']:.2f}"]
            lines.append(f"| {name} | {title} | " + " | ".join(cells) + " |")
    if best_achievable:
        lines += ["", f"Best achievable on the {last} posters, given what the generator planted:", ""]
        lines += ["| cues | macro F1 | hit ratio |", "|---|---:|---:|"]
        for name, title in _ORACLES.items():
            oracle = best_achievable[name]
            lines.append(f"| {title} | {100 * oracle['f1_macro']:.2f} | {100 * oracle['hit_ratio']:.2f} |")
    lines += ["", f"## By genre ({last}, threshold {about['thresholds']['fixed']})", ""]
    lines += ["| genre | precision | recall | F1 | balanced accuracy | specificity | posters |", "|---|" + "---:|" * 6]
    for genre, entry in about["metrics"]["per_genre"].items():
        cells = [f"{100 * entry[c]:.2f}" for c in ("precision", "recall", "f1", "balanced_accuracy", "specificity")]
        lines.append(f"| {genre} | " + " | ".join(cells) + f" | {entry['support']} |")
    lines += ["", *(f"![{name}]({name}.png)\n" for name in ("per_genre", "training", "predictions"))]
    return "\n".join(lines)


def _encoder(passport: dict[str, Any]) -> str:
    random = ", started from random weights" if passport.get("random") else ""
    return f"{passport.get('family', 'encoder')} `{passport.get('source')}`{random}"


def _plot_training(history: list[dict[str, Any]], best_epoch: int) -> Figure:
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    epochs = [entry["epoch"] for entry in history]
    left.plot(epochs, [entry["train_loss"] for entry in history], label="training")
    left.plot(epochs, [entry["validation_loss"] for entry in history], label="validation")
    left.set(title="Loss", xlabel="epoch", yscale="log")
    right.plot(epochs, [100 * entry["validation_f1_macro"] for entry in history], label="macro F1")
    right.plot(epochs, [100 * entry["validation_hit_ratio"] for entry in history], label="hit ratio")
    right.set(title="Validation", xlabel="epoch", ylabel="%", ylim=(0, 100))
    for axes in (left, right):
        axes.axvline(best_epoch, color="0.6", linestyle=":", label="checkpoint used")
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def _plot_genres(metrics: dict[str, Any], best_achievable: dict[str, Any] | None) -> Figure:
    entries = metrics["per_genre"]
    order = sorted(GENRES, key=lambda genre: entries[genre]["f1"])
    figure, axes = plt.subplots(figsize=(7, 4.8), layout="constrained")
    axes.barh([f"{genre} ({entries[genre]['support']})" for genre in order], [100 * entries[g]["f1"] for g in order])
    if best_achievable:
        best = [100 * best_achievable["both"]["per_genre"][genre]["f1"] for genre in order]
        axes.plot(best, range(len(order)), "D", color="black", markersize=5, label="best achievable")
        axes.legend(loc="lower right")
    axes.axvline(100 * metrics["f1_macro"], color="0.4", linestyle=":")
    axes.set(
        xlim=(0, 100), xlabel="F1, %", title=f"F1 by genre (posters in brackets); macro F1 {100 * metrics['f1_macro']:.1f} %"
    )
    axes.grid(axis="x", alpha=0.3)
    return figure


def _plot_gallery(
    scores: dict[str, np.ndarray], dataset: PosterDataset, split: str, threshold: float, force_top1: bool
) -> Figure:
    """Posters at even distances over the split, one a film: what is true, what is predicted."""
    _, first_of_film = np.unique(scores["film_ids"], return_index=True)
    chosen = first_of_film[np.unique(np.linspace(0, len(first_of_film) - 1, _SHOWN).round().astype(int))]
    decided = apply_thresholds(scores["scores"], threshold, force_top1=force_top1)
    figure, grid = plt.subplots(2, _SHOWN // 2, figsize=(12, 11), layout="constrained")
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, row in zip(grid.flat, chosen, strict=False):
        axes.imshow(decode_poster(dataset.row(split, int(row))["image"]))
        true = decode_genres(scores["labels"][row])
        predicted = decode_genres(decided[row])
        right = set(true) == set(predicted)
        lines = [f"true: {', '.join(true)}", f"predicted: {', '.join(predicted) or 'none'}"]
        text = "\n".join(wrapped for line in lines for wrapped in textwrap.wrap(line, 34))
        axes.set_title(text, fontsize=10, loc="left", color="tab:green" if right else "tab:red")
    return figure


def _save(figure: Figure, path: pathlib.Path) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110, metadata={"Software": None})  # without the date, equal runs give equal bytes
    plt.close(figure)
    path.write_bytes(buffer.getvalue())
