"""Implement the paper's fusion in PyTorch, as printed: Eq. 2 to 7 on one or more tokens, and Eq. 8 and 9."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    """Compute Eq. 3, 4, 6."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(dim, dim, bias=False) for _ in range(3))

    def forward(self, queries: torch.Tensor, keys_values: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend from `queries` [b, m, d] to `keys_values` [b, l, d]; mask bool [b, l]."""
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.query, queries), (self.key, keys_values), (self.value, keys_values))
        )
        allowed = None if mask is None else mask[:, None, None, :]
        return F.scaled_dot_product_attention(q, k, v, attn_mask=allowed).transpose(1, 2).flatten(2)


class Block(nn.Module):
    """Compute Eq. 7."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(dim, eps=1e-6), Attention(dim, heads)

    def forward(self, z: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Apply the block to z [b, l, d]; mask bool [b, l]."""
        normed = self.norm(z)
        return self.attention(normed, normed, mask) + z


class FeedForward(nn.Module):
    """Apply Dense 512 ReLU, Dense 128 ReLU, Dense 13."""

    def __init__(self, dim: int):
        super().__init__()
        self.Dense_0, self.Dense_1, self.logits = nn.Linear(dim, 512), nn.Linear(512, 128), nn.Linear(128, 13)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map x [b, d] to logits [b, 13]."""
        return self.logits(F.relu(self.Dense_1(F.relu(self.Dense_0(x)))))


class Fusion(nn.Module):
    """Compute the whole head; its submodules are named as in the Flax module."""

    def __init__(self, *, width: int, dim: int = 512, heads: int = 8, layers: int = 4):
        super().__init__()

        def norm(width: int) -> nn.LayerNorm:
            return nn.LayerNorm(width, eps=1e-6)  # Flax's epsilon

        self.norm_image, self.norm_text = norm(width), norm(width)
        self.project_image, self.project_text = nn.Linear(width, dim), nn.Linear(width, dim)
        self.no_text = nn.Parameter(torch.zeros(dim))
        self.mcam_image, self.mcam_text = Attention(dim, heads), Attention(dim, heads)
        self.norm_mcam_image, self.norm_mcam_text, self.norm_fused, self.norm_smsam = (norm(dim) for _ in range(4))
        self.layers = layers
        for layer in range(layers):
            self.add_module(f"smsam_{layer + 1}", Block(dim, heads))
        self.ffn = FeedForward(dim)

    def forward(self, image: torch.Tensor, text: torch.Tensor, has_text: torch.Tensor) -> torch.Tensor:
        """Map pooled features (image, text [b, width], has_text bool [b]) to logits [b, 13]."""
        v = self.project_image(self.norm_image(image))[:, None]
        t = self.project_text(self.norm_text(text))
        t = torch.where(has_text[:, None], t, self.no_text)[:, None]
        return self._fuse(v, None, t, None)

    def on_tokens(
        self, image: torch.Tensor, image_mask: torch.Tensor, text: torch.Tensor, text_mask: torch.Tensor
    ) -> torch.Tensor:
        """Map image, text [b, l, width] with masks bool [b, l] (True where real) to logits [b, 13]."""
        v, t = self.project_image(self.norm_image(image)), self.project_text(self.norm_text(text))
        first = torch.arange(text_mask.shape[1], device=text.device) == 0
        filled = ~text_mask.any(1, keepdim=True) & first
        t = torch.where(filled[..., None], self.no_text, t)
        return self._fuse(v, image_mask, t, text_mask | filled)

    def _fuse(self, v: torch.Tensor, mask_v: torch.Tensor | None, t: torch.Tensor, mask_t: torch.Tensor | None) -> torch.Tensor:
        z_v, z_t = self.mcam_image(v, t, mask_t), self.mcam_text(t, v, mask_v)
        z_t = self.norm_mcam_text(z_t + t)
        z = self.norm_fused(self.norm_mcam_image(z_v + v) + _masked_mean(z_t, mask_t)[:, None])
        for layer in range(self.layers):
            z = self.get_submodule(f"smsam_{layer + 1}")(z, mask_v)
        return self.ffn(_masked_mean(self.norm_smsam(z), mask_v))


def _masked_mean(values: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    if mask is None:
        return values.mean(dim=1)
    weights = mask.to(values.dtype)
    return torch.einsum("bld,bl->bd", values, weights) / weights.sum(1, keepdim=True)


def asymmetric_loss(logits: torch.Tensor, labels: torch.Tensor, *, gamma_pos: float, gamma_neg: float, margin: float) -> Any:
    """Return Eq. 8 and 9, the mean over genres and posters."""
    p_m = (torch.sigmoid(logits) - margin).clamp(min=0)
    positive = labels * torch.sigmoid(-logits) ** gamma_pos * F.logsigmoid(logits)
    negative = (1 - labels) * p_m**gamma_neg * torch.log1p(-p_m)
    return -(positive + negative).mean()


def copy_weights(module: nn.Module, params: dict[str, Any]) -> None:
    """Copy the weights of the Flax head, whose matrices are transposed."""
    renamed = {}

    def walk(tree: dict[str, Any], path: str) -> None:
        for name, value in tree.items():
            if isinstance(value, dict):
                walk(value, f"{path}{name}.")
            else:
                ours = {"kernel": "weight", "scale": "weight"}.get(name, name)
                array = torch.tensor(value.__array__())
                renamed[path + ours] = array.T.contiguous() if name == "kernel" else array

    walk(params, "")
    module.load_state_dict(renamed)
