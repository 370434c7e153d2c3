"""Report of one run: scores, ablations, calibration, training, example posters, dataset."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from posterfusion_jax.datasets.imdb_posters.label_report import format_labels
from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset
from posterfusion_jax.datasets.imdb_posters.report import unit_of
from posterfusion_jax.evaluation.results import describe_common, genres_of
from posterfusion_jax.metrics.report_text import describe_absent, format_report, headline_f1
from posterfusion_jax.report import charts
from posterfusion_jax.report.examples import Examples, make_cards
from posterfusion_jax.report.origin import describe_origin
from posterfusion_jax.report.page import Cards, Cell, Chart, Section, Table, Text
from posterfusion_jax.report.text_statistics import text_blocks
from posterfusion_jax.utils.console import wrap_lines

RULES = {"metrics": "fixed", "metrics_tuned": "tuned", "metrics_tuned_per_genre": "per genre"}
_REPORTED = "metrics_tuned_per_genre"  # thresholds of the row to report
CALIBRATIONS = {"raw": "raw scores", "closed_form": "closed form of the loss", "fitted": "fitted on validation"}
ORACLES = {"both": "both cues", "picture": "picture cues only", "words": "word cues only"}
_COLUMNS = {
    "f1_macro": "macro F1",
    "f1_micro": "micro F1",
    "f1_weighted": "weighted F1",
    "f1_samples": "samples F1",
    "ba_macro": "macro BA",
    "hit_ratio": "hit ratio",
}


def run_sections(
    results: Mapping[str, dict[str, Any]],
    arrays: Mapping[str, np.ndarray],
    history: Sequence[Mapping[str, Any]],
    dataset: PosterDataset,
    *,
    examples: Examples,
    attention: Sequence[tuple[np.ndarray, np.ndarray]],
    best_achievable: Mapping[str, Any] | None,
) -> list[Section]:
    """Return all sections of the page of a run.

    Args:
      results: split -> results file; details are those of the last split.
      arrays: arrays of the last split's scores file.
      history: one entry per epoch; empty for a model that does not train.
      dataset: dataset of the run.
      examples: rows of the last split.
      attention: pixels and weights of `examples.evenly`, in their order; empty for heads without attention maps.
      best_achievable: of drawn posters, as `synthetic.generator.bayes_optimal_report` gives it for the last split.
    """
    last = list(results)[-1]
    about = results[last]
    threshold, force_top1 = about["thresholds"]["fixed"], about["evaluate"]["force_top1"]
    genres = genres_of(about, place=f"the results of {last}")

    def cards(rows: list[int]) -> Cards:
        return Cards(make_cards(rows, arrays, dataset, last, threshold=threshold, force_top1=force_top1, genres=genres))

    control = about["config"]["data"]["text_control"]
    other = f"Trained and tested with data.text_control={control!r}, not on the words printed below the posters."
    sections = [
        Section(
            "Scores", [*([] if control == "own" else [Text(other, "warning")]), *_score_tables(results, last, best_achievable)]
        ),
        Section("By genre", [*_genre_blocks(about, best_achievable)]),
    ]
    if about["controls"]:
        sections.append(Section("Ablations of the input", [*_control_blocks(about)]))
    sections.append(Section("Calibration", [*_calibration_blocks(about)]))
    if history:
        chart = Chart(
            "training", charts.plot_training(history, about["checkpoint"]["epoch"]), "Losses and validation by epoch."
        )
        sections.append(Section("Training", [chart]))
    sections += [
        Section(
            "Sample of posters",
            [Text(f"From the {last} split, at even distances, independent of their scores."), cards(examples.evenly)],
        ),
        Section(
            "Most confident, right", [cards(examples.right) if examples.right else Text("No poster has all genres right.")]
        ),
        Section("Most confident, wrong", [cards(examples.wrong) if examples.wrong else Text("No wrong genre is predicted.")]),
    ]
    sections += _attention_sections(attention, [dataset.row(last, row)["title"] for row in examples.evenly])
    origin = describe_origin(dataset.report, about["config"]["data"], groups=dataset.count_groups())
    sections.append(Section("Dataset", [*map(Text, origin), *_dataset_blocks(dataset)]))
    sections.append(Section("Texts", [*text_blocks(dataset.report.get("text"), about)]))
    return sections


def name_controls(unit: str) -> dict[str, str]:
    """Return the ablations of the input with their names in tables; `unit` is what a group of posters is, "film"."""
    return {
        "text_empty": "without text",
        "text_shuffled": f"text of another {unit}",
        "text_without_title": "text without the title's words",
        "image_mean": "without image (replaced by the mean image)",
    }


def subtitle_of(about: Mapping[str, Any]) -> str:
    """Return model, checkpoint, encoders and split of the results as sentences."""
    split, encoders = about["dataset"]["split"], about["encoders"]
    return (
        f"Model {about['model']}, seed {about['seed']}, {describe_checkpoint(about['checkpoint'])}. "
        f"Picture: {describe_encoder(encoders['image'])}. Text: "
        f"{describe_encoder(encoders['text'])}. Split {split['rule']}, seed {split['seed']}; {describe_leak(about['dataset'])}."
    )


def describe_leak(dataset: Mapping[str, Any]) -> str:
    """Return the share of test posters whose group is also in train, as a phrase, or that there is no test split."""
    if "test" not in dataset["posters"]:
        return "this dataset has no test split"
    return f"{100 * dataset['leak_share']:.1f} % of the test posters have a poster of the same {unit_of(dataset)} in train"


def describe_checkpoint(checkpoint: Mapping[str, Any]) -> str:
    """Return epoch and selection criterion of the checkpoint as a phrase."""
    if checkpoint["epoch"] == 0:
        return "not trained"
    return f"checkpoint of epoch {checkpoint['epoch']} (best validation {checkpoint['monitor']})"


def describe_encoder(passport: Mapping[str, Any]) -> str:
    """Return family and source of an encoder, with a note on random weights."""
    random = ", started from random weights" if passport.get("random") else ""
    return f"{passport.get('family', 'encoder')} ({passport.get('source')}{random})"


def format_summary(results: Mapping[str, dict[str, Any]], *, best_achievable: Mapping[str, Any] | None) -> str:
    """Return the tables that a run ends with on the terminal, at most 80 columns wide.

    The row to report is marked: the last split (test, where there is one) with one threshold per genre, tuned on validation.
    Macro F1 is over the genres with a positive poster; lines below state where some have none. Names of more than 9
    characters widen the table of genres.

    Args:
      results: split -> its results file.
      best_achievable: of drawn posters, see `datasets.synthetic.oracle`; None for others.
    """
    last = list(results)[-1]
    lines = [f"\n{'split':<11}{'threshold':<11}{'macro F1':>18}{'micro F1':>9}{'hit ratio':>18}{'Hamming':>8}{'mAP':>5}"]
    for split, result in results.items():
        for rule, name in RULES.items():
            metrics, interval = result[rule], result["intervals"][rule]
            f1 = f"{percent(headline_f1(metrics))} {_short_interval(headline_f1(interval))}"
            hit = f"{percent(metrics['hit_ratio'])} {_short_interval(interval['hit_ratio'])}"
            mark = " *" if (split, rule) == (last, _REPORTED) else ""
            lines.append(
                f"{split:<11}{name + mark:<11}{f1:>18}{percent(metrics['f1_micro']):>9}{hit:>18}{metrics['hamming_loss']:>8.4f}"
                f"{_short_percent(metrics['mean_average_precision']):>5}"
            )
    lines += [
        "",
        f"* the row to report: {last} posters, one threshold per genre tuned on validation",
        f"In per cent, except the Hamming loss; in brackets 95 % intervals over {unit_of(results[last]['dataset'])}s.",
        *(wrap_lines(f"{split}, {line}") for split, line in absent_lines(results)),
    ]
    common = describe_common(results[last])
    lines += [wrap_lines(common)] if common else []
    if best_achievable:
        lines.append(f"\nbest achievable on the {last} posters (macro F1 %, hit ratio %):")
        for name, title in ORACLES.items():
            oracle = best_achievable[name]
            lines.append(f"  {title:<20}{100 * oracle['f1_macro']:7.2f}{100 * oracle['hit_ratio']:9.2f}")
    about = results[last]
    return "\n".join([*lines, "", f"{last} split, threshold {about['thresholds']['fixed']}:", format_report(about["metrics"])])


def absent_lines(results: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return split and sentence with both macro F1 at the reported thresholds, of the splits where genres have no positives."""
    lines = ((split, describe_absent(result[_REPORTED])) for split, result in results.items())
    return [(split, f"thresholds per genre: {line}") for split, line in lines if line]


