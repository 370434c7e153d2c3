"""Build CLIP's two towers on transformers' FlaxCLIPModel: pretrained, or small and from scratch.

Reference: Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021.
"""

import copy
import logging
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from transformers import CLIPConfig, FlaxCLIPModel, PreTrainedTokenizerFast

from posterfusion_jax.config.choices import CLIP_TYPES
from posterfusion_jax.encoders.checkpoint_files import CheckpointFiles, resolve_checkpoint
from posterfusion_jax.encoders.clip_init import random_params
from posterfusion_jax.encoders.clip_towers import image_features, make_image_tower, make_text_tower, text_features
from posterfusion_jax.encoders.hf_compat import DTYPES, default_promotion
from posterfusion_jax.encoders.options import TOWERS, check_options, pixel_statistics, read_image_settings, size_of
from posterfusion_jax.encoders.preprocess import CLIP_MEAN, CLIP_STD
from posterfusion_jax.encoders.tokenizer import load_tokenizer
from posterfusion_jax.encoders.tower import ImageTower, TextTower
from posterfusion_jax.encoders.weights import load_params
from posterfusion_jax.errors import InputError

_log = logging.getLogger(__name__)
_HALVES = {"clip_vision_model": "vision_model", "clip_text_model": "text_model"}  # saved alone, maybe without these prefixes
_TOWER_OF = {"clip_vision_model": "image", "clip_text_model": "text"}


def load_clip(
    source: str,
    *,
    towers: Sequence[str] = TOWERS,
    allow_random: Sequence[str] = (),
    dtype: str = "float32",
    resize: str = "crop",
    text_policy: str = "truncate",
    max_chunks: int = 4,
    max_tokens: int | None = None,
    seed: int = 0,
) -> tuple[ImageTower | None, TextTower | None]:
    """Load the wanted towers of a pretrained CLIP; the other tower's weights are not even read.

    Args:
      source: a local folder or a hub name (see `checkpoint_files.resolve_checkpoint`).
      towers: which of "image" and "text" are wanted.
      allow_random: towers that may start from random weights where the checkpoint lacks them; noted in a warning and
        in the passport.
      dtype: of the arithmetic, "float32" or "bfloat16". Weights and features are float32.
      resize: how posters become square, see `preprocess.resize_poster`.
      text_policy: for texts over `max_tokens`, see `long_text.chunk_token_ids`.
      max_chunks: of the chunk policies.
      max_tokens: shorter than the tower's own context (77), or None for that.
      seed: of random weights.

    Returns:
      The image tower and the text tower, None for one that was not wanted.

    Raises:
      InputError: nothing to load from `source`; weights missing; an unknown option; a configuration that would compute other
        features than the checkpoint's authors intended (activation, end mark, pixel size).
    """
    check_options(towers=towers, allow_random=allow_random, dtype=dtype, resize=resize)
    place = resolve_checkpoint(source, field="encoders.image" if "image" in towers else "encoders.text")
    config = _read_config(place)
    kind = place.read_json("config.json")["model_type"]
    _check_halves(place, kind, towers)
    module = _make_module(config, dtype)

    def load(tower: str) -> tuple[dict[str, Any], dict[str, Any]]:
        shapes = _param_shapes(module, tower)
        params, missing = load_params(place, shapes, without=_HALVES.get(kind, ""))
        if missing:
            params = _fill(params, missing, shapes, tower=tower, place=place, allowed=tower in allow_random, seed=seed)
        origin = {"source": place.label, "revision": place.revision, "random": bool(missing)}
        return params, origin

    image = text = None
    if "image" in towers:
        mean, std = _pixel_statistics(place, config)
        params, origin = load("image")
        image = make_image_tower(module, params, resize=resize, mean=mean, std=std, origin=origin, dtype=dtype)
    if "text" in towers:
        tokenizer = load_tokenizer(place.folder, field=place.field)
        _check_tokenizer(tokenizer, config, place)
        params, origin = load("text")
        text = make_text_tower(
            module,
            params,
            tokenizer=tokenizer,
            max_tokens=max_tokens,
            text_policy=text_policy,
            max_chunks=max_chunks,
            origin=origin,
            dtype=dtype,
        )
    return image, text


def load_logit_scale(source: str) -> np.ndarray:
    """Return the temperature that a CLIP learned: the logarithm of the factor of its cosines.

    Args:
      source: a local folder or a hub name (see `checkpoint_files.resolve_checkpoint`).

    Returns:
      float32 [].

    Raises:
      InputError: nothing to load from `source`, not a CLIP, or a CLIP that lacks it.
    """
    place = resolve_checkpoint(source, field="encoders.text")
    _read_config(place)
    params, missing = load_params(place, {"logit_scale": jax.ShapeDtypeStruct((), jnp.float32)})
    if missing:
        raise InputError(f"{place.field}: {place.folder} lacks logit_scale, CLIP's temperature. Give a checkpoint that has it.")
    return params["logit_scale"]


