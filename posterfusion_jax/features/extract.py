"""Compute a feature store from a dataset: jitted, batched over all devices, decoding ahead, resumable."""

import functools
import hashlib
import itertools
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import jax
import numpy as np

from posterfusion_jax.config.choices import LEVELS
from posterfusion_jax.encoders.grid import pool_grid
from posterfusion_jax.encoders.preprocess import resize_poster
from posterfusion_jax.encoders.tower import Features, ImageTower, TextTower, Tokens
from posterfusion_jax.encoders.weights import cast_kernels
from posterfusion_jax.features.batching import Batch, image_batches, text_batches, trim_padding
from posterfusion_jax.features.store import SHARD_ROWS, FeatureStore
from posterfusion_jax.posters.decode import decode_poster
from posterfusion_jax.utils.choose import choose
from posterfusion_jax.utils.prefetch import prefetch
from posterfusion_jax.utils.progress import progress_bar
from posterfusion_jax.utils.sharding import DataParallel

if TYPE_CHECKING:  # the classifier takes `encode_images` from here, and a prediction opens no dataset
    from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset

FORMAT = 1

Arrays = dict[str, np.ndarray]
_Item = TypeVar("_Item")


def open_store(
    dataset: "PosterDataset", folder: pathlib.Path, encoders: dict[str, Any], *, level: str, image_grid: int, dtype: str
) -> FeatureStore:
    """Open the store for these features of all posters of the dataset, independent of their split.

    Rows are ordered by poster_id, so that datasets of the same posters with different splits share one store.

    Args:
      dataset: a built dataset.
      folder: of the store; created if missing.
      encoders: {"image": passport, "text": passport} of the towers.
      level: "pooled" or "tokens".
      image_grid: cells along an edge of the pooled patch grid; 0 for all patches.
      dtype: of the stored tokens, "float16" or "float32".

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
    """Open the store for text features without films' titles, rows in the order of `open_store`.

    Args:
      dataset: a built dataset.
      folder: of the store; created if missing.
      text_encoder: passport of the text tower.
      level: "pooled" or "tokens".
      dtype: of the stored tokens, "float16" or "float32".

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


class _Side(NamedTuple):
    """Hold one tower and how it is run.

    Attributes:
      batches: the batches of a shard.
      load: items of a batch -> arrays [b, ...] for `encode`. Pure; runs in threads, ahead.
      encode: (params, arrays) -> arrays of the store, [b, ...]. Jitted.
      params: of the tower, on the devices.
      rows: per array of the store, the shape and type of one row.
    """

    batches: Callable[[int], list[Batch]]
    load: Callable[[list[str]], Arrays]
    encode: Callable[[Any, Any], dict[str, jax.Array]]
    params: Any
    rows: dict[str, jax.ShapeDtypeStruct]


def fill_store(
    store: FeatureStore,
    dataset: "PosterDataset",
    image_tower: ImageTower,
    text_tower: TextTower,
    *,
    batch_size: int,
    threads: int,
) -> dict[str, Any]:
    """Compute the shards that the store lacks.

    Args:
      store: a store of `open_store`.
      dataset: the dataset of the store.
      image_tower: the tower of the passport's "image".
      text_tower: the tower of the passport's "text".
      batch_size: posters (and texts) encoded together; rounded up to a multiple of the number of devices.
      threads: the number of threads that decode posters.

    Returns:
      {"computed": posters encoded by this call, "found": posters that were there, "cut": number of texts that lost tokens to
      the encoder's limit}.
    """
    index = _index(dataset)
    parallel = DataParallel()
    size = parallel.round_up(batch_size)
    texts = [dataset.columns(split)["text"][i] for split, i in index.values()]
    sides = [
        _text_side(store, text_tower, texts, size=size, parallel=parallel),
        _image_side(store, image_tower, dataset, index, size=size, parallel=parallel),
    ]
    done = _fill(store, sides, texts, desc="features", size=size, threads=threads, parallel=parallel)
    return done | {"cut": _record_cut_texts(store, text_tower, texts)}


