"""Build CLIP's two towers on transformers' FlaxCLIPModel: pretrained, or small and from scratch.

Reference: Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021.
"""

import logging
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jaxtyping import Float32
from transformers import CLIPConfig, FlaxCLIPModel, PreTrainedTokenizerFast

from posterfusion_jax.config.choices import CLIP_TYPES
from posterfusion_jax.config.sections import ScratchConfig
from posterfusion_jax.encoders.checkpoint_files import CheckpointFiles, resolve_checkpoint
from posterfusion_jax.encoders.clip_init import random_params
from posterfusion_jax.encoders.clip_towers import make_clip_image, make_clip_text, param_shapes
from posterfusion_jax.encoders.hf_compat import DTYPES
from posterfusion_jax.encoders.image_settings import PixelStatistics, read_clip_statistics
from posterfusion_jax.encoders.options import EncoderOptions
from posterfusion_jax.encoders.preprocess import CLIP_MEAN, CLIP_STD
from posterfusion_jax.encoders.tokenizer import load_tokenizer
from posterfusion_jax.encoders.tower import ImageTower, TextTower
from posterfusion_jax.encoders.weights import Weights, load_params, make_weights
from posterfusion_jax.errors import InputError

SCRATCH_TOKENS = 77  # of a text, as CLIP's; where encoders.max_text_tokens is None
_log = logging.getLogger(__name__)
_HALVES = {"clip_vision_model": "vision_model", "clip_text_model": "text_model"}  # saved alone, maybe without these prefixes
_TOWER_OF = {"clip_vision_model": "image", "clip_text_model": "text"}


def load_clip_image(place: CheckpointFiles, options: EncoderOptions) -> ImageTower:
    """Load the image tower of a pretrained CLIP; the text tower's weights are not even read.

    Args:
      place: of the checkpoint.
      options: of the config's section `encoders`.

    Raises:
      InputError: weights missing; a configuration that would compute other features than the checkpoint's authors intended
        (activation, pixel size).
    """
    module, kind = _read_module(place, "image", options)
    statistics = read_clip_statistics(place, module.config.vision_config.image_size)
    weights = _load_weights(place, module, "image", kind, options)
    return make_clip_image(module, weights, statistics, options)


def load_clip_text(place: CheckpointFiles, options: EncoderOptions) -> TextTower:
    """Load the text tower of a pretrained CLIP; the image tower's weights are not even read.

    Args:
      place: of the checkpoint.
      options: of the config's section `encoders`; `max_text_tokens` may be None for the tower's own context (77).

    Raises:
      InputError: weights missing; `max_text_tokens` out of range; a configuration that would compute other features than the
        checkpoint's authors intended (activation, end mark).
    """
    module, kind = _read_module(place, "text", options)
    tokenizer = load_tokenizer(place.folder, field=place.field)
    _check_tokenizer(tokenizer, module.config, place)
    weights = _load_weights(place, module, "text", kind, options)
    return make_clip_text(module, weights, tokenizer, options)


