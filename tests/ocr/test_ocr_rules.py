"""Rules over lines: what each keeps of records as engines leave them, and that none ever invents or repeats a word."""

import random

import pytest

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.records.record import OcrRecord, from_json, to_json
from posterfusion_jax.ocr.text.clean import record_text, rules_not_applied
from posterfusion_jax.ocr.text.line_filters import (
    NO_RULES,
    Line,
    LineFilters,
    applicable,
    apply_rules,
    drop_credits,
    drop_unsure,
    order_by_boxes,
)

# As RapidOCR reads a poster: names in two sizes, the title, a slogan, a credit block of which little is legible, a date.
POSTER = [
    Line("WINSLET", 1.0, (0.70, 0.660, 0.88, 0.691)),
    Line("DICAPRIO", 1.0, (0.12, 0.660, 0.31, 0.689)),
    Line("KATE", 1.0, (0.76, 0.650, 0.82, 0.668)),
    Line("LEONARDO", 0.98, (0.15, 0.650, 0.27, 0.668)),
    Line("TITANIC", 1.0, (0.17, 0.730, 0.83, 0.822)),
    Line("EXPERIENCE IT LIKE NEVER BEFORE", 0.99, (0.26, 0.842, 0.74, 0.870)),
    Line("PARAMOUNT PICTURES AND TWENTIETH CENTURY FOX PRESENT", 0.93, (0.1, 0.880, 0.9, 0.900)),
    Line("SMA TOHMER DEM PPRS", 0.57, (0.1, 0.902, 0.9, 0.920)),
    Line("CASTING BY MALI FINN MUSIC BY JAMES HORNER", 0.81, (0.1, 0.920, 0.9, 0.941)),
    Line("APRIL 6", 1.0, (0.4, 0.950, 0.6, 0.985)),
]
TITANIC = [line.text for line in POSTER]
CREDITS = TITANIC[6:9]
ALL = LineFilters(order="boxes", min_confidence=0.6, credits_max_height=0.025)


def record(lines=POSTER, **fields) -> OcrRecord:
    return OcrRecord(
        sha256="0" * 64,
        status="ok",
        text="\n".join(line.text for line in lines),
        engine="rapidocr",
        lines=tuple(line.text for line in lines),
        confidences=tuple(line.confidence for line in lines if line.confidence is not None),
        boxes=tuple(line.box for line in lines if line.box is not None),
        **fields,
    )


def texts(lines) -> list[str]:
    return [line.text for line in lines]


def random_lines(seed: int) -> list[Line]:
    rng = random.Random(seed)
    lines = []
    for number in range(rng.randrange(25)):
        x, y = rng.random() * 0.8, rng.choice([rng.random(), 0.9]) * 0.95
        width, height = rng.random() * (1 - x), rng.choice([0.0, 0.02, 0.03, rng.random()]) * (1 - y)
        lines.append(Line(f"word{number % 7}", rng.random(), (x, y, x + width, y + height)))
    return lines


def test_boxes_give_rows_from_top_to_bottom_and_left_to_right():
    assert texts(order_by_boxes(POSTER)) == ["LEONARDO", "KATE", "DICAPRIO", "WINSLET", *TITANIC[4:]]


def test_small_lines_beside_large_print_are_no_row_with_it():
    beside = [
        Line("DOUBLE", 1.0, (0.3, 0.10, 0.9, 0.40)),
        Line("first", 1.0, (0.0, 0.12, 0.2, 0.15)),
        Line("second", 1.0, (0.1, 0.16, 0.2, 0.19)),
        Line("third", 1.0, (0.0, 0.20, 0.2, 0.23)),
    ]
    assert texts(order_by_boxes(beside)) == ["first", "second", "third", "DOUBLE"]


def test_a_slanted_row_stays_a_row():
    slanted = [Line(word, 1.0, (k / 4, 0.5 - 0.01 * k, k / 4 + 0.2, 0.56 - 0.01 * k)) for k, word in enumerate("abcd")]
    assert texts(order_by_boxes(list(reversed(slanted)))) == ["a", "b", "c", "d"]


def test_the_credit_block_goes_and_the_rest_stays():
    options = {"max_height": 0.025, "top": 0.8, "min_lines": 3}
    assert texts(drop_credits(POSTER, **options)) == [text for text in TITANIC if text not in CREDITS]
    assert drop_credits(POSTER, **{**options, "min_lines": 4}) == POSTER  # three lines are no block
    assert drop_credits(POSTER, **{**options, "top": 0.93}) == POSTER
    assert drop_credits(POSTER, **{**options, "max_height": 0.0}) == POSTER
    assert drop_credits([], **options) == []


def test_small_print_in_the_upper_part_stays():
    upper = [line._replace(box=(0.1, 0.02 * k, 0.9, 0.02 * k + 0.018)) for k, line in enumerate(POSTER)]
    assert drop_credits(upper, max_height=0.025, top=0.8, min_lines=3) == upper


