"""Augmentation moves and mirrors pictures, and does nothing else to them; word dropout spares the marks."""

import jax
import numpy as np

from posterfusion_jax.encoders.augment import drop_tokens, flip_and_shift


def test_every_picture_is_a_mirrored_or_shifted_copy_of_itself():
    images = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3), np.uint8)
    moved = np.asarray(jax.jit(flip_and_shift, static_argnames="shift")(jax.random.key(0), images, shift=2))
    seen = set()
    for before, after in zip(images, moved, strict=True):
        candidates = {}
        for mirrored in (False, True):
            picture = np.pad(before[:, ::-1] if mirrored else before, ((2, 2), (2, 2), (0, 0)), mode="edge")
            candidates |= {(mirrored, y, x): picture[y : y + 8, x : x + 8] for y in range(5) for x in range(5)}
        (found,) = [name for name, picture in candidates.items() if np.array_equal(picture, after)]
        seen.add(found)
    assert len({mirrored for mirrored, _, _ in seen}) == 2
    assert len(seen) > 8
    np.testing.assert_array_equal(moved, flip_and_shift(jax.random.key(0), images, shift=2))
    assert not np.array_equal(moved, flip_and_shift(jax.random.key(1), images, shift=2))


def test_word_dropout_hides_a_share_of_the_words_and_never_a_mark():
    length = np.array([24, 2, 9, 0])  # 0: a text that is not there
    mask = (np.arange(24) < length[:, None]).astype(np.int32)
    many = np.broadcast_to(mask, (500, *mask.shape))
    kept = np.asarray(drop_tokens(jax.random.key(0), many, share=0.3))
    assert kept.dtype == np.int32
    assert not kept[many == 0].any()
    assert kept[:, :3, 0].all()
    assert kept[:, 0, 23].all()
    assert kept[:, 1, 1].all()
    assert kept[:, 2, 8].all()
    np.testing.assert_allclose(1 - kept[:, 0, 1:23].mean(), 0.3, atol=0.02)
    np.testing.assert_allclose(1 - kept[:, 2, 1:8].mean(), 0.3, atol=0.03)
    np.testing.assert_array_equal(drop_tokens(jax.random.key(0), many, share=0.0), many)
