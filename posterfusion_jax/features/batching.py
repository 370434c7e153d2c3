"""Group items for encoding: pictures in row order, each distinct text once, texts of similar length together.

A text's tokens after its end mark cost as much as those before it and change nothing, so a batch of texts is only as long as
its longest. Half of the texts on posters have a dozen tokens or fewer, but among 32 of them there is nearly always one that
fills the encoder's context.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from posterfusion_jax.encoders.tower import Tokens


class Batch(NamedTuple):
    """Hold items to encode together, and the rows of the store that they belong to.

    Attributes:
      shard: of the store.
      items: poster ids or texts, each once.
      rows: int [n], positions within the shard.
      takes: int [n], the index of each row's item.
    """

    shard: int
    items: list[str]
    rows: Int[np.ndarray, " n"]
    takes: Int[np.ndarray, " n"]


def image_batches(shard: int, poster_ids: Sequence[str], *, size: int) -> list[Batch]:
    """Batch every poster of a shard, `size` per batch, in row order."""
    batches = []
    for start in range(0, len(poster_ids), size):
        items = list(poster_ids[start : start + size])
        places = np.arange(len(items))
        batches.append(Batch(shard, items, start + places, places))
    return batches


def text_batches(
    shard: int, texts: Sequence[str], count: Callable[[list[str]], Int[np.ndarray, " n"]], *, size: int
) -> list[Batch]:
    """Batch every distinct text of a shard once, `size` per batch, shorter texts first.

    Args:
      shard: the number of the shard.
      texts: the texts of its rows.
      count: list of n texts -> int [n], their numbers of tokens.
      size: texts per batch.
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
    """Remove the padding that all texts share.

    Removes chunks that no text has, and padding after the longest text, up to a length from a short list, because each length
    is a program to compile. Where a text has several chunks the length is kept: token features are stored chunk after chunk.

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
