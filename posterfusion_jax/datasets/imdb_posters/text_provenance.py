"""Keep the text of an OCR record and what the report counts, without lines, boxes and confidences."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

from posterfusion_jax.ocr.records.record import OcrRecord, usable
from posterfusion_jax.ocr.text.clean import describe_text
from posterfusion_jax.ocr.text.line_filters import LineFilters

MISSING = "missing"  # status of a poster without an OCR record


class TextProvenance(NamedTuple):
    """Describe the origin of a text; few descriptions differ, so posters share them.

    Attributes:
      status: of the record, or `MISSING`.
      engine: None where there is no record.
      language: as the engine named it.
      changed: the rules changed the record's text.
      not_applied: the active rules that skipped the record, for lack of boxes or confidences.
      cut: the record's text reaches the limits of `ocr.text.limits`.
    """

    status: str = MISSING
    engine: str | None = None
    language: str | None = None
    changed: bool = False
    not_applied: tuple[str, ...] = ()
    cut: bool = False

    @classmethod
    def from_json(cls, values: Sequence[Any]) -> "TextProvenance":
        """Return the provenance whose JSON value is `values`."""
        *others, not_applied, cut = values
        return _shared(*others, tuple(not_applied), cut)


UNREAD = TextProvenance()
GIVEN = TextProvenance(status="given")  # the source has the words; OCR was not asked


def read_record(record: OcrRecord, rules: LineFilters) -> tuple[str, TextProvenance]:
    """Return the poster's text, empty for a record of a failure, and its provenance."""
    if not usable(record):
        return "", _shared(record.status, record.engine, record.language, False, (), False)
    text, *effects = describe_text(record, rules)
    return text, _shared(record.status, record.engine, record.language, *effects)


@functools.cache
def _shared(*values) -> TextProvenance:
    return TextProvenance(*values)
