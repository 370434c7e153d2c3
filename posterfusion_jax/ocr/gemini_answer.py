"""What a Gemini model answered, to a reading: text, or the reason why there is none."""

import json
import re
from typing import Any

from posterfusion_jax.ocr.engines import Reading, Usage

SCHEMA = {
    "type": "OBJECT",
    "properties": {"lines": {"type": "ARRAY", "items": {"type": "STRING"}}, "language": {"type": "STRING"}},
    "required": ["lines", "language"],
    "propertyOrdering": ["language", "lines"],  # a cut-off answer still tells the language
}
_WITHHELD = ("SAFETY", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "MODEL_ARMOR", "LANGUAGE")
_TAG = re.compile("[a-z]{2,8}(?:[-_][a-z0-9]{1,8})*")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)("?)', re.DOTALL)


def parse_answer(response: Any, *, prices: tuple[float, float]) -> Reading:
    """A google.genai GenerateContentResponse to a reading.

    Statuses: "blocked" (the prompt, or the answer as unsafe), "recitation", "max_tokens" (what there is of the text is
    kept), "error" (nothing came, or the model stopped for another reason); else "ok" or "empty". An answer that is not
    the JSON asked for keeps its text, and `reason` says so: it is paid for.

    Args:
      prices: US dollars a million tokens of input and output.
    """
    known = {"model_version": response.model_version, "usage": usage_of(response.usage_metadata, prices)}
    candidates = response.candidates or ()
    if not candidates:
        feedback = response.prompt_feedback
        if feedback is not None and feedback.block_reason is not None:
            reason = _name(feedback.block_reason)
            return Reading(status="blocked", reason=f"the prompt was blocked: {reason}", **known)
        return Reading(status="error", reason="an answer without a candidate", **known)
    candidate = candidates[0]
    finish = _name(candidate.finish_reason)
    parts = candidate.content.parts if candidate.content is not None else None
    text = "".join(part.text or "" for part in parts or () if not part.thought)
    if finish == "RECITATION":
        return Reading(status="recitation", reason="withheld as a recitation of known material", **known)
    if finish in _WITHHELD:
        return Reading(status="blocked", reason=f"the answer was withheld: {finish}", **known)
    lines, language, whole = parse_text(text)
    known["language"] = language
    if finish == "MAX_TOKENS":
        reason = f"cut off after {known['usage'].output_tokens} tokens (ocr.gemini.max_output_tokens)"
        return Reading(status="max_tokens", lines=lines, reason=reason, **known)
    if not text.strip():
        return Reading(status="error", reason=f"an answer without text (finish reason {finish})", **known)
    if not whole:
        return Reading(lines=lines, reason="the answer was not the JSON asked for; what text it had was kept", **known)
    return Reading(lines=lines, **known)


def parse_text(text: str) -> tuple[tuple[str, ...], str | None, bool]:
    """The model's words to lines, language, and whether they were the JSON asked for.

    Of JSON that was cut off, the strings so far are lines, the torn one included; of text that is no JSON, its lines. Of JSON
    with more than was asked for, what was not asked for is left aside: a poster may tell the model what to answer.
    """
    text = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```").strip()
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):  # the latter of a thousand brackets
        answer = None
    if isinstance(answer, dict) and isinstance(answer.get("lines"), list):
        entries = [str(entry) for entry in answer["lines"] if isinstance(entry, str | int | float)]
        lines = tuple(line for entry in entries for line in _lines(entry))
        return lines, _language(answer.get("language")), len(entries) == len(answer["lines"])
    language = re.search(r'"language"\s*:\s*"([^"]*)"', text)
    start = re.search(r'"lines"\s*:\s*\[', text)
    if start is None:
        return (() if text.lstrip()[:1] in ("{", "[") else _lines(text)), _language(language and language[1]), False
    lines = tuple(line for entry in _strings(text[start.end() :]) for line in _lines(entry))
    return lines, _language(language and language[1]), False


def usage_of(metadata: Any, prices: tuple[float, float]) -> Usage:
    """Tokens and dollars of one answer; thinking is paid for as output."""
    if metadata is None:
        return Usage()
    spent_in = metadata.prompt_token_count or 0
    spent_out = (metadata.candidates_token_count or 0) + (metadata.thoughts_token_count or 0)
    usd = (spent_in * prices[0] + spent_out * prices[1]) / 1e6
    return Usage(input_tokens=spent_in, output_tokens=spent_out, usd=usd)


def _strings(text: str) -> list[str]:
    """The JSON strings of a list up to its end, of which the last may be torn."""
    found = []
    position = 0
    while (match := _STRING.search(text, position)) is not None and "]" not in text[position : match.start()]:
        body = match[1] if match[2] else re.sub(r"\\(u[0-9a-fA-F]{0,3})?$", "", match[1])
        try:
            found.append(json.loads(f'"{body}"', strict=False))
        except ValueError:
            found.append(body)
        position = match.end()
    return found


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line for part in text.splitlines() if (line := part.strip()))


def _language(value: Any) -> str | None:
    """A language tag (BCP 47), or None for whatever else the model put there."""
    tag = value[:100].strip().lower() if isinstance(value, str) else ""
    return tag if _TAG.fullmatch(tag) else None


def _name(value: Any) -> str:
    return getattr(value, "value", None) or str(value)
