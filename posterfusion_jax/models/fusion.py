"""Fusion head of the paper: alignment, cross attention (MCAM), sequential self-attention (SMSAM), feed-forward network.

Nareti, Adak, Chattopadhyay, Wang: "Unraveling Movie Genres through Cross-Attention Fusion of Bi-Modal Synergy of Poster",
arXiv 2410.19764, Section III-B. Every equation is marked at its line; additions to the paper are marked "ours".
"""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from posterfusion_jax.models.attention import MultiHeadAttention
from posterfusion_jax.models.dropout import Dropout
from posterfusion_jax.models.inputs import HeadInputs, as_tokens, fill_missing, masked_mean
from posterfusion_jax.utils.choose import choose, unwired


class FeedForward(nn.Module):
    """Apply the FFN of the paper: Dense 512 ReLU, Dense 128 ReLU, Dense g, 13 in the paper.

    Weights are initialized Glorot uniform, the default of the framework (TensorFlow 2.8) that the paper names.

    Attributes:
      labels: number of labels, g.
      hidden: widths of the hidden layers.
      dropout: rate after each hidden layer.
    """

    labels: int
    hidden: Sequence[int] = (512, 128)
    dropout: float = 0.0

    @nn.compact
    def __call__(self, x: Float[Array, "b d"], *, train: bool) -> Float[Array, "b g"]:
        """Return logits of features; the caller applies the sigmoid."""
        for width in self.hidden:
            x = nn.relu(nn.Dense(width, kernel_init=nn.initializers.glorot_uniform())(x))
            x = Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(self.labels, kernel_init=nn.initializers.glorot_uniform(), name="logits")(x)


class SelfAttentionBlock(nn.Module):
    """Compute Eq. 7: z_l = MSA(LN(z_{l-1})) + z_{l-1}; `mlp` adds an MLP (ours, as in a ViT: width 4 D_a, GELU)."""

    dim: int
    heads: int
    out_projection: bool
    mlp: bool
    dropout: float

    @nn.compact
    def __call__(
        self, z: Float[Array, "b l {self.dim}"], mask: Bool[Array, "b l"], *, train: bool
    ) -> Float[Array, "b l {self.dim}"]:
        """Return z_l of z_{l-1}; `mask` marks real tokens."""
        drop = Dropout(self.dropout, deterministic=not train)
        normed = nn.LayerNorm(name="norm")(z)
        attended = MultiHeadAttention(self.dim, self.heads, self.out_projection, name="attention")(normed, normed, mask)
        z = drop(attended) + z
        if self.mlp:
            hidden = nn.gelu(nn.Dense(4 * self.dim)(nn.LayerNorm(name="mlp_norm")(z)))
            z = drop(nn.Dense(self.dim)(hidden)) + z
        return z


