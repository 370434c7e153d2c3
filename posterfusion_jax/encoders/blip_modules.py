"""Implement BLIP's two encoders in Flax; parameters have the names of transformers' `BlipModel`.

A vision transformer with one joint query-key-value projection a layer, and a BERT without token types, whose layers are
transformers' own Flax layers. Reference: Li et al., BLIP: Bootstrapping Language-Image Pre-training for Unified
Vision-Language Understanding and Generation, ICML 2022, section 3.1 (the two unimodal encoders). Followed to the letter:
transformers 4.57, models/blip/modeling_blip.py and modeling_blip_text.py.
"""

from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32
from transformers import BertConfig, BlipConfig, BlipTextConfig, BlipVisionConfig
from transformers.models.bert.modeling_flax_bert import FlaxBertEncoder
from transformers.models.clip.modeling_flax_clip import FlaxCLIPMLP

from posterfusion_jax.config.choices import LEVELS
from posterfusion_jax.encoders.tower import Level
from posterfusion_jax.utils.choose import choose

# The two classes of transformers that project both modalities into one space, each in its own way.
Layout = Literal["BlipModel", "BlipForImageTextRetrieval"]


class BlipModule(nn.Module):
    """Run both encoders and their projections.

    Attributes:
      config: of the checkpoint.
      layout: the definition of a feature (states are the outputs of the encoder's last layer, on the image side after
        `post_layernorm`):
        - "BlipModel", as its `get_image_features` and `get_text_features`: the image's class state goes through
          `post_layernorm` a second time, the text's through the pooler (dense and tanh); projections without bias to
          `projection_dim`.
        - "BlipForImageTextRetrieval", as its forward with `use_itm_head=False`: the class states unchanged; projections
          with bias to `image_text_hidden_size`. That class then scales them to length 1 for its cosines; here they
          keep their lengths, as in CLIP.
      dtype: of the arithmetic.

    At level "tokens" every token is transformed like the class token at level "pooled", so that all share one space and the
    class token, which is first on both sides, equals the pooled feature.
    """

    config: BlipConfig
    layout: Layout
    dtype: Any

    def setup(self):
        """Create the submodules."""
        config, single = self.config, self.layout == "BlipModel"
        width = config.projection_dim if single else config.image_text_hidden_size
        self.vision_model = VisionModel(config.vision_config, self.dtype)
        self.text_model = TextModel(config.text_config, self.dtype)
        self.visual_projection = nn.Dense(width, use_bias=not single, dtype=self.dtype)
        self.text_projection = nn.Dense(width, use_bias=not single, dtype=self.dtype)

    def image_features(self, pixels: Float[Array, "b s s 3"], level: Level) -> Float[Array, "b *l d"]:
        """Map normalized pixels [b, s, s, 3] to [b, d] or [b, 1 + g*g, d], class token first."""
        states = self.vision_model(pixels)
        states = states[:, 0] if not choose("features.level", level, LEVELS) else states
        if self.layout == "BlipModel":
            states = self.vision_model.post_layernorm(states)
        return self.visual_projection(states)

    def text_features(
        self, ids: Int32[Array, "n t"], attention_mask: Int32[Array, "n t"], level: Level
    ) -> Float[Array, "n *l d"]:
        """Map ids and mask [n, l] to [n, d] or [n, l, d]; the first token of a text is the class token, [CLS]."""
        states = self.text_model(ids, attention_mask)
        states = states[:, 0] if not choose("features.level", level, LEVELS) else states
        if self.layout == "BlipModel":
            states = self.text_model.pooler(states)
        return self.text_projection(states)


class VisionModel(nn.Module):
    """Map pixels [b, s, s, 3] to states [b, 1 + g*g, w]: a pre-norm vision transformer with one final layer norm."""

    config: BlipVisionConfig
    dtype: Any

    def setup(self):
        """Create the submodules."""
        self.embeddings = _PatchEmbeddings(self.config, self.dtype)
        self.encoder = _VisionEncoder(self.config, self.dtype)
        self.post_layernorm = nn.LayerNorm(epsilon=self.config.layer_norm_eps, dtype=self.dtype)

    def __call__(self, pixels: Float[Array, "b s s 3"]) -> Float[Array, "b l w"]:
        """Return the states of the class token and the patches."""
        return self.post_layernorm(self.encoder(self.embeddings(pixels)))


