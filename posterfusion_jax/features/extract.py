"""From a dataset to a feature store: jitted, batched over all devices, decoding ahead of the computation, resumable."""

import hashlib
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from posterfusion_jax.encoders.grid import pool_grid
from posterfusion_jax.encoders.preprocess import resize_poster
from posterfusion_jax.encoders.tower import Features, ImageTower, TextTower
from posterfusion_jax.features.store import SHARD_ROWS, FeatureStore
from posterfusion_jax.images import decode_poster
from posterfusion_jax.parallel import DataParallel, read_ahead
from posterfusion_jax.progress import progress_bar

if TYPE_CHECKING:  # the classifier takes `encode_images` from here, and a prediction opens no dataset
    from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset

FORMAT = 1

Arrays = dict[str, np.ndarray]


def open_store(
    dataset: "PosterDataset", folder: pathlib.Path, encoders: dict[str, Any], *, level: str, image_grid: int, dtype: str
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


def open_text_store(
    dataset: "PosterDataset", folder: pathlib.Path, text_encoder: dict[str, Any], *, level: str, dtype: str
) -> FeatureStore:
    """The store for the text features of the same posters without their films' titles, rows in the order of `open_store`.

    Args:
      text_encoder: passport of the text tower.

    Raises:
      InputError: the folder holds features of other texts, weights or settings.
    """
    index = _index(dataset)
    digest = hashlib.sha256()
    for poster_id, (split, i) in index.items():
        digest.update(f"{poster_id}\t{dataset.texts_without_title(split)[i]!r}\n".encode())
    passport = {
        "format": FORMAT,
        "level": level,
        "dtype": dtype,
        "posters": len(index),
        "texts_sha256": digest.hexdigest(),
        "text": text_encoder,
    }
    return FeatureStore(folder, passport, list(index))


def fill_store(
    store: FeatureStore,
    dataset: "PosterDataset",
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
      {"computed": posters encoded by this call, "found": posters that were there, "cut": texts of all of them that lost tokens
      to the encoder's limit}.
    """
    index = _index(dataset)
    tokens, image_grid = store.passport["level"] == "tokens", store.passport["image_grid"]

    def load(poster_ids: list[str]) -> Arrays:
        rows = [dataset.row(*index[poster_id]) for poster_id in poster_ids]
        images = [resize_poster(decode_poster(r["image"]), size=image_tower.image_size, how=image_tower.resize) for r in rows]
        return {"images": np.stack(images), **_tokenize(text_tower, [row["text"] for row in rows])}

    def encode(params: Any, batch: Any) -> dict[str, jax.Array]:
        image = _encode_image(image_tower, params["image"], batch, tokens=tokens, image_grid=image_grid)
        return image | _encode_text(text_tower, params["text"], batch, tokens=tokens)

    params = {"image": image_tower.params, "text": text_tower.params}
    done = _fill(store, load, encode, params, desc="features", batch_size=batch_size, threads=threads)
    texts = [dataset.columns(split)["text"][i] for split, i in index.values()]
    return done | {"cut": _note_cut_texts(store, text_tower, texts)}


def fill_text_store(
    store: FeatureStore, dataset: "PosterDataset", text_tower: TextTower, *, batch_size: int, threads: int
) -> dict[str, Any]:
    """As `fill_store`, for a store of `open_text_store`: no picture is read."""
    index = _index(dataset)
    tokens = store.passport["level"] == "tokens"

    def load(poster_ids: list[str]) -> Arrays:
        places = [index[poster_id] for poster_id in poster_ids]
        return _tokenize(text_tower, [dataset.texts_without_title(split)[i] for split, i in places])

    def encode(params: Any, batch: Any) -> dict[str, jax.Array]:
        return _encode_text(text_tower, params, batch, tokens=tokens)

    done = _fill(store, load, encode, text_tower.params, desc="texts", batch_size=batch_size, threads=threads)
    texts = [dataset.texts_without_title(split)[i] for split, i in index.values()]
    return done | {"cut": _note_cut_texts(store, text_tower, texts)}


def _note_cut_texts(store: FeatureStore, tower: TextTower, texts: list[str]) -> int:
    """How many of the store's texts, in the order of its rows, lose tokens to the tower's limit; noted in the store."""
    cut = store.cut_texts
    if cut is None:
        truncated = [
            flag
            for start in range(0, len(texts), SHARD_ROWS)
            for flag in tower.tokenize(texts[start : start + SHARD_ROWS]).truncated
        ]
        cut = [poster_id for poster_id, flag in zip(store.poster_ids, truncated, strict=True) if flag]
        store.write_cut_texts(cut)
    return len(cut)


def _fill(
    store: FeatureStore,
    load: Callable[[list[str]], Arrays],
    encode: Callable[[Any, Any], dict[str, jax.Array]],
    params: Any,
    *,
    desc: str,
    batch_size: int,
    threads: int,
) -> dict[str, Any]:
    """Encodes what is missing in batches over all devices, loading ahead.

    Args:
      load: poster_ids -> a batch as `_tokenize` gives it, and more inputs.
      encode: (params, inputs) -> the arrays of the store. Pure; jitted here.
    """
    parallel = DataParallel()
    batch_size = -(-batch_size // parallel.devices) * parallel.devices
    params, encode = parallel.put_params(params), jax.jit(encode)
    missing = store.missing_shards()
    todo = sum(len(store.shard_range(shard)) for shard in missing)
    with progress_bar(total=len(store), initial=len(store) - todo, desc=desc, unit="poster", disable=not todo) as bar:
        for shard in missing:
            rows = store.shard_range(shard)
            batches = [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]

            def load_batch(k: int, batches=batches) -> Arrays:
                return _pad(load([store.poster_ids[row] for row in batches[k]]), batch_size)

            parts = []
            for k, batch in enumerate(read_ahead(load_batch, 0, len(batches), threads=threads)):
                n = len(batches[k])
                has_text = batch.pop("has_text")
                parts.append(_to_rows(encode(params, parallel.put_batch(batch)), has_text, n, store.passport["dtype"]))
                bar.update(n)
            store.write_shard(shard, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    return {"computed": todo, "found": len(store) - todo}


def encode_images(tower: ImageTower, params: Any, images: jax.Array, *, level: str, image_grid: int) -> Features:
    """The image tower, then the patch grid averaged down to `image_grid` a side (0: left as it is)."""
    features = tower.forward(params, images, level=level)
    if level == "tokens" and image_grid:
        values = pool_grid(features.values, to=image_grid)
        return Features(values, jax.numpy.ones(values.shape[:2], bool))
    return features


# Pooled features and tokens in one program each, so that the compiler runs a tower once for both.
def _encode_image(tower: ImageTower, params: Any, batch: Any, *, tokens: bool, image_grid: int) -> dict[str, jax.Array]:
    arrays = {"image_pooled": tower.forward(params, batch["images"], level="pooled").values}
    if tokens:
        image = encode_images(tower, params, batch["images"], level="tokens", image_grid=image_grid)
        arrays |= {"image_tokens": image.values, "image_tokens_mask": image.mask}
    return arrays


def _encode_text(tower: TextTower, params: Any, batch: Any, *, tokens: bool) -> dict[str, jax.Array]:
    inputs = batch["input_ids"], batch["attention_mask"]
    pooled = tower.forward(params, *inputs, level="pooled")
    arrays = {"text_pooled": pooled.values, "text_known": pooled.mask}
    if tokens:
        text = tower.forward(params, *inputs, level="tokens")
        arrays |= {"text_tokens": text.values, "text_tokens_mask": text.mask}
    return arrays


def _index(dataset: "PosterDataset") -> dict[str, tuple[str, int]]:
    """poster_id -> (split, row), sorted by poster_id."""
    places = {
        poster_id: (split, i) for split in dataset.splits for i, poster_id in enumerate(dataset.columns(split)["poster_id"])
    }
    return dict(sorted(places.items()))


def _tokenize(tower: TextTower, texts: list[str]) -> Arrays:
    tokens = tower.tokenize(texts)
    return {
        "input_ids": tokens.input_ids,
        "attention_mask": tokens.attention_mask,
        "has_text": np.array([bool(text) for text in texts]),
    }


def _pad(batch: Arrays, size: int) -> Arrays:
    """Repeats the first row up to `size`, so that one compiled program serves the last batch too."""
    short = size - len(batch["has_text"])
    return {name: np.concatenate([a, np.repeat(a[:1], short, axis=0)]) for name, a in batch.items()} if short else batch


def _to_rows(encoded: dict[str, jax.Array], has_text: np.ndarray, n: int, dtype: str) -> Arrays:
    rows = {name: np.asarray(array)[:n] for name, array in encoded.items()}
    for name in ("image_tokens", "text_tokens"):
        if name in rows:
            rows[name] = rows[name].astype(dtype)
    known = rows.pop("text_known")  # a text without a word that the tower knows is no text
    return rows | {"has_text": has_text[:n] & known}
