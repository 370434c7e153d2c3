"""Plant the link between drawn posters and their genres, and compute how well it can be inferred.

Every genre of a film is shown on each of its posters: by a picture motif, by words, or by both. Occasionally a motif or
a word of another genre appears as well. As these probabilities are known, so is the best possible decision.
"""

import functools
import itertools
from typing import NamedTuple

import numpy as np

from posterfusion_jax.genres import GENRES, NUM_GENRES

# The share of posters with each genre among the 1470 test posters of the paper (true positives and false negatives of
# its Table IV): 2.8 genres per poster.
GENRE_SHARES = {
    "action": 0.424,
    "adventure": 0.337,
    "animation": 0.114,
    "biography": 0.075,
    "comedy": 0.282,
    "crime": 0.207,
    "drama": 0.441,
    "fantasy": 0.105,
    "horror": 0.178,
    "mystery": 0.154,
    "romance": 0.124,
    "sci-fi": 0.129,
    "thriller": 0.252,
}
NUMBER_OF_GENRES = {1: 0.03, 2: 0.12, 3: 0.85}  # shares of films; 2.82 on average, as the shares above add up to
NUMBER_OF_POSTERS = {1: 0.10, 2: 0.22, 3: 0.30, 4: 0.24, 5: 0.14}  # shares of films; 3.1 on average, as in the paper
PICTURE_ONLY, WORDS_ONLY, BOTH = 0.3, 0.3, 0.4  # how a genre of the film is shown on one poster
FALSE_CUE = 0.02  # probability of a motif, and of a word, of a genre that the film does not have


class GenreSets(NamedTuple):
    """Hold every set of genres a film can have: `labels` bool [s, 13] and its probability [s]."""

    labels: np.ndarray
    probability: np.ndarray


class Cues(NamedTuple):
    """Hold which genres are shown by a motif and by words: bool [13] each, or [n, 13] for n posters."""

    picture: np.ndarray
    words: np.ndarray


@functools.cache
def genre_sets() -> GenreSets:
    """Return the distribution of a film's genres with the wanted number of genres and share of each.

    Given their number, a set of genres has a probability proportional to the product of its genres' weights (the
    distribution of greatest entropy); the weights are found by iterative proportional fitting.
    """
    sets = [chosen for size in NUMBER_OF_GENRES for chosen in itertools.combinations(range(NUM_GENRES), size)]
    labels = np.array([np.isin(np.arange(NUM_GENRES), chosen) for chosen in sets])
    number = labels.sum(1)
    wanted = np.array([GENRE_SHARES[genre] for genre in GENRES])
    wanted *= sum(size * share for size, share in NUMBER_OF_GENRES.items()) / wanted.sum()
    weight = wanted.copy()
    probability = np.zeros(len(sets))
    for _ in range(200):
        product = np.where(labels, weight, 1.0).prod(1)
        for size, share in NUMBER_OF_GENRES.items():
            of_size = number == size
            probability[of_size] = share * product[of_size] / product[of_size].sum()
        weight *= wanted / (probability @ labels)
    return GenreSets(labels, probability / probability.sum())


def draw_genres(rng: np.random.Generator) -> np.ndarray:
    """Draw the genres of one film, bool [13]."""
    sets = genre_sets()
    return sets.labels[rng.choice(len(sets.labels), p=sets.probability)]


def draw_number_of_posters(rng: np.random.Generator) -> int:
    """Draw the number of posters of one film, 1 to 5."""
    return int(rng.choice(list(NUMBER_OF_POSTERS), p=list(NUMBER_OF_POSTERS.values())))


def draw_cues(rng: np.random.Generator, genres: np.ndarray) -> Cues:
    """Draw which genres one poster of a film with `genres` (bool [13]) shows, and how."""
    way = rng.random(NUM_GENRES)
    false = rng.random((2, NUM_GENRES)) < FALSE_CUE
    picture = np.where(genres, (way < PICTURE_ONLY) | (way >= PICTURE_ONLY + WORDS_ONLY), false[0])
    words = np.where(genres, way >= PICTURE_ONLY, false[1])
    return Cues(picture, words)


def posterior(cues: Cues, *, use_picture: bool = True, use_words: bool = True) -> np.ndarray:
    """Return the probability of each genre given a poster's cues: Bayes' rule over all sets of genres, exact.

    Args:
      cues: of n posters, bool [n, 13] each.
      use_picture: whether the motifs are known.
      use_words: whether the words are known.

    Returns:
      float64 [n, 13]. With neither known it is the prior.
    """
    shown = np.array([[0.0, WORDS_ONLY], [PICTURE_ONLY, BOTH]])  # [picture, words] of a genre that the film has
    false = np.array([1 - FALSE_CUE, FALSE_CUE])
    not_shown = np.outer(false, false)
    picture, words = cues.picture.astype(int), cues.words.astype(int)
    if not use_picture:
        shown, not_shown, picture = shown.sum(0, keepdims=True), not_shown.sum(0, keepdims=True), np.zeros_like(words)
    if not use_words:
        shown, not_shown, words = shown.sum(1, keepdims=True), not_shown.sum(1, keepdims=True), np.zeros_like(picture)
    present, absent = shown[picture, words], not_shown[picture, words]
    sets = genre_sets()
    likelihood = np.where(sets.labels, present[:, None, :], absent[:, None, :]).prod(-1)
    joint = likelihood * sets.probability
    return joint @ sets.labels / joint.sum(1, keepdims=True)


def best_thresholds(probabilities: np.ndarray) -> np.ndarray:
    """Return per genre the threshold with the greatest expected F1: a poster strictly above it has the genre.

    The expected F1 of calling the k likeliest posters is taken as 2 * (sum of their probabilities) / (k + sum of all), the
    ratio of the expectations; no label is looked at.

    Args:
      probabilities: calibrated, float64 [n, 13].

    Returns:
      float64 [13], each halfway between two probabilities that occur, or below the least.
    """
    ordered = -np.sort(-probabilities, axis=0)
    called = np.arange(1, len(ordered) + 1)[:, None]
    expected = 2 * ordered.cumsum(0) / (called + ordered.sum(0))
    next_one = np.vstack([ordered[1:], np.zeros((1, ordered.shape[1]))])
    expected = np.where(ordered - next_one > 1e-9, expected, -1.0)  # posters with equal probabilities share a decision
    best = expected.argmax(0)[None]
    return (np.take_along_axis(ordered, best, 0)[0] + np.take_along_axis(next_one, best, 0)[0]) / 2
