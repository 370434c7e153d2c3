"""Input ablations: posters without text, without the title, with the text of another group, or without the image."""

import dataclasses

import numpy as np
from jaxtyping import Int, Shaped

from posterfusion_jax.config.choices import TEXTS
from posterfusion_jax.errors import InputError
from posterfusion_jax.input_pipeline.sources import BatchSource, Inputs, Loader, Rows
from posterfusion_jax.metrics.multilabel import group_by_film
from posterfusion_jax.utils.choose import choose
from posterfusion_jax.utils.rng import generator_for

SHUFFLE_SEED = 0  # one shuffle for all systems and seeds, so that they can be compared pair by pair

_TEXT = ("text", "text_mask", "input_ids", "attention_mask", "use_text")  # entries of a batch that depend on the text
_USE_TEXT = ("text_mask", "use_text")


def replace_texts(source: BatchSource, load_texts: Loader) -> BatchSource:
    """Return the source with other texts; its images are unchanged.

    Args:
      source: the source to change.
      load_texts: loads the text inputs at rows of the same split.
    """

    def load(rows: Rows) -> Inputs:
        batch, texts = source.load(rows), load_texts(rows)
        assert texts.keys() == batch.keys() & set(_TEXT), "the texts have other entries than the source"
        return batch | texts

    return dataclasses.replace(source, load=load)


def ablate_text(source: BatchSource, text: str) -> BatchSource:
    """Return the source with its texts removed or shuffled.

    Args:
      source: the source to ablate.
      text: "own": unchanged; "empty": no text; "shuffled": the text of a poster of another group of the split.

    Raises:
      ValueError: an unknown `text`.
      InputError: "shuffled" where one group has more than half of the posters.
    """
    if text not in TEXTS:
        raise ValueError(f"text={text!r} is not one of {', '.join(TEXTS)}.")
    if choose("data.text_control", text, {"own": True, "empty": False, "shuffled": False}):
        return source
    other = other_film_permutation(source.film_ids, unit=source.unit) if text == "shuffled" else None

    def load(rows: Rows) -> Inputs:
        batch = source.load(rows)
        if other is None:
            return batch | {name: np.zeros_like(batch[name]) for name in _USE_TEXT if name in batch}
        others = source.load(other[rows])
        return batch | {name: others[name] for name in _TEXT if name in others}

    return dataclasses.replace(source, load=load)


def replace_images(source: BatchSource, image: Shaped[np.ndarray, "..."]) -> BatchSource:
    """Return the source with one image in place of the image of each poster; see `mean_image`."""

    def load(rows: Rows) -> Inputs:
        batch = source.load(rows)
        name = _image_of(batch)
        return batch | {name: np.broadcast_to(image, batch[name].shape)}

    return dataclasses.replace(source, load=load)


def other_film_permutation(film_ids: list[str], *, unit: str = "film") -> Int[np.ndarray, " n"]:
    """Return a permutation that maps every poster to a poster of another film or group; the same for the same groups.

    Args:
      film_ids: the group of each poster.
      unit: what a group is, for messages.

    Raises:
      InputError: one group has more than half of the posters.
    """
    films, film_of = group_by_film(film_ids, len(film_ids))
    counts = np.bincount(film_of)
    if 2 * counts.max() > len(film_ids):
        raise InputError(
            f"the {unit} {films[int(counts.argmax())]} has {counts.max()} of the {len(film_ids)} posters of a split; a shuffle "
            f"between {unit}s needs a split in which no {unit} has more than half."
        )
    rng = generator_for(SHUFFLE_SEED, "other films")
    place_of_film = rng.permutation(len(films))
    order = np.lexsort((rng.random(len(film_ids)), place_of_film[film_of]))  # grouped by film, films in random order
    other = np.empty(len(order), int)
    other[order] = np.roll(order, -int(counts.max()))  # a shift of at least the size of any film
    return other


def mean_image(source: BatchSource, *, batch_size: int = 256) -> Shaped[np.ndarray, "..."]:
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


def _image_of(batch: Inputs) -> str:
    return "images" if "images" in batch else "image"
