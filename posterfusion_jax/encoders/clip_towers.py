"""CLIP's forward passes as pure functions, wrapped into towers.

Both run transformers' FlaxCLIPModule through `method=`, each with its own half of the parameters.
"""

from typing import Any

import jax
import jax.numpy as jnp
from transformers import PreTrainedTokenizerFast

from posterfusion_jax.encoders.long_text import merge_chunks
from posterfusion_jax.encoders.preprocess import normalise
from posterfusion_jax.encoders.third_party import lenient
from posterfusion_jax.encoders.tokenizer import hash_tokenizer, make_tokenize
from posterfusion_jax.encoders.tower import Features, ImageTower, Level, TextTower
from posterfusion_jax.encoders.weights import hash_params, to_device
from posterfusion_jax.errors import InputError


def make_image_tower(
    module: Any,
    params: dict[str, Any],
    *,
    resize: str,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    origin: dict[str, Any],
    dtype: str,
) -> ImageTower:
    """The image half of a FlaxCLIPModule. `origin` says where `params` come from; see `load_clip` for the rest."""
    config = module.config.vision_config
    width = module.config.projection_dim

    def forward(params: dict[str, Any], images: jax.Array, *, level: Level) -> Features:
        values = _apply(module, params, image_features, normalise(images, mean=mean, std=std), level)
        return Features(values, jnp.ones(values.shape[:-1], bool))

    passport = {
        "family": "clip",
        "tower": "image",
        **origin,
        "weights_sha256": hash_params(params),
        "activation": config.hidden_act,
        "image_size": config.image_size,
        "patch_size": config.patch_size,
        "resize": resize,
        "resample": "bicubic",
        "mean": list(mean),
        "std": list(std),
        "dtype": dtype,
        "width": width,
    }
    return ImageTower(
        name=origin["source"],
        width=width,
        image_size=config.image_size,
        resize=resize,
        params=to_device(params),
        forward=forward,
        passport=passport,
    )


def make_text_tower(
    module: Any,
    params: dict[str, Any],
    *,
    tokenizer: PreTrainedTokenizerFast,
    max_tokens: int | None,
    text_policy: str,
    max_chunks: int,
    origin: dict[str, Any],
    dtype: str,
) -> TextTower:
    """The text half of a FlaxCLIPModule. `origin` says where `params` come from; see `load_clip` for the rest."""
    config = module.config.text_config
    width = module.config.projection_dim
    length = config.max_position_embeddings if max_tokens is None else max_tokens
    if not 3 <= length <= config.max_position_embeddings:
        raise InputError(
            f"encoders.max_text_tokens is {length}; {origin['source']} takes 3 to {config.max_position_embeddings}"
        )

    def forward(params: dict[str, Any], input_ids: jax.Array, attention_mask: jax.Array, *, level: Level) -> Features:
        _, chunks, length = input_ids.shape
        ids, present = input_ids.reshape(-1, length), attention_mask.reshape(-1, length)
        # Where there is no text the mask is all zeros; a softmax over nothing but masked keys is uniform, never NaN.
        values = _apply(module, params, text_features, ids, present, level)
        if level == "pooled":
            mask = present.any(axis=-1)
        else:  # what comes after the end mark has never been trained to mean anything
            at_end = _end_positions(ids, config.eos_token_id)
            mask = (jnp.arange(length)[None] <= at_end[:, None]) & (present > 0)
        return merge_chunks(values, mask, chunks=chunks, level=level, policy=text_policy)

    passport = {
        "family": "clip",
        "tower": "text",
        **origin,
        "weights_sha256": hash_params(params),
        "tokenizer_sha256": hash_tokenizer(tokenizer),
        "activation": config.hidden_act,
        "pooling": "largest id" if config.eos_token_id == 2 else "first end mark",
        "max_tokens": length,
        "text_policy": text_policy,
        "max_chunks": max_chunks if text_policy.startswith("chunk") else 1,
        "dtype": dtype,
        "width": width,
    }
    tokenize = make_tokenize(
        tokenizer,
        max_tokens=length,
        policy=text_policy,
        max_chunks=max_chunks,
    )
    return TextTower(
        name=origin["source"],
        width=width,
        max_tokens=length,
        params=to_device(params),
        forward=forward,
        tokenize=tokenize,
        passport=passport,
    )


def image_features(module: Any, pixels: jax.Array, level: Level) -> jax.Array:
    """The image half of FlaxCLIPModule as a method for `apply`: [b, s, s, 3] -> [b, d] or [b, 1 + g*g, d]."""
    output = module.vision_model(pixel_values=pixels)
    if level == "pooled":
        return module.visual_projection(output.pooler_output)
    # CLIP normalises and projects only the class token; doing the same to all puts the patches into the same space.
    return module.visual_projection(module.vision_model.post_layernorm(output.last_hidden_state))


def text_features(module: Any, ids: jax.Array, attention_mask: jax.Array, level: Level) -> jax.Array:
    """The text half of FlaxCLIPModule as a method for `apply`: ids and mask [n, l] -> [n, d] or [n, l, d]."""
    positions = jnp.broadcast_to(jnp.arange(ids.shape[1]), ids.shape)
    output = module.text_model(ids, attention_mask, positions)
    return module.text_projection(output.pooler_output if level == "pooled" else output.last_hidden_state)


def _end_positions(ids: jax.Array, eos_token_id: int) -> jax.Array:
    """Where FlaxCLIPTextTransformer pools: OpenAI's configurations say eos_token_id 2, which no text holds; their end mark is
    the largest id of the vocabulary. Padding comes after it, even where it is the same id."""
    return (ids if eos_token_id == 2 else ids == eos_token_id).argmax(axis=-1)


def _apply(module: Any, params: dict[str, Any], method: Any, *inputs: Any) -> jax.Array:
    # FlaxCLIPModule creates its temperature in setup, so it must be there; no feature depends on it.
    variables = {"params": {**params, "logit_scale": jnp.zeros(())}}
    with lenient():
        return module.apply(variables, *inputs, method=method).astype(jnp.float32)
