"""Read values from text that is almost JSON: truncated, with single quotes, an extra comma, or an unescaped quotation mark."""

import json
import re
from typing import Any

_MAX_DEPTH = 60  # nested brackets; deeper ones are ignored
_NEXT_VALUE = re.compile(r"[\s,;]*[\[{]")
_KEY = re.compile(r"\s*:")
_END_OF_STRING = re.compile(r"\s*(?:[,:\]}]|$)")
_BARE = re.compile(r"[^,:\[\]{}\"\s][^,:\[\]{}\n]*")
_ESCAPE = re.compile(r'(?:\\u[0-9a-fA-F]{4})+|\\[\\/"\'bfnrt]')
_TORN_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?$")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_NO_TEXT = ("null", "none", "true", "false", "nan", "infinity", "-infinity", "undefined")


class Number(str):
    """Hold a number as it was written."""


class Repeated(list):
    """Hold the values of a key that occurs several times."""


def read_loose_json(text: str, start: int = 0) -> tuple[list[Any], int]:
    """Read the values at the start of a text that is almost JSON, without recursion and in linear time.

    Brackets that are not closed end with the text, and a string that is not closed extends to its end. A string ends
    at a quotation mark before `,`, `:`, a closing bracket or the end of the text, so that one within it need not be escaped.

    Args:
      text: anything.
      start: position of a bracket.

    Returns:
      The values up to other text, and the position of that: lists, and dicts whose values are strings, `Number`s, lists, dicts
      and None. The values of a key that occurs several times are `Repeated`. The members of an object that have no key are
      under "".
    """
    root = _List()
    stack: list[_List | _Object] = [root]
    position = start
    while position < len(text):
        character = text[position]
        if character in "[{":
            if len(stack) <= _MAX_DEPTH:
                container = _List() if character == "[" else _Object()
                stack[-1].add(container)
                stack.append(container)
            position += 1
        elif character in "]}":
            stack[-1].close()
            if len(stack) > 1:
                stack.pop()
            position += 1
            if len(stack) == 1 and not _NEXT_VALUE.match(text, position):
                break
        elif character in "\"'" or not (character in ",:" or character.isspace()):
            value, position = _read_scalar(text, position)
            position = stack[-1].add_scalar(value, text, position)
        else:
            position += 1
    return root.value(), position


class _List:
    """Collect the values of a list."""

    def __init__(self) -> None:
        self._items: list[Any] = []

    def add(self, item: Any) -> None:
        self._items.append(item)

    def add_scalar(self, value: str | None, text: str, position: int) -> int:
        """Add a value and return the position after it in the text."""
        del text
        self.add(value)
        return position

    def close(self) -> None:
        """End the list."""

    def value(self) -> list[Any]:
        return [item.value() if isinstance(item, _List | _Object) else item for item in self._items]


class _Object:
    """Collect the members of an object."""

    def __init__(self) -> None:
        self._members: list[tuple[str, Any]] = []
        self._key: str | None = None
        self._closed = False

    def add(self, item: Any) -> None:
        self._members.append((self._key or "", item))
        self._key = None

    def add_scalar(self, value: str | None, text: str, position: int) -> int:
        """Add a value, or store a key, and return the position after it in the text."""
        colon = _KEY.match(text, position) if self._key is None else None
        if colon is not None:
            self._key = value or ""
            return colon.end()
        self.add(value)
        return position

    def close(self) -> None:
        """End the object."""
        self._closed = True

    def value(self) -> dict[str, Any]:
        members = self._members
        if not self._closed and len(members) > 1 and members[-1][0] == "" and isinstance(members[-1][1], str):
            members = members[:-1]  # a truncated key
        pairs = [(key, item.value() if isinstance(item, _List | _Object) else item) for key, item in members]
        return merge_pairs(pairs)


def merge_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dict of key-value pairs; a key that occurs several times has its values as `Repeated`."""
    found: dict[str, list[Any]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return {key: values[0] if len(values) == 1 else Repeated(values) for key, values in found.items()}


def _read_scalar(text: str, position: int) -> tuple[str | None, int]:
    """Return the string, number or word at a position, None for a word that is not text, and the position after it."""
    quote = text[position]
    if quote not in "\"'":
        bare = _BARE.match(text, position)
        word = (bare[0] if bare else quote).strip()
        return _word(word), position + len(bare[0] if bare else quote)
    mark = re.compile(rf"\\.|{quote}", re.DOTALL)
    for found in mark.finditer(text, position + 1):
        if found[0] == quote and _END_OF_STRING.match(text, found.end()):
            return _unescape(text[position + 1 : found.start()]), found.end()
    return _unescape(_TORN_ESCAPE.sub("", text[position + 1 :])), len(text)


def _word(word: str) -> str | None:
    if word.lower() in _NO_TEXT:
        return None
    return Number(word) if _NUMBER.fullmatch(word) else word.strip("“”")


def _unescape(body: str) -> str:
    return _ESCAPE.sub(lambda found: "'" if found[0] == "\\'" else json.loads(f'"{found[0]}"'), body)
