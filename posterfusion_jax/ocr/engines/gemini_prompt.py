"""Define the request to a Gemini model: the prompt, and the schema of the JSON answer."""

PROMPT_VERSION = "1"  # to be incremented with every change of PROMPT or of the answer's schema
PROMPT = (
    "Transcribe every piece of text that is printed on this film poster, exactly as it is written, in its own language and "
    "script. One entry of `lines` a printed line, in reading order: from top to bottom, at the same height from left to "
    "right. Do not translate, correct, explain or add anything. If there is no text, give an empty list. `language` is the "
    "ISO 639-1 code of the language of most of the text, or an empty string."
)
SCHEMA = {
    "type": "OBJECT",
    "properties": {"lines": {"type": "ARRAY", "items": {"type": "STRING"}}, "language": {"type": "STRING"}},
    "required": ["lines", "language"],
    "propertyOrdering": ["language", "lines"],  # a truncated answer still has the language
}
