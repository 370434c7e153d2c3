"""From the config's `model` section to a head."""

from typing import Any

from flax import linen as nn

from posterfusion_jax.errors import InputError
from posterfusion_jax.models.baselines import Addition, Concatenation, ImageOnly, TextOnly
from posterfusion_jax.models.fusion import PosterFusion

HEADS = ("fusion", "addition", "concatenation", "image_only", "text_only")
_SIMPLE = {"addition": Addition, "concatenation": Concatenation, "image_only": ImageOnly, "text_only": TextOnly}


def make_head(model: Any, *, image_width: int, text_width: int) -> nn.Module:
    """The head that `model` (the config's section of that name) describes.

    The fusion without MCAM and without SMSAM is the addition of the raw embeddings: the paper's Table III and Table I give
    the same row for both.

    Raises:
      InputError: addition of features that differ in width.
    """
    name = model.name
    if name == "fusion" and not model.mcam and model.smsam_layers == 0:
        name = "addition"
    if name == "addition" and image_width != text_width:
        raise InputError(
            f"model.name={model.name!r} adds image and text features, but they are {image_width} and {text_width} wide. "
            "Choose encoders of one width, or model.name='concatenation', or keep MCAM or SMSAM (they align the widths)."
        )
    if name in _SIMPLE:
        return _SIMPLE[name](ffn=tuple(model.ffn), dropout=model.dropout)
    return PosterFusion(
        dim=model.dim,
        heads=model.heads,
        mcam=model.mcam,
        smsam_layers=model.smsam_layers,
        cross_attention=model.cross_attention,
        token_fusion=model.token_fusion,
        pooling=model.pooling,
        out_projection=model.out_projection,
        block_mlp=model.block_mlp,
        dropout=model.dropout,
        ffn=tuple(model.ffn),
    )
