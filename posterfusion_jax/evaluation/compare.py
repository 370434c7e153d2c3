"""Paired comparison of two trained systems, or of a system and its ablation, on the same posters over all their seeds."""

import os
import pathlib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from posterfusion_jax.config.run import changed_fields
from posterfusion_jax.datasets.imdb_posters.paths import SPLITS
from posterfusion_jax.datasets.imdb_posters.report import unit_of
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.aggregate import PRESENT, RULES
from posterfusion_jax.evaluation.results import BOOTSTRAP_SEED, FORMAT, check_arrays, genres_of, read_results, read_scores
from posterfusion_jax.genres import check_same_genres
from posterfusion_jax.metrics.intervals import ThresholdedScores, paired_difference
from posterfusion_jax.utils.user_path import expand_path

_RULE_OF: dict[str, str] = dict(
    zip(RULES, ("fixed", "tuned", "tuned_per_genre"), strict=True)
)  # names under "thresholds" of results files


class System(NamedTuple):
    """Hold one system with one training per seed; the lists are in the same order.

    Attributes:
      name: name as given by the user.
      folders: workdirs of the trainings.
      results: results files of one split.
      scores: arrays of the scores files.
      control: ablation whose scores are used; None for the unchanged input.
    """

    name: str
    folders: list[pathlib.Path]
    results: list[dict[str, Any]]
    scores: list[dict[str, np.ndarray]]
    control: str | None


def read_system(name: str, split: str) -> System:
    """Read a system named on the command line.

    Args:
      name: a workdir, or a folder with workdirs seed<k>, optionally followed by "@" and the name of an ablation.
      split: split of the results.

    Raises:
      InputError: no such folder, results that are absent or of another version, an unknown ablation, or seeds that are
        not trainings of one config.
    """
    place, control = name, None
    if "@" in name and not os.path.exists(expand_path(name, "a system")):
        place, _, control = name.rpartition("@")
    folders = _workdirs(pathlib.Path(expand_path(place, "a system")), split)
    results = [_results_of(folder, split) for folder in folders]
    first = results[0]
    for folder, other in zip(folders[1:], results[1:], strict=True):
        changed = changed_fields({**other["config"], "seed": first["config"]["seed"]}, first["config"])
        if changed:
            raise InputError(
                f"{folder} and {folders[0]} differ in {', '.join(changed)}: they are not seeds of one system. "
                "Name them one by one."
            )
    scores = [read_scores(folder / "results", split) for folder in folders]
    for folder, of, arrays in zip(folders, results, scores, strict=True):
        check_arrays(arrays, genres_of(of, place=folder), place=folder / "results" / f"{split}_scores.npz")
    if control is not None and f"control_{control}" not in scores[0]:
        known = ", ".join(f"@{array.removeprefix('control_')}" for array in scores[0] if array.startswith("control_"))
        raise InputError(f"{name}: there is no control {control!r} in its results of the {split} split; there are {known}.")
    return System(name, folders, results, scores, control)


def _workdirs(place: pathlib.Path, split: str) -> list[pathlib.Path]:
    if (place / "results").is_dir():
        return [place]
    if not place.is_dir():
        raise InputError(f"there is no folder {str(place)!r}. Name the workdir of a run, or a folder with workdirs seed<k>.")
    numbers = sorted(int(path.name[4:]) for path in place.glob("seed*") if path.is_dir() and path.name[4:].isdecimal())
    if not numbers:
        raise InputError(f"{place} has neither results/ (as a workdir has) nor workdirs seed<k>. Run --mode=evaluate first.")
    return [place / f"seed{number}" for number in numbers]


def _results_of(folder: pathlib.Path, split: str) -> dict[str, Any]:
    results = read_results(folder / "results", split)
    rerun = f"Run python -m posterfusion_jax.main --mode=evaluate --workdir={shlex.quote(str(folder))}"
    if results is None:
        there = [name for name in SPLITS if (folder / "results" / f"{name}.json").is_file()]
        other = f", or compare --split={there[-1]}, of which it has results" if there else ""
        raise InputError(f"{folder} has no results of the {split} split. {rerun}{other}, or name the other folders one by one.")
    if results.get("format") != FORMAT:
        raise InputError(f"{folder} has results of format {results.get('format')}, this version compares {FORMAT}. {rerun}.")
    return results