def load_logit_scale(source: str) -> Float32[np.ndarray, ""]:
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
    scratch: ScratchConfig, tokenizer: PreTrainedTokenizerFast, options: EncoderOptions
) -> tuple[ImageTower, TextTower]:
    """Build a small CLIP with random weights, to be trained from scratch along with the model on top of it.

    Args:
      scratch: its sizes; the MLPs are four times as wide as the transformers.
      tokenizer: from `tokenizer.train_tokenizer`; its vocabulary sizes the embedding.
      options: of the config's section `encoders`; `max_text_tokens` None is `SCRATCH_TOKENS`. The weights depend on `seed` (see
        `clip_init.random_params`).

    Raises:
      InputError: sizes that do not divide.
    """
    if scratch.image_size % scratch.patch_size:
        raise InputError(f"encoders.scratch.patch_size {scratch.patch_size} does not divide image_size {scratch.image_size}")
    if scratch.width % scratch.heads:
        raise InputError(f"encoders.scratch.heads {scratch.heads} does not divide width {scratch.width}")
    size = {
        "hidden_size": scratch.width,
        "intermediate_size": 4 * scratch.width,
        "num_attention_heads": scratch.heads,
    }
    config = CLIPConfig(
        projection_dim=scratch.projection,
        vision_config={
            **size,
            "num_hidden_layers": scratch.image_layers,
            "image_size": scratch.image_size,
            "patch_size": scratch.patch_size,
        },
        text_config={
            **size,
            "num_hidden_layers": scratch.text_layers,
            "max_position_embeddings": options.max_text_tokens or SCRATCH_TOKENS,
            "vocab_size": len(tokenizer),
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
    )
    assert config.text_config.eos_token_id != 2, "transformers would pool at the largest id; see tokenizer.END"
    module = _make_module(config, options.dtype)

    def draw(tower: str) -> Weights:
        params = random_params(param_shapes(module, tower), seed=options.seed)
        return make_weights(params, source=f"scratch, seed {options.seed}", random=True)

    image = make_clip_image(module, draw("image"), PixelStatistics(CLIP_MEAN, CLIP_STD), options)
    return image, make_clip_text(module, draw("text"), tokenizer, options)


def _make_module(config: CLIPConfig, dtype: str) -> Any:
    # The module class itself: FlaxCLIPModel(config) would also draw random weights for both towers.
    return FlaxCLIPModel.module_class(config=config, dtype=DTYPES[dtype])


def _read_module(place: CheckpointFiles, tower: str, options: EncoderOptions) -> tuple[Any, str]:
    """Return the FlaxCLIPModule of a checkpoint that has the tower, and the checkpoint's kind: whole, or one tower of it."""
    config, kind = _read_config(place)
    only = _TOWER_OF.get(kind)
    if only is not None and tower != only:
        raise InputError(
            f"encoders.{tower}: {place.name} is a {kind!r} model, which has the {only} tower of a CLIP alone; name a "
            f"checkpoint with both towers, or another one for the {tower}"
        )
    return _make_module(config, options.dtype), kind


def _load_weights(place: CheckpointFiles, module: Any, tower: str, kind: str, options: EncoderOptions) -> Weights:
    """Load one tower's weights; random ones fill the gaps where the user allowed that."""
    shapes = param_shapes(module, tower)
    params, missing = load_params(place, shapes, without=_HALVES.get(kind, ""))
    if missing:
        count = len(traverse_util.flatten_dict(shapes))
        what = f"{len(missing)} of the {tower} tower's {count} weight arrays (such as {'/'.join(missing[0])})"
        if tower not in options.allow_random:
            raise InputError(
                f"encoders.{tower}: {place.folder} lacks {what}. Give a checkpoint that has them, or another encoder for the "
                f"{tower}; or start them from random numbers, to be trained, with "
                f"--config.encoders.allow_random=\"('{tower}',)\""
            )
        warning = "%s lacks %s: these START FROM RANDOM NUMBERS (encoders.allow_random, seed %d)"
        _log.warning(warning, place.name, what, options.seed)
        drawn = traverse_util.flatten_dict(random_params(shapes, seed=options.seed))
        params = traverse_util.unflatten_dict(traverse_util.flatten_dict(params) | {path: drawn[path] for path in missing})
    return make_weights(params, source=place.label, revision=place.revision, random=bool(missing))


def _read_config(place: CheckpointFiles) -> tuple[CLIPConfig, str]:
    """Return the configuration of both towers, and the type of the model."""
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
    return config, raw["model_type"]


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


def _check_tokenizer(tokenizer: PreTrainedTokenizerFast, config: CLIPConfig, place: CheckpointFiles) -> None:
    """Check that the tokenizer's end mark is where the model pools, and that every id has an embedding."""
    text = config.text_config
    end = text.vocab_size - 1 if text.eos_token_id == 2 else text.eos_token_id
    if tokenizer.eos_token_id != end or len(tokenizer) > text.vocab_size:
        raise InputError(
            f"{place.field}: the tokenizer in {place.folder} ends texts with id {tokenizer.eos_token_id} and has "
            f"{len(tokenizer)} tokens, but the model pools at id {end} and has {text.vocab_size}; they do not belong together"
        )
