"""Extract the lines of a poster from the text that a model answered: the requested JSON, other JSON, or plain text."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from posterfusion_jax.ocr.engines.gemini_prompt import PROMPT
from posterfusion_jax.ocr.engines.loose_json import Number, Repeated, merge_pairs, read_loose_json

_TEXT_KEYS = (  # of objects, in the order of preference
    *("lines", "line", "texts", "text", "transcription", "transcript", "words", "word", "ocr", "ocr_text", "full_text"),
    *("results", "result", "content", "output", "answer", "response", "value", "string", "label", "description"),
)
_OTHER_KEYS = frozenset(  # of objects: not printed text
    (
        *("language", "lang", "locale", "script", "confidence", "score", "type", "role", "id", "index", "order", "status"),
        *("error", "message", "reason", "note", "notes", "comment", "explanation", "thought", "thoughts", "reasoning"),
        *("box", "boxes", "box_2d", "bbox", "bounding_box", "position", "font", "color", "x", "y", "width", "height"),
    )
)
_MAX_DEPTH = 60
_MAX_VALUES, _MAX_TRIES = 200, 20  # JSON values in one text, and failed attempts to parse one
_SHOWN = 200  # characters quoted of omitted text
_TAG = re.compile("[a-z]{2,8}(?:[-_][a-z0-9]{1,8})*")
_FENCE = re.compile(r"```[ \t]*(?:[\w-]+[ \t]*)?\r?\n(.*?)(?:```|\Z)", re.DOTALL)
_BROKEN_JSON = re.compile(r'\[\s*(?:["\'\[{]|$)|\{\s*(?:["\'{\[]|\w+\s*:|$)')
_PROMPT = re.compile(r"\s+".join(map(re.escape, PROMPT.split())))
_REFUSAL = re.compile(  # in the case of a sentence, which words on posters rarely have
    r"(?:I\b|(?:I'm |I am )?[Ss]orry\b|Unfortunately\b|As an AI\b|(?:My )?[Aa]pologies\b).{0,80}?(?:(?<=I )|(?<=I'))"
    r"(?:cannot|can't|can not|could not|couldn't|am unable|am not able|m unable|m not able|won't|will not)\b.{0,120}?"
    r"\b(?:image|picture|poster|text|request|transcribe|assist|help|provide|comply|fulfill?|read|identify|see)\b",
    re.DOTALL,
)


class Transcript(NamedTuple):
    """Hold the contents of a model's text.

    Attributes:
      lines: of the poster, without empty ones.
      language: a tag (BCP 47), None if there is none.
      notes: how the text differs from what was requested and how that was handled; empty if it does not differ.
      is_cut: the text is JSON without an end.
      is_empty: it states that there is no text, for instance by an empty list.
      is_refusal: it is a sentence of the model about itself.
    """

    lines: tuple[str, ...] = ()
    language: str | None = None
    notes: tuple[str, ...] = ()
    is_cut: bool = False
    is_empty: bool = False
    is_refusal: bool = False


def read_transcript(text: str) -> Transcript:
    """Read a model's text in any form; text of the poster is never lost.

    Of an object with `lines`, as requested, the rest is ignored: a poster may contain instructions to the model. Of other
    JSON, all strings are lines; plain text is split into its lines. Text around JSON is quoted in notes.
    """
    text, repetitions = _PROMPT.subn("", text)
    notes = ("the prompt was repeated, which is left out",) if repetitions else ()
    text = text.strip()
    values, around, is_cut = _find_json(text)
    if values is None:
        return _plain_transcript(_strip_fences(text), notes)
    if around:
        notes = (*notes, f"text around the JSON is left out: {around[:_SHOWN]!r}{' ...' if len(around) > _SHOWN else ''}")
    found = _json_transcript(values, notes, is_cut=is_cut)
    if is_cut and not found.lines and text[:1] not in ("[", "{", "`"):
        return _plain_transcript(text, notes)
    return found


def value_transcript(value: Any) -> Transcript:
    """Read a value that was JSON, such as the arguments of a function call, as `read_transcript` reads text."""
    return _json_transcript([value], (), is_cut=False)


def _plain_transcript(text: str, notes: tuple[str, ...]) -> Transcript:
    is_refusal = _REFUSAL.match(text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")) is not None
    return Transcript(_split(text), None, (*notes, "plain text"), is_refusal=is_refusal)


def _json_transcript(values: list[Any], notes: tuple[str, ...], *, is_cut: bool) -> Transcript:
    collector = _TextCollector()
    values = [collector.unwrap(value) for value in values]
    if len(values) > 1:
        collector.note(f"{len(values)} JSON values instead of one")
    entries = [entry for value in values for entry in collector.read_answer(value)]
    lines = tuple(line for entry in entries for line in _split(entry))
    languages = (_language_of(value) for value in values)
    language = next((found for found in languages if found), None)
    notes = (*notes, *(["broken JSON"] if is_cut else []), *collector.describe())
    return Transcript(lines, language, notes, is_cut=is_cut, is_empty=_is_empty(values) and not is_cut)


class _TextCollector:
    """Collect the text of JSON values, and notes on how they differ from what was requested."""

    def __init__(self) -> None:
        self._notes: dict[str, None] = {}
        self._without_text = 0

    def note(self, note: str) -> None:
        self._notes[note] = None

    def describe(self) -> list[str]:
        left = [f"{self._without_text} entries without text are left out"] if self._without_text else []
        return [*self._notes, *left]

    def unwrap(self, value: Any) -> Any:
        """Return the value of JSON that was encoded several times."""
        for _ in range(_MAX_DEPTH):
            inner = _parse_strict(value) if isinstance(value, str) and value.lstrip()[:1] in ("[", "{", '"') else None
            if inner is None:
                break
            self.note("JSON within a string")
            value = inner
        return value

    def read_answer(self, value: Any) -> list[str]:
        """Return the text of a whole answer."""
        if not isinstance(value, dict):
            self.note(f"{_type_name(value)} instead of an object")
            return self.read(value, 0)
        if "lines" not in value:
            return self.read(value, 0) or self._note_absence()
        lines = value["lines"]
        if isinstance(lines, Repeated):
            self.note(f"`lines` occurs {len(lines)} times")
        elif not isinstance(lines, list):
            self.note(f"`lines` is {_type_name(lines)} instead of a list")
        elif any(not isinstance(entry, str) for entry in lines):
            self.note("`lines` has entries that are no strings")
        return self.read(lines, 0) or self._under_text_keys({key: other for key, other in value.items() if key != "lines"}, 0)

    def _note_absence(self) -> list[str]:
        self.note("an object without `lines`")
        return []

    def read(self, value: Any, depth: int) -> list[str]:
        """Return the text of a value and of all values within it."""
        if isinstance(value, str):
            inner = _parse_strict(value) if value.lstrip()[:1] in ("[", "{") and depth < _MAX_DEPTH else None
            return [value] if inner is None else self.read(inner, depth + 1)
        if isinstance(value, list | dict) and depth < _MAX_DEPTH:
            if isinstance(value, dict):
                return self._read_object(value, depth)
            if depth > 1 and len(value) > 1 and all(isinstance(item, Number) for item in value):
                return []  # the corners of a box
            return [entry for item in value for entry in self.read(item, depth + 1)]
        self._without_text += value is not None or depth > 0
        return []

    def _read_object(self, value: dict[str, Any], depth: int) -> list[str]:
        entries = self._under_text_keys(value, depth)
        for key, member in () if entries else value.items():
            known = key.strip().lower() in (*_OTHER_KEYS, *_TEXT_KEYS)
            if not known and member is not None and (found := self.read(member, depth + 1)):
                self.note(f"text under {key[:40]!r}")
                entries += found
        self._without_text += not entries and depth > 0
        return entries

    def _under_text_keys(self, value: dict[str, Any], depth: int) -> list[str]:
        """Return the text under the first of the usual keys that has any."""
        keys = {key.strip().lower(): key for key in value}
        for name in _TEXT_KEYS:
            if name in keys and (found := self.read(value[keys[name]], depth + 1)):
                self.note(f"text under {keys[name]!r}")
                return found
        return []


def _find_json(text: str) -> tuple[list[Any] | None, str, bool]:
    """Return the JSON values of a text, the text around them, and whether the JSON is broken or truncated.

    The values are None for plain text.
    """
    whole = _parse_strict(text)
    if whole is None and text.startswith('"'):
        whole = _parse_strict(f"[{text.rstrip(', ')}]")  # strings without the brackets around them
    if whole is not None or text == "null":
        return [whole], "", False
    fenced = "\n".join(_FENCE.findall(text)).strip()
    outside = _FENCE.sub(" ", text).strip()
    if fenced and (value := _parse_strict(fenced)) is not None:
        return [value], outside, False
    inside = fenced or text
    outside = outside if fenced else ""
    values, around = _find_embedded(inside)
    if values and not around.startswith(("[", "{")):  # otherwise they are parts of a broken one
        return values, " ".join([outside, around]).strip(), False
    start = _BROKEN_JSON.search(inside)
    if start is None:
        return None, "", False
    values, end = read_loose_json(inside, start.start())
    return values, " ".join([outside, inside[: start.start()], inside[end:]]).strip(), True


def _find_embedded(text: str) -> tuple[list[Any], str]:
    """Return the objects, and lists of strings or objects, within a text, and the text around them."""
    decode = _decoder().raw_decode
    values, around, position, tries = [], [], 0, 0
    for start in re.finditer(r"[\[{]", text):
        if start.start() < position:
            continue
        if tries == _MAX_TRIES or len(values) == _MAX_VALUES:
            break
        try:
            value, end = decode(text, start.start())
        except (ValueError, RecursionError):
            tries += 1
            continue
        if not value or (isinstance(value, list) and isinstance(value[0], Number | bool | None)):
            continue  # a year in brackets
        around.append(text[position : start.start()])
        values.append(value)
        position = end
    around.append(text[position:])
    return values, " ".join(part.strip(" \t\r\n,;") for part in around).strip()


def _parse_strict(text: str) -> Any:
    """Return the value of a text that is JSON, None for any other text. Numbers are strings, NaN is None."""
    try:
        return _decoder().decode(text)
    except (ValueError, RecursionError):  # RecursionError: a thousand brackets
        return None


def _decoder() -> json.JSONDecoder:
    as_written: Callable[[str], Any] = Number
    return json.JSONDecoder(
        object_pairs_hook=merge_pairs,
        parse_int=as_written,
        parse_float=as_written,
        parse_constant=lambda _: None,
        strict=False,
    )


def _strip_fences(text: str) -> str:
    """Return plain text without the fence lines of Markdown."""
    return re.sub(r"^```[\w-]*$", "", text, flags=re.MULTILINE).strip()


def _is_empty(value: Any) -> bool:
    """Return whether a JSON value states that there is no text: `lines` is empty, or there is nothing but a language."""
    left = [value]
    while left:
        value = left.pop()
        if isinstance(value, dict) and "lines" in value:
            left.append(value["lines"])
        elif isinstance(value, dict):
            left += [member for key, member in value.items() if key.strip().lower() not in ("language", "lang")]
        elif isinstance(value, list):
            left += value
        elif value is not None and (not isinstance(value, str) or value.strip()):
            return False
    return True


def _split(text: str) -> tuple[str, ...]:
    return tuple(line for part in text.splitlines() if (line := part.strip()))


def _language_of(value: Any) -> str | None:
    found = value.get("language", value.get("lang")) if isinstance(value, dict) else None
    return _language(found[-1] if isinstance(found, list) and found else found)


def _language(value: Any) -> str | None:
    """Return a language tag (BCP 47), or None for any other value."""
    tag = value[:100].strip().lower() if isinstance(value, str) else ""
    return tag if _TAG.fullmatch(tag) else None


def _type_name(value: Any) -> str:
    kinds: Sequence[tuple[type, str]] = (
        (list, "a list"),
        (dict, "an object"),
        (Number, "a number"),
        (str, "a string"),
        (bool, "true or false"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")
