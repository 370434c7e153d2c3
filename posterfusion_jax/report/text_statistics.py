"""Statistics of the texts of a dataset for the report: empty texts, lengths, languages, truncation."""

from collections.abc import Mapping
from typing import Any

from posterfusion_jax.ocr.text.limits import describe_bounds
from posterfusion_jax.report.page import Table, Text

_SHOWN_LANGUAGES = 12


def text_blocks(described: Mapping[str, Any] | None, about: Mapping[str, Any]) -> list[Table | Text]:
    """Return tables and sentences on the texts.

    Args:
      described: `text_report.describe_texts` of the dataset; None for datasets of earlier versions, which lack it.
      about: a results file.
    """
    if described is None:
        return [Text("The dataset was built by an earlier version without statistics of its texts. Build it again.")]
    engines = [
        [engine, f"{part['posters']:,}", f"{part['empty']:,}", *_spread(described["words_by_engine"][engine])]
        for engine, part in described["empty_by_engine"].items()
    ]
    columns = ("read by", "posters", "without text", "median words", "90th percentile", "maximum")
    blocks: list[Table | Text] = [
        *([Table(columns, engines, "Words of the texts that are not empty")] if engines else []),
        Table(
            ("status of the record", "posters", "without text"),
            [[status, f"{part['posters']:,}", f"{part['empty']:,}"] for status, part in described["empty_by_status"].items()],
        ),
    ]
    languages = list(described["languages"].items())
    if languages:
        texts = sum(count for _, count in languages)
        rest = sum(count for _, count in languages[_SHOWN_LANGUAGES:])
        rows = [*languages[:_SHOWN_LANGUAGES], *([("others", rest)] if rest else [])]
        guesser = described["language_guesser"]
        blocks.append(
            Table(
                ("language", "texts", "share, %"),
                [[language, f"{count:,}", f"{100 * count / texts:.1f}"] for language, count in rows],
                f"Detected by {guesser}, unless reported by the engine"
                if guesser
                else "As reported by the engine; none was detected",
            )
        )
    blocks.append(Text(_length(described, about)))
    if described.get("at_bounds"):  # absent in datasets of earlier versions
        blocks.append(Text(f"{described['at_bounds']:,} texts were cut after {describe_bounds()}.", "warning"))
    blocks += [Text(sentence) for sentence in _rules(described)]
    return blocks


def _spread(spread: Mapping[str, int] | None) -> list[str]:
    return [""] * 3 if spread is None else [f"{spread[name]:,}" for name in ("median", "p90", "max")]


def _length(described: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    long, cut, config = described["long"], about["cut_texts"], about["config"]["encoders"]
    sentence = f"{100 * long['share']:.1f} % of all texts have more than {long['over_words']} words. "
    if cut is None:
        return sentence + "The number of texts truncated by the text encoder was not recorded."
    return sentence + (
        f"encoders.max_text_tokens={about['encoders']['text']['max_tokens']} with encoders.long_text={config['long_text']!r} "
        f"cuts {cut['cut']:,} of the {cut['texts']:,} texts ({100 * cut['share']:.1f} %) of the {about['split']} split."
    )


def _rules(described: Mapping[str, Any]) -> list[str]:
    rules = described["rules_not_applied"]
    if not rules:
        return []
    sentences = [f"Rules on the lines that were read: {', '.join(rules)}. They change {described['rules_changed']:,} texts."]
    passed = [f"{rule} in {count:,}" for rule, count in rules.items() if count]
    if passed:
        sentences.append(f"Not applied for lack of boxes or confidences: {', '.join(passed)} records.")
    return sentences
