"""Load BLIP's two encoders as towers, from a checkpoint of transformers without PyTorch.

Reference: Li et al., BLIP: Bootstrapping Language-Image Pre-training for Unified Vision-Language Understanding and Generation,
ICML 2022. `blip_modules.BlipModule` defines the features of each kind of checkpoint.
"""

import functools
import logging
from typing import Any, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32
from transformers import BlipConfig, PreTrainedTokenizerFast
from transformers.modeling_flax_utils import ACT2FN

from posterfusion_jax.config.choices import LEVELS
from posterfusion_jax.encoders.blip_modules import BlipModule, Layout
from posterfusion_jax.encoders.checkpoint_files import CheckpointFiles
from posterfusion_jax.encoders.hf_compat import DTYPES, default_promotion
from posterfusion_jax.encoders.image_settings import read_blip_statistics
from posterfusion_jax.encoders.options import EncoderOptions
from posterfusion_jax.encoders.tokenizer import load_tokenizer
from posterfusion_jax.encoders.tower import ImageTower, Level, TextTower
from posterfusion_jax.encoders.transformer_towers import ImageModel, TextModel, make_image_tower, make_text_tower
from posterfusion_jax.encoders.weights import Weights, load_params, make_weights
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.choose import choose

_log = logging.getLogger(__name__)

BOTH_TOWERS = "Salesforce/blip-itm-base-coco"  # a checkpoint that has them, for messages

# `BlipModule`'s names (left) to the names in checkpoints; absent names are the same.
_CHECKPOINT_NAMES: dict[Layout, dict[str, str]] = {
    "BlipModel": {},
    "BlipForImageTextRetrieval": {
        "visual_projection": "vision_proj",
        "text_model": "text_encoder",
        "text_projection": "text_proj",
    },
}
_PROJECTIONS = {"image": "visual_projection", "text": "text_projection"}
_POOLING = {
    ("image", "BlipModel"): "class token, normed twice",
    ("text", "BlipModel"): "class token, dense, tanh",
    ("image", "BlipForImageTextRetrieval"): "class token",
    ("text", "BlipForImageTextRetrieval"): "class token",
}


def load_blip_image(place: CheckpointFiles, options: EncoderOptions) -> ImageTower:
    """Load the image tower of a pretrained BLIP; the text tower's weights are not even read.

    Two kinds of checkpoint have towers: `BlipForImageTextRetrieval` (Salesforce/blip-itm-base-coco and its siblings) and
    `BlipModel`. Its weights show which one it is. Captioning and question-answering checkpoints have no projections.

    Args:
      place: of the checkpoint.
      options: of the config's section `encoders`. BLIP was trained with `resize` "squash".

    Raises:
      InputError: the checkpoint has no image tower; weights missing; a configuration that would compute other features than the
        checkpoint's authors intended.
    """
    config = _read_config(place, "image")
    statistics = read_blip_statistics(place, config.vision_config.image_size)
    module = BlipModule(config, _find_layout(place, config, "image"), DTYPES[options.dtype])
    weights = _load_weights(place, module, "image")

    def encode(params: dict[str, Any], pixels: Float[Array, "b s s 3"], level: Level) -> Float[Array, "b *l d"]:
        with default_promotion():
            values = module.apply({"params": params}, pixels, level, method=BlipModule.image_features)
        return jnp.asarray(values, jnp.float32)

    model = ImageModel(
        family="blip",
        width=_width(weights, "image"),
        config=config.vision_config,
        statistics=statistics,
        weights=weights,
        encode=encode,
        passport=_describe(module, "image"),
    )
    return make_image_tower(model, options)


def load_blip_text(place: CheckpointFiles, options: EncoderOptions) -> TextTower:
    """Load the text tower of a pretrained BLIP; the image tower's weights are not even read.

    Args:
      place: of the checkpoint; its two kinds are those of `load_blip_image`.
      options: of the config's section `encoders`; `max_text_tokens` is 3 to the model's number of positions (512), None for 77,
        the length of CLIP's texts.

    Raises:
      InputError: the checkpoint has no text tower; weights missing; `max_text_tokens` out of range; a configuration that would
        compute other features than the checkpoint's authors intended.
    """
    config = _read_config(place, "text")
    module = BlipModule(config, _find_layout(place, config, "text"), DTYPES[options.dtype])
    weights = _load_weights(place, module, "text")

    def encode(
        params: dict[str, Any], ids: Int32[Array, "n t"], present: Int32[Array, "n t"], level: Level
    ) -> tuple[Float[Array, "n *l d"], Bool[Array, " n *l"]]:
        with default_promotion():
            values = module.apply({"params": params}, ids, present, level, method=BlipModule.text_features)
        mask = present.any(axis=-1) if not choose("features.level", level, LEVELS) else present > 0
        return jnp.asarray(values, jnp.float32), mask

    model = TextModel(
        family="blip",
        name=place.label,
        width=_width(weights, "text"),
        max_tokens=options.limit_tokens(default=77, longest=config.text_config.max_position_embeddings, name=place.name),
        config=config.text_config,
        tokenizer=_load_tokenizer(place, config),
        weights=weights,
        encode=encode,
        passport=_describe(module, "text"),
    )
    return make_text_tower(model, options)


def _width(weights: Weights, tower: str) -> int:
    return weights.params[_PROJECTIONS[tower]]["kernel"].shape[1]


def _describe(module: BlipModule, tower: str) -> dict[str, Any]:
    """Return the entries that the passports of BLIP's towers have in addition."""
    return {"layout": module.layout, "pooling": _POOLING[tower, module.layout]}


