"""Construction of heads from the `model` section of the config."""

from typing import Any

from flax import linen as nn

from posterfusion_jax.config.choices import HEADS
from posterfusion_jax.config.sections import ModelConfig
from posterfusion_jax.errors import InputError
from posterfusion_jax.models.baselines import Addition, Concatenation, ImageOnly, LinearProbe, TextOnly
from posterfusion_jax.models.centralnet import CentralNet
from posterfusion_jax.models.fusion import PosterFusion
from posterfusion_jax.models.gmu import Gmu
from posterfusion_jax.models.zero_shot import ZeroShot
from posterfusion_jax.utils.choose import unwired

_FUSION = (
    *("dim", "heads", "mcam", "smsam_layers", "cross_attention", "token_fusion", "pooling"),
    *("out_projection", "block_mlp"),
)


def make_head(model: ModelConfig, *, image_width: int, text_width: int) -> nn.Module:
    """Build the head described by `model`, the config's section of that name.

    Fusion without MCAM and without SMSAM is the addition of the raw embeddings: the paper's Table III and Table I give the
    same row for both.

    Raises:
      InputError: an unknown name, or addition of features that differ in width.
    """
    name = model.name
    if name == "fusion" and not model.mcam and model.smsam_layers == 0:
        name = "addition"
    simple: dict[str, Any] = {"ffn": tuple(model.ffn), "dropout": model.dropout}
    text: dict[str, Any] = {"text_lstm": model.text_lstm}
    match name:
        case "image_only":
            return ImageOnly(**simple)
        case "text_only":
            return TextOnly(**simple, **text)
        case "concatenation":
            return Concatenation(**simple, **text)
        case "addition":
            _check_widths(model, image_width, model.text_lstm or text_width)
            return Addition(**simple, **text, align=model.align)
        case "gmu":
            return Gmu(width=model.dim, gate_input=model.gmu_gate, dropout=model.dropout, **text)
        case "centralnet":
            return CentralNet(width=model.dim, dropout=model.dropout, **text)
        case "linear_probe" | "linear_probe_image":
            return LinearProbe(use_text=name == "linear_probe")
        case "zero_shot":
            return ZeroShot()
        case "fusion":
            return PosterFusion(**simple, **{field: getattr(model, field) for field in _FUSION})
        case _:
            raise unwired("model.name", model.name, *HEADS)


def _check_widths(model: ModelConfig, image_width: int, text_width: int) -> None:
    if not model.align and image_width != text_width:
        raise InputError(
            f"model.name={model.name!r} adds image and text features, but they are {image_width} and {text_width} wide. "
            "Choose encoders of the same width, or set model.align=512 or model.name='concatenation', or keep MCAM or SMSAM "
            "(they align the widths)."
        )
