"""Heads: Flax modules from the features of both modalities to genre logits.

Example::

    head = pf.models.PosterFusion(labels=13, dim=512, heads=8)
    pf.models.register("film", FiLM)  # then --config.model.name=film
"""

from typing import TYPE_CHECKING

from posterfusion_jax.utils.lazy import attach

if TYPE_CHECKING:
    from posterfusion_jax.models.baselines import Addition, Concatenation, ImageOnly, LinearProbe, TextOnly
    from posterfusion_jax.models.centralnet import CentralNet
    from posterfusion_jax.models.fusion import PosterFusion
    from posterfusion_jax.models.gmu import Gmu
    from posterfusion_jax.models.inputs import HeadInputs, as_tokens, masked_mean
    from posterfusion_jax.models.registry import make_head, register

__all__ = [
    "Addition",
    "CentralNet",
    "Concatenation",
    "Gmu",
    "HeadInputs",
    "ImageOnly",
    "LinearProbe",
    "PosterFusion",
    "TextOnly",
    "as_tokens",
    "make_head",
    "masked_mean",
    "register",
]
__getattr__, __dir__, _ = attach(
    __name__,
    {
        "CentralNet": "posterfusion_jax.models.centralnet:CentralNet",
        "Gmu": "posterfusion_jax.models.gmu:Gmu",
        "PosterFusion": "posterfusion_jax.models.fusion:PosterFusion",
        **{
            name: f"posterfusion_jax.models.baselines:{name}"
            for name in ("Addition", "Concatenation", "ImageOnly", "LinearProbe", "TextOnly")
        },
        **{name: f"posterfusion_jax.models.inputs:{name}" for name in ("HeadInputs", "as_tokens", "masked_mean")},
        **{name: f"posterfusion_jax.models.registry:{name}" for name in ("make_head", "register")},
    },
)
