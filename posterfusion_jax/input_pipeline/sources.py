"""Sources of batches: cached features, or pixels and token ids for fine-tuned encoders.

A source loads any rows of its split and has their labels. `batch_order` decides which rows make a batch, so training on either
kind of source has the same order.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped, UInt8

from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset
from posterfusion_jax.datasets.imdb_posters.report import unit_of
from posterfusion_jax.encoders.preprocess import resize_poster
from posterfusion_jax.encoders.tower import ImageTower, TextTower
from posterfusion_jax.features.store import FeatureStore
from posterfusion_jax.features.truncation import print_truncation, truncation_stats
from posterfusion_jax.posters.decode import decode_poster

PIXEL_CACHE_BYTES = 2**30  # bytes of resized posters kept in memory; a larger split is decoded again each epoch

Rows = Int[np.ndarray, " b"]
Inputs = dict[str, Shaped[np.ndarray, "b ..."]]
Loader = Callable[[Rows], Inputs]  # rows of a split -> inputs of the classifier; a pure function


@dataclasses.dataclass(frozen=True, eq=False)
class BatchSource:
    """Hold one split of a dataset.

    Attributes:
      poster_ids: n ids, in row order.
      film_ids: film or other group of each poster, n ids.
      labels: multi-hot.
      load: loads the inputs at any rows of the split.
      unit: what a group is, for messages.
    """

    poster_ids: list[str]
    film_ids: list[str]
    labels: UInt8[np.ndarray, "n g"]
    load: Loader
    unit: str = "film"


def stored_loader(store: FeatureStore, poster_ids: list[str], *, encode_empty: bool) -> Loader:
    """Return a loader of cached features of the posters; a store may hold texts only.

    With `encode_empty` a poster without text has the encoded empty string instead of a missing text.
    """
    row_of = {poster_id: row for row, poster_id in enumerate(store.poster_ids)}
    stored_rows = np.array([row_of[poster_id] for poster_id in poster_ids])

    def load(rows: Rows) -> Inputs:
        arrays = store.read(stored_rows[rows])
        has_text = arrays.pop("has_text") | encode_empty
        arrays["text_mask"] &= has_text.reshape(-1, *[1] * (arrays["text_mask"].ndim - 1))
        return arrays

    return load


class StoredFeatures:
    """Provide the cached features of a dataset, and those of its texts without titles."""

    def __init__(self, dataset: PosterDataset, store: FeatureStore, titleless: FeatureStore | None, *, encode_empty: bool):
        """Provide `store`; see `stored_loader`.

        Args:
          dataset: the dataset of the features.
          store: features of images and texts.
          titleless: features of the texts without titles; None if no method needs them.
          encode_empty: whether a missing text is encoded.
        """
        self._dataset, self._store, self._titleless, self._encode_empty = dataset, store, titleless, encode_empty

    def source(self, split: str) -> BatchSource:
        """Return the features of a split."""
        columns = self._dataset.columns(split)
        load = stored_loader(self._store, columns["poster_id"], encode_empty=self._encode_empty)
        return BatchSource(columns["poster_id"], columns["film_id"], columns["labels"], load, unit_of(self._dataset.report))

    def texts_without_title(self, split: str) -> Loader:
        """Return a loader of the text inputs of a split without the words of their titles."""
        assert self._titleless is not None
        return stored_loader(self._titleless, self._dataset.columns(split)["poster_id"], encode_empty=self._encode_empty)

    def truncation(self, split: str, *, without_title: bool) -> dict[str, Any] | None:
        """Return `features.truncation.truncation_stats` of a split; None if the store did not record them."""
        cut = (self._titleless if without_title and self._titleless is not None else self._store).cut_texts
        if cut is None:
            return None
        posters = self._dataset.columns(split)["poster_id"]
        return truncation_stats(_texts(self._dataset, split, without_title), len(set(cut) & set(posters)))


class LivePosters:
    """Provide pixels and token ids of a dataset, for encoders in the model; each text is tokenized once."""

    def __init__(self, dataset: PosterDataset, image_tower: ImageTower, text_tower: TextTower, *, encode_empty: bool):
        """Provide what the towers encode; with `encode_empty` a missing text is the encoded empty string."""
        self._dataset, self._image_tower, self._text_tower = dataset, image_tower, text_tower
        self._encode_empty = encode_empty
        self._sources: dict[str, BatchSource] = {}
        self._tokens: dict[tuple[str, bool], tuple[Loader, dict[str, Any]]] = {}

    def source(self, split: str) -> BatchSource:
        """Return the posters of a split."""
        if split not in self._sources:
            load_texts, _ = self._tokenize(split, without_title=False)
            load_images = _pixel_loader(self._dataset, split, self._image_tower)
            columns = self._dataset.columns(split)
            self._sources[split] = BatchSource(
                columns["poster_id"],
                columns["film_id"],
                columns["labels"],
                lambda rows: {"images": load_images(rows), **load_texts(rows)},
                unit_of(self._dataset.report),
            )
        return self._sources[split]

    def texts_without_title(self, split: str) -> Loader:
        """Return a loader of the text inputs of a split without the words of their titles."""
        return self._tokenize(split, without_title=True)[0]

    def truncation(self, split: str, *, without_title: bool) -> dict[str, Any]:
        """Return `features.truncation.truncation_stats` of a split."""
        return self._tokenize(split, without_title=without_title)[1]

    def _tokenize(self, split: str, *, without_title: bool) -> tuple[Loader, dict[str, Any]]:
        """Return a loader of token ids and the truncation rate, which is printed once."""
        if (split, without_title) not in self._tokens:
            texts = _texts(self._dataset, split, without_title)
            tokens = self._text_tower.tokenize(texts)
            stats = truncation_stats(texts, int(tokens.truncated.sum()))
            print_truncation(stats, self._text_tower.max_tokens, f"{split} texts{' without titles' if without_title else ''}")
            use_text = np.array([bool(text) or self._encode_empty for text in texts])
            arrays = {"input_ids": tokens.input_ids, "attention_mask": tokens.attention_mask, "use_text": use_text}
            self._tokens[split, without_title] = lambda rows: {name: array[rows] for name, array in arrays.items()}, stats
        return self._tokens[split, without_title]


def _texts(dataset: PosterDataset, split: str, without_title: bool) -> list[str]:
    return dataset.texts_without_title(split) if without_title else dataset.columns(split)["text"]


def _pixel_loader(dataset: PosterDataset, split: str, tower: ImageTower) -> Callable[[Rows], UInt8[np.ndarray, "b s s 3"]]:
    """Return a loader of resized posters, which are kept in memory if they fit."""
    posters, count = dataset.splits[split], len(dataset.columns(split)["poster_id"])
    shape = (count, tower.image_size, tower.image_size, 3)
    kept = np.empty(shape, np.uint8) if np.prod(shape) <= PIXEL_CACHE_BYTES else None
    known = np.zeros(count, bool)

    def load_one(row: int) -> UInt8[np.ndarray, "s s 3"]:
        if kept is not None and known[row]:
            return kept[row]
        pixels = resize_poster(decode_poster(posters[row]["image"]), size=tower.image_size, how=tower.resize)
        if kept is not None:
            kept[row] = pixels
            known[row] = True
        return pixels

    return lambda rows: np.stack([load_one(row) for row in rows.tolist()])
