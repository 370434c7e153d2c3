"""Limit the text of one poster.

A longer text is never printed on a poster, and would let one image exhaust the time or the memory of a run.
"""

import unicodedata
from collections.abc import Sequence

# Of a text, line breaks included: three thousand words, where posters have a dozen and at most hundreds.
MAX_CHARACTERS = 20_000
MAX_LINES = 1_000
MAX_REASON = 1_000  # characters of the reason that a service or an engine gives for a failure
_MAX_MARKS = 30  # combining marks in a row: the limit of Unicode's Stream-Safe Text Format (UAX #15, section 13)


def cut_lines(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the first `MAX_LINES` lines, as far as they fit, joined, into `MAX_CHARACTERS`."""
    kept, left = [], MAX_CHARACTERS
    for line in lines[:MAX_LINES]:
        if left <= 0:
            break
        kept.append(line[:left])
        left -= len(line) + 1
    return tuple(kept)


def limit_marks(text: str) -> str:
    """Return the text with at most 30 combining marks in a row."""
    if text.isascii():
        return text
    kept, marks = [], 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= _MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def is_cut(text: str, lines: Sequence[str]) -> bool:
    """Return whether a text, or its lines, reach the limits, so that something may be missing."""
    return len(text) >= MAX_CHARACTERS - 1 or len(lines) >= MAX_LINES


def describe_bounds() -> str:
    """Return the limits in words, for messages."""
    return f"{MAX_CHARACTERS:,} characters or {MAX_LINES:,} lines"
