"""Sources of batches: cached features, or pixels and token ids for fine-tuned encoders.

A source implements `load(rows)` for any rows of its split and has their labels. `batch_order` decides which rows make a
batch, so training on either kind of source has the same order.
"""

from typing import Protocol

import numpy as np

from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset
from posterfusion_jax.encoders.preprocess import resize_poster
from posterfusion_jax.encoders.tower import ImageTower, TextTower
from posterfusion_jax.features.store import FeatureStore
from posterfusion_jax.posters.decode import decode_poster

PIXEL_CACHE_BYTES = 2**30  # bytes of resized posters kept in memory; a larger split is decoded again each epoch


class BatchSource(Protocol):
    """Load batches of one split of a dataset.

    Attributes:
      poster_ids: n ids, in row order.
      film_ids: film of each poster, n ids.
      labels: uint8 [n, g] with g = NUM_GENRES.
    """

    poster_ids: list[str]
    film_ids: list[str]
    labels: np.ndarray

    def load(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the classifier's inputs at `rows` [b], each [b, ...]; a pure function of `rows`."""
        ...


class _Split:
    """Hold the columns of a split, shared by both kinds of source."""

    def __init__(self, dataset: PosterDataset, split: str):
        columns = dataset.columns(split)
        self.poster_ids: list[str] = columns["poster_id"]
        self.film_ids: list[str] = columns["film_id"]
        self.labels: np.ndarray = columns["labels"]
        self.texts: list[str] = columns["text"]


class Texts(Protocol):
    """Load the text entries of `BatchSource.load` for replacement texts."""

    def load(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the classifier's text inputs at `rows` [b] of the split."""
        ...


class StoredFeatures:
    """Load cached features of a whole store, which may hold texts only.

    With `encode_empty` a poster without text has the encoded empty string instead of a missing text.
    """

    def __init__(self, poster_ids: list[str], store: FeatureStore, *, encode_empty: bool):
        row_of = {poster_id: row for row, poster_id in enumerate(store.poster_ids)}
        self._rows = np.array([row_of[poster_id] for poster_id in poster_ids])
        self._store = store
        self._encode_empty = encode_empty

    def load(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the stored features at `rows` [b] of the split."""
        arrays = self._store.read(self._rows[rows])
        has_text = arrays.pop("has_text") | self._encode_empty
        arrays["text_mask"] &= has_text.reshape(-1, *[1] * (arrays["text_mask"].ndim - 1))
        return arrays


class FeatureSource(_Split):
    """Load cached features of images and texts of a split."""

    def __init__(self, dataset: PosterDataset, split: str, store: FeatureStore, *, encode_empty: bool):
        super().__init__(dataset, split)
        self._features = StoredFeatures(self.poster_ids, store, encode_empty=encode_empty)

    def load(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the features at `rows`; see `BatchSource.load`."""
        return self._features.load(rows)


class TokenTexts:
    """Load token ids for a text encoder in the model.

    Attributes:
      truncated: number of texts that lost tokens to the limit.
    """

    def __init__(self, texts: list[str], text_tower: TextTower, *, encode_empty: bool):
        self._tokens = text_tower.tokenize(texts)
        self._use_text = np.array([bool(text) or encode_empty for text in texts])
        self.truncated = int(self._tokens.truncated.sum())

    def load(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the token ids at `rows` [b] of the split."""
        return {
            "input_ids": self._tokens.input_ids[rows],
            "attention_mask": self._tokens.attention_mask[rows],
            "use_text": self._use_text[rows],
        }


class PosterSource(_Split):
    """Load pixels and token ids for encoders in the model; resized pixels are kept in memory if they fit."""

    def __init__(
        self, dataset: PosterDataset, split: str, image_tower: ImageTower, text_tower: TextTower, *, encode_empty: bool
    ):
        super().__init__(dataset, split)
        self._posters = dataset.splits[split]
        self._size, self._resize = image_tower.image_size, image_tower.resize
        self._texts = TokenTexts(self.texts, text_tower, encode_empty=encode_empty)
        self.truncated = self._texts.truncated
        shape = (len(self.texts), self._size, self._size, 3)
        self._pixels = np.empty(shape, np.uint8) if np.prod(shape) <= PIXEL_CACHE_BYTES else None
        self._known = np.zeros(len(self.texts), bool)

    def load(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return pixels and token ids at `rows`; see `BatchSource.load`."""
        return {"images": np.stack([self._image(row) for row in rows]), **self._texts.load(rows)}

    def _image(self, row: int) -> np.ndarray:
        if self._pixels is not None and self._known[row]:
            return self._pixels[row]
        image = decode_poster(self._posters[row]["image"])
        pixels = resize_poster(image, size=self._size, how=self._resize)
        if self._pixels is not None:
            self._pixels[row] = pixels
            self._known[row] = True
        return pixels
