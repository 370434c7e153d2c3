"""Count values that a source did not read literally, with examples."""

from typing import Any

_EXAMPLES = 3
_LONGEST = 60  # characters of an example


class CellNotes(dict[str, dict[str, Any]]):
    """Hold reason -> {"count": int, "first": up to three [place, value]}."""

    def add(self, reason: str, place: str, value: object) -> None:
        """Count one value.

        Args:
          reason: what was done with it instead.
          place: where it is: a file, or a row.
          value: as it is written there.
        """
        note = self.setdefault(reason, {"count": 0, "first": []})
        note["count"] += 1
        if len(note["first"]) < _EXAMPLES:
            note["first"].append([place, str(value)[:_LONGEST]])
