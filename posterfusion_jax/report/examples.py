"""Which posters a report shows, and what it says of each."""

import io
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
_LISTED = 5  # genres on a card, at most; true and predicted ones first
_CONTROLS = {"control_text_empty": "no text", "control_image_mean": "no picture"}


class Examples(NamedTuple):
    """Rows of a split, no film twice within a kind.

    Attributes:
      evenly: at even distances over the films in the order of their ids, whatever is predicted.
      right: all genres right, the surest first (the genre nearest to the threshold decides).
      wrong: a wrong genre predicted, the surest first.
    """

    evenly: list[int]
    right: list[int]
    wrong: list[int]


def choose_examples(arrays: Mapping[str, np.ndarray], *, threshold: float, force_top1: bool) -> Examples:
    """The posters to show: a fair sample, the best and the worst.

    Args:
      arrays: of the scores file (`evaluate.write_results`): scores [n, 13], labels multi-hot [n, 13], film_ids [n].
      threshold, force_top1: see `metrics.thresholds.apply_thresholds`.
    """
    scores, labels, film_ids = arrays["scores"], arrays["labels"], arrays["film_ids"]
    decided = apply_thresholds(scores, threshold, force_top1=force_top1)
    _, first = np.unique(film_ids, return_index=True)
    evenly = first[np.unique(np.linspace(0, len(first) - 1, EVENLY).round().astype(int))]
    true = labels.astype(bool)
    right = (decided == true).all(axis=1)
    margin = np.where(true, scores, 1 - scores).min(axis=1)
    surest_wrong = np.where(decided & ~true, scores, 0).max(axis=1)
    return Examples(
        evenly.tolist(),
        _one_a_film(np.argsort(-margin, kind="stable"), right, film_ids),
        _one_a_film(np.argsort(-surest_wrong, kind="stable"), surest_wrong > 0, film_ids),
    )


def _one_a_film(order: np.ndarray, wanted: np.ndarray, film_ids: np.ndarray) -> list[int]:
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
    """A card a row: the poster, what is true and what is predicted, the scores with and without text and picture, the words.

    Args:
      arrays: of the scores file (`evaluate.write_results`).
      genres: names of its columns.
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
        name=poster["poster_id"],
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


def small_jpeg(image: bytes) -> bytes:
    """A poster small enough to be shown among others."""
    picture = decode_poster(image)
    picture.thumbnail(_JPEG)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82)
    return buffer.getvalue()


def _shorten(text: str, limit: int = 160) -> str:
    return text if len(text) <= limit else text[:limit].rsplit(" ", 1)[0] + " ..."
