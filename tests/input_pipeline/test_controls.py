"""Controls change what they say and nothing else."""

import numpy as np
import pytest

from posterfusion_jax.errors import InputError
from posterfusion_jax.input_pipeline.ablations import (
    ablate_text,
    mean_image,
    other_film_permutation,
    replace_images,
    replace_texts,
)
from posterfusion_jax.input_pipeline.sources import BatchSource

FILMS = [f"tt{number}" for number, posters in enumerate((5, 1, 3, 2, 4, 1, 2)) for _ in range(posters)]


def numbered(live=False):
    """A source whose every value says the row it is of."""

    def load(rows):
        ones = np.ones((len(rows), 3), int)
        if live:
            images = np.broadcast_to(rows[:, None, None, None], (len(rows), 2, 2, 3)).astype(np.uint8)
            ids = (rows[:, None] * ones)[:, None]
            return {"images": images, "input_ids": ids, "attention_mask": ones[:, None], "use_text": rows % 2 == 0}
        values = (rows[:, None] * ones).astype(np.float16)
        return {"image": values, "image_mask": rows >= 0, "text": values + 1, "text_mask": rows % 2 == 0}

    labels = np.zeros((len(FILMS), 13), np.uint8)
    return BatchSource([f"{film}_{k}" for k, film in enumerate(FILMS)], FILMS, labels, load)


ROWS = np.array([3, 0, 17, 3])


@pytest.mark.parametrize("live", [False, True])
def test_shuffled_text_is_that_of_another_film_and_the_picture_stays(live):
    source = numbered(live)
    batch, own = ablate_text(source, "shuffled").load(ROWS), source.load(ROWS)
    other = other_film_permutation(FILMS)[ROWS]
    theirs = source.load(other)
    assert all(FILMS[a] != FILMS[b] for a, b in zip(ROWS, other, strict=True))
    for name in own:
        np.testing.assert_array_equal(batch[name], (own if name.startswith("image") else theirs)[name])


@pytest.mark.parametrize("live", [False, True])
def test_empty_text_is_masked_text(live):
    source = numbered(live)
    batch, own = ablate_text(source, "empty").load(ROWS), source.load(ROWS)
    mask = "use_text" if live else "text_mask"
    assert own[mask].any()
    assert not batch[mask].any()
    for name in own.keys() - {mask}:
        np.testing.assert_array_equal(batch[name], own[name])


@pytest.mark.parametrize("live", [False, True])
def test_other_texts_of_their_own_leave_the_picture(live):
    source = numbered(live)
    names = ("input_ids", "attention_mask", "use_text") if live else ("text", "text_mask")

    def load_hundreds(rows):
        own = source.load(rows)
        return {name: own[name] if own[name].dtype == bool else 100 * own[name] for name in names}

    reworded = replace_texts(source, load_hundreds)
    batch, own = reworded.load(ROWS), source.load(ROWS)
    for name in own:
        same = name not in names or own[name].dtype == bool
        np.testing.assert_array_equal(batch[name], own[name] if same else 100 * own[name])
    assert (reworded.poster_ids, reworded.film_ids) == (source.poster_ids, source.film_ids)
    shuffled = ablate_text(reworded, "shuffled").load(ROWS)
    np.testing.assert_array_equal(shuffled[names[0]], 100 * source.load(other_film_permutation(FILMS)[ROWS])[names[0]])


def test_texts_of_another_kind_are_refused():
    cached, live = numbered(), numbered(live=True)
    with pytest.raises(AssertionError, match="other entries"):
        replace_texts(cached, live.load).load(ROWS)


@pytest.mark.parametrize("live", [False, True])
def test_mean_picture_takes_the_place_of_each(live):
    source = numbered(live)
    mean = mean_image(source, batch_size=4)
    name = "images" if live else "image"
    everything = source.load(np.arange(len(FILMS)))[name]
    assert mean.dtype == everything.dtype
    expected = everything.astype(float).mean(axis=0)
    np.testing.assert_allclose(mean, np.rint(expected) if live else expected, rtol=1e-3)
    batch = replace_images(source, mean).load(ROWS)
    assert batch[name].shape == everything[ROWS].shape
    assert (batch[name] == mean).all()


def test_other_films_is_a_permutation_without_own_films():
    for seed in range(20):
        films = [f"tt{film}" for film in np.random.default_rng(seed).integers(0, 8, 40)]
        other = other_film_permutation(films)
        assert sorted(other) == list(range(40))
        assert all(films[row] != films[taken] for row, taken in enumerate(other))
    np.testing.assert_array_equal(other_film_permutation(FILMS), other_film_permutation(list(FILMS)))


def test_a_film_with_more_than_half_of_the_posters_is_refused():
    other_film_permutation(["a", "a", "b", "c"])
    with pytest.raises(InputError, match=r"the film a has 3 of the 5 posters"):
        other_film_permutation(["a", "a", "a", "b", "c"])
    with pytest.raises(InputError, match=r"the book a has .* between books needs a split in which no book has"):
        other_film_permutation(["a", "a", "a", "b", "c"], unit="book")
    with pytest.raises(ValueError, match="not one of own, empty, shuffled"):
        ablate_text(numbered(), "none")