class PosterFusion(nn.Module):
    """Fuse features of image and text, which may differ in width and may be pooled or tokens.

    With pooled features each sequence has one token, so every attention weight is 1 and attention is a linear map: this
    follows from the shapes printed in the paper (f in R^D). With tokens it attends as described in the text of the paper.

    Attributes:
      labels: number of labels, g.
      dim: D_a, the width after alignment; heads * D_v.
      heads: attention heads h.
      mcam: False is the ablation "-MCAM": f_vt = LN(f_va + f_ta).
      smsam_layers: L; 0 is the ablation "-SMSAM" (also without the final layer norm).
      cross_attention: "cross": queries of one modality, keys and values of the other, as in the text of the paper.
        "as_printed": Eq. 3 as printed, where each modality attends to itself.
      token_fusion: how Eq. 5 adds sequences of unequal length. "add_pooled_text": the mean text token is added to each image
        token; "concat": concatenated sequences with learned type embeddings; "pool_add": the sum of both means, one token.
        With pooled features "add_pooled_text" and "pool_add" are Eq. 5 itself.
      pooling: input of the FFN: "mean" of the real tokens of y, or its first token, "cls".
      out_projection: adds W_O to each attention (not in the paper).
      block_mlp: adds an MLP to each self-attention block (not in the paper).
      dropout: dropout rate (not in the paper).
      ffn: widths of the hidden layers of the FFN.
    """

    labels: int
    dim: int = 512
    heads: int = 8
    mcam: bool = True
    smsam_layers: int = 4
    cross_attention: str = "cross"
    token_fusion: str = "add_pooled_text"
    pooling: str = "mean"
    out_projection: bool = False
    block_mlp: bool = False
    dropout: float = 0.0
    ffn: Sequence[int] = (512, 128)

    @nn.compact
    def __call__(self, inputs: HeadInputs, *, train: bool = False) -> Float[Array, "b g"]:
        """Return logits; posters without text get the learned "no text" vector (ours)."""
        f_v, mask_v = as_tokens(inputs.image, inputs.image_mask)
        f_t, mask_t = as_tokens(inputs.text, inputs.text_mask)

        # Eq. 2, alignment: f_a = project(LN(f))
        f_va = self._dense("project_image")(nn.LayerNorm(name="norm_image")(f_v))
        f_ta = self._dense("project_text")(nn.LayerNorm(name="norm_text")(f_t))
        no_text = self.param("no_text", nn.initializers.normal(0.02), (self.dim,), jnp.float32)
        f_ta, mask_t = fill_missing(f_ta, mask_t, no_text)

        if self.mcam:
            # Eq. 3 and 4: multi-head attention; "cross" takes K and V from the other modality, unlike the printed indices
            cross = choose("model.cross_attention", self.cross_attention, {"cross": True, "as_printed": False})
            attend_image = MultiHeadAttention(self.dim, self.heads, self.out_projection, name="mcam_image")
            attend_text = MultiHeadAttention(self.dim, self.heads, self.out_projection, name="mcam_text")
            z_v = attend_image(f_va, f_ta, mask_t) if cross else attend_image(f_va, f_va, mask_v)
            z_t = attend_text(f_ta, f_va, mask_v) if cross else attend_text(f_ta, f_ta, mask_t)
            drop = Dropout(self.dropout, deterministic=not train)
            # Eq. 5, first line: Zf = LN(Z + f_a)
            f_va = nn.LayerNorm(name="norm_mcam_image")(drop(z_v) + f_va)
            f_ta = nn.LayerNorm(name="norm_mcam_text")(drop(z_t) + f_ta)

        # Eq. 5, second line: f_vt = LN(Zf_v + Zf_t); without MCAM f_vt = LN(f_va + f_ta)
        z, mask = self._add(f_va, mask_v, f_ta, mask_t)
        z = nn.LayerNorm(name="norm_fused")(z)

        # Eq. 7: z_0 = f_vt, z_l = MSA(LN(z_{l-1})) + z_{l-1}, y = LN(z_L)
        for layer in range(self.smsam_layers):
            block = SelfAttentionBlock(
                self.dim, self.heads, self.out_projection, self.block_mlp, self.dropout, name=f"smsam_{layer + 1}"
            )
            z = block(z, mask, train=train)
        if self.smsam_layers:
            z = nn.LayerNorm(name="norm_smsam")(z)

        first = choose("model.pooling", self.pooling, {"cls": True, "mean": False})
        y = z[:, 0] if first else masked_mean(z, mask)
        return FeedForward(self.labels, self.ffn, self.dropout, name="ffn")(y, train=train)

    def _dense(self, name: str) -> nn.Dense:
        return nn.Dense(self.dim, kernel_init=nn.initializers.glorot_uniform(), name=name)

    def _add(
        self, v: Float[Array, "b l_v d"], mask_v: Bool[Array, "b l_v"], t: Float[Array, "b l_t d"], mask_t: Bool[Array, "b l_t"]
    ) -> tuple[Float[Array, "b l d"], Bool[Array, "b l"]]:
        """Return the sum inside Eq. 5 for sequences of any length: tokens and their mask."""
        if self.token_fusion == "concat":
            types = self.param("type_embedding", nn.initializers.normal(0.02), (2, self.dim), jnp.float32)
            z = jnp.concatenate([v + types[0][None, None], t + types[1][None, None]], axis=1)
            return z, jnp.concatenate([mask_v, mask_t], axis=1)
        mean_t = masked_mean(t, mask_t)[:, None]
        if self.token_fusion == "pool_add":
            z = masked_mean(v, mask_v)[:, None] + mean_t
            return z, jnp.ones(z.shape[:2], bool)
        if self.token_fusion != "add_pooled_text":
            raise unwired("model.token_fusion", self.token_fusion, "add_pooled_text", "concat", "pool_add")
        return v + jnp.broadcast_to(mean_t, v.shape), mask_v