def _short_percent(fraction: float) -> str:
    """Return a per cent with one decimal, 100 with none."""
    return f"{100 * fraction:.1f}".replace("100.0", "100")


def _short_interval(interval: Sequence[float]) -> str:
    return f"[{_short_percent(interval[0])}-{_short_percent(interval[1])}]"


def percent(fraction: float) -> str:
    """Format a fraction in per cent with two decimals."""
    return f"{100 * fraction:.2f}"


def interval_of(interval: Sequence[float]) -> str:
    """Format both ends of an interval in per cent with one decimal."""
    return f"{100 * interval[0]:.1f}, {100 * interval[1]:.1f}"


def _score_tables(results: Mapping[str, dict[str, Any]], last: str, best: Mapping[str, Any] | None) -> list[Table | Text]:
    rows, units = [], f"{unit_of(results[last]['dataset'])}s"
    for split, result in results.items():
        for rule, name in RULES.items():
            metrics, interval = result[rule], result["intervals"][rule]
            figures = {column: (metrics[column], interval[column]) for column in _COLUMNS}
            figures["f1_macro"] = headline_f1(metrics), headline_f1(interval)
            cells = [Cell(percent(figure), interval_of(ends)) for figure, ends in figures.values()]
            rest = [f"{metrics['hamming_loss']:.4f}", percent(metrics["mean_average_precision"])]
            rows.append([f"{split}, {name}", *cells, *rest])
    blocks: list[Table | Text] = [
        Table(("split, threshold", *_COLUMNS.values(), "Hamming loss", "mAP"), rows),
        Text(
            f"Per cent, except the Hamming loss; below each figure its 95 % interval over resampled {units}. Thresholds: fixed "
            f"{results[last]['thresholds']['fixed']}, one tuned on validation, one per genre tuned on validation.",
            "note",
        ),
        *(Text(f"{split}, {line}.") for split, line in absent_lines(results)),
    ]
    common = describe_common(results[last])
    if common:
        blocks.append(Text(_sentence(common), "note"))
    own = results[last]["evaluate"].get("metrics", ())
    if own:
        rows = [
            [split, *(Cell(f"{r['metrics'][m]:.4f}", "{:.4f}, {:.4f}".format(*r["intervals"]["metrics"][m])) for m in own)]
            for split, r in results.items()
        ]
        caption = f"Metrics of evaluate.metrics, with 95 % intervals when {units} are resampled"
        blocks.append(Table(("split", *own), rows, caption))
    if best:
        oracles = [
            [title, percent(best[name]["f1_macro"]), percent(best[name]["hit_ratio"])] for name, title in ORACLES.items()
        ]
        caption = f"Best achievable on the {last} posters, given what the generator planted"
        blocks.append(Table(("cues", "macro F1", "hit ratio"), oracles, caption))
    return blocks


