"""Define the record of one poster image by one OCR engine: one line of JSON."""

import dataclasses
import itertools
import json
import math
import re
from typing import Any

from posterfusion_jax.utils.checksums import CHECK, checksum_matches, with_checksum

STATUSES = ("ok", "empty", "blocked", "recitation", "max_tokens", "error")
_LONGEST_LABEL = 200  # characters
_PADDING = "\ufeff\0 \t\r\n"
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
USABLE_STATUSES = ("ok", "empty", "max_tokens")  # "empty" is a valid result, and a truncated text is better than none


@dataclasses.dataclass(frozen=True, kw_only=True)
class OcrRecord:
    """Hold the text of one image by one engine.

    A record belongs to the image with these bytes (`sha256`), independent of the file's present name; `poster_id` and
    `film_id` are from its name when it was read. `boxes` are (x0, y0, x1, y1) as fractions of width and height;
    `confidences` are in [0, 1]; both are empty or as long as `lines`. `reason` explains a status other than "ok".
    """

    sha256: str
    status: str
    text: str
    engine: str
    poster_id: str = ""
    film_id: str = ""
    lines: tuple[str, ...] = ()
    confidences: tuple[float, ...] = ()
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    language: str | None = None
    engine_version: str = ""
    model_version: str | None = None
    prompt_version: str | None = None
    attempts: int = 1
    usage: dict[str, Any] | None = None
    seconds: float | None = None
    time: str | None = None  # UTC, ISO 8601
    source_width: int | None = None
    source_height: int | None = None
    reason: str | None = None


def usable(record: OcrRecord) -> bool:
    """Return whether the record's text (which may correctly be empty) can be used for the image."""
    return record.status in USABLE_STATUSES


def to_json(record: OcrRecord) -> str:
    """Return one line of JSON without the fields that are None, and with a checksum."""
    fields = {name: value for name, value in vars(record).items() if value is not None}
    return _encode(with_checksum(fields))


def from_json(line: str) -> OcrRecord:
    """Read one line of JSON.

    Unknown fields are ignored and null counts as absent; a line of another program may lack the checksum. A byte order mark,
    NUL bytes around the line, a comma at its end and a hash in capitals are accepted.

    Raises:
      ValueError: not a JSON object, or a field is missing or has a wrong value (the message names the field), or the checksum
        does not match.
    """
    line = line.strip(_PADDING)
    if not line:
        raise ValueError("nothing but NUL bytes or a byte order mark, as a power cut leaves them")
    try:
        fields = json.loads(line.removesuffix(","))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise ValueError("not a JSON object")
    original = fields
    if isinstance(fields.get("sha256"), str):
        fields = {**fields, "sha256": fields["sha256"].strip().lower()}
    if not checksum_matches(original) and not checksum_matches(fields):
        raise ValueError(f"damaged: its {CHECK!r} is that of another record")
    fields = {name: value for name, value in fields.items() if name in _ALLOWED and value is not None}
    for name in ("sha256", "status", "text", "engine"):
        if name not in fields:
            raise ValueError(f"the field {name!r} is missing")
    for name, value in fields.items():
        description, is_allowed = _ALLOWED[name]
        if not is_allowed(value):
            raise ValueError(f"the field {name!r} is {str(value)[:80]!r}, it must be {description}")
    for name in ("confidences", "boxes"):
        if fields.get(name) and len(fields[name]) != len(fields.get("lines", ())):
            raise ValueError(f"the field {name!r} has {len(fields[name])} entries for {len(fields.get('lines', ()))} lines")
    fields["lines"] = tuple(fields.get("lines", ()))
    fields["confidences"] = tuple(fields.get("confidences", ()))
    fields["boxes"] = tuple(map(tuple, fields.get("boxes", ())))
    return OcrRecord(**fields)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_label(value: Any) -> bool:
    """Return whether a value can be shown in tables and stored in the index, which cannot hold a lone surrogate."""
    return isinstance(value, str) and value.isprintable() and len(value) <= _LONGEST_LABEL


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _HUGE


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < _HUGE


def _is_plain(value: Any, depth: int = 4) -> bool:
    """Return whether a value can be written as JSON again: all numbers are finite, and the nesting is not too deep."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return depth > 0 and all(_is_plain(item, depth - 1) for item in inner)
    return not isinstance(value, int | float) or isinstance(value, bool) or _is_number(value)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and {*map(type, value)} <= {str}


def _are_fractions(value: Any) -> bool:
    return isinstance(value, list) and _are_numbers(value, 0, 1)


def _are_boxes(value: Any) -> bool:
    if not isinstance(value, list) or not {*map(type, value)} <= {list} or not {*map(len, value)} <= {4}:
        return False
    return _are_numbers([*itertools.chain.from_iterable(value)], 1 - _HUGE, _HUGE - 1)


def _are_numbers(values: list[Any], least: int, most: int) -> bool:
    """Return whether parsed JSON values are numbers within limits; in C, because a record has hundreds of coordinates."""
    if not {*map(type, values)} <= {int, float}:
        return False
    if not values:
        return True
    # A NaN that is not the first value is skipped by min and max, and makes the sum a NaN.
    return least <= min(values) and max(values) <= most and not math.isnan(sum(values))


_HUGE = 2**53  # larger numbers are not plausible here, and a float does not hold them exactly
_ALLOWED = {
    "sha256": ("64 hexadecimal digits", lambda value: _is_text(value) and re.fullmatch("[0-9a-f]{64}", value)),
    "status": (f"one of {', '.join(STATUSES)}", lambda value: value in STATUSES),
    "text": ("a string", _is_text),
    "engine": ("a name of printable characters", lambda value: _is_label(value) and value),
    "poster_id": ("a string", _is_text),
    "film_id": ("a string", _is_text),
    "lines": ("a list of strings", _are_texts),
    "confidences": ("a list of numbers from 0 to 1", _are_fractions),
    "boxes": ("a list of [x0, y0, x1, y1]", _are_boxes),
    "language": ("a string", _is_text),
    "engine_version": ("a string of printable characters", _is_label),
    "model_version": ("a string", _is_text),
    "prompt_version": ("a string", _is_text),
    "attempts": ("a whole number from 1", _is_count),
    "usage": ("an object of finite numbers", lambda value: isinstance(value, dict) and _is_plain(value)),
    "seconds": ("a number", _is_number),
    "time": ("a string", _is_text),
    "source_width": ("a whole number from 1", _is_count),
    "source_height": ("a whole number from 1", _is_count),
    "reason": ("a string", _is_text),
}

# The rules that make a line a record, in words. They are part of the format of an index: one made under other rules is rebuilt.
RULES = "; ".join(
    [
        *(f"{name}: {description}" for name, (description, _) in _ALLOWED.items()),
        *USABLE_STATUSES,
        "read over: byte order marks, NUL bytes, commas, capitals",
    ]
)
