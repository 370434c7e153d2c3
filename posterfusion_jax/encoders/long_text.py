"""Encode texts longer than a tower's context: select tokens, and merge the chunks of a text into one feature.

`chunk_token_ids` is NumPy on token ids, before the tower; `merge_chunks` is JAX on features, after it.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from posterfusion_jax.config.choices import LEVELS
from posterfusion_jax.encoders.tower import Features, Level, Tokens
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.choose import choose

POLICIES = ("truncate", "head_tail", "chunk_mean", "chunk_tokens")


def chunk_token_ids(
    texts: Sequence[Sequence[int]], *, begin: int, end: int, pad: int, max_tokens: int, long_text: str, max_chunks: int
) -> Tokens:
    """Arrange token ids of texts of any length in arrays of one shape.

    Every chunk is `begin`, up to `max_tokens - 2` tokens of the text, `end`, then padding: the end mark, at which CLIP
    pools, is kept for every length.

    - "truncate": one chunk with the first tokens.
    - "head_tail": one chunk with the first and the last tokens, half each (of an odd number the head gets one more).
    - "chunk_mean", "chunk_tokens": consecutive chunks, at most `max_chunks`. A text has at least one, if only of both marks.

    Args:
      texts: b lists of token ids without begin and end marks.
      begin: id of the begin mark.
      end: id of the end mark.
      pad: id of padding.
      max_tokens: l, at least 3.
      long_text: one of `POLICIES`.
      max_chunks: c for the chunk policies; the other two have c = 1.

    Returns:
      `Tokens` with input_ids and attention_mask [b, c, l] and truncated [b].
    """
    room = max_tokens - 2
    pieces = [_split(list(text), room, long_text, max_chunks) for text in texts]
    chunks = max_chunks if _makes_chunks(long_text) else 1
    input_ids = np.full((len(pieces), chunks, max_tokens), pad, np.int32)
    attention_mask = np.zeros_like(input_ids)
    for row, text_pieces in enumerate(pieces):
        for column, piece in enumerate(text_pieces):
            ids = [begin, *piece, end]
            input_ids[row, column, : len(ids)] = ids
            attention_mask[row, column, : len(ids)] = 1
    kept = [sum(map(len, text_pieces)) for text_pieces in pieces]
    truncated = np.array([n < len(text) for n, text in zip(kept, texts, strict=True)], bool)
    return Tokens(input_ids, attention_mask, truncated)


def _split(ids: list[int], room: int, long_text: str, max_chunks: int) -> list[list[int]]:
    if len(ids) <= room:
        return [ids]
    if long_text == "truncate":
        return [ids[:room]]
    if long_text == "head_tail":
        tail = room // 2
        return [ids[: room - tail] + ids[len(ids) - tail :]]
    return [ids[start : start + room] for start in range(0, len(ids), room)][:max_chunks]


def _makes_chunks(long_text: str) -> bool:
    """Return whether a text may become several chunks. Raises InputError for an unknown policy."""
    return choose(
        "encoders.long_text", long_text, {"truncate": False, "head_tail": False, "chunk_mean": True, "chunk_tokens": True}
    )


def merge_chunks(
    values: Float[Array, "n *l d"], mask: Bool[Array, " n *l"], *, chunks: int, level: Level, long_text: str
) -> Features:
    """Merge features of chunks into features of texts; the identity where a text has one chunk.

    Pooled: the mean over a text's real chunks, for both chunk policies (with "chunk_tokens" too, so that pooled features of
    long texts mean one thing). Tokens: the chunks' tokens one after another; "chunk_mean" is defined for vectors only.

    Args:
      values: float32 [b*c, d] or [b*c, l, d].
      mask: bool [b*c], true for existing chunks, or [b*c, l], true for tokens.
      chunks: c.
      level: "pooled" or "tokens".
      long_text: one of `POLICIES`.

    Returns:
      `Features` with values [b, d] or [b, c*l, d], zero where the mask is false.

    Raises:
      InputError: "chunk_mean" at level "tokens".
    """
    _makes_chunks(long_text)
    if choose("features.level", level, LEVELS):
        if long_text == "chunk_mean":
            raise InputError(
                "encoders.long_text is 'chunk_mean', which averages pooled embeddings, but features.level is 'tokens'; "
                "use 'chunk_tokens', 'truncate' or 'head_tail', or features.level=pooled"
            )
        rows, length, width = values.shape
        values = jnp.where(mask[..., None], values, jnp.zeros((), values.dtype))
        return Features(values.reshape(rows // chunks, chunks * length, width), mask.reshape(rows // chunks, chunks * length))
    rows, width = values.shape
    real = mask.reshape(rows // chunks, chunks)
    weights = real.astype(values.dtype) / jnp.maximum(real.sum(axis=1, keepdims=True, dtype=jnp.int32), 1).astype(values.dtype)
    return Features(jnp.einsum("bc,bcd->bd", weights, values.reshape(rows // chunks, chunks, width)), real.any(axis=1))
