"""Choose the weights of a tower that are trained along with the model on top of it."""

import re
from typing import Any

import jax

from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.choose import choose

WHICH = ("none", "all", "last_n")

# transformers' names: CLIP's layers are `encoder/layers/<i>`, BERT's `encoder/layer/<i>`.
_LAYER = re.compile(r"(?:^|/)encoder/layers?/(\d+)/")
# Parameters after the last layer (the BERT tower has none). CLIP's `pre_layrnorm` belongs to the embeddings.
_FINAL = re.compile(r"(?:^|/)(?:post_layernorm|final_layer_norm|pooler|visual_projection|text_projection)/")
# Batch normalization's statistics in networks of keras.applications are measured, not trained.
_STATISTIC = re.compile(r"(?:^|/)moving_(?:mean|variance)$")


def trainable(params: dict[str, Any], *, which: str, last_n: int = 0) -> dict[str, Any]:
    """Mark the weights to train.

    Args:
      params: a tower's parameters.
      which: "none"; "all"; or "last_n": the last n layers and everything after them (final layer norm, projection),
        never the embeddings.
      last_n: n for "last_n", 1 to the number of layers.

    Returns:
      The same tree with True where a weight is to be trained, for instance for `optax.masked`.

    Raises:
      InputError: `which` is unknown, or n does not fit the tower.
    """
    if which not in WHICH:
        raise InputError(f"train.fine_tune is {which!r}; allowed: {', '.join(WHICH)}")
    paths = jax.tree_util.tree_map_with_path(lambda path, _: jax.tree_util.keystr(path, simple=True, separator="/"), params)
    last_layers = choose("train.fine_tune", which, {"none": False, "all": False, "last_n": True})
    if not last_layers:
        return jax.tree.map(lambda path: which == "all" and not _STATISTIC.search(path), paths)

    layers = {int(match[1]) for path in jax.tree.leaves(paths) if (match := _LAYER.search(path))}
    if not layers:
        raise InputError(
            "train.fine_tune='last_n' counts the layers of a transformer; this tower, a network of keras.applications, has "
            "none. Allowed for it: none, all."
        )
    if not 1 <= last_n <= len(layers):
        raise InputError(
            f"train.fine_tune_layers is {last_n}; this tower has {len(layers)} layers, so allowed: 1 to {len(layers)}"
        )

    def is_trained(path: str) -> bool:
        layer = _LAYER.search(path)
        return int(layer[1]) >= len(layers) - last_n if layer else bool(_FINAL.search(path))

    return jax.tree.map(is_trained, paths)
