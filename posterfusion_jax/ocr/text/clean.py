"""Turn the output of an engine into the text for the model."""

import itertools
import unicodedata
from typing import NamedTuple

from posterfusion_jax.ocr.records.record import OcrRecord
from posterfusion_jax.ocr.text.limits import MAX_CHARACTERS, MAX_LINES, is_cut, limit_marks
from posterfusion_jax.ocr.text.line_filters import NO_RULES, Line, LineFilters, applicable, apply_rules


def record_text(record: OcrRecord, rules: LineFilters = NO_RULES) -> str:
    """Return the record's text as the text encoder gets it, cleaned.

    If no rule is applicable, it is the record's `text`, else it consists of the `lines` that the rules keep. The part of a
    record that exceeds the limits of `ocr.text.limits` (records of this package do not) is not read.
    """
    if rules.active:
        lines = _lines(record)
        if applicable(lines, rules):
            return clean("\n".join(line.text for line in apply_rules(lines, rules)))
    return clean(record.text)


class RecordText(NamedTuple):
    """Describe the text that a record gives.

    Attributes:
      text: as `record_text` returns it.
      changed: the rules changed it.
      not_applied: as `rules_not_applied` returns it.
      is_cut: the record reaches the limits of `ocr.text.limits`.
    """

    text: str
    changed: bool
    not_applied: tuple[str, ...]
    is_cut: bool


def describe_text(record: OcrRecord, rules: LineFilters) -> RecordText:
    """Return the record's text, and what the rules and the limits did to it."""
    text = record_text(record, rules)
    changed = bool(rules.active) and text != record_text(record)
    return RecordText(text, changed, rules_not_applied(record, rules), is_cut(record.text, record.lines))


def rules_not_applied(record: OcrRecord, rules: LineFilters) -> tuple[str, ...]:
    """Return the active rules not applied to this record, which has a text but not the boxes or confidences they need."""
    if not rules.active or not record.text.strip():
        return ()
    found = applicable(_lines(record), rules)
    return tuple(rule for rule in rules.active if rule not in found)


def clean(text: str) -> str:
    """Return the text as one line of plain text.

    Unicode is brought to NFKC, so that the full-width letters and punctuation that OCR models trained on Chinese often produce
    become ordinary ones; control, format, unassigned and surrogate characters are removed; every run of white space, line
    breaks included, becomes one space. Case and script are kept. At most `MAX_CHARACTERS` are read, and as many kept.
    """
    # Marks first: sorting n of them takes n² steps.
    text = unicodedata.normalize("NFKC", limit_marks(text[:MAX_CHARACTERS]))
    text = limit_marks(text[:MAX_CHARACTERS])  # normalization may turn one character into several
    words = " ".join(text.split())
    if words.isprintable():  # no character to remove, as in most texts
        return words
    kept = (character for character in text if character.isspace() or unicodedata.category(character)[0] != "C")
    return " ".join("".join(kept).split())


def _lines(record: OcrRecord) -> list[Line]:
    """Return the lines with their confidences and boxes, if the engine gave them."""
    absent = [None] * len(record.lines)
    lines = zip(record.lines, record.confidences or absent, record.boxes or absent, strict=True)
    return [Line(*line) for line in itertools.islice(lines, MAX_LINES)]
