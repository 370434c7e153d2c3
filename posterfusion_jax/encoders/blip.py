"""Load BLIP's two encoders as towers, from a checkpoint of transformers without PyTorch.

Reference: Li et al., BLIP: Bootstrapping Language-Image Pre-training for Unified Vision-Language Understanding and Generation,
ICML 2022. `blip_modules.BlipModule` defines the features of each kind of checkpoint.
"""

import functools
import logging
from collections.abc import Sequence
from typing import Any, get_args

import jax
import jax.numpy as jnp
from transformers import BlipConfig, PreTrainedTokenizerFast
from transformers.modeling_flax_utils import ACT2FN

from posterfusion_jax.config.choices import LEVELS
from posterfusion_jax.encoders.blip_modules import BlipModule, Layout
from posterfusion_jax.encoders.checkpoint_files import CheckpointFiles, resolve_checkpoint
from posterfusion_jax.encoders.hf_compat import DTYPES, default_promotion
from posterfusion_jax.encoders.long_text import merge_chunks
from posterfusion_jax.encoders.options import TOWERS, check_options, pixel_statistics, read_image_settings, size_of
from posterfusion_jax.encoders.preprocess import normalize
from posterfusion_jax.encoders.tokenizer import hash_tokenizer, load_tokenizer, make_tokenize
from posterfusion_jax.encoders.tower import Features, ImageTower, Level, TextTower
from posterfusion_jax.encoders.weights import hash_params, load_params, to_device
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


def load_blip(
    source: str,
    *,
    towers: Sequence[str] = TOWERS,
    dtype: str = "float32",
    resize: str = "squash",
    text_policy: str = "truncate",
    max_chunks: int = 4,
    max_tokens: int | None = None,
) -> tuple[ImageTower | None, TextTower | None]:
    """Load the wanted towers of a pretrained BLIP; the other tower's weights are not even read.

    Two kinds of checkpoint have towers: `BlipForImageTextRetrieval` (Salesforce/blip-itm-base-coco and its siblings) and
    `BlipModel`. Its weights show which one it is. Captioning and question-answering checkpoints have no projections.

    Args:
      source: a local folder or a hub name (see `checkpoint_files.resolve_checkpoint`).
      towers: which of "image" and "text" are wanted.
      dtype: of the arithmetic, "float32" or "bfloat16". Weights and features are float32.
      resize: how posters become square, see `preprocess.resize_poster`. BLIP was trained with "squash".
      text_policy: for texts over `max_tokens`, see `long_text.chunk_token_ids`.
      max_chunks: of the chunk policies.
      max_tokens: special tokens included, 3 to the model's number of positions (512); None for 77, the length of CLIP's texts.

    Returns:
      The image tower and the text tower, None for one that was not wanted.

    Raises:
      InputError: nothing to load from `source`; not a BLIP model, or one without the wanted tower; weights missing; an
        unknown option; a configuration that would compute other features than the checkpoint's authors intended.
    """
    check_options(towers=towers, dtype=dtype, resize=resize)
    place = resolve_checkpoint(source, field="encoders.image" if "image" in towers else "encoders.text")
    config = _read_config(place, towers)
    image = text = None
    if "image" in towers:
        mean, std = _pixel_statistics(place, config)
        module = BlipModule(config, _find_layout(place, config, "image"), DTYPES[dtype])
        image = _make_image_tower(module, _load(module, "image", place), place, resize=resize, mean=mean, std=std, dtype=dtype)
    if "text" in towers:
        module = BlipModule(config, _find_layout(place, config, "text"), DTYPES[dtype])
        text = _make_text_tower(
            module,
            _load(module, "text", place),
            place,
            max_tokens=max_tokens,
            text_policy=text_policy,
            max_chunks=max_chunks,
            dtype=dtype,
        )
    return image, text


def _make_image_tower(
    module: BlipModule,
    params: dict[str, Any],
    place: CheckpointFiles,
    *,
    resize: str,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    dtype: str,
) -> ImageTower:
    config = module.config.vision_config

    def forward(params: dict[str, Any], images: jax.Array, *, level: Level) -> Features:
        pixels = normalize(images, mean=mean, std=std)
        with default_promotion():
            values = module.apply({"params": params}, pixels, level, method=BlipModule.image_features)
        values = jnp.asarray(values, jnp.float32)
        return Features(values, jnp.ones(values.shape[:-1], bool))

    passport = {
        **_passport(module, "image", place, params, activation=config.hidden_act, dtype=dtype),
        "image_size": config.image_size,
        "patch_size": config.patch_size,
        "resize": resize,
        "resample": "bicubic",
        "mean": list(mean),
        "std": list(std),
    }
    return ImageTower(
        name=place.label,
        width=passport["width"],
        image_size=config.image_size,
        resize=resize,
        params=to_device(params),
        forward=forward,
        passport=passport,
    )


