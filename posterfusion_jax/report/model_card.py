"""Model card of a run: intended use, training data, evaluation, limitations."""

from collections.abc import Mapping
from typing import Any

from posterfusion_jax.datasets.imdb_posters.label_report import format_labels
from posterfusion_jax.datasets.imdb_posters.report import unit_of
from posterfusion_jax.evaluation.results import describe_common
from posterfusion_jax.metrics.report_text import headline_f1
from posterfusion_jax.report.page import Section, Table, Text, to_markdown
from posterfusion_jax.report.run_report import (
    RULES,
    absent_lines,
    control_name,
    describe_checkpoint,
    describe_encoder,
    describe_leak,
    interval_of,
    percent,
)

_CHOSEN_ON = (
    "The figures are of the {split} split, not of a test split: the epoch, the thresholds and the calibration were chosen with "
    "knowledge of it, so they are better than on posters that the model has not seen."
)


def format_card(results: Mapping[str, dict[str, Any]], *, drawn: bool, labels: Mapping[str, Any] | None = None) -> str:
    """Format the card in Markdown, with the sections of Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.

    Args:
      results: split -> results file; the figures are those of the last split.
      drawn: trained on drawn posters, whose scores do not transfer to real ones.
      labels: `label_report.count_labels` of the dataset; None if not recorded.
    """
    about = results[list(results)[-1]]
    number = len(about["metrics"]["per_genre"])
    return to_markdown(
        "Model card",
        f"{about['model']} on posters, {number} genres, made with PosterFusion",
        [
            Section("Model", [_model(about)]),
            Section("Use", _use(about, drawn)),
            Section(
                "Training data",
                [_data(about), *map(Text, format_labels(labels, unit=unit_of(about["dataset"]), number=number))],
            ),
            Section("Evaluation", [*_evaluation(about)]),
            Section("Limits", [*_limits(about)]),
        ],
    )


def _model(about: Mapping[str, Any]) -> Table:
    config, encoders = about["config"], about["encoders"]
    loss = config["loss"]["preset"]
    frozen = "frozen" if config["train"]["fine_tune"] == "none" else f"trained too ({config['train']['fine_tune']})"
    rows = [
        ["head", about["model"]],
        ["picture", describe_encoder(encoders["image"])],
        ["text", describe_encoder(encoders["text"])],
        ["encoders", frozen],
        ["features", config["features"]["level"]],
        ["words read by", config["ocr"]["engine"]],
        ["loss", loss],
        ["optimizer", f"Adam, learning rate {config['train']['learning_rate']:g}, batch {config['train']['batch_size']}"],
        ["seed", f"{about['seed']}, {describe_checkpoint(about['checkpoint'])}"],
        ["versions", ", ".join(f"{name} {version}" for name, version in about["versions"].items())],
    ]
    return Table(("", "value"), rows)


def _use(about: Mapping[str, Any], drawn: bool) -> list[Text]:
    source = about["dataset"].get("source")
    if source is None or source["unit"] == "film":
        use = (
            "Intended for research on film posters, and for suggesting genres to a person who decides. "
            "Not intended for automatic decisions on who sees a film, or for images other than film posters."
        )
    else:
        use = (
            "Intended for suggesting labels to a person who decides, for pictures like those of its training data. Not "
            "intended for automatic decisions, or for other pictures."
        )
    blocks = [Text(use)]
    if drawn:
        blocks.append(Text("Trained on drawn posters with planted cues: not usable for real posters.", "warning"))
    return blocks


def _data(about: Mapping[str, Any]) -> Table:
    dataset, unit = about["dataset"], unit_of(about["dataset"])
    rows = [[name, f"{dataset['posters'][name]:,}", f"{dataset['films'][name]:,}"] for name in dataset["posters"]]
    split = f"Split {dataset['split']['rule']}"
    split += "" if dataset["split"]["seed"] is None else f", seed {dataset['split']['seed']}"
    caption = f"{split}; {describe_leak(dataset)}. {_describe_labels(dataset)}"
    return Table(("split", "posters", f"{unit}s"), rows, caption)


def _describe_labels(dataset: Mapping[str, Any]) -> str:
    """Return where the labels come from, and how the label set was chosen."""
    source = dataset.get("source")
    if source is None:
        return "Genres are IMDb's genres of the film, not of the poster."
    chosen = dataset.get("label_set")
    rule = ""
    if chosen is not None and chosen["rule"] in ("all", "imdb"):
        rule = f"; the set is that of the labels with at least {chosen['least_posters']} posters"
    elif chosen is not None:
        rule = "; the set was named by the user"
    return f"Labels are those of the user's data (source: {source['name']}){rule}."


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
    controls = [
        [
            control_name(name, about),
            percent(headline_f1(changed["metrics"])),
            percent(changed["metrics"]["mean_average_precision"]),
        ]
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
        Text("Words are read by the OCR engine, with its errors."),
    ]
