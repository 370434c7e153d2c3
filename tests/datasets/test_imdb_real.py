"""Real posters, where a developer has them: everything is joined, films do not leak, genres keep their shares."""

import numpy as np
import pytest

from posterfusion_jax.datasets.imdb_posters.inputs import collect_inputs
from posterfusion_jax.datasets.imdb_posters.options import BuildOptions
from posterfusion_jax.datasets.imdb_posters.prepare import prepare, read_labels
from posterfusion_jax.datasets.imdb_posters.report import make_report
from posterfusion_jax.datasets.imdb_posters.splits import leak_share, split_posters
from posterfusion_jax.datasets.sources.imdb_folder import ImdbFolderSource
from posterfusion_jax.genres import GENRES
from posterfusion_jax.ocr.text.line_filters import NO_RULES

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def posters_by_split(shared_dir):
    """The rows, split by film; joined once, as decoding 4,499 images takes a while."""
    options = BuildOptions()
    inputs = collect_inputs(ImdbFolderSource(shared_dir / "posters"), options)
    return prepare(read_labels(inputs, options), options)


@pytest.fixture(scope="module")
def report(posters_by_split):
    return make_report(posters_by_split, config="by_film", text_rules=NO_RULES)


def test_all_posters_but_two_mistaken_ones_are_rows(report):
    assert sum(split["posters"] for split in report["splits"].values()) == 4497
    # one file stands for Seven and for Seven Samurai
    assert {kind: found["count"] for kind, found in report["left_out"].items()} == {"same bytes, other film": 2}
    assert sum(split["ocr"]["ok"] for split in report["splits"].values()) > 3800


def test_only_the_split_by_poster_leaks(posters_by_split, report):
    assert report["leak_share"] == 0.0
    posters = [poster for rows in posters_by_split.splits.values() for poster in rows]
    by_poster = []
    for seed in range(10):
        split_of = split_posters([poster.poster_id for poster in posters], seed=seed)
        by_poster.append(leak_share({s: [p for p in posters if split_of[p.poster_id] == s] for s in set(split_of.values())}))
    np.testing.assert_allclose(np.mean(by_poster), 0.91, atol=0.02)  # expected: the mean of 1 - 0.2^(siblings)


def test_the_split_by_film_keeps_the_shares_of_every_genre(report):
    splits = report["splits"]
    posters = {name: split["posters"] for name, split in splits.items()}
    np.testing.assert_allclose([posters[name] / 4497 for name in ("validation", "test")], 0.1, atol=0.01)
    for genre in GENRES:
        shares = [split["genres"][genre]["posters"] / split["posters"] for split in splits.values()]
        assert max(shares) - min(shares) < 0.03, genre