def compare(a: System, b: System, *, rule: str = "metrics", resamples: int = 1000) -> dict[str, Any]:
    """Return the paired comparison of two systems, see `metrics.intervals.paired_difference`.

    Seeds are drawn independently per system, but jointly if both are the same trainings (with and without an ablation).

    Args:
      a: the first system.
      b: the second system, subtracted from the first.
      rule: threshold rule, one of `evaluation.aggregate.RULES`; thresholds are those fitted on the validation split of each
        training.
      resamples: number of resamples of groups and seeds.

    Returns:
      JSON-serializable: "a" and "b" (model, seeds, control, monitor, best_epochs, encoders), "split", "rule", "resamples",
      "paired_seeds", "posters", "films" (groups), "unit" (what a group is; absent for films as IMDb names them), "labels",
      "labels_present" (those with a positive poster), and "metrics":
      {name: {a, b, difference, low, high, p_value}}.

    Raises:
      InputError: an unknown rule, or systems evaluated on different genres or posters or with different evaluate.force_top1.
    """
    if rule not in RULES:
        raise InputError(f"rule={rule!r} is not one of {', '.join(RULES)}.")
    _check_same_posters(a, b)
    force_top1 = {results["evaluate"]["force_top1"] for system in (a, b) for results in system.results}
    if len(force_top1) > 1:
        raise InputError(
            f"{a.name} and {b.name}: evaluate.force_top1 is true for some runs and false for others. Use one value."
        )
    first = a.scores[0]
    film_ids = first["film_ids"].tolist()
    paired_seeds = [folder.resolve() for folder in a.folders] == [folder.resolve() for folder in b.folders]
    found = paired_difference(
        ThresholdedScores(_scores_of(a), _thresholds_of(a, rule)),
        ThresholdedScores(_scores_of(b), _thresholds_of(b, rule)),
        first["labels"],
        film_ids,
        force_top1=force_top1.pop(),
        paired_seeds=paired_seeds,
        resamples=resamples,
        seed=BOOTSTRAP_SEED,
    )
    return {
        "a": _describe(a),
        "b": _describe(b),
        "split": a.results[0]["split"],
        "rule": rule,
        "resamples": resamples,
        "paired_seeds": paired_seeds,
        "posters": len(film_ids),
        "films": len(set(film_ids)),
        **_describe_unit(a.results[0]["dataset"]),
        "labels": first["labels"].shape[1],
        "labels_present": int(first["labels"].any(axis=0).sum()),
        "metrics": {name: difference._asdict() for name, difference in found.items()},
    }


def _check_same_posters(a: System, b: System) -> None:
    def refuse(folder: pathlib.Path, what: str, there: Any, here: Any) -> None:
        raise InputError(
            f"{a.folders[0]} and {folder} cannot be compared: {what} {here} and {there}. Only systems that were trained and "
            "evaluated on the same rows can."
        )

    first = a.results[0]
    for system in (a, b):
        for folder, results, scores in zip(system.folders, system.results, system.scores, strict=True):
            if results["split"] != first["split"]:
                refuse(folder, "the split is", results["split"], first["split"])
            here, there = (genres_of(of, place=place) for of, place in ((first, a.folders[0]), (results, folder)))
            check_same_genres(here, there, place_here=a.folders[0], place_there=folder)
            there, here = results["dataset"], first["dataset"]
            if there["row_hash"] != here["row_hash"]:
                refuse(folder, "the datasets differ,", _describe_dataset(there), _describe_dataset(here))
            there, here = scores["poster_ids"], a.scores[0]["poster_ids"]
            if len(there) != len(here):
                refuse(folder, "the number of posters is", len(there), len(here))
            if (there != here).any():
                row = int((there != here).argmax())
                refuse(folder, f"poster_ids has in row {row}", there[row], here[row])