def _genre_blocks(about: Mapping[str, Any], best: Mapping[str, Any] | None) -> list[Table | Chart | Text]:
    names = {
        "precision": "precision",
        "recall": "recall",
        "f1": "F1",
        "balanced_accuracy": "balanced accuracy",
        "specificity": "specificity",
    }
    entries = about["metrics"]["per_genre"]
    rows = [[genre, *(percent(entries[genre][n]) for n in names), str(entries[genre]["support"])] for genre in entries]
    split, threshold = about["split"], about["thresholds"]["fixed"]
    blocks: list[Table | Chart | Text] = [
        Chart(
            "per_genre",
            charts.plot_genre_f1(about["metrics"], best and best["both"]),
            f"F1 of each genre on the {split} split at threshold {threshold}; in brackets the posters that have it.",
        ),
        Table(("genre", *names.values(), "posters"), rows, f"{split} split, threshold {threshold}, per cent"),
    ]
    gates = about.get("gates", {})
    if gates:
        blocks.append(Table(("gate", "mean"), [[name, f"{entry['mean']:.3f}"] for name, entry in gates.items()]))
    differing = {name: entry for name, entry in gates.items() if "per_genre" in entry}
    if differing:
        blocks.append(Chart("gates", charts.plot_gates(differing), "Modality gates of the head on the posters of each genre."))
    return blocks


