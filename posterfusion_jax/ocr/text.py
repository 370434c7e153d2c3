"""From what the engine read to the text that the model gets."""

import unicodedata

from posterfusion_jax.ocr.record import OcrRecord


def text_of(record: OcrRecord) -> str:
    """The record's text as the text encoder gets it: its lines in reading order, cleaned."""
    return clean(record.text)


def clean(text: str) -> str:
    """One line of plain text.

    Unicode is brought to NFKC, so that the full-width letters and punctuation that OCR models trained on Chinese like to
    print are the ordinary ones; control, format, unassigned and surrogate characters go; every run of white space,
    line breaks included, becomes one space. Case and script stay.
    """
    text = unicodedata.normalize("NFKC", text)
    kept = (character for character in text if character.isspace() or unicodedata.category(character)[0] != "C")
    return " ".join("".join(kept).split())
