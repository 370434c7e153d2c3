"""Convert the answer of a Gemini model to a result: text, or the reason for its absence."""

from typing import Any

from posterfusion_jax.ocr.engines.base import OcrResult, Usage
from posterfusion_jax.ocr.engines.gemini_text import Transcript, read_transcript, value_transcript

_WITHHELD = ("SAFETY", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "MODEL_ARMOR", "LANGUAGE")
_SHOWN = 200  # characters of an answer without text


def parse_answer(response: Any, *, prices: tuple[float, float]) -> OcrResult:
    """Convert a google.genai GenerateContentResponse, of a single request or a batch, to a result.

    Statuses: "blocked" (the prompt, or the answer as unsafe, or the model declined in plain text), "recitation", "max_tokens"
    (the truncated text is kept), "error" (nothing arrived, or nothing in it is text); else "ok" or "empty". Text is kept in
    `lines` with any status: it is paid for. `reason` states how the answer differs from the requested JSON and how that was
    handled.

    Args:
      response: the answer.
      prices: US dollars per million tokens of input and output.
    """
    known = {"model_version": response.model_version, "usage": usage_of(response.usage_metadata, prices)}
    candidates = response.candidates or ()
    if not candidates:
        feedback = response.prompt_feedback
        if feedback is not None and feedback.block_reason is not None:
            reason = _name(feedback.block_reason)
            return OcrResult(status="blocked", reason=f"the prompt was blocked: {reason}", **known)
        return OcrResult(status="error", reason="an answer without a candidate", **known)
    texts = [_parts_of(candidate) for candidate in candidates]
    chosen = next((k for k, (found, _, _) in enumerate(texts) if found.lines), 0)
    found, text, notes = texts[chosen]
    if len(candidates) > 1:
        notes = [f"answer {chosen + 1} of {len(candidates)}", *notes]
    status, reason = _status_and_reason(
        found, text, [*notes, *found.notes], _name(candidates[chosen].finish_reason), known["usage"]
    )
    return OcrResult(status=status, lines=found.lines, reason=reason, language=found.language, **known)


def _status_and_reason(
    found: Transcript, text: str, notes: list[str], finish: str, usage: Usage
) -> tuple[str | None, str | None]:
    """Return the status (None: determined by the lines) and the reason of an answer."""
    note_text = f"; {'; '.join(notes)}" if notes else ""
    if finish == "RECITATION":
        return "recitation", f"withheld as a recitation of known material{_kept_text_note(found)}"
    if finish in _WITHHELD:
        return "blocked", f"the answer was withheld: {finish}{_kept_text_note(found)}"
    if finish == "MAX_TOKENS":
        return "max_tokens", f"cut off after {usage.output_tokens} tokens (ocr.gemini.max_output_tokens){note_text}"
    if found.is_refusal:
        return "blocked", "the model declined in plain text, which is kept and not used"
    if not text.strip() and not found.lines and not found.is_empty:
        return "error", f"an answer without text (finish reason {finish}){note_text}"
    if not found.lines and not found.is_empty:
        shown = f"{text[:_SHOWN]!r}{' ...' if len(text) > _SHOWN else ''}"
        return "error", f"an answer in which nothing is text: {shown} ({'; '.join(notes)})"
    if finish not in ("STOP", "FINISH_REASON_UNSPECIFIED", "None"):
        notes = [f"finish reason {finish}", *notes]
    if not notes:
        return None, None
    kept = "its text is kept" if found.lines else "it states that there is no text"
    return None, f"the answer was not the JSON asked for ({'; '.join(notes)}); {kept}"


def _parts_of(candidate: Any) -> tuple[Transcript, str, list[str]]:
    """Return the transcript of a candidate's parts, their text, and notes on them; thoughts are not part of the answer."""
    parts = (candidate.content.parts if candidate.content is not None else None) or ()
    answered = [part for part in parts if not part.thought]
    text = "".join(part.text or "" for part in answered)
    calls = [part.function_call for part in answered if part.function_call is not None]
    others = sum(not part.text and part.function_call is None for part in answered if part.text != "")
    notes = [f"{others} parts without text are left out"] if others else []
    if not text.strip() and calls:
        return value_transcript([call.args for call in calls]), text, [*notes, "a function call"]
    if not text.strip():
        return Transcript(), text, [*notes, *(["thoughts alone"] if len(answered) < len(parts) else [])]
    return read_transcript(text), text, notes


def _kept_text_note(found: Transcript) -> str:
    return "; the text that came with it is kept and not used" if found.lines else ""


def usage_of(metadata: Any, prices: tuple[float, float]) -> Usage:
    """Return the tokens and dollars of one answer; thinking is paid for as output."""
    if metadata is None:
        return Usage()
    spent_in = metadata.prompt_token_count or 0
    spent_out = (metadata.candidates_token_count or 0) + (metadata.thoughts_token_count or 0)
    usd = (spent_in * prices[0] + spent_out * prices[1]) / 1e6
    return Usage(input_tokens=spent_in, output_tokens=spent_out, usd=usd)


def _name(value: Any) -> str:
    return getattr(value, "value", None) or str(value)
