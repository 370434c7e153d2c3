"""Construction of heads from the `model` section of the config."""

import inspect
from typing import Any

from flax import linen as nn

from posterfusion_jax.config.registries import HEADS
from posterfusion_jax.config.sections import ModelConfig
from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import FEWEST
from posterfusion_jax.models.baselines import Addition, Concatenation, ImageOnly, LinearProbe, TextOnly
from posterfusion_jax.models.centralnet import CentralNet
from posterfusion_jax.models.fusion import PosterFusion
from posterfusion_jax.models.gmu import Gmu
from posterfusion_jax.models.zero_shot import ZeroShot
from posterfusion_jax.utils.registry import accepted, check_callable

_FUSION = (
    *("dim", "heads", "mcam", "smsam_layers", "cross_attention", "token_fusion", "pooling"),
    *("out_projection", "block_mlp"),
)


def make_head(model: ModelConfig, *, labels: int, image_width: int, text_width: int) -> nn.Module:
    """Build the head described by `model`, the config's section of that name.

    Fusion without MCAM and without SMSAM is the addition of the raw embeddings: the paper's Table III and Table I give the
    same row for both.

    Args:
      model: the section.
      labels: number of labels, g.
      image_width: width of the image features.
      text_width: width of the text features.

    Raises:
      InputError: fewer than two labels, an unknown name, or addition of features that differ in width.
    """
    if labels < FEWEST:
        raise InputError(f"labels={labels}: a model predicts {FEWEST} labels or more. Give the dataset more label names.")
    name = model.name
    if name == "fusion" and not model.mcam and model.smsam_layers == 0:
        name = "addition"
    simple: dict[str, Any] = {"labels": labels, "ffn": tuple(model.ffn), "dropout": model.dropout}
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
            return Gmu(labels=labels, width=model.dim, gate_input=model.gmu_gate, dropout=model.dropout, **text)
        case "centralnet":
            return CentralNet(labels=labels, width=model.dim, dropout=model.dropout, **text)
        case "linear_probe" | "linear_probe_image":
            return LinearProbe(labels=labels, use_text=name == "linear_probe")
        case "zero_shot":
            return ZeroShot(labels=labels)
        case "fusion":
            return PosterFusion(**simple, **{field: getattr(model, field) for field in _FUSION})
        case _:
            return _make_custom(model, labels=labels, image_width=image_width, text_width=text_width)


def register(name: str, head: type[nn.Module] | None = None) -> Any:
    """Register a head, which configs then name in `model.name`.

    Args:
      name: letters, digits, "_", "-" and ".".
      head: a Flax module whose `__call__(self, inputs: HeadInputs, train=False)` returns logits [b, g]. Its field `labels`,
        if it has one, is set to g. With a classmethod `from_config(model, ...)`, where `model` is the config's section,
        that makes the head, and gets those of the keyword arguments labels, image_width and text_width that it declares.
        Without `head` a decorator is returned.

    Raises:
      InputError: the name has other characters, or is taken.

    Example::

        pf.models.register("film", FiLM)
    """
    return HEADS.register(name, head)


def _make_custom(model: Any, **sizes: int) -> nn.Module:
    """Return the user's head, made with those of the sizes that it declares. Raises InputError for what is no head."""
    head = check_callable(HEADS.get(model.name), "model.name", model.name)
    from_config = getattr(head, "from_config", None)
    if from_config is not None:
        made = from_config(model, **accepted(from_config, sizes))
    else:
        made = head(**accepted(head, {"labels": sizes["labels"]}))
    if not isinstance(made, nn.Module):
        raise InputError(f"model.name={model.name!r} gives a {type(made).__name__}; a head is a flax.linen.Module.")
    parameters = inspect.signature(type(made).__call__).parameters
    if "train" not in parameters:
        raise InputError(
            f"model.name={model.name!r}: __call__ has the parameters {', '.join(parameters)}; it must be "
            "__call__(self, inputs, train=False)."
        )
    return made


def _check_widths(model: ModelConfig, image_width: int, text_width: int) -> None:
    if not model.align and image_width != text_width:
        raise InputError(
            f"model.name={model.name!r} adds image and text features, but they are {image_width} and {text_width} wide. "
            "Choose encoders of the same width, or set model.align=512 or model.name='concatenation', or keep MCAM or SMSAM "
            "(they align the widths)."
        )
