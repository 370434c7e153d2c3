"""Make CLIP's towers: its forward passes as pure functions, and the shapes of its parameters.

Both halves run transformers' FlaxCLIPModule through `method=`, each with its own half of the parameters.
"""

import copy
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32
from transformers import PreTrainedTokenizerFast

from posterfusion_jax.config.choices import LEVELS
from posterfusion_jax.encoders.hf_compat import default_promotion
from posterfusion_jax.encoders.image_settings import PixelStatistics
from posterfusion_jax.encoders.options import EncoderOptions
from posterfusion_jax.encoders.tower import ImageTower, Level, TextTower
from posterfusion_jax.encoders.transformer_towers import ImageModel, TextModel, make_image_tower, make_text_tower
from posterfusion_jax.encoders.weights import Weights
from posterfusion_jax.utils.choose import choose


def make_clip_image(module: Any, weights: Weights, statistics: PixelStatistics, options: EncoderOptions) -> ImageTower:
    """Make a tower of the image half of a FlaxCLIPModule."""

    def encode(params: dict[str, Any], pixels: Float[Array, "b s s 3"], level: Level) -> Float[Array, "b *l d"]:
        return _apply(module, params, _image_features, pixels, level)

    model = ImageModel(
        family="clip",
        width=module.config.projection_dim,
        config=module.config.vision_config,
        statistics=statistics,
        weights=weights,
        encode=encode,
    )
    return make_image_tower(model, options)


def make_clip_text(module: Any, weights: Weights, tokenizer: PreTrainedTokenizerFast, options: EncoderOptions) -> TextTower:
    """Make a tower of the text half of a FlaxCLIPModule. Raises InputError for `options.max_text_tokens` out of range."""
    config = module.config.text_config
    name, longest = weights.passport["source"], config.max_position_embeddings

    def encode(
        params: dict[str, Any], ids: Int32[Array, "n t"], present: Int32[Array, "n t"], level: Level
    ) -> tuple[Float[Array, "n *l d"], Bool[Array, " n *l"]]:
        # Where there is no text the mask is all zeros; a softmax over nothing but masked keys is uniform, never NaN.
        values = _apply(module, params, _text_features, ids, present, level)
        if not choose("features.level", level, LEVELS):
            return values, present.any(axis=-1)
        at_end = _end_positions(ids, config.eos_token_id)  # states after the end mark were never trained
        return values, (jnp.arange(ids.shape[1], dtype=jnp.int32)[None] <= at_end[:, None]) & (present > 0)

    model = TextModel(
        family="clip",
        name=name,
        width=module.config.projection_dim,
        max_tokens=options.limit_tokens(default=longest, longest=longest, name=name),
        config=config,
        tokenizer=tokenizer,
        weights=weights,
        encode=encode,
        passport={"pooling": "largest id" if config.eos_token_id == 2 else "first end mark"},
    )
    return make_text_tower(model, options)


def param_shapes(module: Any, tower: str) -> dict[str, Any]:
    """Return the shapes of one tower's weights: those that its forward pass would create.

    All layers of a tower are alike, so a tower of one layer is traced, in a tenth of the time.

    Args:
      module: a FlaxCLIPModule.
      tower: "image" or "text".

    Returns:
      A nested dict of `jax.ShapeDtypeStruct`.
    """
    config = copy.deepcopy(module.config)
    part = config.vision_config if tower == "image" else config.text_config
    layers, part.num_hidden_layers = part.num_hidden_layers, 1
    shallow: Any = type(module)(config=config, dtype=module.dtype)
    if tower == "image":
        method, inputs = _image_features, (jax.ShapeDtypeStruct((1, part.image_size, part.image_size, 3), jnp.float32),)
    else:
        method, inputs = _text_features, (jax.ShapeDtypeStruct((1, 3), jnp.int32),) * 2

    def init(*inputs: jax.Array) -> Any:
        return shallow.init(jax.random.key(0), *inputs, level="pooled", method=method)

    with default_promotion():
        shapes = jax.eval_shape(init, *inputs)["params"]
    encoder = shapes["vision_model" if tower == "image" else "text_model"]["encoder"]
    encoder["layers"] = {str(k): encoder["layers"]["0"] for k in range(layers)}
    return {part: leaves for part, leaves in shapes.items() if part != "logit_scale"}  # the temperature belongs to no tower


def _image_features(module: Any, pixels: Float[Array, "b s s 3"], level: Level) -> Float[Array, "b *l d"]:
    """Apply the image half of FlaxCLIPModule, as a method for `apply`: [b, s, s, 3] -> [b, d] or [b, 1 + g*g, d]."""
    vision = module.vision_model
    if not choose("features.level", level, LEVELS):
        hidden = vision.pre_layrnorm(vision.embeddings(pixels))
        class_token = jnp.zeros(len(hidden), jnp.int32)
        hidden = _encode_position(vision.encoder, hidden, class_token, jnp.ones(hidden.shape[:2], jnp.int32))
        return module.visual_projection(vision.post_layernorm(hidden))
    # CLIP normalizes and projects only the class token; doing the same to all maps the patches into the same space.
    return module.visual_projection(vision.post_layernorm(vision(pixel_values=pixels).last_hidden_state))


def _text_features(
    module: Any, ids: Int32[Array, "n t"], attention_mask: Int32[Array, "n t"], level: Level
) -> Float[Array, "n *l d"]:
    """Apply the text half of FlaxCLIPModule, as a method for `apply`: ids, mask [n, l] -> [n, d] or [n, l, d]."""
    text = module.text_model
    positions = jnp.broadcast_to(jnp.arange(ids.shape[1], dtype=jnp.int32), ids.shape)
    if not choose("features.level", level, LEVELS):
        at_end = _end_positions(ids, module.config.text_config.eos_token_id)
        hidden = _encode_position(text.encoder, text.embeddings(ids, positions), at_end, attention_mask)
        return module.text_projection(text.final_layer_norm(hidden))
    return module.text_projection(text(ids, attention_mask, positions).last_hidden_state)


def _encode_position(
    encoder: Any, hidden: Float[Array, "n l d"], at: Int32[Array, " n"], mask: Int32[Array, "n l"]
) -> Float[Array, "n d"]:
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


def _end_positions(ids: Int32[Array, "n t"], eos_token_id: int) -> Int32[Array, " n"]:
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
