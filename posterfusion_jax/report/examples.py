"""Example posters of a report: selection and cards."""

import hashlib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset
from posterfusion_jax.genres import decode_genres
from posterfusion_jax.metrics.thresholds import apply_thresholds
from posterfusion_jax.posters.decode import decode_poster
from posterfusion_jax.report.page import Card, Table

EVENLY, CONFIDENT = 8, 4  # posters of each kind
_JPEG = (360, 540)  # pixels, at most
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_-]")
_LISTED = 5  # maximum number of genres on a card; true and predicted ones first
_CONTROLS = {"control_text_empty": "no text", "control_image_mean": "no picture"}


class Examples(NamedTuple):
    """Hold rows of a split, with at most one poster per film within a kind.

    Attributes:
      evenly: at even distances over the films in the order of their ids, independent of the predictions.
      right: all genres right, most confident first (by the genre with the least confidence).
      wrong: a wrong genre predicted, most confident first.
    """

    evenly: list[int]
    right: list[int]
    wrong: list[int]


def choose_examples(arrays: Mapping[str, np.ndarray], *, threshold: float, force_top1: bool) -> Examples:
    """Select the posters to show: an unbiased sample, the best and the worst predictions.

    Args:
      arrays: arrays of the scores file (`results.write_results`): scores [n, g], labels multi-hot [n, g], film_ids [n].
      threshold: see `metrics.thresholds.apply_thresholds`.
      force_top1: see `metrics.thresholds.apply_thresholds`.
    """
    scores, labels, film_ids = arrays["scores"], arrays["labels"], arrays["film_ids"]
    decided = apply_thresholds(scores, threshold, force_top1=force_top1)
    _, first = np.unique(film_ids, return_index=True)
    evenly = first[np.unique(np.linspace(0, len(first) - 1, EVENLY).round().astype(int))]
    true = labels.astype(bool)
    right = (decided == true).all(axis=1)
    margin = np.where(true, scores, 1 - scores).min(axis=1)
    wrong_confidence = np.where(decided & ~true, scores, 0).max(axis=1)
    return Examples(
        evenly.tolist(),
        _one_per_film(np.argsort(-margin, kind="stable"), right, film_ids),
        _one_per_film(np.argsort(-wrong_confidence, kind="stable"), wrong_confidence > 0, film_ids),
    )


def _one_per_film(order: np.ndarray, wanted: np.ndarray, film_ids: np.ndarray) -> list[int]:
    chosen: dict[str, int] = {}
    for row in order[wanted[order]].tolist():
        chosen.setdefault(str(film_ids[row]), row)
        if len(chosen) == CONFIDENT:
            break
    return list(chosen.values())


def make_cards(
    rows: Iterable[int],
    arrays: Mapping[str, np.ndarray],
    dataset: PosterDataset,
    split: str,
    *,
    threshold: float,
    force_top1: bool,
    genres: Sequence[str],
) -> list[Card]:
    """Return one card per row: poster, true and predicted genres, scores with and without text and image, and the words.

    Args:
      rows: rows of the split.
      arrays: arrays of the scores file (`results.write_results`).
      dataset: dataset of the posters.
      split: name of the split.
      threshold: see `metrics.thresholds.apply_thresholds`.
      force_top1: see `metrics.thresholds.apply_thresholds`.
      genres: g names of the columns.
    """
    decided = apply_thresholds(arrays["scores"], threshold, force_top1=force_top1)
    return [_card(row, arrays, decided[row], dataset, split, genres) for row in rows]


def _card(
    row: int,
    arrays: Mapping[str, np.ndarray],
    decided: np.ndarray,
    dataset: PosterDataset,
    split: str,
    genres: Sequence[str],
) -> Card:
    poster = dataset.row(split, row)
    true, predicted = decode_genres(arrays["labels"][row], genres), decode_genres(decided, genres)
    scores = arrays["scores"][row]
    ranked = sorted(range(len(genres)), key=lambda g: (genres[g] not in (*true, *predicted), -scores[g]))[:_LISTED]
    changed = {title: arrays[name][row] for name, title in _CONTROLS.items() if name in arrays}
    table = Table(
        ("genre", "score", *changed),
        [[genres[g], f"{scores[g]:.2f}", *(f"{values[g]:.2f}" for values in changed.values())] for g in ranked],
    )
    year = f" ({poster['year']})" if poster["year"] > 0 else ""
    return Card(
        name=file_name(poster["poster_id"]),
        jpeg=small_jpeg(poster["image"]),
        title=poster["title"] + year,
        mark=_mark(set(true), set(predicted)),
        facts=(("true", ", ".join(true)), ("predicted", ", ".join(predicted) or "none")),
        table=table,
        quote=_shorten(poster["text"]),
    )


def _mark(true: set[str], predicted: set[str]) -> str:
    if true == predicted:
        return "right"
    return "partly" if true & predicted else "wrong"


def file_name(poster_id: str) -> str:
    """Return the poster's id as a file name; one with characters other than letters, digits, "_" and "-" gets a hash."""
    plain = _NOT_PLAIN.sub("_", poster_id)
    return plain if plain == poster_id else f"{plain[:80]}_{hashlib.sha256(poster_id.encode()).hexdigest()[:8]}"


def small_jpeg(image: bytes) -> bytes:
    """Return a poster as a JPEG of at most 360 x 540 pixels."""
    picture = decode_poster(image)
    picture.thumbnail(_JPEG)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82)
    return buffer.getvalue()


def _shorten(text: str, limit: int = 160) -> str:
    return text if len(text) <= limit else text[:limit].rsplit(" ", 1)[0] + " ..."