def scratch_clip(
    *,
    seed: int,
    tokenizer: PreTrainedTokenizerFast,
    image_size: int = 64,
    patch_size: int = 8,
    width: int = 128,
    heads: int = 4,
    image_layers: int = 3,
    text_layers: int = 2,
    projection: int = 128,
    max_tokens: int = 48,
    resize: str = "squash",
    text_policy: str = "truncate",
    max_chunks: int = 4,
    dtype: str = "float32",
) -> tuple[ImageTower, TextTower]:
    """Build a small CLIP with random weights, to be trained from scratch along with the model on top of it.

    Args:
      seed: of the weights (see `clip_init.random_params`).
      tokenizer: from `tokenizer.train_tokenizer`; its vocabulary sizes the embedding.
      image_size: edge of the images in pixels.
      patch_size: edge of a patch in pixels; divides the image size.
      width: of both towers' transformers; the MLPs are four times as wide.
      heads: attention heads of both towers; divides the width.
      image_layers: depth of the image tower.
      text_layers: depth of the text tower.
      projection: width of the features.
      max_tokens: as in `load_clip`, and the following arguments too.
      resize: how posters become square.
      text_policy: for texts over `max_tokens`.
      max_chunks: of the chunk policies.
      dtype: of the arithmetic.

    Raises:
      InputError: sizes that do not divide, or an unknown option.
    """
    check_options(towers=TOWERS, allow_random=(), dtype=dtype, resize=resize)
    if image_size % patch_size:
        raise InputError(f"encoders.scratch.patch_size {patch_size} does not divide image_size {image_size}")
    if width % heads:
        raise InputError(f"encoders.scratch.heads {heads} does not divide width {width}")
    size = {"hidden_size": width, "intermediate_size": 4 * width, "num_attention_heads": heads}
    config = CLIPConfig(
        projection_dim=projection,
        vision_config={**size, "num_hidden_layers": image_layers, "image_size": image_size, "patch_size": patch_size},
        text_config={
            **size,
            "num_hidden_layers": text_layers,
            "max_position_embeddings": max_tokens,
            "vocab_size": len(tokenizer),
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
    )
    assert config.text_config.eos_token_id != 2, "transformers would pool at the largest id; see tokenizer.END"
    module = _make_module(config, dtype)
    origin = {"source": f"scratch, seed {seed}", "revision": None, "random": True}
    image = make_image_tower(
        module,
        random_params(_param_shapes(module, "image"), seed=seed),
        resize=resize,
        mean=CLIP_MEAN,
        std=CLIP_STD,
        origin=origin,
        dtype=dtype,
    )
    text = make_text_tower(
        module,
        random_params(_param_shapes(module, "text"), seed=seed),
        tokenizer=tokenizer,
        max_tokens=max_tokens,
        text_policy=text_policy,
        max_chunks=max_chunks,
        origin=origin,
        dtype=dtype,
    )
    return image, text


def _make_module(config: CLIPConfig, dtype: str) -> nn.Module:
    # The module class itself: FlaxCLIPModel(config) would also draw random weights for both towers.
    return FlaxCLIPModel.module_class(config=config, dtype=DTYPES[dtype])


def _param_shapes(module: Any, tower: str) -> dict[str, Any]:
    """Return the shapes of one tower's weights: those that its forward pass would create.

    All layers of a tower are alike, so a tower of one layer is traced, in a tenth of the time.
    """
    config = copy.deepcopy(module.config)
    part = config.vision_config if tower == "image" else config.text_config
    layers, part.num_hidden_layers = part.num_hidden_layers, 1
    shallow: Any = type(module)(config=config, dtype=module.dtype)
    if tower == "image":
        method, inputs = image_features, (jax.ShapeDtypeStruct((1, part.image_size, part.image_size, 3), jnp.float32),)
    else:
        method, inputs = text_features, (jax.ShapeDtypeStruct((1, 3), jnp.int32),) * 2

    def init(*inputs: jax.Array) -> Any:
        return shallow.init(jax.random.key(0), *inputs, level="pooled", method=method)

    with default_promotion():
        shapes = jax.eval_shape(init, *inputs)["params"]
    encoder = shapes["vision_model" if tower == "image" else "text_model"]["encoder"]
    encoder["layers"] = {str(k): encoder["layers"]["0"] for k in range(layers)}
    return {part: leaves for part, leaves in shapes.items() if part != "logit_scale"}  # the temperature belongs to no tower


def _read_config(place: CheckpointFiles) -> CLIPConfig:
    raw = place.read_json("config.json")
    if raw.get("model_type") not in CLIP_TYPES:
        raise InputError(
            f"{place.field}: {place.name} is a {raw.get('model_type')!r} model, not 'clip'; "
            "images need a CLIP checkpoint, texts a CLIP or a BERT one"
        )
    config = _make_config(place, raw)
    for name in (place.name, str(raw.get("_name_or_path", ""))):
        for part in (config.vision_config, config.text_config):
            if name.startswith("openai/") and part.hidden_act != "quick_gelu":
                raise InputError(
                    f"{place.field}: config.json of {name} has hidden_act {part.hidden_act!r}, but OpenAI's weights were "
                    'trained with "quick_gelu" and give other features without it; correct config.json'
                )
    return config


def _make_config(place: CheckpointFiles, raw: dict[str, Any]) -> CLIPConfig:
    """Return the configuration of both towers; a missing tower gets transformers' defaults."""
    half = _HALVES.get(raw["model_type"])
    try:
        if half is None:
            return CLIPConfig.from_pretrained(place.folder, local_files_only=True)
        part = {name: value for name, value in raw.items() if name != "model_type"}
        parts: dict[str, Any] = {f"{half.removesuffix('_model')}_config": part}
        return CLIPConfig(**parts, projection_dim=raw.get("projection_dim", 512))
    except Exception as error:  # transformers raises errors of any type for a value of a wrong type
        raise InputError(
            f"{place.field}: {place.folder / 'config.json'} is no configuration of a CLIP ({type(error).__name__}: {error}); "
            "copy it from the original checkpoint"
        ) from error


def _check_halves(place: CheckpointFiles, kind: str, towers: Sequence[str]) -> None:
    """Check that the checkpoint has the requested towers. Raises InputError for one that it lacks."""
    tower = _TOWER_OF.get(kind)
    for wanted in towers:
        if tower is not None and wanted != tower:
            raise InputError(
                f"encoders.{wanted}: {place.name} is a {kind!r} model, which has the {tower} tower of a CLIP alone; name a "
                f"checkpoint with both towers, or another one for the {wanted}"
            )


def _pixel_statistics(place: CheckpointFiles, config: CLIPConfig) -> tuple[tuple[float, ...], tuple[float, ...]]:
    spec = read_image_settings(place)
    edge = config.vision_config.image_size
    crop = edge if spec.get("crop_size") is None else spec["crop_size"]
    return pixel_statistics(place, spec, [("crop_size", list(size_of(crop)), [edge, edge])])


def _check_tokenizer(tokenizer: PreTrainedTokenizerFast, config: CLIPConfig, place: CheckpointFiles) -> None:
    """Check that the tokenizer's end mark is where the model pools, and that every id has an embedding."""
    text = config.text_config
    end = text.vocab_size - 1 if text.eos_token_id == 2 else text.eos_token_id
    if tokenizer.eos_token_id != end or len(tokenizer) > text.vocab_size:
        raise InputError(
            f"{place.field}: the tokenizer in {place.folder} ends texts with id {tokenizer.eos_token_id} and has "
            f"{len(tokenizer)} tokens, but the model pools at id {end} and has {text.vocab_size}; they do not belong together"
        )


def _fill(
    params: dict[str, Any],
    missing: list[tuple[str, ...]],
    wanted: dict[str, Any],
    *,
    tower: str,
    place: CheckpointFiles,
    allowed: bool,
    seed: int,
) -> dict[str, Any]:
    """Fill the gaps of the parameters with random ones, where the user allowed that."""
    shapes = traverse_util.flatten_dict(wanted)
    what = f"{len(missing)} of the {tower} tower's {len(shapes)} weight arrays (such as {'/'.join(missing[0])})"
    if not allowed:
        raise InputError(
            f"encoders.{tower}: {place.folder} lacks {what}. Give a checkpoint that has them, or another encoder for the "
            f"{tower}; or start them from random numbers, to be trained, with --config.encoders.allow_random=\"('{tower}',)\""
        )
    _log.warning("%s lacks %s: these START FROM RANDOM NUMBERS (encoders.allow_random, seed %d)", place.name, what, seed)
    drawn = traverse_util.flatten_dict(random_params(wanted, seed=seed))
    return traverse_util.unflatten_dict(traverse_util.flatten_dict(params) | {path: drawn[path] for path in missing})
