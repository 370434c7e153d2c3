"""A store of random token features in the shape of CLIP's; shared by the tests that read one."""

import pathlib

import numpy as np

from posterfusion_jax.features import store as store_module
from posterfusion_jax.features.store import FeatureStore


def write_token_store(folder: pathlib.Path, posters: int, *, image_tokens=3, text_tokens=4, width=5) -> FeatureStore:
    """Every row of the store is different, also from the rows at the same place of other shards."""
    passport = {"level": "tokens", "image": {}, "text": {}}
    store = FeatureStore(folder, passport, [f"tt{k:07d}_1" for k in range(posters)])
    rng = np.random.default_rng(0)
    some = {
        side: rng.normal(size=(store_module.SHARD_ROWS, tokens, width)).astype(np.float16)
        for side, tokens in (("image", image_tokens), ("text", text_tokens))
    }
    for shard in range(store.num_shards):
        n = len(store.shard_range(shard))
        arrays = {"has_text": rng.random(n) < 0.8}
        for side, values in some.items():
            arrays[f"{side}_pooled"] = rng.normal(size=(n, width)).astype(np.float32)
            arrays[f"{side}_tokens"] = values[:n] + np.float16(shard)
            arrays[f"{side}_tokens_mask"] = np.arange(values.shape[1])[None] < rng.integers(1, values.shape[1] + 1, n)[:, None]
        store.write_shard(shard, arrays)
    return store
