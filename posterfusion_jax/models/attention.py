"""Multi-head scaled dot-product attention as printed in the paper: no bias, and an optional output projection."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float


def has_one_key(keys_values: Float[Array, "b k d"]) -> bool:
    """Return whether there is one key, k = 1, where all attention weights are 1."""
    return keys_values.shape[1] == 1


class MultiHeadAttention(nn.Module):
    """Compute Eq. 3, 4 and 6: h heads of softmax(Q K^T / sqrt(D_k)) V, concatenated.

    With one key the softmax is 1 for any Q and K, so these are left out of the compiled program. Their weights still exist.

    The paper has no output projection W_O after the heads (Eq. 4, 6); `out_projection` adds the one of Vaswani et al. (2017).
    The attention weights [b, heads, queries, keys] are sown as "attention" into the collection "intermediates".

    Attributes:
      dim: width of the output, heads * D_v.
      heads: number of heads; it divides `dim`, and D_k = D_v = dim / heads.
      out_projection: adds W_O (not in the paper).
    """

    dim: int
    heads: int
    out_projection: bool = False

    @nn.compact
    def __call__(
        self, queries: Float[Array, "b q d"], keys_values: Float[Array, "b k e"], mask: Bool[Array, "b k"]
    ) -> Float[Array, "b q {self.dim}"]:
        """Attend from `queries` to `keys_values`.

        Args:
          queries: the tokens that attend.
          keys_values: the source of both keys and values.
          mask: True where a key is real; each row needs at least one.
        """

        # Heads come before tokens, [b, heads, l, D_v]: with heads between tokens and features, as the projections return
        # them, the matrix products on a CPU take more than twice the time.
        def heads_of(x: Float[Array, "b l d"], name: str) -> Float[Array, "b h l d_v"]:
            x = nn.Dense(self.dim, use_bias=False, kernel_init=nn.initializers.glorot_uniform(), name=name)(x)
            return x.reshape(*x.shape[:2], self.heads, self.dim // self.heads).transpose(0, 2, 1, 3)

        v = heads_of(keys_values, "value")
        if not has_one_key(keys_values) or self.is_initializing():
            q, k = heads_of(queries, "query"), heads_of(keys_values, "key")
            logits = jnp.einsum("bhqd,bhkd->bhqk", q, k) / jnp.sqrt(jnp.asarray(q.shape[-1], jnp.float32)).astype(q.dtype)
            logits = jnp.where(mask[:, None, None, :], logits, jnp.finfo(logits.dtype).min)
            weights = jax.nn.softmax(logits, axis=-1)
            out = jnp.einsum("bhqk,bhkd->bhqd", weights, v)
        else:
            weights = jnp.ones((len(v), self.heads, queries.shape[1], 1), v.dtype)
            out = jnp.broadcast_to(v, (*v.shape[:2], queries.shape[1], v.shape[3]))
        self.sow("intermediates", "attention", weights)
        out = out.transpose(0, 2, 1, 3).reshape(*queries.shape[:2], self.dim)
        if self.out_projection:
            out = nn.Dense(self.dim, kernel_init=nn.initializers.glorot_uniform(), name="out")(out)
        return out
