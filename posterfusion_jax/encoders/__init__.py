"""Load encoders of poster pictures and poster texts behind one small interface (`tower.py`).

`transformers` imports PyTorch and TensorFlow wherever they happen to be installed, which costs seconds and memory (on a GPU
they also fight JAX for it), although the Flax models need neither. The two switches are read when `transformers` is first
imported, so they are set here, before any module of this package does that. Somebody who wants them sets the variables first.
"""

import os
from typing import TYPE_CHECKING

from posterfusion_jax.utils.lazy import attach

if TYPE_CHECKING:
    from posterfusion_jax.config.registries import register_image_tower, register_text_tower
    from posterfusion_jax.encoders.tower import Features, ImageTower, TextTower, Tokens

__all__ = ["Features", "ImageTower", "TextTower", "Tokens", "register_image_tower", "register_text_tower"]
__getattr__, __dir__, _ = attach(
    __name__,
    {
        **{name: f"posterfusion_jax.encoders.tower:{name}" for name in ("Features", "ImageTower", "TextTower", "Tokens")},
        "register_image_tower": "posterfusion_jax.config.registries:register_image_tower",
        "register_text_tower": "posterfusion_jax.config.registries:register_text_tower",
    },
)

os.environ.setdefault("USE_TORCH", "0")
os.environ.setdefault("USE_TF", "0")
