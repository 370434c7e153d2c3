"""Wrap CLIP's forward passes, as pure functions, into towers.

Both run transformers' FlaxCLIPModule through `method=`, each with its own half of the parameters.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from transformers import PreTrainedTokenizerFast

from posterfusion_jax.config.choices import LEVELS
from posterfusion_jax.encoders.hf_compat import default_promotion
from posterfusion_jax.encoders.long_text import merge_chunks
from posterfusion_jax.encoders.preprocess import normalize
from posterfusion_jax.encoders.tokenizer import hash_tokenizer, make_tokenize
from posterfusion_jax.encoders.tower import Features, ImageTower, Level, TextTower
from posterfusion_jax.encoders.weights import hash_params, to_device
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.choose import choose


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
    """Wrap the image half of a FlaxCLIPModule; `origin` is where `params` come from, the rest as in `load_clip`."""
    config = module.config.vision_config
    width = module.config.projection_dim

    def forward(params: dict[str, Any], images: jax.Array, *, level: Level) -> Features:
        values = _apply(module, params, image_features, normalize(images, mean=mean, std=std), level)
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
    """Wrap the text half of a FlaxCLIPModule; `origin` is where `params` come from, the rest as in `load_clip`."""
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
        if not choose("features.level", level, LEVELS):
            mask = present.any(axis=-1)
        else:  # states after the end mark were never trained
            at_end = _end_positions(ids, config.eos_token_id)
            mask = (jnp.arange(length, dtype=jnp.int32)[None] <= at_end[:, None]) & (present > 0)
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
    """Apply the image half of FlaxCLIPModule, as a method for `apply`: [b, s, s, 3] -> [b, d] or [b, 1 + g*g, d]."""
    vision = module.vision_model
    if not choose("features.level", level, LEVELS):
        hidden = vision.pre_layrnorm(vision.embeddings(pixels))
        class_token = jnp.zeros(len(hidden), jnp.int32)
        hidden = _encode_position(vision.encoder, hidden, class_token, jnp.ones(hidden.shape[:2], jnp.int32))
        return module.visual_projection(vision.post_layernorm(hidden))
    # CLIP normalizes and projects only the class token; doing the same to all maps the patches into the same space.
    return module.visual_projection(vision.post_layernorm(vision(pixel_values=pixels).last_hidden_state))


def text_features(module: Any, ids: jax.Array, attention_mask: jax.Array, level: Level) -> jax.Array:
    """Apply the text half of FlaxCLIPModule, as a method for `apply`: ids, mask [n, l] -> [n, d] or [n, l, d]."""
    text = module.text_model
    positions = jnp.broadcast_to(jnp.arange(ids.shape[1], dtype=jnp.int32), ids.shape)
    if not choose("features.level", level, LEVELS):
        at_end = _end_positions(ids, module.config.text_config.eos_token_id)
        hidden = _encode_position(text.encoder, text.embeddings(ids, positions), at_end, attention_mask)
        return module.text_projection(text.final_layer_norm(hidden))
    return module.text_projection(text(ids, attention_mask, positions).last_hidden_state)


def _encode_position(encoder: Any, hidden: jax.Array, at: jax.Array, mask: jax.Array) -> jax.Array:
    """Return one position of each row after all layers.

    In the last layer every other position is only a key and a value: its query, its output projection and its MLP, four fifths
    of the layer, would be discarded.

    Args:
      encoder: a FlaxCLIPEncoder.
      hidden: [n, l, d], what its first layer takes.
      at: int32 [n], the wanted positions.
      mask: int32 [n, l], 0 for padding.

    Returns:
      [n, d].
    """
    *before, last = encoder.layers.layers
    for layer in before:
        hidden = layer(hidden, mask)[0]
    attention = last.self_attn
    normed = last.layer_norm1(hidden)
    query, residual = (jnp.take_along_axis(states, at[:, None, None], axis=1) for states in (normed, hidden))
    seen = mask > 0
    if attention.causal:
        seen &= jnp.arange(hidden.shape[1], dtype=jnp.int32) <= at[:, None]
    heads = (attention.num_heads, attention.head_dim)
    query, key, value = (
        project(states).reshape(*states.shape[:2], *heads)
        for project, states in ((attention.q_proj, query), (attention.k_proj, normed), (attention.v_proj, normed))
    )
    mixed = nn.dot_product_attention(query, key, value, mask=seen[:, None, None], deterministic=True, dtype=attention.dtype)
    residual += attention.out_proj(mixed.reshape(residual.shape))
    return (residual + last.mlp(last.layer_norm2(residual)))[:, 0]


def _end_positions(ids: jax.Array, eos_token_id: int) -> jax.Array:
    """Return the positions where FlaxCLIPTextTransformer pools.

    OpenAI's configurations have eos_token_id 2, which no text contains; their end mark is the largest id of the vocabulary.
    Padding comes after it, even if it has the same id.
    """
    return jax.lax.argmax(ids if eos_token_id == 2 else ids == eos_token_id, ids.ndim - 1, jnp.int32)


def _apply(module: Any, params: dict[str, Any], method: Any, *inputs: Any) -> jax.Array:
    # FlaxCLIPModule creates its temperature in setup, so it must be there; no feature depends on it.
    variables = {"params": {**params, "logit_scale": jnp.zeros((), jnp.float32)}}
    with default_promotion():
        return module.apply(variables, *inputs, method=method).astype(jnp.float32)
