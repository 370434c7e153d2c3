"""What is encoded together: pictures in the order of their rows, each distinct text once, texts of like lengths.

A text's tokens after its end mark cost as much as those before it and change nothing, so a batch of texts is only as long as
its longest. Half of the texts on posters have a dozen tokens or fewer, but among 32 of them there is nearly always one that
fills the encoder's context.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from posterfusion_jax.encoders.tower import Tokens


class Batch(NamedTuple):
    """Things to encode at once, and which rows of the store have them.

    Attributes:
      shard: of the store.
      items: poster ids or texts, each once.
      rows: int [n], places within the shard.
      takes: int [n], which of the items each of these rows gets.
    """

    shard: int
    items: list[str]
    rows: np.ndarray
    takes: np.ndarray


def image_batches(shard: int, poster_ids: Sequence[str], *, size: int) -> list[Batch]:
    """Every poster of a shard, `size` at once, in the order of the rows."""
    batches = []
    for start in range(0, len(poster_ids), size):
        items = list(poster_ids[start : start + size])
        places = np.arange(len(items))
        batches.append(Batch(shard, items, start + places, places))
    return batches


def text_batches(shard: int, texts: Sequence[str], count: Callable[[list[str]], np.ndarray], *, size: int) -> list[Batch]:
    """Every distinct text of a shard once, `size` at once, shorter ones first.

    Args:
      count: list of n texts -> int [n], their tokens.
    """
    distinct = sorted(set(texts))
    distinct = [distinct[k] for k in np.argsort(count(distinct), kind="stable")]
    place_of = {text: place for place, text in enumerate(distinct)}
    places = np.array([place_of[text] for text in texts])
    batches = []
    for start in range(0, len(distinct), size):
        rows = np.flatnonzero((start <= places) & (places < start + size))
        batches.append(Batch(shard, distinct[start : start + size], rows, places[rows] - start))
    return batches


def trim_padding(tokens: Tokens) -> Tokens:
    """The same texts without what is padding in all of them.

    Chunks that no text has are left out, and padding behind the longest text, up to a length from a short list, because each
    length is a program to compile. Where a text has several chunks the length stays: token features lie chunk after chunk.

    Args:
      tokens: b texts, arrays [b, c, l].

    Returns:
      Arrays [b, c', l'], c' from 1 to c, l' 8 or a multiple of 16 (or l).
    """
    mask = tokens.attention_mask
    chunks = max(int(mask.any(axis=2).sum(axis=1).max()), 1)
    length = mask.shape[2]
    if chunks == 1:
        longest = max(int(mask.sum(axis=2).max()), 1)
        length = min(8 if longest <= 8 else -(-longest // 16) * 16, length)
    return Tokens(tokens.input_ids[:, :chunks, :length], mask[:, :chunks, :length], tokens.truncated)
