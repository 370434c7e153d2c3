"""Records survive the trip to disk, and bad lines say which field is bad."""

import json
from typing import Any

import pytest

from posterfusion_jax.ocr.records.record import STATUSES, OcrRecord, from_json, to_json, usable
from posterfusion_jax.ocr.text.clean import clean, record_text

SHA = "0123456789abcdef" * 4


def record(**fields) -> OcrRecord:
    defaults: dict[str, Any] = {"sha256": SHA, "status": "ok", "text": "ALIEN", "engine": "rapidocr"}
    return OcrRecord(**(defaults | fields))


def test_round_trip_keeps_every_field():
    full = record(
        poster_id="tt0078748_1",
        film_id="tt0078748",
        text="A L I E N\n“宇宙では”",
        lines=("A L I E N", "“宇宙では”"),
        confidences=(0.9987, 0.5),
        boxes=((0.1, 0.2, 0.9, 0.3), (0.1, 0.7, 0.9, 0.8)),
        language="en",
        engine_version="3.10.0",
        model_version="m",
        prompt_version="p",
        attempts=2,
        usage={"tokens": 12},
        seconds=0.61,
        time="2026-11-22T10:00:00+00:00",
        source_width=300,
        source_height=450,
        reason="none",
    )
    assert from_json(to_json(full)) == full
    assert all(value is not None for value in vars(full).values())  # a new field must be added to this test


def test_absent_fields_are_left_out_and_line_breaks_stay_inside_the_line():
    line = to_json(record(text="a\nb\u2028c", lines=("a", "b\u2028c")))
    assert "\n" not in line
    assert "reason" not in json.loads(line)
    assert from_json(line).text == "a\nb\u2028c"


def test_unknown_fields_and_nulls_are_ignored():
    line = json.dumps({"sha256": SHA, "status": "empty", "text": "", "engine": "x", "mood": "dark", "language": None})
    assert from_json(line) == record(status="empty", text="", engine="x")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"sha256": None}, "'sha256' is missing"),
        ({"text": None}, "'text' is missing"),
        ({"engine": ""}, "'engine'"),
        ({"sha256": "abc"}, "64 hexadecimal"),
        ({"sha256": 5}, "'sha256'"),
        ({"status": "fine"}, "one of ok, empty"),
        ({"status": ["ok"]}, "'status'"),
        ({"text": 5}, "'text'"),
        ({"lines": "ALIEN"}, "'lines'"),
        ({"lines": ["a", 5]}, "'lines'"),
        ({"lines": ["a"], "confidences": [1.5]}, "'confidences'"),
        ({"lines": ["a"], "confidences": [0.5, 0.5]}, "2 entries for 1 lines"),
        ({"confidences": [0.5]}, "1 entries for 0 lines"),
        ({"lines": ["a"], "boxes": [[0, 0, 1]]}, "'boxes'"),
        ({"lines": ["a"], "boxes": [[0, 0, 1, float("nan")]]}, "'boxes'"),
        ({"attempts": 0}, "'attempts'"),
        ({"source_width": "300"}, "'source_width'"),
        ({"usage": []}, "'usage'"),
    ],
)
def test_a_bad_field_is_named(change, named):
    fields = {"sha256": SHA, "status": "ok", "text": "ALIEN", "engine": "rapidocr"} | change
    with pytest.raises(ValueError, match=named):
        from_json(json.dumps(fields))


@pytest.mark.parametrize("line", ["", "{", "[]", '"ok"', "null", "[" * 100_000])
def test_what_is_no_object_is_refused(line):
    with pytest.raises(ValueError, match="not"):
        from_json(line)


def test_usable_statuses():
    assert [status for status in STATUSES if usable(record(status=status))] == ["ok", "empty", "max_tokens"]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("A\nL  I\tE\r\nN ", "A L I E N"),
        ("\uff21\uff2c\uff29\uff25\uff2e\uff1a\uff12", "ALIEN:2"),
        ("Ame\u0301lie", "Am\u00e9lie"),
        ("in\x00 sp\u200bace\x1b[0m \ud800", "in space[0m"),
        ("no\u00a0one\u3000can\u2028hear", "no one can hear"),
        ("エイリアン", "エイリアン"),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_clean(text, cleaned):
    assert clean(text) == cleaned
    assert clean(cleaned) == cleaned
    assert record_text(record(text=text)) == cleaned


def _is_valid_number(value: Any, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


_ODD = [0.5, 0, 1, -0.1, 1.1, float("nan"), float("inf"), -float("inf"), True, None, "1", 10**400, [0]]


@pytest.mark.parametrize("odd", _ODD)
@pytest.mark.parametrize("place", range(4))
def test_one_odd_number_at_any_place_decides_as_it_would_alone(odd, place):
    values: list[Any] = [0.25, 0.5, 0.75, 0.5]
    values[place] = odd
    line = {"sha256": SHA, "status": "ok", "text": "A", "engine": "e", "lines": ["a"] * 4}
    boxes, most = [[0, 0, 1, 1], values] * 2, 2**53 - 1
    for field, value, limits in (("confidences", values, (0, 1)), ("boxes", boxes, (-most, most))):
        text = json.dumps({**line, field: value})
        if _is_valid_number(odd, *limits):
            assert len(getattr(from_json(text), field)) == 4
        else:
            with pytest.raises(ValueError, match=f"the field '{field}'"):
                from_json(text)
