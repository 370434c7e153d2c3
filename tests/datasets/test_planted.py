"""The planted probabilities: that draws follow them, and that the posterior undoes them exactly."""

import json

import numpy as np
import pytest

from posterfusion_jax.datasets.synthetic import oracle
from posterfusion_jax.genres import GENRES, NUM_GENRES


@pytest.fixture(scope="module")
def draws() -> tuple[np.ndarray, oracle.Cues]:
    """Genres and cues of 6000 independent films."""
    rng = np.random.default_rng(0)
    genres = np.array([oracle.draw_genres(rng) for _ in range(6000)])
    cues = [oracle.draw_cues(rng, row) for row in genres]
    return genres, oracle.Cues(np.array([c.picture for c in cues]), np.array([c.words for c in cues]))


def test_genre_shares_are_those_of_the_papers_table_iv(shared_dir):
    table = json.loads((shared_dir / "paper" / "tables.json").read_text())["confusion_reconstructed"]
    for genre, counts in table["per_genre"].items():
        share = (counts["tp"] + counts["fn"]) / table["num_test_posters"]
        assert oracle.GENRE_SHARES[genre] == pytest.approx(share, abs=6e-4), genre


def test_genre_sets_have_the_wanted_shares_and_sizes():
    sets = oracle.genre_sets()
    assert sets.labels.shape == (13 + 78 + 286, NUM_GENRES)
    assert sets.probability.sum() == pytest.approx(1)
    wanted = np.array([oracle.GENRE_SHARES[genre] for genre in GENRES])
    np.testing.assert_allclose(sets.probability @ sets.labels, wanted, atol=2e-3)
    for size, share in oracle.NUMBER_OF_GENRES.items():
        assert sets.probability[sets.labels.sum(1) == size].sum() == pytest.approx(share)


def test_drawn_genres_follow_the_shares(draws):
    genres, _ = draws
    wanted = np.array([oracle.GENRE_SHARES[genre] for genre in GENRES])
    np.testing.assert_allclose(genres.mean(0), wanted, atol=0.025)  # 4 standard errors at a share of one half
    assert set(genres.sum(1)) == {1, 2, 3}


def test_drawn_cues_follow_their_probabilities(draws):
    genres, (picture, words) = draws
    present = genres.sum()
    assert (picture & ~words)[genres].sum() / present == pytest.approx(oracle.PICTURE_ONLY, abs=0.02)
    assert (words & ~picture)[genres].sum() / present == pytest.approx(oracle.WORDS_ONLY, abs=0.02)
    assert (words & picture)[genres].sum() / present == pytest.approx(oracle.BOTH, abs=0.02)
    assert not (~words & ~picture)[genres].any()  # every genre of the film is shown somehow
    for false in (picture[~genres], words[~genres]):
        assert false.mean() == pytest.approx(oracle.FALSE_CUE, abs=0.003)


def test_probabilities_add_up():
    for shares in (oracle.NUMBER_OF_GENRES, oracle.NUMBER_OF_POSTERS):
        assert sum(shares.values()) == pytest.approx(1)
    assert sum((oracle.PICTURE_ONLY, oracle.WORDS_ONLY, oracle.BOTH)) == pytest.approx(1)
    assert sum(k * share for k, share in oracle.NUMBER_OF_POSTERS.items()) == pytest.approx(13_882 / 4_464, abs=0.02)


@pytest.mark.parametrize("known", [{}, {"use_words": False}, {"use_picture": False}])
def test_posterior_is_calibrated(draws, known):
    genres, cues = draws
    posterior = oracle.posterior(cues, **known)
    assert posterior.shape == genres.shape
    assert posterior.min() >= 0
    assert posterior.max() <= 1
    for low, high in ((0.0, 0.05), (0.05, 0.3), (0.3, 0.7), (0.7, 0.95), (0.95, 1.01)):
        inside = (posterior >= low) & (posterior < high)
        if inside.sum() > 200:
            assert genres[inside].mean() == pytest.approx(posterior[inside].mean(), abs=0.05)


def test_posterior_knows_what_is_certain():
    nothing = np.zeros((1, NUM_GENRES), bool)
    three = nothing.copy()
    three[0, :3] = True
    sure = oracle.posterior(oracle.Cues(three, three))
    assert (sure[0, :3] > 0.99).all()
    assert (sure[0, 3:] == 0).all()  # a genre of the film is always shown
    prior = oracle.posterior(oracle.Cues(three, three), use_picture=False, use_words=False)
    sets = oracle.genre_sets()
    np.testing.assert_allclose(prior[0], sets.probability @ sets.labels)


def test_best_thresholds_are_the_best_of_all():
    """Against a search over every threshold, with the expected F1 as documented."""
    probabilities = np.random.default_rng(1).beta(0.5, 1.5, (40, NUM_GENRES)).round(1)  # with many ties
    chosen = oracle.best_thresholds(probabilities)

    def expected_f1(threshold: float, p: np.ndarray) -> float:
        called = p > threshold
        return 2 * p[called].sum() / max(called.sum() + p.sum(), 1e-9)

    for g in range(NUM_GENRES):
        p = probabilities[:, g]
        assert expected_f1(chosen[g], p) == pytest.approx(max(expected_f1(t, p) for t in np.linspace(-0.05, 0.95, 21)))
    assert ((chosen >= 0) & (chosen <= 1)).all()
