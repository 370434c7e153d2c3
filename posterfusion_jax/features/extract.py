"""From a dataset to a feature store: jitted, batched over all devices, decoding ahead of the computation, resumable."""

import functools
import hashlib
import pathlib
from typing import Any

import jax
import numpy as np

from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset
from posterfusion_jax.encoders.grid import pool_grid
from posterfusion_jax.encoders.preprocess import resize_poster
from posterfusion_jax.encoders.tower import Features, ImageTower, TextTower
from posterfusion_jax.features.store import FeatureStore
from posterfusion_jax.images import decode_poster
from posterfusion_jax.parallel import DataParallel, read_ahead
from posterfusion_jax.progress import progress_bar

FORMAT = 1


def open_store(
    dataset: PosterDataset, folder: pathlib.Path, encoders: dict[str, Any], *, level: str, image_grid: int, dtype: str
) -> FeatureStore:
    """The store for these features of all posters of the dataset, whatever split they are in.

    Rows are ordered by poster_id, so that datasets of the same posters with different splits share one store.

    Args:
      encoders: {"image": passport, "text": passport} of the towers.

    Raises:
      InputError: the folder holds features of other posters, texts, weights or settings.
    """
    index = _index(dataset)
    digest = hashlib.sha256()
    for poster_id, (split, i) in index.items():
        columns = dataset.columns(split)
        digest.update(f"{poster_id}\t{columns['image_sha256'][i]}\t{columns['text'][i]!r}\n".encode())
    passport = {
        "format": FORMAT,
        "level": level,
        "image_grid": image_grid,
        "dtype": dtype,
        "posters": len(index),
        "posters_sha256": digest.hexdigest(),
        **encoders,
    }
    return FeatureStore(folder, passport, list(index))


def fill_store(
    store: FeatureStore,
    dataset: PosterDataset,
    image_tower: ImageTower,
    text_tower: TextTower,
    *,
    batch_size: int,
    threads: int,
) -> dict[str, Any]:
    """Computes the shards that are missing, as the store's passport says.

    Args:
      batch_size: posters encoded at once, rounded up to a multiple of the number of devices.

    Returns:
      {"computed": posters encoded by this call, "found": posters that were there, "truncated": texts over the token limit
      among those computed}.
    """
    level, image_grid, dtype = (store.passport[name] for name in ("level", "image_grid", "dtype"))
    parallel = DataParallel()
    batch_size = -(-batch_size // parallel.devices) * parallel.devices
    image_params = parallel.put_params(image_tower.params)
    text_params = parallel.put_params(text_tower.params)
    encode = jax.jit(functools.partial(_encode, image_tower, text_tower, tokens=level == "tokens", image_grid=image_grid))
    index = _index(dataset)
    missing = store.missing_shards()
    todo = sum(len(store.shard_range(shard)) for shard in missing)
    truncated = 0
    with progress_bar(total=len(store), initial=len(store) - todo, desc="features", unit="poster", disable=not todo) as bar:
        for shard in missing:
            rows = store.shard_range(shard)
            batches = [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]

            def load(k: int, batches=batches) -> dict[str, np.ndarray]:
                found = [index[store.poster_ids[row]] for row in batches[k]]
                return _pad(_load(dataset, found, image_tower, text_tower), batch_size)

            parts = []
            for k, batch in enumerate(read_ahead(load, 0, len(batches), threads=threads)):
                n = len(batches[k])
                truncated += int(batch["truncated"][:n].sum())
                inputs = parallel.put_batch((batch["images"], batch["input_ids"], batch["attention_mask"]))
                parts.append(_to_rows(encode(image_params, text_params, *inputs), batch["has_text"], n, dtype))
                bar.update(n)
            store.write_shard(shard, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    return {"computed": todo, "found": len(store) - todo, "truncated": truncated}


def encode_images(tower: ImageTower, params: Any, images: jax.Array, *, level: str, image_grid: int) -> Features:
    """The image tower, then the patch grid averaged down to `image_grid` a side (0: left as it is)."""
    features = tower.forward(params, images, level=level)
    if level == "tokens" and image_grid:
        values = pool_grid(features.values, to=image_grid)
        return Features(values, jax.numpy.ones(values.shape[:2], bool))
    return features


def _encode(
    image_tower: ImageTower,
    text_tower: TextTower,
    image_params: Any,
    text_params: Any,
    images: jax.Array,
    input_ids: jax.Array,
    attention_mask: jax.Array,
    *,
    tokens: bool,
    image_grid: int,
) -> dict[str, jax.Array]:
    """The arrays of a store. In one program, so that the compiler runs the towers once for pooled features and tokens."""
    text_pooled = text_tower.forward(text_params, input_ids, attention_mask, level="pooled")
    arrays = {
        "image_pooled": image_tower.forward(image_params, images, level="pooled").values,
        "text_pooled": text_pooled.values,
        "text_known": text_pooled.mask,
    }
    if tokens:
        image = encode_images(image_tower, image_params, images, level="tokens", image_grid=image_grid)
        text = text_tower.forward(text_params, input_ids, attention_mask, level="tokens")
        arrays |= {"image_tokens": image.values, "image_tokens_mask": image.mask}
        arrays |= {"text_tokens": text.values, "text_tokens_mask": text.mask}
    return arrays


def _index(dataset: PosterDataset) -> dict[str, tuple[str, int]]:
    """poster_id -> (split, row), sorted by poster_id."""
    places = {
        poster_id: (split, i) for split in dataset.splits for i, poster_id in enumerate(dataset.columns(split)["poster_id"])
    }
    return dict(sorted(places.items()))


def _load(
    dataset: PosterDataset, places: list[tuple[str, int]], image_tower: ImageTower, text_tower: TextTower
) -> dict[str, np.ndarray]:
    rows = [dataset.row(split, i) for split, i in places]
    images = [resize_poster(decode_poster(r["image"]), size=image_tower.image_size, how=image_tower.resize) for r in rows]
    texts = [row["text"] for row in rows]
    tokens = text_tower.tokenize(texts)
    return {
        "images": np.stack(images),
        "input_ids": tokens.input_ids,
        "attention_mask": tokens.attention_mask,
        "truncated": tokens.truncated,
        "has_text": np.array([bool(text) for text in texts]),
    }


def _pad(batch: dict[str, np.ndarray], size: int) -> dict[str, np.ndarray]:
    """Repeats the first row up to `size`, so that one compiled program serves the last batch too."""
    short = size - len(batch["images"])
    return {name: np.concatenate([a, np.repeat(a[:1], short, axis=0)]) for name, a in batch.items()} if short else batch


def _to_rows(encoded: dict[str, jax.Array], has_text: np.ndarray, n: int, dtype: str) -> dict[str, np.ndarray]:
    rows = {name: np.asarray(array)[:n] for name, array in encoded.items()}
    for name in ("image_tokens", "text_tokens"):
        if name in rows:
            rows[name] = rows[name].astype(dtype)
    known = rows.pop("text_known")  # a text without a word that the tower knows is no text
    return rows | {"has_text": has_text[:n] & known}
