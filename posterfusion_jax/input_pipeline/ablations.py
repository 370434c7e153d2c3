"""Input ablations: posters without text, without the title, with the text of another film, or without the image."""

from typing import TYPE_CHECKING

import numpy as np

from posterfusion_jax.config.choices import TEXTS
from posterfusion_jax.errors import InputError
from posterfusion_jax.metrics.multilabel import group_by_film
from posterfusion_jax.utils.choose import choose
from posterfusion_jax.utils.rng import generator_for

if TYPE_CHECKING:  # not every user of this module opens a dataset
    from posterfusion_jax.input_pipeline.sources import BatchSource, Texts

SHUFFLE_SEED = 0  # one shuffle for all systems and seeds, so that they can be compared pair by pair

_TEXT = ("text", "text_mask", "input_ids", "attention_mask", "use_text")  # entries of a batch that depend on the text
_USE_TEXT = ("text_mask", "use_text")


class TextOverrideSource:
    """Replace the texts of a source; its images are unchanged.

    Attributes:
      poster_ids: ids of the wrapped source.
      film_ids: film ids of the wrapped source.
      labels: labels of the wrapped source.
    """

    def __init__(self, source: "BatchSource", texts: "Texts"):
        self.poster_ids, self.film_ids, self.labels = source.poster_ids, source.film_ids, source.labels
        self._source, self._texts = source, texts

    def load(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the batch of the source with the replaced texts; see `BatchSource.load`."""
        batch, texts = self._source.load(rows), self._texts.load(rows)
        assert texts.keys() == batch.keys() & set(_TEXT), "the texts have other entries than the source"
        return batch | texts


class AblatedSource:
    """Remove or shuffle the texts of a source, or replace its images by a mean image.

    Attributes:
      poster_ids: ids of the wrapped source.
      film_ids: film ids of the wrapped source.
      labels: labels of the wrapped source.
    """

    def __init__(self, source: "BatchSource", *, text: str = "own", mean_image: np.ndarray | None = None):
        """Wrap `source`.

        Args:
          source: the source to ablate.
          text: "own"; "empty": no text; "shuffled": the text of a poster of another film of the split.
          mean_image: replaces the image of each poster, see `mean_image`; None keeps the images.

        Raises:
          ValueError: an unknown `text`.
          InputError: "shuffled" where one film has more than half of the posters.
        """
        if text not in TEXTS:
            raise ValueError(f"text={text!r} is not one of {', '.join(TEXTS)}.")
        shuffled = choose("data.text_control", text, {"own": False, "empty": False, "shuffled": True})
        self.poster_ids, self.film_ids, self.labels = source.poster_ids, source.film_ids, source.labels
        self._source, self._text, self._mean_image = source, text, mean_image
        self._other = other_film_permutation(source.film_ids) if shuffled else None

    def load(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the ablated batch; see `BatchSource.load`."""
        batch = self._source.load(rows)
        if self._other is not None:
            others = self._source.load(self._other[rows])
            batch |= {name: others[name] for name in _TEXT if name in others}
        if self._text == "empty":
            batch |= {name: np.zeros_like(batch[name]) for name in _USE_TEXT if name in batch}
        if self._mean_image is not None:
            name = _image_of(batch)
            batch[name] = np.broadcast_to(self._mean_image, batch[name].shape)
        return batch


def other_film_permutation(film_ids: list[str]) -> np.ndarray:
    """Return a permutation [n] that maps every poster to a poster of another film; the same for the same films.

    Raises:
      InputError: one film has more than half of the posters.
    """
    films, film_of = group_by_film(film_ids, len(film_ids))
    counts = np.bincount(film_of)
    if 2 * counts.max() > len(film_ids):
        raise InputError(
            f"the film {films[int(counts.argmax())]} has {counts.max()} of the {len(film_ids)} posters of a split; a shuffle "
            "between films needs a split in which no film has more than half."
        )
    rng = generator_for(SHUFFLE_SEED, "other films")
    place_of_film = rng.permutation(len(films))
    order = np.lexsort((rng.random(len(film_ids)), place_of_film[film_of]))  # grouped by film, films in random order
    other = np.empty(len(order), int)
    other[order] = np.roll(order, -int(counts.max()))  # a shift of at least the size of any film
    return other


def mean_image(source: "BatchSource", *, batch_size: int = 256) -> np.ndarray:
    """Return the mean image of a source: features [d] or [l, d], or pixels uint8 [s, s, 3]."""
    total, n = None, len(source.labels)
    for start in range(0, n, batch_size):
        batch = source.load(np.arange(start, min(start + batch_size, n)))
        part = batch[_image_of(batch)].astype(np.float64).sum(axis=0)
        total = part if total is None else total + part
        dtype = batch[_image_of(batch)].dtype
    assert total is not None
    mean = total / n
    return (np.rint(mean) if dtype == np.uint8 else mean).astype(dtype)


def _image_of(batch: dict[str, np.ndarray]) -> str:
    return "images" if "images" in batch else "image"
