"""Filter and order the lines of one poster for the model; each rule is a pure function and can be switched off."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.choose import choose, unwired

ORDERS = ("engine", "boxes")

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 as fractions of the image's width and height


class Line(NamedTuple):
    """Hold a line as an engine read it.

    Attributes:
      text: its words.
      confidence: in [0, 1]; None if the engine gives none.
      box: None if the engine gives none.
    """

    text: str
    confidence: float | None = None
    box: Box | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class LineFilters:
    """Select the rules to apply; the config's section data.text_rules. By default no rule is active.

    Attributes:
      order: "engine", or "boxes" (`order_by_boxes`).
      min_confidence: lines read with less confidence, in [0, 1], are dropped (`drop_unsure`); 0: the rule is off.
      credits_max_height: maximum height of a line of the credit block, as a fraction of the image's (`drop_credits`);
        0: the rule is off.
      credits_top: where the lower part that is searched for the block begins, from 0 (top of the image) to 1.
      credits_min_lines: the minimum number of such lines that form a block.
    """

    order: str = "engine"
    min_confidence: float = 0.0
    credits_max_height: float = 0.0
    credits_top: float = 0.8
    credits_min_lines: int = 3

    def __post_init__(self):
        if self.order not in ORDERS:
            raise InputError(f"data.text_rules.order={self.order!r}: allowed are {', '.join(ORDERS)}.")
        for field, value in (
            ("data.text_rules.min_confidence", self.min_confidence),
            ("data.text_rules.credits_max_height", self.credits_max_height),
            ("data.text_rules.credits_top", self.credits_top),
        ):
            if not 0 <= value <= 1:
                raise InputError(f"{field}={value!r} is not a fraction. Give a number from 0 to 1.")
        if self.credits_min_lines < 1:
            raise InputError(f"data.text_rules.credits_min_lines={self.credits_min_lines!r} must be at least 1.")

    @functools.cached_property  # asked for every record
    def active(self) -> tuple[str, ...]:
        """Return the active rules among "credits", "confidence" and "order", in the order in which they are applied."""
        rules = {
            "credits": self.credits_max_height > 0,
            "confidence": self.min_confidence > 0,
            "order": choose("data.text_rules.order", self.order, {"engine": False, "boxes": True}),
        }
        return tuple(rule for rule, is_active in rules.items() if is_active)


NO_RULES = LineFilters()


def apply_rules(lines: Sequence[Line], rules: LineFilters) -> list[Line]:
    """Return the lines that the model gets, in their order.

    A rule is skipped where its boxes or confidences are missing. Credits are dropped first: if uncertain lines were dropped
    before, the remaining ones would no longer be a block.
    """
    kept = list(lines)
    for rule in applicable(lines, rules):
        if rule == "credits":
            kept = drop_credits(
                kept, max_height=rules.credits_max_height, top=rules.credits_top, min_lines=rules.credits_min_lines
            )
        elif rule == "confidence":
            kept = drop_unsure(kept, min_confidence=rules.min_confidence)
        elif rule == "order":
            kept = order_by_boxes(kept)
        else:
            raise unwired("data.text_rules", rule, "credits", "confidence", "order")
    return kept


def applicable(lines: Sequence[Line], rules: LineFilters) -> tuple[str, ...]:
    """Return the active rules whose inputs (boxes or confidences) are present in every line."""
    needs = {"credits": "box", "confidence": "confidence", "order": "box"}
    return tuple(rule for rule in rules.active if lines and all(getattr(line, needs[rule]) is not None for line in lines))


def order_by_boxes(lines: Sequence[Line]) -> list[Line]:
    """Return the lines in rows from top to bottom, in each row from left to right.

    Any order of the same boxes gives the same result. Lines share a row if their heights overlap by at least half of the taller
    one's, so that large print does not pull the small lines next to it into one row. Not for scripts that run from right to
    left or from top to bottom.

    Args:
      lines: each with a box.
    """
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: (_middle(_box(line)), _box(line))):
        row = next((row for row in rows if _share_row(_box(row[0]), _box(line))), None)
        if row is None:
            rows.append([line])
        else:
            row.append(line)
    return [line for row in rows for line in sorted(row, key=lambda line: _box(line))]


def drop_credits(lines: Sequence[Line], *, max_height: float, top: float, min_lines: int) -> list[Line]:
    """Return all lines except the credit block: small print in the lower part of the poster, of at least `min_lines` lines.

    Args:
      lines: each with a box.
      max_height: of such a line's box, as a fraction of the image's height. Boxes are a little taller than their letters.
      top: its middle is at or below this fraction of the image's height.
      min_lines: fewer such lines are kept: a single one is most often a release date or a slogan.
    """

    def is_small_print(line: Line) -> bool:
        _, y0, _, y1 = box = _box(line)
        return y1 - y0 <= max_height and _middle(box) >= top

    rest = [line for line in lines if not is_small_print(line)]
    return rest if len(lines) - len(rest) >= min_lines else list(lines)


def drop_unsure(lines: Sequence[Line], *, min_confidence: float) -> list[Line]:
    """Return the lines read with at least this confidence; each line must have one."""
    return [line for line in lines if line.confidence is not None and line.confidence >= min_confidence]


def _share_row(a: Box, b: Box) -> bool:
    overlap = min(a[3], b[3]) - max(a[1], b[1])
    return overlap > 0 and overlap >= max(a[3] - a[1], b[3] - b[1]) / 2


def _middle(box: Box) -> float:
    return (box[1] + box[3]) / 2


def _box(line: Line) -> Box:
    assert line.box is not None
    return line.box
