"""Results files without a training: random scores that know more or less of the labels."""

import numpy as np

from posterfusion_jax.evaluation.results import FORMAT, write_results

FILMS = [f"tt{i // 2}" for i in range(60)]  # 30 films of 2 posters
LABELS = np.repeat(np.random.default_rng(0).random((30, 13)) < 0.3, 2, axis=0).astype(np.uint8)
TUNED_PER_GENRE = np.linspace(0.3, 0.6, 13).tolist()


def write_run(folder, *, seed=0, strength=0.5, model="fusion", split="test", hidden=16, **changes):
    """A workdir as far as its results: scores that know the more of the labels, the higher `strength` is."""
    rng = np.random.default_rng([seed, int(100 * strength)])
    scores = np.clip(strength * LABELS + rng.random(LABELS.shape) * 0.7, 0, 1).astype(np.float32)
    results = {
        "format": FORMAT,
        "split": split,
        "seed": seed,
        "model": model,
        "checkpoint": {"epoch": 7 + seed, "monitor": "f1_macro"},
        "evaluate": {"force_top1": False},
        "dataset": {"row_hash": "abcdef0123", "split": {"rule": "by film", "seed": 0}, "posters": {"train": 400, "test": 60}},
        "encoders": {"image": {"source": f"scratch, seed {seed}"}, "text": {"source": "minilm"}},
        "config": {"seed": seed, "model": {"dim": hidden}, "train": {"schedule": "constant"}},
        "thresholds": {"fixed": 0.5, "tuned": 0.4, "tuned_per_genre": TUNED_PER_GENRE},
        **changes,
    }
    arrays = {"poster_ids": np.array([f"{film}_{i}" for i, film in enumerate(FILMS)]), "film_ids": np.array(FILMS)}
    arrays |= {"scores": scores, "labels": LABELS, "control_text_empty": scores * np.float32(0.8)}
    write_results(folder / "results", split, results, arrays)
    return scores
