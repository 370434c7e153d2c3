"""Names of heads and encoders, for configs to be checked without the code behind them, which imports JAX.

The other registries are next to their code, which is light: `losses.presets.LOSSES`, `metrics.registry.METRICS` and
`ocr.engines.base.OCR_ENGINES`.
"""

from collections.abc import Callable
from typing import Any

from posterfusion_jax.config.choices import KERAS, SCRATCH, WORD2VEC, ZERO_SHOT
from posterfusion_jax.utils.registry import Registry

_HEADS = {  # name -> module and class in posterfusion_jax.models
    "fusion": "fusion:PosterFusion",
    "addition": "baselines:Addition",
    "concatenation": "baselines:Concatenation",
    "image_only": "baselines:ImageOnly",
    "text_only": "baselines:TextOnly",
    "gmu": "gmu:Gmu",
    "centralnet": "centralnet:CentralNet",
    "linear_probe": "baselines:LinearProbe",
    "linear_probe_image": "baselines:LinearProbe",
    ZERO_SHOT: "zero_shot:ZeroShot",
}
HEADS: Registry[Any] = Registry(
    "model.name", "head", {name: f"posterfusion_jax.models.{place}" for name, place in _HEADS.items()}
)
IMAGE_TOWERS: Registry[Callable[..., Any]] = Registry("encoders.image", "image tower", {})
TEXT_TOWERS: Registry[Callable[..., Any]] = Registry("encoders.text", "text tower", {})


def register_image_tower(name: str, load_tower: Callable[..., Any] | None = None) -> Any:
    """Register an image tower, which configs then name in `encoders.image`.

    Args:
      name: letters, digits, "_", "-" and ".".
      load_tower: a function that returns an `ImageTower`. It gets those of the keyword arguments dtype, resize, allow_random
        and seed (the config's) that it declares. Without it a decorator is returned.

    Raises:
      InputError: the name has other characters, or is taken.

    Example::

        pf.encoders.register_image_tower("colors", load_tower)
    """
    return IMAGE_TOWERS.register(name, load_tower)


def register_text_tower(name: str, load_tower: Callable[..., Any] | None = None) -> Any:
    """Register a text tower, which configs then name in `encoders.text`.

    Args:
      name: letters, digits, "_", "-" and ".".
      load_tower: a function that returns a `TextTower`. It gets those of the keyword arguments dtype, long_text, max_chunks,
        max_text_tokens, allow_random and seed (the config's) that it declares. Without it a decorator is returned.

    Raises:
      InputError: the name has other characters, or is taken.

    Example::

        pf.encoders.register_text_tower("bag_of_words", load_tower)
    """
    return TEXT_TOWERS.register(name, load_tower)


def is_custom_tower(encoder: str, towers: Registry[Callable[..., Any]]) -> bool:
    """Return whether a name in `encoders` is a registered tower or a reference, and not a checkpoint of a known kind."""
    return encoder != SCRATCH and not encoder.startswith((KERAS, WORD2VEC)) and encoder in towers