class TextModel(nn.Module):
    """Map ids and mask [n, l] to states [n, l, w] by a bidirectional BERT; `pooler` is optional."""

    config: BlipTextConfig
    dtype: Any

    def setup(self):
        """Create the submodules."""
        config = self.config
        names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "hidden_act", "layer_norm_eps")
        # Checkpoints set is_decoder, which only adds cross-attention weights that features do not use; transformers'
        # own feature methods run without a causal mask in either case.
        bert = BertConfig(**{name: getattr(config, name) for name in names}, is_decoder=False)
        self.embeddings = _TextEmbeddings(config, self.dtype)
        self.encoder = FlaxBertEncoder(bert, dtype=self.dtype)
        self.pooler = _Pooler(config, self.dtype)

    def __call__(self, ids: Int32[Array, "n l"], attention_mask: Int32[Array, "n l"]) -> Float[Array, "n l w"]:
        """Return the states of the tokens."""
        output: Any = self.encoder(self.embeddings(ids), attention_mask, None)
        return output.last_hidden_state


class _PatchEmbeddings(nn.Module):
    config: BlipVisionConfig
    dtype: Any

    @nn.compact
    def __call__(self, pixels: Float[Array, "b s s 3"]) -> Float[Array, "b l w"]:
        """Return the states of the class token and the patches."""
        config, zeros = self.config, nn.initializers.zeros
        patch = (config.patch_size, config.patch_size)
        conv = nn.Conv(config.hidden_size, patch, strides=patch, padding="VALID", dtype=self.dtype, name="patch_embedding")
        patches = conv(pixels).reshape(pixels.shape[0], -1, config.hidden_size)
        first = self.param("class_embedding", zeros, (1, 1, config.hidden_size)).astype(self.dtype)
        positions = self.param("position_embedding", zeros, (1, 1 + patches.shape[1], config.hidden_size)).astype(self.dtype)
        classes = jnp.broadcast_to(first, (pixels.shape[0], 1, config.hidden_size))
        states = jnp.concatenate([classes, patches], axis=1)
        return states + jnp.broadcast_to(positions, states.shape)


class _VisionEncoder(nn.Module):
    config: BlipVisionConfig
    dtype: Any

    @nn.compact
    def __call__(self, states: Float[Array, "b l w"]) -> Float[Array, "b l w"]:
        return _VisionLayers(self.config, self.dtype, name="layers")(states)


class _VisionLayers(nn.Module):
    config: BlipVisionConfig
    dtype: Any

    @nn.compact
    def __call__(self, states: Float[Array, "b l w"]) -> Float[Array, "b l w"]:
        for number in range(self.config.num_hidden_layers):
            states = _VisionLayer(self.config, self.dtype, name=str(number))(states)
        return states


class _VisionLayer(nn.Module):
    config: BlipVisionConfig
    dtype: Any

    @nn.compact
    def __call__(self, states: Float[Array, "b l w"]) -> Float[Array, "b l w"]:
        epsilon = self.config.layer_norm_eps
        normed = nn.LayerNorm(epsilon=epsilon, dtype=self.dtype, name="layer_norm1")(states)
        states = states + _VisionAttention(self.config, self.dtype, name="self_attn")(normed)
        normed = nn.LayerNorm(epsilon=epsilon, dtype=self.dtype, name="layer_norm2")(states)
        return states + FlaxCLIPMLP(self.config, self.dtype, name="mlp")(normed)  # pyright: ignore[reportArgumentType]


class _VisionAttention(nn.Module):
    config: BlipVisionConfig
    dtype: Any

    @nn.compact
    def __call__(self, states: Float[Array, "b l w"]) -> Float[Array, "b l w"]:
        heads, width = self.config.num_attention_heads, self.config.hidden_size
        joint = nn.Dense(3 * width, dtype=self.dtype, name="qkv")(states)
        query, key, value = jnp.moveaxis(joint.reshape(*states.shape[:2], 3, heads, width // heads), 2, 0)
        mixed = nn.dot_product_attention(query, key, value, dtype=self.dtype)
        return nn.Dense(width, dtype=self.dtype, name="projection")(mixed.reshape(states.shape))


class _TextEmbeddings(nn.Module):
    config: BlipTextConfig
    dtype: Any

    @nn.compact
    def __call__(self, ids: Int32[Array, "n l"]) -> Float[Array, "n l w"]:
        config = self.config
        words = nn.Embed(config.vocab_size, config.hidden_size, dtype=self.dtype, name="word_embeddings")(ids)
        numbers = jnp.broadcast_to(jnp.arange(ids.shape[1], dtype=jnp.int32), ids.shape)
        embed = nn.Embed(config.max_position_embeddings, config.hidden_size, dtype=self.dtype, name="position_embeddings")
        return nn.LayerNorm(epsilon=config.layer_norm_eps, dtype=self.dtype, name="LayerNorm")(words + embed(numbers))


class _Pooler(nn.Module):
    config: BlipTextConfig
    dtype: Any

    @nn.compact
    def __call__(self, states: Float[Array, "n *l w"]) -> Float[Array, "n *l w"]:
        return jnp.tanh(nn.Dense(self.config.hidden_size, dtype=self.dtype, name="dense")(states))