def fill_text_store(
    store: FeatureStore, dataset: "PosterDataset", text_tower: TextTower, *, batch_size: int, threads: int
) -> dict[str, Any]:
    """Compute the shards that a store of `open_text_store` lacks, as `fill_store`, without reading pictures."""
    parallel = DataParallel()
    size = parallel.round_up(batch_size)
    texts = [dataset.texts_without_title(split)[i] for split, i in _index(dataset).values()]
    side = _text_side(store, text_tower, texts, size=size, parallel=parallel)
    done = _fill(store, [side], texts, desc="texts", size=size, threads=threads, parallel=parallel)
    return done | {"cut": _record_cut_texts(store, text_tower, texts)}


def _record_cut_texts(store: FeatureStore, tower: TextTower, texts: list[str]) -> int:
    """Count the store's texts that lose tokens to the tower's limit, and record them in the store."""
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
    sides: Sequence[_Side],
    texts: list[str],
    *,
    desc: str,
    size: int,
    threads: int,
    parallel: DataParallel,
) -> dict[str, Any]:
    """Compute the missing shards, loading ahead of the devices across the ends of shards."""
    missing = store.missing_shards()
    todo = sum(len(store.shard_range(shard)) for shard in missing)
    work = [(side, batch) for shard in missing for side in sides for batch in side.batches(shard)]

    def load(k: int) -> Arrays:
        side, batch = work[k]
        return _pad(side.load(batch.items), size)

    def encode() -> Iterator[tuple[_Side, Batch, dict[str, jax.Array]]]:
        for (side, batch), inputs in zip(work, prefetch(load, 0, len(work), threads=threads), strict=True):
            yield side, batch, side.encode(side.params, parallel.shard_batch(inputs))

    rows = {name: row for side in sides for name, row in side.rows.items()}
    with progress_bar(total=len(store), initial=len(store) - todo, desc=desc, unit="poster", disable=not todo) as bar:
        for shard, batches in itertools.groupby(_delay_by_one(encode()), key=lambda item: item[1].shard):
            places = store.shard_range(shard)
            arrays = {name: np.zeros((len(places), *row.shape), _stored(name, row, store)) for name, row in rows.items()}
            for side, batch, encoded in batches:
                for name, values in encoded.items():
                    filled = tuple(slice(length) for length in values.shape[1:])  # texts were trimmed
                    arrays[name][(batch.rows, *filled)] = np.asarray(values)[batch.takes]
                if side is sides[-1]:
                    bar.update(len(batch.rows))
            # A text without any word that the tower knows counts as missing.
            arrays["has_text"] = arrays.pop("text_known") & np.array([bool(texts[row]) for row in places])
            store.write_shard(shard, arrays)
    return {"computed": todo, "found": len(store) - todo}


def _delay_by_one(items: Iterator[_Item]) -> Iterator[_Item]:
    """Yield each item when the next has been requested: a device has its next batch before results are fetched."""
    last = next(items, None)
    for item in items:
        assert last is not None
        yield last
        last = item
    if last is not None:
        yield last


def _stored(name: str, row: jax.ShapeDtypeStruct, store: FeatureStore) -> Any:
    return store.passport["dtype"] if name in ("image_tokens", "text_tokens") else row.dtype


def _image_side(
    store: FeatureStore,
    tower: ImageTower,
    dataset: "PosterDataset",
    index: dict[str, tuple[str, int]],
    *,
    size: int,
    parallel: DataParallel,
) -> _Side:
    def load(poster_ids: list[str]) -> Arrays:
        posters = (decode_poster(dataset.row(*index[poster_id])["image"]) for poster_id in poster_ids)
        return {"images": np.stack([resize_poster(poster, size=tower.image_size, how=tower.resize) for poster in posters])}

    def batches(shard: int) -> list[Batch]:
        return image_batches(shard, [store.poster_ids[row] for row in store.shard_range(shard)], size=size)

    encode = _image_program(tower, choose("features.level", store.passport["level"], LEVELS), store.passport["image_grid"])
    one = {"images": np.zeros((1, tower.image_size, tower.image_size, 3), np.uint8)}
    return _Side(batches, load, encode, parallel.replicate(cast_kernels(tower)), _row_shapes(encode, tower.params, one))


