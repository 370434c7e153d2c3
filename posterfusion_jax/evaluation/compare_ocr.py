"""Comparison of OCR engines: title words found, distance from a reference, seconds per poster."""

import os
import pathlib
import re
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.results import BOOTSTRAP_SEED, FORMAT
from posterfusion_jax.metrics.intervals import percentile_interval, resampled_ratios
from posterfusion_jax.ocr.interleaved import CPU_SECONDS
from posterfusion_jax.ocr.quality import Errors, TitleFound, compare_texts, find_title
from posterfusion_jax.ocr.records.record import OcrRecord, usable
from posterfusion_jax.ocr.records.store import load_records
from posterfusion_jax.ocr.text.limits import MAX_CHARACTERS
from posterfusion_jax.ocr.text.title_removal import folded_words
from posterfusion_jax.posters.folder import PosterFile, Skipped
from posterfusion_jax.utils.console import sanitize
from posterfusion_jax.utils.user_path import expand_path

_SPEC = re.compile(r"(?:(?P<name>[^=/\\]+)=)?(?P<file>.+?)(?::(?P<engine>[\w-]+)(?:@(?P<version>.+))?)?", re.S)

_SHOWN_CHARACTERS = 300


class RecordSet(NamedTuple):
    """Hold the records of one version of one engine.

    Attributes:
      name: display name.
      file: name of the record file.
      engine: engine of the records.
      version: engine version of the records.
      model_version: model version of the records.
      by_image: sha256 of the image -> record.
    """

    name: str
    file: str
    engine: str
    version: str
    model_version: str | None
    by_image: dict[str, OcrRecord]


def read_record_sets(spec: str) -> tuple[list[RecordSet], list[Skipped]]:
    """Read the record sets named on the command line.

    Args:
      spec: [NAME=]FILE[:ENGINE[@VERSION]]. Without an engine, each engine (and each of its versions) with records in the
        file is a set; VERSION is that of the engine or of its model. NAME is allowed for a single set only.

    Returns:
      The sets, and the lines of the file that are not records. Of several records of an image the last usable one is taken,
      or else the last.

    Raises:
      InputError: the file cannot be read or has no such records, or a NAME is given to several sets.
    """
    parts = _SPEC.fullmatch(spec)
    if parts is None:
        raise InputError(f"--records={spec!r} is not [NAME=]FILE[:ENGINE[@VERSION]].")
    whole = os.path.exists(expand_path(spec, "--records"))
    name, file, engine, version = (None, spec, None, None) if whole else parts.groups()
    file = expand_path(file, "--records")
    records = load_records([file])
    found: dict[tuple[str, str, str | None], dict[str, OcrRecord]] = {}
    for record in records:
        by_image = found.setdefault((record.engine, record.engine_version, record.model_version), {})
        if usable(record) or not usable(by_image.get(record.sha256, record)):
            by_image[record.sha256] = record
    chosen = {key: by_image for key, by_image in found.items() if engine in (None, key[0]) and version in (None, *key[1:])}
    there = "; ".join(" ".join(filter(None, key)) for key in sorted(found, key=str)) or "none"
    if not chosen:
        raise InputError(f"{spec}: {file} has no such records. There are: {there}.")
    if name and len(chosen) > 1:
        raise InputError(f"{spec}: the name {name!r} matches several sets. Add :ENGINE@VERSION; there are: {there}.")
    sets_per_engine = Counter(key[0] for key in chosen)
    sets = [
        RecordSet(
            name or (key[0] if sets_per_engine[key[0]] == 1 else " ".join(filter(None, key))),
            pathlib.Path(file).name,
            *key,
            by_image,
        )
        for key, by_image in chosen.items()
    ]
    return sets, records.skipped


