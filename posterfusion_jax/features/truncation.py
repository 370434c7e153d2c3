"""Truncation rate: how many texts lose tokens to the text encoder's limit."""

from collections.abc import Sequence
from typing import Any

from posterfusion_jax.utils.console import print_message


def truncation_stats(texts: Sequence[str], cut: int) -> dict[str, Any]:
    """Return the truncation rate {"texts": texts that are not empty, "cut": texts that lost tokens, "share"}."""
    known = sum(bool(text) for text in texts)
    return {"texts": known, "cut": cut, "share": cut / known if known else 0.0}


def print_truncation(stats: dict[str, Any], max_tokens: int, what: str) -> None:
    """Print the truncation rate if any text was cut."""
    if stats["cut"]:
        texts = f"{stats['cut']:,} of the {stats['texts']:,} {what} ({stats['share']:.1%})"
        print_message(f"  encoders.max_text_tokens={max_tokens} cuts {texts}")