def _text_side(store: FeatureStore, tower: TextTower, texts: list[str], *, size: int, parallel: DataParallel) -> _Side:
    def load(distinct: list[str]) -> Arrays:
        return _inputs(trim_padding(tower.tokenize(distinct)))

    def count(distinct: list[str]) -> np.ndarray:
        return tower.tokenize(distinct).attention_mask.sum(axis=(1, 2))

    def batches(shard: int) -> list[Batch]:
        return text_batches(shard, [texts[row] for row in store.shard_range(shard)], count, size=size)

    encode = _text_program(tower, choose("features.level", store.passport["level"], LEVELS))
    rows = _row_shapes(encode, tower.params, _inputs(tower.tokenize([""])))
    return _Side(batches, load, encode, parallel.replicate(cast_kernels(tower)), rows)


def _inputs(tokens: Tokens) -> Arrays:
    return {"input_ids": tokens.input_ids, "attention_mask": tokens.attention_mask}


def _row_shapes(encode: Any, params: Any, inputs: Arrays) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the shapes and types that `encode` makes of one item, without computing them."""
    arrays = jax.eval_shape(encode, params, inputs)
    return {name: jax.ShapeDtypeStruct(array.shape[1:], array.dtype) for name, array in arrays.items()}


def encode_images(tower: ImageTower, params: Any, images: jax.Array, *, level: str, image_grid: int) -> Features:
    """Apply the image tower, then average the patch grid down to `image_grid` a side (0: unchanged)."""
    features = tower.forward(params, images, level=level)
    if choose("features.level", level, LEVELS) and image_grid:
        values = pool_grid(features.values, to=image_grid)
        return Features(values, jax.numpy.ones(values.shape[:2], bool))
    return features


# Pooled features and tokens in one program each, so that the compiler runs a tower once for both. A program is kept for the
# next store of the same tower: texts with and without their films' titles.
@functools.lru_cache(maxsize=2)
def _image_program(tower: ImageTower, tokens: bool, image_grid: int) -> Callable[[Any, Any], dict[str, jax.Array]]:
    def encode(params: Any, batch: Any) -> dict[str, jax.Array]:
        arrays = {"image_pooled": tower.forward(params, batch["images"], level="pooled").values}
        if tokens:
            image = encode_images(tower, params, batch["images"], level="tokens", image_grid=image_grid)
            arrays |= {"image_tokens": image.values, "image_tokens_mask": image.mask}
        return arrays

    return jax.jit(encode)


@functools.lru_cache(maxsize=2)
def _text_program(tower: TextTower, tokens: bool) -> Callable[[Any, Any], dict[str, jax.Array]]:
    def encode(params: Any, batch: Any) -> dict[str, jax.Array]:
        inputs = batch["input_ids"], batch["attention_mask"]
        pooled = tower.forward(params, *inputs, level="pooled")
        arrays = {"text_pooled": pooled.values, "text_known": pooled.mask}
        if tokens:
            text = tower.forward(params, *inputs, level="tokens")
            arrays |= {"text_tokens": text.values, "text_tokens_mask": text.mask}
        return arrays

    return jax.jit(encode)


def _index(dataset: "PosterDataset") -> dict[str, tuple[str, int]]:
    """Return poster_id -> (split, row), sorted by poster_id."""
    places = {
        poster_id: (split, i) for split in dataset.splits for i, poster_id in enumerate(dataset.columns(split)["poster_id"])
    }
    return dict(sorted(places.items()))


def _pad(batch: Arrays, size: int) -> Arrays:
    """Repeat the first row up to `size`, so that one compiled program serves the last batch too."""
    short = size - len(next(iter(batch.values())))
    return {name: np.concatenate([a, np.repeat(a[:1], short, axis=0)]) for name, a in batch.items()} if short else batch