def _control_blocks(about: Mapping[str, Any]) -> list[Table | Text]:
    def figures(report: Mapping[str, Any]) -> list[float]:
        return [headline_f1(report), report["mean_average_precision"], report["hit_ratio"]]

    own, names = figures(about["metrics"]), name_controls(unit_of(about["dataset"]))
    rows: list[list[str | Cell]] = [["unchanged", *(Cell(percent(figure)) for figure in own)]]
    for control, changed in about["controls"].items():
        pairs = zip(figures(changed["metrics"]), own, strict=True)
        cells = [Cell(percent(figure), f"{100 * (figure - before):+.2f}") for figure, before in pairs]
        rows.append([names[control], *cells])
    return [
        Text("The same posters and the same weights, with the input changed; below each figure the difference."),
        Table((f"{about['split']} split", "macro F1 at 0.5", "mAP", "hit ratio"), rows),
        Text(
            "A model not trained on such input may also lose by the change itself, not only by the missing information.", "note"
        ),
    ]


def _calibration_blocks(about: Mapping[str, Any]) -> list[Table | Chart | Text]:
    found = about["calibration"]
    rows = [[CALIBRATIONS[kind], f"{entry['brier']:.4f}", f"{100 * entry['ece']:.2f}"] for kind, entry in found.items()]
    asymmetric = (
        "With an asymmetric loss scores are not probabilities: with the paper's loss a score of 0.5 is optimal for a "
        "probability of 0.06."
    )
    return [
        *([Text(asymmetric)] if "closed_form" in found else []),
        Chart(
            "reliability",
            charts.plot_reliability(found),
            "Mean predicted probability and observed frequency; below, the number of decisions per bin.",
        ),
        Table(("probabilities", "Brier score", "ECE, %"), rows, f"{about['split']} split, mean over genres"),
    ]


def _attention_sections(attention: Sequence[tuple[np.ndarray, np.ndarray]], titles: Sequence[str]) -> list[Section]:
    if not attention:
        return []
    posters = [(pixels, weights, title) for (pixels, weights), title in zip(attention, titles, strict=True)]
    return [
        Section(
            "Attention of the words",
            [
                Text(
                    "Cross attention of the words of the poster over its patches, mean over words and heads, on the input "
                    "image of the encoder. Bright: more than a uniform share."
                ),
                Chart(
                    "attention",
                    charts.plot_attention(posters),
                    "Attention of the words over the image, for the sample of posters.",
                ),
            ],
        )
    ]


def _sentence(line: str) -> str:
    return line[:1].upper() + line[1:] + ("" if line.endswith((".", "?")) else ".")


def _dataset_blocks(dataset: PosterDataset) -> list[Table | Chart | Text]:
    splits, unit = dataset.report["splits"], unit_of(dataset.report)
    labels = np.concatenate([dataset.columns(name)["labels"] for name in splits])
    rows = [[name, f"{part['posters']:,}", f"{part['films']:,}", f"{part['empty_text']:,}"] for name, part in splits.items()]
    return [
        Table(("split", "posters", f"{unit}s", "posters without text"), rows),
        *(Text(_sentence(line)) for line in format_labels(dataset.report.get("labels"), unit=unit, number=len(dataset.genres))),
        Chart(
            "dataset",
            charts.plot_dataset(splits, unit=unit),
            f"Posters of each genre by split; next to each bar posters and {unit}s.",
        ),
        Chart(
            "co_occurrence",
            charts.plot_co_occurrence(labels, dataset.genres),
            "Share of the posters of a row's genre that also have the column's genre.",
        ),
    ]