def _describe_unit(dataset: Mapping[str, Any]) -> dict[str, str]:
    """Return what a group of posters is, where it is no film of a folder of films."""
    return {"unit": unit_of(dataset)} if "source" in dataset else {}


def _describe_dataset(dataset: dict[str, Any]) -> str:
    split = dataset["split"]
    posters = sum(dataset["posters"].values())
    return f"[{posters} posters, split: {split['rule']}, seed {split['seed']}, rows {str(dataset['row_hash'])[:8]}]"


def _scores_of(system: System) -> np.ndarray:
    name = "scores" if system.control is None else f"control_{system.control}"
    return np.stack([scores[name] for scores in system.scores])


def _thresholds_of(system: System, rule: str) -> np.ndarray:
    return np.array([results["thresholds"][_RULE_OF[rule]] for results in system.results])


def _describe(system: System) -> dict[str, Any]:
    """Return the machine-independent description of a system, without its folders."""
    first = system.results[0]
    return {
        "model": first["model"],
        "seeds": [results["seed"] for results in system.results],
        "control": system.control,
        "monitor": first["checkpoint"]["monitor"],
        "best_epochs": [results["checkpoint"]["epoch"] for results in system.results],
        "encoders": {
            tower: _sources([results["encoders"][tower] for results in system.results]) for tower in first["encoders"]
        },
    }


def _sources(passports: Sequence[dict[str, Any]]) -> str:
    """Return the distinct labels of the encoders, without folders; encoders from scratch have one label per seed."""
    return " / ".join(dict.fromkeys(str(passport["source"]) for passport in passports))


def format_comparison(comparison: dict[str, Any], *, name_a: str = "A", name_b: str = "B") -> str:
    """Format the comparison as text, in per cent and points; the Hamming loss is a fraction."""
    lines = [f"{side}  {_line(comparison[side.lower()], name)}" for side, name in (("A", name_a), ("B", name_b))]
    seeds = "the same seeds of both" if comparison["paired_seeds"] else "seeds drawn per system"
    units = f"{comparison.get('unit', 'film')}s"
    lines.append(
        f"{comparison['split']} split, {comparison['posters']} posters of {comparison['films']} {units}; thresholds: "
        f"{_RULE_OF[comparison['rule']]}; {comparison['resamples']} resamples of {units} and seeds ({seeds})"
    )
    lines.append(f"\n{'per cent':<24}{'A':>9}{'B':>9}{'A - B':>9}{'95 % interval':>22}{'p':>9}")
    absent = comparison.get("labels_present") != comparison.get("labels")
    for name, found in comparison["metrics"].items():
        if name == PRESENT and not absent:  # equal to f1_macro
            continue
        scale, digits = (1, 4) if name == "hamming_loss" else (100, 2)
        a, b = (f"{scale * found[side]:.{digits}f}" for side in ("a", "b"))
        difference, low, high = (f"{scale * found[part]:+.{digits}f}" for part in ("difference", "low", "high"))
        lines.append(f"{name:<24}{a:>9}{b:>9}{difference:>9}{f'[{low}, {high}]':>22}{found['p_value']:>9.3f}")
    if absent:
        lines.append(f"\n{PRESENT}: over the {comparison['labels_present']} of {comparison['labels']} labels with positives.")
    lines.append("\nhamming_loss is a fraction, and lower is better; p is two-sided, per metric.")
    return "\n".join(lines)


def _line(about: dict[str, Any], name: str) -> str:
    control = f", input {about['control']}" if about["control"] else ""
    seeds = ", ".join(map(str, about["seeds"]))
    encoders = "; ".join(f"{tower} {source}" for tower, source in about["encoders"].items())
    return f"{name}: {about['model']}{control}; seeds {seeds}; stopped on validation {about['monitor']}; {encoders}"
