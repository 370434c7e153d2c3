import jax.numpy as jnp
import numpy as np
import pytest

from posterfusion_jax.encoders.long_text import chunk_token_ids, merge_chunks
from posterfusion_jax.errors import InputError

B, E, P = 1, 2, 0
TEXTS = [[], [11, 12], [11, 12, 13, 14], list(range(11, 18)), list(range(11, 31))]


def ids(policy, *, max_tokens=6, max_chunks=3):
    return chunk_token_ids(TEXTS, begin=B, end=E, pad=P, max_tokens=max_tokens, long_text=policy, max_chunks=max_chunks)


def test_truncate_keeps_the_end_mark():
    tokens = ids("truncate")
    assert tokens.input_ids[:, 0].tolist() == [
        [B, E, P, P, P, P],
        [B, 11, 12, E, P, P],
        [B, 11, 12, 13, 14, E],
        [B, 11, 12, 13, 14, E],
        [B, 11, 12, 13, 14, E],
    ]
    assert tokens.attention_mask[:, 0].sum(axis=1).tolist() == [2, 4, 6, 6, 6]
    assert tokens.truncated.tolist() == [False, False, False, True, True]
    assert tokens.input_ids.dtype == tokens.attention_mask.dtype == np.int32


def test_head_tail_keeps_both_ends():
    assert ids("head_tail").input_ids[3:, 0].tolist() == [[B, 11, 12, 16, 17, E], [B, 11, 12, 29, 30, E]]
    assert ids("head_tail", max_tokens=5).input_ids[4, 0].tolist() == [B, 11, 12, 30, E]
    assert ids("head_tail", max_tokens=3).input_ids[4, 0].tolist() == [B, 11, E]
    assert ids("head_tail").truncated.tolist() == [False, False, False, True, True]


@pytest.mark.parametrize("policy", ["chunk_mean", "chunk_tokens"])
def test_chunks_lose_nothing_up_to_their_number(policy):
    tokens = ids(policy)
    assert tokens.input_ids.shape == (5, 3, 6)
    assert tokens.input_ids[3].tolist() == [[B, 11, 12, 13, 14, E], [B, 15, 16, 17, E, P], [P] * 6]
    assert tokens.attention_mask[3].sum(axis=1).tolist() == [6, 5, 0]
    assert tokens.attention_mask[0].sum(axis=1).tolist() == [2, 0, 0]  # the empty text is one chunk of both marks
    assert tokens.truncated.tolist() == [False, False, False, False, True]  # 20 tokens, 12 places


def test_no_texts():
    tokens = chunk_token_ids([], begin=B, end=E, pad=P, max_tokens=6, long_text="truncate", max_chunks=1)
    assert tokens.input_ids.shape == (0, 1, 6)
    assert tokens.truncated.shape == (0,)


def test_pooled_features_are_means_over_real_chunks():
    values = jnp.arange(12.0).reshape(6, 2)
    mask = jnp.array([True, True, True, False, False, False])
    for policy in ("chunk_mean", "chunk_tokens"):
        merged = merge_chunks(values, mask, chunks=2, level="pooled", long_text=policy)
        np.testing.assert_allclose(merged.values, [[1.0, 2.0], [4.0, 5.0], [0.0, 0.0]])
        assert merged.mask.tolist() == [True, True, False]


def test_token_features_follow_one_another():
    values, mask = jnp.ones((4, 3, 2)), jnp.array([[True] * 3, [True, False, False], [True, True, False], [False] * 3])
    merged = merge_chunks(values, mask, chunks=2, level="tokens", long_text="chunk_tokens")
    assert merged.values.shape == (2, 6, 2)
    assert merged.mask.tolist() == [[True, True, True, True, False, False], [True, True, False, False, False, False]]
    np.testing.assert_array_equal(merged.values[..., 0], merged.mask)
    with pytest.raises(InputError, match="chunk_mean"):
        merge_chunks(values, mask, chunks=2, level="tokens", long_text="chunk_mean")
