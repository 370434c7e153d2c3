"""Report what a dataset contains and lacks: as JSON data next to it, and as a table for people."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from posterfusion_jax.datasets.imdb_posters import paths
from posterfusion_jax.datasets.imdb_posters.absent_labels import format_absent_labels
from posterfusion_jax.datasets.imdb_posters.hashing import hash_json
from posterfusion_jax.datasets.imdb_posters.inputs import labels_name
from posterfusion_jax.datasets.imdb_posters.join import Poster
from posterfusion_jax.datasets.imdb_posters.label_report import format_choice, format_labels
from posterfusion_jax.datasets.imdb_posters.prepare import Prepared
from posterfusion_jax.datasets.imdb_posters.splits import leak_share
from posterfusion_jax.datasets.imdb_posters.text_provenance import MISSING
from posterfusion_jax.datasets.imdb_posters.text_report import describe_texts, format_texts
from posterfusion_jax.datasets.label_set import PAPER13, Choice
from posterfusion_jax.datasets.sources.base import Source
from posterfusion_jax.genres import PAPER_GENRES
from posterfusion_jax.ocr.text.line_filters import LineFilters
from posterfusion_jax.posters.image_files import format_other_files
from posterfusion_jax.utils.console import sanitize
from posterfusion_jax.utils.disk_collections import DiskSet

PURPOSE_OF_SPLITS = {
    "train": "the model is fitted on it",
    "validation": "early stopping, thresholds and calibration are decided on it",
    "test": "it has the scores that may be published",
}
_TITLES_FILE = "titles file"
_FIRST_NAMES = 5  # of the items left out, in the report; the rest is in left_out.jsonl


def make_report(prepared: Prepared, *, config: str, text_rules: LineFilters) -> dict[str, Any]:
    """Return the report as JSON data, a pure function of the dataset's content and inputs (no times, no paths).

    Keys: `dataset`, `config`, `version`; `source` (its name, and what its groups are; absent for a folder of films);
    `genres_order` (names, in the order of the labels); `label_set` (how they were chosen; absent for the paper's); `split`
    (unit, rule, seed, fractions, sha256); `splits` by name (posters, films, genres, ocr, empty_text); `text`
    (`text_report.describe_texts`); `leak_share` (of the test posters with a sibling in train); `labels`
    (`label_report.count_labels`); `titles_file` (how titles and labels were read, and which cells were not read literally);
    `left_out` by kind (count, first); `other_files` (not images, by kind); `fingerprint` of the inputs; `row_hash` of the rows
    in stored order.
    """
    assignment, inputs = prepared.assignment, prepared.labelled.inputs
    posters = itertools.chain.from_iterable(prepared.splits.values())
    return {
        "dataset": paths.NAME if inputs.source.name == "folder" else paths.OTHER_NAME,
        "config": config,
        "version": paths.VERSION,
        **describe_source(inputs.source),
        "genres_order": list(prepared.names),
        **describe_choice(prepared.labelled.choice),
        "split": {
            "unit": assignment.unit,
            "rule": assignment.rule,
            "seed": assignment.seed,
            "fractions": list(assignment.fractions) if assignment.fractions is not None else None,
            "sha256": assignment.sha256,
        },
        "splits": {name: _split_report(rows, prepared.names) for name, rows in prepared.splits.items()},
        "text": describe_texts(posters, text_rules),
        "leak_share": leak_share(prepared.splits),
        "labels": dict(prepared.labels),
        "titles_file": prepared.labels_file,
        "left_out": {
            kind: {"count": len(items), "first": [list(item) for item in items[:_FIRST_NAMES]]}
            for kind, items in prepared.left_out.items()
        },
        "other_files": dict(inputs.other_files),
        "fingerprint": dict(inputs.fingerprint),
        "row_hash": hash_json(([name, _identity(poster)] for name, rows in prepared.splits.items() for poster in rows)),
    }


def describe_source(source: Source) -> dict[str, Any]:
    """Return what a report says of a source other than a folder of films: its name, its unit, what its labels come from."""
    if source.name == "folder":
        return {}
    return {"source": {"name": source.name, "unit": source.unit, "labels": labels_name(source)}}


def describe_choice(choice: Choice) -> dict[str, Any]:
    """Return what a report says of a label set other than the paper's."""
    if choice.labels.rule == PAPER13:
        return {}
    below = {"below": choice.below, "below_count": choice.below_count}
    return {"label_set": {"rule": choice.labels.rule, "least_posters": choice.least, **below}}


def unit_of(report: Mapping[str, Any]) -> str:
    """Return what a group of posters is in a dataset: "film", "book"; "group" where it is not known."""
    return report.get("source", {}).get("unit", "film")


def genres_of(report: Mapping[str, Any]) -> list[str]:
    """Return the names of the labels' columns; of an earlier version's dataset, in the order of its counts."""
    if "genres_order" in report:
        return list(report["genres_order"])
    return list(next(iter(report.get("splits", {}).values()), {}).get("genres") or PAPER_GENRES)


def format_report(report: Mapping[str, Any]) -> str:
    """Return the report as lines for people."""
    splits, split, unit = report["splits"], report["split"], unit_of(report)
    lines = [f"{report['dataset']} {report['version']}, split {split['rule']}" + _seed(split)]
    lines += _table(splits, unit)
    ocr = Counter()
    for part in splits.values():
        ocr.update(part["ocr"])
    total = sum(part["posters"] for part in splits.values())
    empty = sum(part["empty_text"] for part in splits.values())
    statuses = ", ".join(f"{status} {count}" for status, count in sorted(ocr.items()))
    lines += ["", f"text: {statuses}; {empty} of {total} posters ({empty / total:.1%}) have an empty text"]
    lines += [f"      {line}" for line in format_texts(report["text"])]
    if ocr[MISSING]:
        lines.append(f"      {ocr[MISSING]} posters were never read: run --mode=ocr and build again")
    if "test" in splits:
        lines.append(f"test posters with another poster of the same {unit} in train: {report['leak_share']:.1%}")
    if not any(split.startswith("fold_") for split in splits):
        lines += [f"no {split} split ({PURPOSE_OF_SPLITS[split]})" for split in paths.SPLITS if split not in splits]
    lines += format_absent_labels(report)
    lines += format_labels(report.get("labels"), unit=unit, number=len(genres_of(report)))
    lines += format_choice(report.get("label_set"))
    table = report.get("source", {}).get("labels", _TITLES_FILE)
    lines += _format_titles_file(report.get("titles_file") or {"how": [], "notes": {}}, table)
    if not report["left_out"]:
        lines.append("left out: nothing")
    for kind, found in report["left_out"].items():
        lines.append(f"left out, {kind}: {found['count']}")
        lines += [f"    {sanitize(what)}: {sanitize(reason)}" for what, reason in found["first"]]
        if found["count"] > len(found["first"]):
            lines.append(f"    ... all of them in {paths.LEFT_OUT_FILE}")
    lines += [line for line in [format_other_files(report.get("other_files") or {})] if line]
    return "\n".join(lines)


def _format_titles_file(read: Mapping[str, Any], name: str) -> list[str]:
    """Return how the file of titles and labels was read, and which of its cells were not read literally."""
    if len(read["how"]) > 1 and name != _TITLES_FILE:
        lines = [f"{name}:", *(f"    {sanitize(line)}" for line in read["how"])]
    else:
        lines = [f"{name}: {'; '.join(map(sanitize, read['how']))}"] if read["how"] else []
    for reason, note in read["notes"].items():
        lines.append(f"{name}, {reason}: {note['count']:,}")
        lines += [f"    {sanitize(where)}: {sanitize(cell)!r}" for where, cell in note["first"]]
    return lines


def _split_report(posters: Sequence[Poster], names: Sequence[str]) -> dict[str, Any]:
    films, seen, empty = 0, DiskSet(), 0
    of_posters, of_films, ocr = Counter[str](), Counter[str](), Counter[str]()
    for poster in posters:
        of_posters.update(poster.genres)
        ocr[poster.reading.status] += 1
        empty += not poster.text
        if seen.add(poster.film_id):
            films += 1
            of_films.update(poster.genres)
    return {
        "posters": len(posters),
        "films": films,
        "genres": {genre: {"posters": of_posters[genre], "films": of_films[genre]} for genre in names},
        "ocr": dict(sorted(ocr.items())),
        "empty_text": empty,
    }


def _identity(poster: Poster) -> list[Any]:
    film = [poster.film_id, poster.title, poster.year, poster.genres]
    return [poster.poster_id, poster.sha256, poster.text, poster.reading.status, film]


def _seed(split: Mapping[str, Any]) -> str:
    return "" if split["seed"] is None else f", seed {split['seed']}"


def _table(splits: Mapping[str, Any], unit: str) -> list[str]:
    """Return posters, films and the share of each genre among the posters, one column per split."""
    rows = [["", *splits]]
    for name, key in (("posters", "posters"), (f"{unit}s", "films")):
        rows.append([name, *(f"{part[key]:,}" for part in splits.values())])
    for genre in next(iter(splits.values()))["genres"]:
        counts = [(part["genres"][genre]["posters"], part["posters"]) for part in splits.values()]
        rows.append([genre, *(f"{count:,} ({count / posters:.1%})" for count, posters in counts)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join([name.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))])
        for name, *cells in rows
    ]
