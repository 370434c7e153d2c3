"""Which posters a report shows."""

import re

import numpy as np

from posterfusion_jax.genres import NUM_GENRES
from posterfusion_jax.report.examples import CONFIDENT, EVENLY, choose_examples, file_name


def arrays(films=40, posters=3):
    rng = np.random.default_rng(0)
    n = films * posters
    labels = (rng.random((n, NUM_GENRES)) < 0.2).astype(np.uint8)
    film_ids = np.array([f"tt{i // posters:03d}" for i in range(n)])
    scores = np.where(labels, 0.9, 0.1) + rng.uniform(-0.05, 0.05, (n, NUM_GENRES))
    return {"scores": scores, "labels": labels, "film_ids": film_ids}


def test_surest_posters_of_each_kind_one_a_film():
    found = arrays()
    found["scores"][30:, 0] = np.where(found["labels"][30:, 0], 0.2, 0.6)  # films from the eleventh on: genre 0 is wrong
    found["labels"][60, 0], found["scores"][60, 0] = 0, 0.99
    chosen = choose_examples(found, threshold=0.5, force_top1=False)
    assert chosen.wrong[0] == 60
    assert len(chosen.wrong) == len(chosen.right) == CONFIDENT
    assert max(chosen.right) < 30 <= min(chosen.wrong)
    for rows in chosen:
        assert len(set(found["film_ids"][rows])) == len(rows)
    margins = np.where(found["labels"], found["scores"], 1 - found["scores"]).min(axis=1)
    assert margins[chosen.right].tolist() == sorted(margins[chosen.right], reverse=True)
    assert margins[chosen.right[0]] == margins[:30].max()


def test_even_choice_does_not_look_at_scores():
    found = arrays()
    chosen = choose_examples(found, threshold=0.5, force_top1=False)
    other = choose_examples({**found, "scores": found["scores"][::-1]}, threshold=0.5, force_top1=False)
    assert chosen.evenly == other.evenly
    assert len(chosen.evenly) == EVENLY
    assert {"tt000", "tt039"} <= set(found["film_ids"][chosen.evenly])


def test_nothing_right_or_nothing_wrong():
    found = arrays()
    assert choose_examples(found, threshold=0.5, force_top1=False).wrong == []
    assert choose_examples({**found, "scores": 1 - found["scores"]}, threshold=0.5, force_top1=False).right == []
    few = {name: values[:4] for name, values in found.items()}
    assert choose_examples(few, threshold=0.5, force_top1=False).evenly == [0, 3]


def test_a_card_of_any_poster_id_has_a_plain_file_name():
    assert file_name("tt0133093_1") == "tt0133093_1"
    names = {file_name(name) for name in ("Rome (1990)", "Rome [1990]", "Ro/me", "é" * 200)}
    assert len(names) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,100}", name) for name in names)