def _load_weights(place: CheckpointFiles, module: BlipModule, tower: str) -> Weights:
    """Load one tower's weights under the names of `BlipModule`, from any of the checkpoint layouts."""
    if tower == "image":
        size = module.config.vision_config.image_size
        method, inputs = BlipModule.image_features, (jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32),)
    else:
        method, inputs = BlipModule.text_features, (jax.ShapeDtypeStruct((1, 3), jnp.int32),) * 2
    with default_promotion():
        init = functools.partial(module.init, level="pooled", method=method)
        shapes: dict[str, Any] = jax.eval_shape(init, jax.random.key(0), *inputs)["params"]
    names = {part: _CHECKPOINT_NAMES[module.layout].get(part, part) for part in shapes}
    params, missing = load_params(place, {names[part]: leaves for part, leaves in shapes.items()})
    if missing:
        raise InputError(
            f"encoders.{tower}: {place.folder} lacks {len(missing)} of the {tower} tower's "
            f"{len(jax.tree.leaves(shapes))} weight arrays, such as {'.'.join(missing[0])}; fetch the checkpoint again"
        )
    renamed = {part: params[name] for part, name in names.items()}
    return make_weights(renamed, source=place.label, revision=place.revision)


def _find_layout(place: CheckpointFiles, config: BlipConfig, tower: str) -> Layout:
    """Return the transformers class that saved the checkpoint, by its projections: config.json may lack it."""
    inside = config.vision_config if tower == "image" else config.text_config
    for layout in get_args(Layout):
        outside = config.projection_dim if layout == "BlipModel" else config.image_text_hidden_size
        name = _CHECKPOINT_NAMES[layout].get(_PROJECTIONS[tower], _PROJECTIONS[tower])
        if _holds(place, (name, "kernel"), (inside.hidden_size, outside)):
            return layout
    hint = f"use a checkpoint that has both towers, such as {BOTH_TOWERS}"
    norm, width = ("embeddings", "LayerNorm", "scale"), (config.text_config.hidden_size,)
    if _holds(place, ("text_decoder", "bert", *norm), width):
        asks = _holds(place, ("text_encoder", *norm), width)
        kind = "question-answering model: it has a" if asks else "captioning model: it has no text encoder, only a"
        raise InputError(
            f"encoders.{tower}: {place.folder} is a {kind} text_decoder that reads the picture, and no {tower} projection, so "
            f"it gives no {tower} features; {hint}"
        )
    name = _PROJECTIONS[tower]
    other = _CHECKPOINT_NAMES["BlipForImageTextRetrieval"][name]
    raise InputError(f"encoders.{tower}: {place.folder} lacks the {tower} projection ({name} or {other}); {hint}")


def _holds(place: CheckpointFiles, path: tuple[str, ...], shape: tuple[int, ...]) -> bool:
    """Return whether the checkpoint has this array, under its Flax or PyTorch name."""
    wanted: Any = jax.ShapeDtypeStruct(shape, jnp.float32)
    for part in reversed(path):
        wanted = {part: wanted}
    return not load_params(place, wanted)[1]


def _read_config(place: CheckpointFiles, tower: str) -> BlipConfig:
    config = BlipConfig.from_pretrained(place.folder, local_files_only=True)
    part = config.vision_config if tower == "image" else config.text_config
    for name, found, allowed in (
        ("hidden_act", part.hidden_act, tuple(ACT2FN)),
        ("position_embedding_type", getattr(part, "position_embedding_type", "absolute"), ("absolute",)),
    ):
        if found not in allowed:
            raise InputError(
                f"{place.field}: config.json of {place.name} says {name} {found!r}; this project computes {', '.join(allowed)}"
            )
    if tower == "text":
        _check_heads(place, config)
    return config


def _check_heads(place: CheckpointFiles, config: BlipConfig) -> None:
    """Refuse the number of attention heads that the hub's BLIP configurations had until April 2023.

    They have 8 heads (still transformers' default), but the weights have BERT's 12 and give other features with 8:
    https://github.com/huggingface/transformers/issues/22625
    """
    text = config.text_config
    if (text.hidden_size, text.num_attention_heads) != (768, 8):
        return
    origin = str(place.read_json("config.json").get("_name_or_path", ""))
    if place.name.startswith("Salesforce/") or origin.startswith("Salesforce/"):
        raise InputError(
            f"{place.field}: config.json of {place.name} has text_config.num_attention_heads 8, but Salesforce's weights were "
            "trained with 12 and give other features with 8; fetch a newer config.json or correct it"
        )
    _log.warning(
        "%s: text_config.num_attention_heads is 8. If the weights are Salesforce's, they were trained with 12 and config.json "
        "is from before April 2023: correct it",
        place.name,
    )


def _load_tokenizer(place: CheckpointFiles, config: BlipConfig) -> PreTrainedTokenizerFast:
    tokenizer = load_tokenizer(place.folder, field=place.field)
    # BLIP's tokenizers may name [DEC] as their begin mark, which starts the decoder's captions; a text to encode is
    # enclosed by BERT's marks, [CLS] and [SEP].
    tokenizer.bos_token = None
    tokenizer.eos_token = None
    if len(tokenizer) > config.text_config.vocab_size:
        raise InputError(
            f"{place.field}: the tokenizer in {place.folder} has {len(tokenizer)} tokens, but the model has "
            f"{config.text_config.vocab_size}; they do not belong together"
        )
    return tokenizer
