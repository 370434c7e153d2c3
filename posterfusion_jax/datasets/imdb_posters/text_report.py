"""Compute statistics of a dataset's texts: empty texts, lengths, languages, and the effect of the rules."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from posterfusion_jax.datasets.imdb_posters.join import Poster
from posterfusion_jax.ocr.text.language import guess_language, guesser_version, language_code
from posterfusion_jax.ocr.text.limits import describe_bounds
from posterfusion_jax.ocr.text.line_filters import LineFilters
from posterfusion_jax.utils.console import sanitize

# Texts with more words count as long. On 3,806 real posters "more than 40 words" and "more than the 75 tokens that fit
# into CLIP's 77" are the same for 97.5 % of the texts. What a text encoder really cuts is in its features and results files.
LONG_WORDS = 40
_SHOWN_LANGUAGES = 8


def describe_texts(posters: Iterable[Poster], rules: LineFilters) -> dict[str, Any]:
    """Return the statistics as JSON data.

    Keys: `empty` and `empty_by_status`, `empty_by_engine` (posters, empty; the first over all posters, the last over those
    with a record); `words` and `characters` of the texts that are not empty (median, p90, max: figures of real texts), also
    `words_by_engine`; `long` (word limit, texts over it, share); `languages` of these texts (code -> count, most common first),
    `language_guesser` (None: not installed, only engines' languages count) and `languages_named` (by the engine);
    `at_bounds` (texts that reach the limits of `ocr.text.limits`); `rules` (the settings), `rules_changed` (texts that they
    changed) and `rules_not_applied` (rule -> usable records without the boxes or confidences that it needs).
    """
    empty, by_status, by_engine = _Empty(), defaultdict(_Empty), defaultdict(_Empty)
    words, characters, words_by_engine = Counter[int](), Counter[int](), defaultdict(Counter[int])
    changed, at_bounds, not_applied = 0, 0, Counter[str]()
    languages = _Languages()
    for poster in posters:
        text, reading = poster.text, poster.reading
        changed += reading.changed
        at_bounds += reading.cut
        not_applied.update(reading.not_applied)
        empty.add(text)
        by_status[reading.status].add(text)
        if reading.engine is not None:
            by_engine[reading.engine].add(text)
        if text:
            count = len(text.split())
            words[count] += 1
            words_by_engine[reading.engine][count] += 1
            characters[len(text)] += 1
            languages.add(poster)
    texts, long = words.total(), sum(times for count, times in words.items() if count > LONG_WORDS)
    return {
        "empty": dataclasses.asdict(empty),
        "empty_by_status": {status: dataclasses.asdict(group) for status, group in sorted(by_status.items())},
        "empty_by_engine": {engine: dataclasses.asdict(group) for engine, group in sorted(by_engine.items())},
        "words": _spread(words),
        "words_by_engine": {engine: _spread(words_by_engine[engine]) for engine in sorted(by_engine)},
        "characters": _spread(characters),
        "long": {"over_words": LONG_WORDS, "texts": long, "share": long / texts if texts else 0.0},
        **languages.described(),
        "at_bounds": at_bounds,
        "rules": dataclasses.asdict(rules),
        "rules_changed": changed,
        "rules_not_applied": {rule: not_applied[rule] for rule in rules.active},
    }


def format_texts(described: Mapping[str, Any]) -> list[str]:
    """Return `describe_texts` as lines for people; the total of empty texts is not repeated."""
    lines = []
    for engine, part in described["empty_by_engine"].items():
        line = f"{sanitize(engine)}: {part['posters']:,} posters, {part['empty'] / part['posters']:.1%} without text"
        lines.append(
            line + (f", else {_format_spread(described['words_by_engine'][engine], 'words')}" if _has_text(part) else "")
        )
    if described["words"] is None:
        return lines
    long = described["long"]
    lines.append(
        f"length: {_format_spread(described['words'], 'words')}; {_format_spread(described['characters'], 'characters')}; "
        f"{long['share']:.1%} over {long['over_words']} words"
    )
    if described.get("at_bounds"):  # datasets of earlier versions lack this entry
        lines.append(f"cut after {describe_bounds()}: {described['at_bounds']:,} texts")
    lines.append(_format_languages(described))
    if described["rules_not_applied"]:
        line = f"rules: {', '.join(described['rules_not_applied'])}; they change {described['rules_changed']:,} texts"
        passed = [f"{rule} to {count:,}" for rule, count in described["rules_not_applied"].items() if count]
        lines.append(line + (f"; for lack of boxes or confidences not applied: {', '.join(passed)}" if passed else ""))
    return lines


@dataclasses.dataclass
class _Empty:
    """Count the posters of a group, and how many have no text."""

    posters: int = 0
    empty: int = 0

    def add(self, text: str) -> None:
        self.posters += 1
        self.empty += not text


class _Languages:
    """Count the languages of texts."""

    def __init__(self) -> None:
        self._guesser = guesser_version()
        self._counts: Counter[str] = Counter()
        self._named = 0

    def add(self, poster: Poster) -> None:
        if poster.reading.language:
            self._named += 1
            self._counts[language_code(poster.reading.language)] += 1
        elif self._guesser is not None:
            self._counts[guess_language(poster.text)] += 1

    def described(self) -> dict[str, Any]:
        return {
            "languages": dict(sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))),
            "languages_named": self._named,
            "language_guesser": self._guesser,
        }


def _format_languages(described: Mapping[str, Any]) -> str:
    languages = described["languages"]
    shown = [f"{sanitize(language)} {count:,}" for language, count in list(languages.items())[:_SHOWN_LANGUAGES]]
    if len(languages) > _SHOWN_LANGUAGES:
        shown.append(f"{len(languages) - _SHOWN_LANGUAGES} more")
    if described["language_guesser"] is None:
        how = "only those that the engine named: py3langid is not installed (the extra 'ocr' brings it)"
    else:
        how = f"guessed by {described['language_guesser']}"
        how += f", {described['languages_named']:,} named by the engine" if described["languages_named"] else ""
    return f"languages: {', '.join(shown) or 'none'} ({how})"


def _has_text(part: Mapping[str, int]) -> bool:
    return part["empty"] < part["posters"]


def _spread(counts: Mapping[int, int]) -> dict[str, int] | None:
    """Return median, 90th percentile and maximum of counted values, each a value that occurs; None if there are none."""
    if not counts:
        return None
    values = np.repeat(np.array(list(counts), np.int32), list(counts.values()))
    median, p90 = np.quantile(values, (0.5, 0.9), method="inverted_cdf")
    return {"median": int(median), "p90": int(p90), "max": max(counts)}


def _format_spread(spread: Mapping[str, int], unit: str) -> str:
    return f"median {spread['median']:,}, 90th percentile {spread['p90']:,}, maximum {spread['max']:,} {unit}"