def test_unsure_lines_go():
    assert "SMA TOHMER DEM PPRS" not in texts(drop_unsure(POSTER, min_confidence=0.6))
    assert drop_unsure(POSTER, min_confidence=0.57) == POSTER  # the limit itself is sure enough
    assert texts(drop_unsure(POSTER, min_confidence=1.0)) == ["WINSLET", "DICAPRIO", "KATE", "TITANIC", "APRIL 6"]


def test_credits_go_before_unsure_lines_could_hide_the_block():
    assert texts(apply_rules(POSTER, ALL)) == ["LEONARDO", "KATE", "DICAPRIO", "WINSLET", "TITANIC", TITANIC[5], "APRIL 6"]


@pytest.mark.parametrize("seed", range(60))
def test_rules_only_choose_and_order(seed):
    lines = random_lines(seed)
    ordered = order_by_boxes(lines)
    assert sorted(ordered) == sorted(lines)
    assert order_by_boxes(ordered) == ordered
    shuffled = random.Random(seed).sample(lines, len(lines))
    assert order_by_boxes(shuffled) == ordered
    for options in ({}, {"credits_min_lines": 1, "credits_top": 0.0}):
        rules = LineFilters(order="boxes", min_confidence=0.3, credits_max_height=0.03, **options)
        kept = apply_rules(lines, rules)
        assert apply_rules(kept, rules) == kept
        left = list(lines)
        for line in kept:
            left.remove(line)  # raises where a line is invented or repeated
        unordered = apply_rules(lines, LineFilters(min_confidence=0.3, credits_max_height=0.03, **options))
        assert unordered == [line for line in lines if line in kept]
    assert apply_rules(lines, NO_RULES) == lines


def test_without_rules_the_text_is_the_records_own():
    own = record()
    odd = OcrRecord(sha256="0" * 64, status="ok", text="ＡＬＩＥＮ\nｉｎ space", engine="x", lines=("OTHER",))  # noqa: RUF001
    assert record_text(own) == record_text(own, NO_RULES) == " ".join(TITANIC)
    assert record_text(odd) == "ALIEN in space"


def test_a_record_on_disk_gives_the_same_text():
    for rules in (NO_RULES, ALL, LineFilters(order="boxes")):
        assert record_text(from_json(to_json(record())), rules) == record_text(record(), rules)
    assert record_text(record(), ALL) == "LEONARDO KATE DICAPRIO WINSLET TITANIC EXPERIENCE IT LIKE NEVER BEFORE APRIL 6"


def test_what_an_engine_does_not_give_switches_off_the_rules_that_need_it_and_is_told():
    no_boxes = record([line._replace(box=None) for line in POSTER])
    bare = record([Line(text) for text in TITANIC])
    only_text = OcrRecord(sha256="0" * 64, status="ok", text="A\nB", engine="gemini")
    empty = OcrRecord(sha256="0" * 64, status="empty", text="", engine="gemini")
    assert record_text(no_boxes, ALL) == " ".join(text for text in TITANIC if text != "SMA TOHMER DEM PPRS")
    assert record_text(bare, ALL) == record_text(bare)
    assert record_text(only_text, ALL) == "A B"
    assert record_text(empty, ALL) == ""
    printed = [rules_not_applied(found, ALL) for found in (record(), no_boxes, bare, only_text, empty)]
    assert printed == [(), ("credits", "order"), ("credits", "confidence", "order"), ("credits", "confidence", "order"), ()]
    assert rules_not_applied(bare, NO_RULES) == ()
    assert applicable([], ALL) == ()


def test_all_lines_may_go():
    assert record_text(record(POSTER[7:8]), LineFilters(min_confidence=0.9)) == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "box"}, r"data\.text_rules\.order='box': allowed are engine, boxes"),
        ({"min_confidence": 90}, r"data\.text_rules\.min_confidence=90 is not a fraction"),
        ({"min_confidence": float("nan")}, r"min_confidence=nan"),
        ({"credits_max_height": -0.1}, r"data\.text_rules\.credits_max_height=-0\.1 is not a fraction"),
        ({"credits_top": 80.0}, r"data\.text_rules\.credits_top=80\.0"),
        ({"credits_min_lines": 0}, r"data\.text_rules\.credits_min_lines=0 must be at least 1"),
    ],
)
def test_bad_values_are_named(options, message):
    with pytest.raises(InputError, match=message):
        LineFilters(**options)


@pytest.mark.real
def test_the_credit_rule_on_real_posters_shortens_long_texts_and_empties_none(shared_dir):
    """The figures of docs/ocr.md."""
    records = [from_json(line) for line in (shared_dir / "posters" / "ocr.jsonl").read_text().splitlines()]
    rules = LineFilters(credits_max_height=0.025)
    pairs = [
        (record_text(record), record_text(record, rules)) for record in records if record.engine == "rapidocr" and record.text
    ]
    before, after = (sum(len(text.split()) for text in texts) for texts in zip(*pairs, strict=True))
    assert 0.12 < 1 - after / before < 0.15
    assert all(after for _, after in pairs)
    long_before, long_after = (sum(len(text.split()) > 40 for text in texts) for texts in zip(*pairs, strict=True))
    assert long_after < 0.6 * long_before
    assert sum(before != after for before, after in pairs) < 0.1 * len(pairs)
