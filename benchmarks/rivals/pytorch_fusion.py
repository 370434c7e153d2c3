"""The paper's fusion on pooled features in PyTorch, as printed: Eq. 2 to 7 on sequences of one token, and Eq. 8 and 9."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    """Eq. 3, 4, 6."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(dim, dim, bias=False) for _ in range(3))

    def forward(self, queries: torch.Tensor, keys_values: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.query, queries), (self.key, keys_values), (self.value, keys_values))
        )
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class Block(nn.Module):
    """Eq. 7."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(dim, eps=1e-6), Attention(dim, heads)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        normed = self.norm(z)
        return self.attention(normed, normed) + z


class FeedForward(nn.Module):
    """Dense 512 ReLU, Dense 128 ReLU, Dense 13."""

    def __init__(self, dim: int):
        super().__init__()
        self.Dense_0, self.Dense_1, self.logits = nn.Linear(dim, 512), nn.Linear(512, 128), nn.Linear(128, 13)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits(F.relu(self.Dense_1(F.relu(self.Dense_0(x)))))


class Fusion(nn.Module):
    """The whole head; its submodules have the names that they have in the Flax module."""

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
        """image, text [b, width], has_text bool [b] -> logits [b, 13]."""
        v = self.project_image(self.norm_image(image))[:, None]
        t = self.project_text(self.norm_text(text))
        t = torch.where(has_text[:, None], t, self.no_text)[:, None]
        z_v, z_t = self.mcam_image(v, t), self.mcam_text(t, v)
        z = self.norm_fused(self.norm_mcam_image(z_v + v) + self.norm_mcam_text(z_t + t))
        for layer in range(self.layers):
            z = self.get_submodule(f"smsam_{layer + 1}")(z)
        return self.ffn(self.norm_smsam(z).mean(dim=1))


def asymmetric_loss(logits: torch.Tensor, labels: torch.Tensor, *, gamma_pos: float, gamma_neg: float, margin: float) -> Any:
    """Eq. 8 and 9, the mean over genres and posters."""
    p_m = (torch.sigmoid(logits) - margin).clamp(min=0)
    positive = labels * torch.sigmoid(-logits) ** gamma_pos * F.logsigmoid(logits)
    negative = (1 - labels) * p_m**gamma_neg * torch.log1p(-p_m)
    return -(positive + negative).mean()


def copy_weights(module: nn.Module, params: dict[str, Any]) -> None:
    """Takes the weights of the Flax head, whose matrices lie the other way round."""
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