def compare_ocr(
    posters: Mapping[str, PosterFile],
    titles: Mapping[str, str],
    sets: Sequence[RecordSet],
    *,
    reference: RecordSet | None = None,
    examples: int = 5,
    resamples: int = 1000,
) -> dict[str, Any]:
    """Compare record sets on the posters for which all of them, and the reference, have a record.

    A failed record counts as an empty text; texts are cut to `MAX_CHARACTERS`. Titles are searched by
    `ocr.quality.find_title`. Intervals are 95 %, over films.

    Args:
      posters: sha256 of the image -> poster.
      titles: film_id -> title; posters of films without a title, or with a title without letters, are excluded.
      sets: record sets; each is compared with the first.
      reference: records against which error rates are measured, on the posters where they are usable; None: the first set.
      examples: number of posters named in each list, with the texts that differ most; 0: no posters and no texts.
      resamples: number of resamples of films.

    Returns:
      JSON-serializable: "format", "posters", "films", "left_out" (posters by reason), "reference" and

      - "sets", one entry per set: name, file and engine, "by_status", "seconds" and "cpu_seconds" (means of the records that
        have them, or None), "title_words", "title_words_joined", "title_whole" (share, low, high), "words" and "characters"
        per poster, and "errors" against the reference: "posters", and character_error_rate, word_error_rate, word_recall,
        word_precision;
      - "pairs", of each later set (a) with the first (b): "title_words" and "title_whole" (difference, low, high), and the
        number of posters whose whole title only a or only b found.

    Raises:
      InputError: two sets have the same name, or fewer than two films remain.
    """
    against = sets[0] if reference is None else reference._replace(name=f"{reference.name} (reference)")
    duplicates = [name for name, count in Counter(records.name for records in sets).items() if count > 1]
    if duplicates:
        raise InputError(f"two record sets are named {duplicates[0]!r}. Give them distinct names: --records=NAME=FILE.")
    shared = [sha256 for sha256 in posters if all(sha256 in records.by_image for records in (*sets, against))]
    kept = [sha256 for sha256 in shared if folded_words(titles.get(posters[sha256].film_id, ""))]
    left_out = {"not in every set": len(posters) - len(shared), "no title": len(shared) - len(kept)}
    if len({posters[sha256].film_id for sha256 in kept}) < 2:
        raise InputError(
            f"the comparison needs posters of at least two films with a known title and a record in every set; {len(posters)} "
            f"posters were given, {left_out['not in every set']} are not in every set, {left_out['no title']} have no title."
        )
    kept.sort(key=lambda sha256: posters[sha256].poster_id)
    films = [posters[sha256].film_id for sha256 in kept]
    texts = [[_text(records.by_image[sha256]) for sha256 in kept] for records in sets]
    found = [[find_title(text, titles[film]) for text, film in zip(of_set, films, strict=True)] for of_set in texts]
    title_draws = [_title_draws(of_set, films, resamples) for of_set in found]
    described = []
    for records, of_set, draws in zip(sets, texts, title_draws, strict=True):
        description = _describe(records, [records.by_image[sha256] for sha256 in kept], of_set, draws)
        if records is not against:
            of_posters = [posters[sha256] for sha256 in kept]
            references = [against.by_image[sha256] for sha256 in kept]
            description["errors"] = _errors(of_set, references, of_posters, examples=examples, resamples=resamples)
        described.append(description)
    ids = [posters[sha256].poster_id for sha256 in kept]
    return {
        "format": FORMAT,
        "posters": len(kept),
        "films": len(set(films)),
        "left_out": left_out,
        "reference": against.name,
        "resamples": resamples,
        "sets": described,
        "pairs": [
            {
                "a": sets[k].name,
                "b": sets[0].name,
                "title_words": _figure(title_draws[k][:, 0] - title_draws[0][:, 0]),
                "title_whole": _figure(title_draws[k][:, 2] - title_draws[0][:, 2]),
                **_exclusive_titles(found[k], found[0], ids, examples),
            }
            for k in range(1, len(sets))
        ],
    }