def _make_text_tower(
    module: BlipModule,
    params: dict[str, Any],
    place: CheckpointFiles,
    *,
    max_tokens: int | None,
    text_policy: str,
    max_chunks: int,
    dtype: str,
) -> TextTower:
    config = module.config.text_config
    longest = config.max_position_embeddings
    length = min(77, longest) if max_tokens is None else max_tokens
    if not 3 <= length <= longest:
        raise InputError(f"encoders.max_text_tokens is {length}; {place.name} takes 3 to {longest}")
    tokenizer = _load_tokenizer(place, module.config)

    def forward(params: dict[str, Any], input_ids: jax.Array, attention_mask: jax.Array, *, level: Level) -> Features:
        _, chunks, length = input_ids.shape
        ids, present = input_ids.reshape(-1, length), attention_mask.reshape(-1, length)
        with default_promotion():
            values = module.apply({"params": params}, ids, present, level, method=BlipModule.text_features)
        mask = present.any(axis=-1) if not choose("features.level", level, LEVELS) else present > 0
        return merge_chunks(jnp.asarray(values, jnp.float32), mask, chunks=chunks, level=level, policy=text_policy)

    passport = {
        **_passport(module, "text", place, params, activation=config.hidden_act, dtype=dtype),
        "tokenizer_sha256": hash_tokenizer(tokenizer),
        "max_tokens": length,
        "text_policy": text_policy,
        "max_chunks": max_chunks if text_policy.startswith("chunk") else 1,
    }
    return TextTower(
        name=place.label,
        width=passport["width"],
        max_tokens=length,
        params=to_device(params),
        forward=forward,
        tokenize=make_tokenize(tokenizer, max_tokens=length, policy=text_policy, max_chunks=max_chunks),
        passport=passport,
    )


def _passport(
    module: BlipModule, tower: str, place: CheckpointFiles, params: dict[str, Any], *, activation: str, dtype: str
) -> dict[str, Any]:
    """Return the entries that the passports of both towers share."""
    return {
        "family": "blip",
        "tower": tower,
        "source": place.label,
        "revision": place.revision,
        "random": False,
        "weights_sha256": hash_params(params),
        "activation": activation,
        "layout": module.layout,
        "pooling": _POOLING[tower, module.layout],
        "dtype": dtype,
        "width": params[_PROJECTIONS[tower]]["kernel"].shape[1],
    }


def _load(module: BlipModule, tower: str, place: CheckpointFiles) -> dict[str, Any]:
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
    return {part: params[name] for part, name in names.items()}


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


def _read_config(place: CheckpointFiles, towers: Sequence[str]) -> BlipConfig:
    raw = place.read_json("config.json")
    if raw.get("model_type") != "blip":
        raise InputError(f"{place.field}: {place.name} is a {raw.get('model_type')!r} model, not 'blip'")
    config = BlipConfig.from_pretrained(place.folder, local_files_only=True)
    parts = {"image": config.vision_config, "text": config.text_config}
    for part in (parts[tower] for tower in towers):
        for name, found, allowed in (
            ("hidden_act", part.hidden_act, tuple(ACT2FN)),
            ("position_embedding_type", getattr(part, "position_embedding_type", "absolute"), ("absolute",)),
        ):
            if found not in allowed:
                raise InputError(
                    f"{place.field}: config.json of {place.name} says {name} {found!r}; this project computes "
                    f"{', '.join(allowed)}"
                )
    if "text" in towers:
        _check_heads(place, raw, config)
    return config


def _check_heads(place: CheckpointFiles, raw: dict[str, Any], config: BlipConfig) -> None:
    """Refuse the number of attention heads that the hub's BLIP configurations had until April 2023.

    They have 8 heads (still transformers' default), but the weights have BERT's 12 and give other features with 8:
    https://github.com/huggingface/transformers/issues/22625
    """
    text = config.text_config
    if (text.hidden_size, text.num_attention_heads) != (768, 8):
        return
    if any(name.startswith("Salesforce/") for name in (place.name, str(raw.get("_name_or_path", "")))):
        raise InputError(
            f"{place.field}: config.json of {place.name} has text_config.num_attention_heads 8, but Salesforce's weights were "
            "trained with 12 and give other features with 8; fetch a newer config.json or correct it"
        )
    _log.warning(
        "%s: text_config.num_attention_heads is 8. If the weights are Salesforce's, they were trained with 12 and config.json "
        "is from before April 2023: correct it",
        place.name,
    )


def _pixel_statistics(place: CheckpointFiles, config: BlipConfig) -> tuple[tuple[float, ...], tuple[float, ...]]:
    spec = read_image_settings(place)
    edge = config.vision_config.image_size
    size = list(size_of(spec.get("size", edge), of_shortest=False))
    return pixel_statistics(place, spec, [("size", size, [edge, edge]), ("do_resize", spec.get("do_resize", True), True)])


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
