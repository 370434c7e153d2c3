"""Augmentation moves and mirrors pictures, and does nothing else to them."""

import jax
import numpy as np

from posterfusion_jax.encoders.augment import flip_and_shift


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
