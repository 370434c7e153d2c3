"""Model card of a run: intended use, training data, evaluation, limitations."""

from collections.abc import Mapping
from typing import Any

from posterfusion_jax.datasets.imdb_posters.label_report import format_labels
from posterfusion_jax.datasets.imdb_posters.report import unit_of
from posterfusion_jax.datasets.sources.table_columns import NO_COLUMN
from posterfusion_jax.evaluation.results import describe_common
from posterfusion_jax.metrics.report_text import headline_f1
from posterfusion_jax.report.origin import describe_labels, describe_origin
from posterfusion_jax.report.page import Section, Table, Text, to_markdown
from posterfusion_jax.report.run_report import (
    RULES,
    absent_lines,
    describe_checkpoint,
    describe_encoder,
    describe_leak,
    interval_of,
    name_controls,
    percent,
)

_IMAGES = {"film": ("film posters", "a film"), "book": ("book covers", "a book")}  # unit -> images, and what people see
_CHOSEN_ON = (
    "The figures are of the {split} split, not of a test split: the epoch, the thresholds and the calibration were chosen with "
    "knowledge of it, so they are better than on posters that the model has not seen."
)


def format_card(results: Mapping[str, dict[str, Any]], *, dataset: Mapping[str, Any], groups: int) -> str:
    """Format the card in Markdown, with the sections of Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.

    Args:
      results: split -> results file; the figures are those of the last split.
      dataset: report of the dataset (`report.make_report`).
      groups: number of groups of posters in all splits together.
    """
    about = results[list(results)[-1]]
    genres, unit = about["metrics"]["per_genre"], unit_of(about["dataset"])
    origin = describe_origin(dataset, about["config"]["data"], groups=groups)
    counted = format_labels(dataset.get("labels"), unit=unit, number=len(genres))
    return to_markdown(
        "Model card",
        f"{about['model']} on posters, {len(genres)} genres, made with PosterFusion",
        [
            Section("Model", [_model(about)]),
            Section("Use", _use(unit, drawn=about["config"]["data"]["source"] == "synthetic")),
            Section("Training data", [*map(Text, origin), _data(about), *map(Text, counted)]),
            Section("Evaluation", [*_evaluation(about)]),
            Section("Limits", [*_limits(about)]),
        ],
    )


def _model(about: Mapping[str, Any]) -> Table:
    config, encoders = about["config"], about["encoders"]
    column = _column_of_words(about)
    loss = config["loss"]["preset"]
    frozen = "frozen" if config["train"]["fine_tune"] == "none" else f"trained too ({config['train']['fine_tune']})"
    rows = [
        ["head", about["model"]],
        ["picture", describe_encoder(encoders["image"])],
        ["text", describe_encoder(encoders["text"])],
        ["encoders", frozen],
        ["features", config["features"]["level"]],
        ["words", f"column {column!r} of the table"] if column else ["words read by", config["ocr"]["engine"]],
        ["loss", loss],
        ["optimizer", f"Adam, learning rate {config['train']['learning_rate']:g}, batch {config['train']['batch_size']}"],
        ["seed", f"{about['seed']}, {describe_checkpoint(about['checkpoint'])}"],
        ["versions", ", ".join(f"{name} {version}" for name, version in about["versions"].items())],
    ]
    return Table(("", "value"), rows)


def _column_of_words(about: Mapping[str, Any]) -> str:
    """Return the table's column that has the words on the posters, "" where OCR reads them."""
    column = about["config"]["data"].get("table_columns", {}).get("text", "")
    return "" if column == NO_COLUMN else column


def _use(unit: str, *, drawn: bool) -> list[Text]:
    images, seen = _IMAGES.get(unit, ("posters like those of its training data", "what a poster shows"))
    blocks = [
        Text(
            f"Intended for research on {images}, and for suggesting genres to a person who decides. "
            f"Not intended for automatic decisions on who sees {seen}, or for images other than {images}."
        )
    ]
    if drawn:
        blocks.append(Text("Trained on drawn posters with planted cues: not usable for real posters.", "warning"))
    return blocks


def _data(about: Mapping[str, Any]) -> Table:
    dataset, data = about["dataset"], about["config"]["data"]
    rows = [[name, f"{dataset['posters'][name]:,}", f"{dataset['films'][name]:,}"] for name in dataset["posters"]]
    caption = (
        f"Split {dataset['split']['rule']}, seed {dataset['split']['seed']}; {describe_leak(dataset)}. "
        f"{describe_labels(dataset, data)}"
    )
    return Table(("split", "posters", f"{unit_of(dataset)}s"), rows, caption)


def _evaluation(about: Mapping[str, Any]) -> list[Table | Text]:
    rows = []
    for rule, name in RULES.items():
        metrics, interval = about[rule], about["intervals"][rule]
        f1 = f"{percent(headline_f1(metrics))} [{interval_of(headline_f1(interval))}]"
        hit = f"{percent(metrics['hit_ratio'])} [{interval_of(interval['hit_ratio'])}]"
        rows.append([name, f1, hit, percent(metrics["mean_average_precision"])])
    caption = f"{about['split']} split, per cent, 95 % intervals with {unit_of(about['dataset'])}s resampled"
    genres = about["metrics"]["per_genre"]
    by_genre = [
        [genre, *(percent(genres[genre][m]) for m in ("precision", "recall", "f1")), str(genres[genre]["support"])]
        for genre in genres
    ]
    names = name_controls(unit_of(about["dataset"]))
    controls = [
        [names[name], percent(headline_f1(changed["metrics"])), percent(changed["metrics"]["mean_average_precision"])]
        for name, changed in about["controls"].items()
    ]
    lines = [f"{about['split']}, {line}." for _, line in absent_lines({about["split"]: about})]
    common = describe_common(about)
    tables: list[Table | Text] = [
        Table(("threshold", "macro F1", "hit ratio", "mAP"), rows, caption),
        *map(Text, [*lines, common[:1].upper() + common[1:] + "."] if common else lines),
        Table(("genre", "precision", "recall", "F1", "posters"), by_genre, f"Threshold {about['thresholds']['fixed']}"),
    ]
    return [*tables, Table(("input changed", "macro F1", "mAP"), controls)] if controls else tables


def _limits(about: Mapping[str, Any]) -> list[Text]:
    genres = about["metrics"]["per_genre"]
    occurring = [genre for genre in genres if genres[genre]["support"]]
    weakest = sorted(occurring, key=lambda genre: genres[genre]["f1"])[:3]
    fitted = about["calibration"]["fitted"]
    return [
        *([] if about["split"] == "test" else [Text(_CHOSEN_ON.format(split=about["split"]), "warning")]),
        Text("Weakest genres: " + ", ".join(f"{genre} (F1 {percent(genres[genre]['f1'])} %)" for genre in weakest) + "."),
        Text(
            "A score is not a probability. The fitted probabilities have a calibration error (ECE) of "
            f"{100 * fitted['ece']:.1f} % on the {about['split']} split."
        ),
        Text(
            "Posters follow the conventions of their time, market and language, and show people: the influence of their "
            "faces, skin or clothes on the predictions has not been examined. Rare genres are rarely predicted."
        ),
        Text(
            "Words come from the table; for a prediction they are read by the OCR engine, with its errors."
            if _column_of_words(about)
            else "Words are read by the OCR engine, with its errors."
        ),
    ]