def format_comparison(comparison: Mapping[str, Any]) -> str:
    """Format the figures of `compare_ocr` as a table in Markdown; shares in per cent."""
    head = ["engine", "s per poster", "CPU s", "title words %", "ignoring spaces %", "whole titles %", "words per poster"]
    head += ["empty %", "failed", "CER %", "WER %", "words found %", "words right %"]
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    for row in comparison["sets"]:
        words, errors = row["title_words"], row.get("errors", {})
        rates = [errors.get(rate) for rate in ("character_error_rate", "word_error_rate", "word_recall", "word_precision")]
        cells = [
            sanitize(row["name"]).replace("|", "\\|"),
            *("" if row[time] is None else f"{row[time]:.2f}" for time in ("seconds", "cpu_seconds")),
            f"{_percent(words['value'])} ({_percent(words['low'])} to {_percent(words['high'])})",
            _percent(row["title_words_joined"]["value"]),
            _percent(row["title_whole"]["value"]),
            f"{row['words']:.1f}",
            _percent(row["by_status"].get("empty", 0) / comparison["posters"]),
            str(row["failed"]),
            *(_percent(rate["value"]) if rate else "" for rate in rates),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def format_pairs(comparison: Mapping[str, Any]) -> str:
    """Format the differences of `compare_ocr` to the first set, in points, and its examples, for the terminal."""
    lines = []
    for pair in comparison["pairs"]:
        a, b = sanitize(pair["a"]), sanitize(pair["b"])
        lines.append(f"{a} minus {b}:")
        for name, what in (("title_words", "title words"), ("title_whole", "whole titles")):
            of = pair[name]
            lines.append(f"  {what:<16}{100 * of['value']:+6.1f} ({100 * of['low']:+.1f} to {100 * of['high']:+.1f}) points")
        for name, who in (("only_a", a), ("only_b", b)):
            named = f": {', '.join(pair[f'{name}_posters'])}" if pair[f"{name}_posters"] else ""
            lines.append(f"  whole title found only by {who}: {pair[name]}{named}")
    for row in comparison["sets"]:
        for example in row.get("errors", {}).get("worst", ()):
            lines += ["", f"{sanitize(example['poster_id'])}  {sanitize(row['name'])}: {_one_line(example['text'])}"]
            lines.append(f"  {sanitize(comparison['reference'])}: {_one_line(example['reference'])}")
    return "\n".join(lines)


def _text(record: OcrRecord) -> str:
    return record.text[:MAX_CHARACTERS] if usable(record) else ""


def _title_draws(found: Sequence[TitleFound], films: Sequence[str], resamples: int) -> np.ndarray:
    """Return resampled shares [1 + resamples, 3]: title words found, the same including joined words, whole titles."""
    above = [(of.found, of.found_joined, of.found == of.words) for of in found]
    below = [(of.words, of.words, 1) for of in found]
    return resampled_ratios(above, below, films, resamples=resamples, seed=BOOTSTRAP_SEED)


def _describe(records: RecordSet, mine: Sequence[OcrRecord], texts: Sequence[str], title_draws: np.ndarray) -> dict[str, Any]:
    words = [folded_words(text) for text in texts]
    seconds = [record.seconds for record in mine if record.seconds is not None]
    cpu_seconds = [record.usage[CPU_SECONDS] for record in mine if record.usage and CPU_SECONDS in record.usage]
    return {
        "name": records.name,
        "file": records.file,
        "engine": records.engine,
        "engine_version": records.version,
        "model_version": records.model_version,
        "by_status": dict(sorted(Counter(record.status for record in mine).items())),
        "failed": sum(not usable(record) for record in mine),
        "seconds": statistics.mean(seconds) if seconds else None,
        "cpu_seconds": statistics.mean(cpu_seconds) if cpu_seconds else None,
        "title_words": _figure(title_draws[:, 0]),
        "title_words_joined": _figure(title_draws[:, 1]),
        "title_whole": _figure(title_draws[:, 2]),
        "words": statistics.mean(map(len, words)),
        "characters": statistics.mean(sum(map(len, of_text)) for of_text in words),
    }


def _errors(
    texts: Sequence[str], references: Sequence[OcrRecord], posters: Sequence[PosterFile], *, examples: int, resamples: int
) -> dict[str, Any]:
    """Return the error rates where the reference is usable, and the posters with the most words in only one of the two."""
    judged = [
        (compare_texts(text, _text(reference)), text, _text(reference), poster)
        for text, reference, poster in zip(texts, references, posters, strict=True)
        if usable(reference)
    ]
    worst = sorted(judged, key=lambda of: 2 * of[0].shared - of[0].words - of[0].text_words)[:examples]
    return {
        "posters": len(judged),
        **_error_rates([errors for errors, *_ in judged], [poster.film_id for *_, poster in judged], resamples),
        "worst": [
            {"poster_id": poster.poster_id, "text": text, "reference": reference} for _, text, reference, poster in worst
        ],
    }


def _error_rates(compared: Sequence[Errors], films: Sequence[str], resamples: int) -> dict[str, Any]:
    """Return each rate with its interval; None where the denominator is 0."""
    names = {
        "character_error_rate": ("character_edits", "characters"),
        "word_error_rate": ("word_edits", "words"),
        "word_recall": ("shared", "words"),
        "word_precision": ("shared", "text_words"),
    }
    if len(set(films)) < 2:
        return dict.fromkeys(names)
    above, below = ([[getattr(of, pair[side]) for pair in names.values()] for of in compared] for side in (0, 1))
    draws = resampled_ratios(above, below, films, resamples=resamples, seed=BOOTSTRAP_SEED)
    return {name: _figure(draws[:, k]) for k, name in enumerate(names)}


def _figure(draws: np.ndarray) -> dict[str, float] | None:
    if np.isnan(draws[0]):
        return None
    low, high = percentile_interval(draws[1:][~np.isnan(draws[1:])])
    return {"value": float(draws[0]), "low": low, "high": high}


def _exclusive_titles(a: Sequence[TitleFound], b: Sequence[TitleFound], ids: Sequence[str], examples: int) -> dict[str, Any]:
    whole = [(in_a.found == in_a.words, in_b.found == in_b.words) for in_a, in_b in zip(a, b, strict=True)]
    only_a = [poster_id for poster_id, (in_a, in_b) in zip(ids, whole, strict=True) if in_a and not in_b]
    only_b = [poster_id for poster_id, (in_a, in_b) in zip(ids, whole, strict=True) if in_b and not in_a]
    return {
        "only_a": len(only_a),
        "only_b": len(only_b),
        "only_a_posters": only_a[:examples],
        "only_b_posters": only_b[:examples],
    }


def _one_line(text: str) -> str:
    return sanitize(" / ".join(text.splitlines()) or "(nothing)", width=_SHOWN_CHARACTERS)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
