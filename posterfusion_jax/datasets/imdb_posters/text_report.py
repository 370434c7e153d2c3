"""Statistics of a dataset's texts: how many are empty, how long they are, in which languages, and what the rules did."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from posterfusion_jax.datasets.imdb_posters.join import Poster
from posterfusion_jax.ocr.bounds import describe_bounds
from posterfusion_jax.ocr.language import guess_language, guesser_version, language_code
from posterfusion_jax.ocr.rules import TextRules
from posterfusion_jax.terminal import plain

# Words from which on a text counts as long. On 3,806 real posters "more than 40 words" and "more than the 75 tokens that fit
# into CLIP's 77" are the same for 97.5 % of the texts. What a text encoder really cuts, its features and results files say.
LONG_WORDS = 40
_SHOWN_LANGUAGES = 8


def describe_texts(posters: Sequence[Poster], rules: TextRules) -> dict[str, Any]:
    """The statistics as JSON data.

    Keys: `empty` and `empty_by_status`, `empty_by_engine` (posters, empty; the first over all posters, the last over those
    with a record); `words` and `characters` of the texts that are not empty (median, p90, max: figures of real texts), also
    `words_by_engine`; `long` (over so many words, texts, share); `languages` of these texts (code -> count, commonest first),
    `language_guesser` (None: not installed, then what no engine named is not counted) and `languages_named` (by the engine);
    `at_bounds` (texts that reach the bounds of `ocr.bounds`); `rules` (the settings), `rules_changed` (texts that they made
    another) and `rules_not_applied` (rule -> usable records without the boxes or confidences that it needs).
    """
    with_text = [poster for poster in posters if poster.text]
    words = [len(poster.text.split()) for poster in with_text]
    by_engine = _group(posters, lambda poster: poster.reading.engine)
    words_by_engine: dict[str | None, list[int]] = defaultdict(list)
    for poster, count in zip(with_text, words, strict=True):
        words_by_engine[poster.reading.engine].append(count)
    long = sum(count > LONG_WORDS for count in words)
    not_applied = Counter(rule for poster in posters for rule in poster.reading.not_applied)
    return {
        "empty": _count_empty(posters),
        "empty_by_status": {
            status: _count_empty(group) for status, group in _group(posters, lambda poster: poster.reading.status).items()
        },
        "empty_by_engine": {engine: _count_empty(group) for engine, group in by_engine.items()},
        "words": _spread(words),
        "words_by_engine": {engine: _spread(words_by_engine[engine]) for engine in by_engine},
        "characters": _spread([len(poster.text) for poster in with_text]),
        "long": {"over_words": LONG_WORDS, "texts": long, "share": long / len(with_text) if with_text else 0.0},
        **_describe_languages(with_text),
        "at_bounds": sum(poster.reading.cut for poster in posters),
        "rules": dataclasses.asdict(rules),
        "rules_changed": sum(poster.reading.changed for poster in posters),
        "rules_not_applied": {rule: not_applied[rule] for rule in rules.active},
    }


def format_texts(described: Mapping[str, Any]) -> list[str]:
    """`describe_texts` as lines for people; the total of empty texts is not repeated."""
    lines = []
    for engine, part in described["empty_by_engine"].items():
        line = f"{plain(engine)}: {part['posters']:,} posters, {part['empty'] / part['posters']:.1%} without text"
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
    if described.get("at_bounds"):  # datasets of before have no such entry
        lines.append(f"cut after {describe_bounds()}: {described['at_bounds']:,} texts")
    lines.append(_format_languages(described))
    if described["rules_not_applied"]:
        line = f"rules: {', '.join(described['rules_not_applied'])}; they change {described['rules_changed']:,} texts"
        passed = [f"{rule} to {count:,}" for rule, count in described["rules_not_applied"].items() if count]
        lines.append(line + (f"; for lack of boxes or confidences not applied: {', '.join(passed)}" if passed else ""))
    return lines


def _describe_languages(posters: Sequence[Poster]) -> dict[str, Any]:
    guesser = guesser_version()
    languages: Counter[str] = Counter()
    named = 0
    for poster in posters:
        if poster.reading.language:
            named += 1
            languages[language_code(poster.reading.language)] += 1
        elif guesser is not None:
            languages[guess_language(poster.text)] += 1
    return {
        "languages": dict(sorted(languages.items(), key=lambda item: (-item[1], item[0]))),
        "languages_named": named,
        "language_guesser": guesser,
    }


def _format_languages(described: Mapping[str, Any]) -> str:
    languages = described["languages"]
    shown = [f"{plain(language)} {count:,}" for language, count in list(languages.items())[:_SHOWN_LANGUAGES]]
    if len(languages) > _SHOWN_LANGUAGES:
        shown.append(f"{len(languages) - _SHOWN_LANGUAGES} more")
    if described["language_guesser"] is None:
        how = "only those that the engine named: py3langid is not installed (the extra 'ocr' brings it)"
    else:
        how = f"guessed by {described['language_guesser']}"
        how += f", {described['languages_named']:,} named by the engine" if described["languages_named"] else ""
    return f"languages: {', '.join(shown) or 'none'} ({how})"


def _group(posters: Sequence[Poster], key: Callable[[Poster], str | None]) -> dict[str, list[Poster]]:
    """By their keys, which are sorted; those without one are left out."""
    groups: dict[str, list[Poster]] = defaultdict(list)
    for poster in posters:
        name = key(poster)
        if name is not None:
            groups[name].append(poster)
    return dict(sorted(groups.items()))


def _count_empty(posters: Sequence[Poster]) -> dict[str, int]:
    return {"posters": len(posters), "empty": sum(not poster.text for poster in posters)}


def _has_text(part: Mapping[str, int]) -> bool:
    return part["empty"] < part["posters"]


def _spread(values: Sequence[int]) -> dict[str, int] | None:
    """Median, 90th percentile and maximum, each a value that occurs; None of nothing."""
    if not values:
        return None
    median, p90 = np.quantile(values, (0.5, 0.9), method="inverted_cdf")
    return {"median": int(median), "p90": int(p90), "max": max(values)}


def _format_spread(spread: Mapping[str, int], unit: str) -> str:
    return f"median {spread['median']:,}, 90th percentile {spread['p90']:,}, maximum {spread['max']:,} {unit}"
