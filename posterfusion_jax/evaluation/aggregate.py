"""Aggregation of the results of several seeds of one system: values, mean, deviation and 95 % interval per metric."""

from collections.abc import Mapping, Sequence
from typing import Any

from posterfusion_jax.evaluation.results import genres_of
from posterfusion_jax.genres import PAPER_GENRES, check_paper_genres, check_same_genres, read_genres
from posterfusion_jax.metrics.intervals import seed_interval
from posterfusion_jax.metrics.report_text import headline_f1

METRICS = (
    *("f1_macro", "ba_macro", "f1_micro", "ba_micro", "f1_weighted", "ba_weighted", "f1_samples", "ba_samples"),
    *("hamming_loss", "hit_ratio", "mean_average_precision", "roc_auc_macro", "brier", "ece"),
)
PRESENT = "f1_macro_present"
GENRE_METRICS = ("precision", "recall", "f1", "balanced_accuracy", "specificity")
RULES = ("metrics", "metrics_tuned", "metrics_tuned_per_genre")


def aggregate_seeds(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the summary of the seeds of one system.

    Args:
      runs: results files of one split, one per seed, at least one.

    Returns:
      JSON-serializable: model, split, dataset and encoders, "absent" (genres without a positive poster), and per threshold
      rule and metric {"values", "mean"} and, with several seeds, {"std", "low", "high", "runs"} (95 % t-interval); likewise
      per genre, per ablation ("controls"), for the Brier score and ECE of each kind of probability ("calibration"), and for
      gates; the film-resampled intervals and the reliability bins of the first seed.

    Raises:
      InputError: the seeds have different genres.
    """
    first = runs[0]
    genres = [genres_of(run, place=f"the results of seed {run['seed']}") for run in runs]
    for run, names in zip(runs[1:], genres[1:], strict=True):
        here, there = (f"the results of seed {of['seed']}" for of in (first, run))
        check_same_genres(genres[0], names, place_here=here, place_there=there)
    summary: dict[str, Any] = {
        "model": first["model"],
        "split": first["split"],
        "seeds": [run["seed"] for run in runs],
        "best_epochs": [run["checkpoint"]["epoch"] for run in runs],
        "monitor": first["checkpoint"]["monitor"],
        "genres": list(genres[0]),
        "dataset": first["dataset"],
        "encoders": first["encoders"],
        "versions": first["versions"],
    }
    if all(PRESENT in run["metrics"] for run in runs):  # earlier versions lack it
        summary["absent"] = first["metrics"]["absent"]
    for rule in RULES:
        names = [*METRICS, PRESENT] if "absent" in summary else METRICS
        summary[rule] = {metric: _over_seeds([run[rule][metric] for run in runs]) for metric in names}
    summary["per_genre"] = {
        rule: {
            genre: {metric: _over_seeds([run[rule]["per_genre"][genre][metric] for run in runs]) for metric in GENRE_METRICS}
            for genre in first[rule]["per_genre"]
        }
        for rule in RULES
    }
    summary["controls"] = {
        control: {
            rule: {metric: _over_seeds([run["controls"][control][rule][metric] for run in runs]) for metric in METRICS}
            for rule in RULES
        }
        for control in first["controls"]
    }
    summary["calibration"] = {
        kind: {
            **{name: _over_seeds([run["calibration"][kind][name] for run in runs]) for name in ("brier", "ece")},
            "bins_first_seed": described["bins"],
        }
        for kind, described in first["calibration"].items()
    }
    summary["film_intervals_first_seed"] = first["intervals"]
    if "gates" in first:
        summary["gates"] = {name: _over_seeds([run["gates"][name]["mean"] for run in runs]) for name in first["gates"]}
    return summary


def _over_seeds(values: list[float]) -> dict[str, Any]:
    spread = seed_interval(values)._asdict() if len(values) > 1 else {"mean": values[0]}
    return {"values": values, **spread}


def check_paper_summaries(summaries: Mapping[str, Mapping[str, Any]], *, place: object) -> None:
    """Raise InputError that names the first difference if a system has other genres than the paper.

    Args:
      summaries: system -> summary.
      place: location of the summaries, for messages.
    """
    for system, summary in summaries.items():
        where = f"the summary of {system} in {place}"
        genres: Sequence[str] = PAPER_GENRES
        if "genres" in summary:
            genres = read_genres(summary, place=where)
        elif "per_genre" in summary:  # summaries of earlier versions have the names as keys only
            genres = tuple(summary["per_genre"][RULES[0]])
        check_paper_genres(genres, place=where)


def format_aggregates(summaries: dict[str, dict[str, Any]]) -> str:
    """Format mean and standard deviation over seeds, in per cent, for the fixed and the per-genre thresholds.

    Macro F1 is over the genres with a positive poster; a line below states where some have none.
    """
    lines = [f"{'':<28}{'macro F1':>16}{'tuned per genre':>18}{'mAP':>16}{'hit ratio':>16}"]
    for name, cell in summaries.items():
        columns = [headline_f1(cell["metrics"]), headline_f1(cell["metrics_tuned_per_genre"])]
        columns += [cell["metrics"]["mean_average_precision"], cell["metrics"]["hit_ratio"]]
        shown = [f"{100 * c['mean']:.2f} ± {100 * c.get('std', float('nan')):.2f}" for c in columns]
        lines.append(f"{name:<28}{shown[0]:>16}{shown[1]:>18}{shown[2]:>16}{shown[3]:>16}")
    for name, cell in summaries.items():
        if cell.get("absent"):
            labels, whole = len(cell["genres"]), cell["metrics"]["f1_macro"]["mean"]
            lines.append(
                f"{name}: macro F1 over the {labels - len(cell['absent'])} of {labels} labels with positives; over all "
                f"{labels} it is {100 * whole:.2f}"
            )
    return "\n".join(lines)
