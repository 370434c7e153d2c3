"""Count the operations that CLIP's pooled features need, and compare the features of two sides."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Tower(NamedTuple):
    """Describe a transformer with an MLP four times as wide."""

    width: int
    layers: int
    projection: int


# Of OpenAI's checkpoints: patch size and image tower, text tower.
SIZES = {
    "b32": (32, Tower(768, 12, 512), Tower(512, 12, 512)),
    "b16": (16, Tower(768, 12, 512), Tower(512, 12, 512)),
    "l14": (14, Tower(1024, 24, 768), Tower(768, 12, 768)),
}


def image_operations(size: str) -> float:
    """Return the floating-point operations of the matrix products for one picture of 224 x 224 pixels."""
    patch, tower, _ = SIZES[size]
    patches = (224 // patch) ** 2
    return 2 * patches * 3 * patch**2 * tower.width + _tower_operations(tower, patches + 1)


def text_operations(size: str, lengths: Iterable[int]) -> float:
    """Return the operations as `image_operations`, for texts of `lengths` tokens, without padding."""
    tower = SIZES[size][2]
    return sum(_tower_operations(tower, length) for length in lengths)


def _tower_operations(tower: Tower, length: int) -> float:
    """Count all layers but the last for `length` positions, and of the last keys and values for all, the rest for one."""
    one = tower.width**2
    whole = 2 * length * 12 * one + 4 * length**2 * tower.width
    last = 2 * (length * 2 + 10) * one + 4 * length * tower.width
    return (tower.layers - 1) * whole + last + 2 * tower.width * tower.projection


def compare(ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    """Compare rows [n, d]: lowest cosine, largest difference, and for scale the largest feature."""
    cosines = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    return {
        "lowest_cosine": round(float(cosines.min()), 7),
        "largest_difference": float(np.abs(ours - theirs).max()),
        "largest_feature": round(float(np.abs(theirs).max()), 2),
    }
