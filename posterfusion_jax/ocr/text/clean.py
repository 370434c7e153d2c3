"""From what the engine read to the text that the model gets."""

import itertools
import unicodedata

from posterfusion_jax.ocr.records.record import OcrRecord
from posterfusion_jax.ocr.text.limits import MAX_CHARACTERS, MAX_LINES, limit_marks
from posterfusion_jax.ocr.text.line_filters import NO_RULES, Line, LineFilters, applicable, apply_rules


def record_text(record: OcrRecord, rules: LineFilters = NO_RULES) -> str:
    """The record's text as the text encoder gets it, cleaned.

    Where no rule can be applied, it is the record's `text`; else it is made of those of its `lines` that the rules keep.
    Of a record that exceeds the bounds of `ocr.bounds` (ours do not) what lies behind them is not read.
    """
    if rules.active:
        lines = _lines(record)
        if applicable(lines, rules):
            return clean("\n".join(line.text for line in apply_rules(lines, rules)))
    return clean(record.text)


def rules_not_applied(record: OcrRecord, rules: LineFilters) -> tuple[str, ...]:
    """The active rules that pass over this record, because it has a text but not the boxes or confidences they need."""
    if not rules.active or not record.text.strip():
        return ()
    found = applicable(_lines(record), rules)
    return tuple(rule for rule in rules.active if rule not in found)


def clean(text: str) -> str:
    """One line of plain text.

    Unicode is brought to NFKC, so that the full-width letters and punctuation that OCR models trained on Chinese like to
    print are the ordinary ones; control, format, unassigned and surrogate characters go; every run of white space,
    line breaks included, becomes one space. Case and script stay. At most `MAX_CHARACTERS` are read, and as many kept.
    """
    # Marks first: to bring n of them into their order takes n² steps.
    text = unicodedata.normalize("NFKC", limit_marks(text[:MAX_CHARACTERS]))
    text = limit_marks(text[:MAX_CHARACTERS])  # which may have become two of one
    words = " ".join(text.split())
    if words.isprintable():  # it has none of these characters: most texts have none
        return words
    kept = (character for character in text if character.isspace() or unicodedata.category(character)[0] != "C")
    return " ".join("".join(kept).split())


def _lines(record: OcrRecord) -> list[Line]:
    """The lines with their confidences and boxes, where the engine gave them."""
    absent = [None] * len(record.lines)
    lines = zip(record.lines, record.confidences or absent, record.boxes or absent, strict=True)
    return [Line(*line) for line in itertools.islice(lines, MAX_LINES)]
