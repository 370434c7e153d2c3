"""State where the data of a run came from: its posters, labels, groups and split."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from posterfusion_jax.datasets.imdb_posters.report import genres_of, unit_of
from posterfusion_jax.datasets.label_set import ALL, IMDB
from posterfusion_jax.utils.console import sanitize

_POSTERS = {
    "folder": "a folder of films as IMDb names them",
    "table": "the rows of {table} and the pictures that they name",
    "class_folders": "class folders: the folder of a picture is its label",
    "mm_imdb": "MM-IMDb: a picture and a JSON file per film",
    "nfo": "a media library: a picture and an NFO file per film",
    "hugging_face": "a dataset in the format of Hugging Face",
    "synthetic": "drawn by the generator of PosterFusion for {drawn_films:,} films, seed {drawn_seed}; none is a real poster",
}
_LABELS = {
    "table": "the table",
    "class_folders": "the names of the folders",
    "mm_imdb": "the JSON files of MM-IMDb",
    "nfo": "the NFO files",
    "hugging_face": "the columns of the dataset",
}
_SETS = {ALL: "all labels", IMDB: "IMDb's genres"}
_IMDB_GROUPS = "the id in the names of the files"


def describe_origin(report: Mapping[str, Any], data: Mapping[str, Any], *, groups: int) -> list[str]:
    """Return where posters, labels, groups and split came from, a sentence each.

    Args:
      report: of the dataset (`report.make_report`).
      data: section "data" of the run's config, as a results file has it.
      groups: number of groups of posters in all splits together.
    """
    how = (report.get("titles_file") or {}).get("how", ())
    of_films, unit = "source" not in report, unit_of(report)
    grouped = _IMDB_GROUPS if of_films else _stated(how, "group")
    facts = {
        "Posters": _describe_posters(data),
        "Labels": _join(_describe_label_set(report), "" if of_films else _stated(how, "labels")),
        f"{unit.capitalize()}s": _join(f"{groups:,}", f"from {grouped}" if grouped else ""),
        "Split": _describe_split(report["split"], data),
    }
    return [f"{name}: {sanitize(fact)}." for name, fact in facts.items()]


def describe_labels(dataset: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """Return a sentence on what the labels are labels of.

    Args:
      dataset: entry "dataset" of a results file.
      data: section "data" of the run's config.
    """
    if data["source"] == "synthetic":
        return "Genres are those that the posters were drawn for."
    if "source" not in dataset:
        return "Genres are IMDb's genres of the film, not of the poster."
    source = dataset["source"]["name"]
    return f"Labels come from {_LABELS.get(source, f'the source {source}')}; a poster need not show what they name."


def _describe_posters(data: Mapping[str, Any]) -> str:
    names = {**data, "table": os.path.basename(data.get("table") or "")}
    return _POSTERS.get(data["source"], f"the source {data['source']}").format(**names)


def _describe_label_set(report: Mapping[str, Any]) -> str:
    choice, number = report.get("label_set"), len(genres_of(report))
    if choice is None:
        return f"the {number} genres of the paper"
    if choice["rule"] not in _SETS:
        return f"{number}, named in data.labels"
    least, below = choice["least_posters"], choice["below_count"]
    rest = f"{below:,} with fewer {'is' if below == 1 else 'are'} not used" if below else "none has fewer"
    return f"{_SETS[choice['rule']]} on at least {least} posters: {number}; {rest}"


def _describe_split(split: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    shares, seed = split.get("fractions"), split.get("seed")
    file = f"file {os.path.basename(data['split_file'])}" if data["split_by"] == "file" else ""
    return _join(
        split["rule"],
        "" if file == split["rule"] else file,
        "" if seed is None else f"seed {seed}",
        f"shares of train, validation and test {', '.join(f'{share:g}' for share in shares)}" if shares else "",
    )


def _stated(how: Sequence[str], what: str) -> str:
    """Return what the source states of `what`, "" where it does not."""
    return next((line.partition(":")[2].strip() for line in how if line.startswith(f"{what}:")), "")


def _join(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
