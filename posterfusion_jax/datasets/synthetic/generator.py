"""Draw posters with a planted link of picture and words to genres, in the folder layout of a user's data.

They let the whole pipeline run without downloads, and their optimum is known: `bayes_optimal_report` returns the scores
of the best possible classifier with the picture, with the words, and with both. `oracle` has the probabilities.
"""

import gzip
import json
import pathlib
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np

from posterfusion_jax.datasets.synthetic import oracle
from posterfusion_jax.datasets.synthetic.drawing import vocabulary
from posterfusion_jax.datasets.synthetic.drawing.poster import Content, draw_poster
from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import decode_genres, encode_genres
from posterfusion_jax.metrics import multilabel
from posterfusion_jax.posters.folder import IMAGES_FOLDER, TITLES_FILE
from posterfusion_jax.utils.checksums import corrupt_file_error, unreadable
from posterfusion_jax.utils.progress import progress_bar

VERSION = 2  # of the posters: raise it when the same arguments draw something else
CUES_FILE = "cues.jsonl"
_DRAWN, _DRAWING = "drawn.json", "drawing.json"  # the folder's arguments: of a finished folder, of an unfinished one
_JPEG_QUALITY = 88
_MOST_FILMS = 99_999
_WIDTHS = (120, 1200)
_TITLE_WITH_A_WORD = 0.35  # share of the posters with words whose title has one of them, too
_CAST_SHOWN = 0.25  # share of posters; few lines of small print, because OCR is slow on each
_OTHER_GENRES = ("Family", "Music", "History", "Sport", "War", "Western")  # IMDb has more genres than the thirteen
_OTHER_GENRE_ADDED = 0.6  # share of the films with fewer than three genres that have one of these as well
_COLUMNS = (
    *("tconst", "titleType", "primaryTitle", "originalTitle", "isAdult", "startYear", "endYear", "runtimeMinutes"),
    "genres",
)
_MISSING = r"\N"


class _Film(NamedTuple):
    film_id: str
    title: str
    year: int
    runtime: str
    genres: np.ndarray  # bool [13]
    other_genres: tuple[str, ...]
    cast: str
    director: str
    release: str
    posters: int


class _Poster(NamedTuple):
    poster_id: str
    film: _Film
    cues: oracle.Cues
    words: dict[str, list[str]]  # by genre, as printed
    content: Content


def draw_folder(
    folder: str | pathlib.Path, *, films: int = 300, seed: int = 0, width: int = 240, progress: bool = False
) -> None:
    """Draw the posters of `films` films into `folder`, in the layout of a user's data.

    It writes title.basics.tsv.gz as IMDb publishes it, images/<tconst>_<k>.jpg, and cues.jsonl: the cues planted on
    each poster, which only `bayes_optimal_report` reads. Film i looks the same for any number of
    films, and with the same releases of NumPy, Pillow and matplotlib (whose fonts are used). A finished folder is
    left unchanged, and an unfinished one is completed.

    Args:
      folder: is created; it must be empty, or drawn earlier with the same arguments.
      films: how many, 1 to 99999; about 3.1 posters each.
      seed: 0 or more.
      width: of a poster, 120 to 1200 pixels; its height is 1.5 times that. RapidOCR reads the words down to about 160.
      progress: show a progress bar.

    Raises:
      InputError: an argument out of range; a folder drawn with other arguments, with other things in it, or not writable.
    """
    for name, value, least, most in (
        ("films", films, 1, _MOST_FILMS),
        ("seed", seed, 0, 2**63 - 1),
        ("width", width, *_WIDTHS),
    ):
        if not least <= value <= most:
            raise InputError(f"{name}={value} of the drawn posters must lie within {least} and {most}.")
    folder = pathlib.Path(folder)
    arguments = {"films": films, "seed": seed, "width": width, "version": VERSION}
    try:
        if not _claim(folder, arguments):
            return
        _draw_into(folder, films=films, seed=seed, width=width, progress=progress)
        (folder / _DRAWING).replace(folder / _DRAWN)
    except OSError as error:
        raise InputError(
            f"the posters cannot be drawn into {str(folder)!r}: {error}. Name a folder that is writable."
        ) from error


def bayes_optimal_report(folder: str | pathlib.Path, poster_ids: Collection[str] | None = None) -> dict[str, multilabel.Report]:
    """Return the scores of the best possible decisions given the cues planted on each poster.

    Each genre's posterior given the cues is exact (`oracle.posterior`), and each genre's threshold maximises the expected
    F1 over the whole folder (`oracle.best_thresholds`). A model that reads every motif and word of a poster can only beat
    this by luck, or by looking at other posters of the same film.

    Args:
      folder: one that `draw_folder` has finished.
      poster_ids: which posters to report on, for instance those of the test split; all by default.

    Returns:
      {"both": report, "picture": report, "words": report}: with the motifs and the words known, or one of them alone.
      Each is a `metrics.multilabel.multilabel_report`.

    Raises:
      InputError: the folder was not drawn by `draw_folder`, or a poster id is not in it, or there is none.
    """
    rows = _read_cues(folder)
    wanted = set(rows) if poster_ids is None else set(poster_ids)
    if unknown := sorted(wanted - set(rows)):
        raise InputError(
            f"poster_ids: {unknown[0]!r} (and {len(unknown) - 1} more) is not among the posters of {str(folder)!r}."
        )
    if not wanted:
        raise InputError("poster_ids is empty: name at least one poster.")
    cues = oracle.Cues(*(np.array([encode_genres(row[key]) for row in rows.values()]) for key in ("picture", "words")))
    labels = np.array([encode_genres(row["genres"]) for row in rows.values()])
    chosen = np.array([poster_id in wanted for poster_id in rows])
    reports = {}
    for name, known in {
        "both": {},
        "picture": {"use_words": False},
        "words": {"use_picture": False},
    }.items():
        scores = oracle.posterior(cues, **known)
        thresholds = oracle.best_thresholds(scores)
        reports[name] = multilabel.multilabel_report(scores[chosen], labels[chosen], threshold=thresholds)
    return reports


def _claim(folder: pathlib.Path, arguments: dict[str, int]) -> bool:
    """Mark `folder` as drawn with `arguments`; return False if it is finished already."""
    folder.mkdir(parents=True, exist_ok=True)
    for stamp in (folder / _DRAWN, folder / _DRAWING):
        if stamp.exists():
            (found,) = _read_rows(stamp) or (None,)
            if found != arguments:
                raise InputError(
                    f"{str(folder)!r} holds posters drawn with {found}, not with {arguments}. Name another folder, or "
                    "delete this one to draw it again."
                )
            return stamp.name == _DRAWING
    if any(path.name != f"{_DRAWING}.tmp" for path in folder.iterdir()):
        raise InputError(
            f"{str(folder)!r} is not empty, and its posters were not drawn by this project. Name a new folder to draw into."
        )
    _write_text(folder / _DRAWING, json.dumps(arguments) + "\n")
    return True


def _draw_into(folder: pathlib.Path, *, films: int, seed: int, width: int, progress: bool) -> None:
    images = folder / IMAGES_FOLDER
    images.mkdir(exist_ok=True)
    title_lines, cue_lines = ["\t".join(_COLUMNS)], []
    for index in progress_bar(iterable=range(films), desc="drawing posters", unit="film", disable=not progress):
        film = _make_film(seed, index)
        title_lines.append(_title_row(film))
        for number in range(1, film.posters + 1):
            poster = _make_poster(seed, index, number, film)
            cue_lines.append(_cue_row(poster))
            path = images / f"{poster.poster_id}.jpg"
            if not path.exists():  # an image gets its name only when it is complete
                temporary = path.with_suffix(".tmp")
                look = _stream(seed, index, number, look=1)
                draw_poster(look, poster.content, width).save(temporary, "JPEG", quality=_JPEG_QUALITY)
                temporary.replace(path)
    titles = "\n".join(title_lines) + "\n"
    temporary = folder / f"{TITLES_FILE}.tmp"
    temporary.write_bytes(gzip.compress(titles.encode(), mtime=0))
    temporary.replace(folder / TITLES_FILE)
    _write_text(folder / CUES_FILE, "\n".join(cue_lines) + "\n")


def _stream(seed: int, film: int, poster: int = 0, look: int = 0) -> np.random.Generator:
    """Return random numbers of one poster (counted from 1) or, with `poster` 0, of the film; separate for content and look."""
    return np.random.default_rng([seed, film, poster, look])


def _make_film(seed: int, index: int) -> _Film:
    rng = _stream(seed, index)
    genres = oracle.draw_genres(rng)
    others = [str(rng.choice(_OTHER_GENRES))] if genres.sum() < 3 and rng.random() < _OTHER_GENRE_ADDED else []
    year = int(rng.integers(1975, 2026))
    return _Film(
        film_id=f"tt{9_000_001 + index}",
        title=vocabulary.film_title(rng),
        year=year,
        runtime=_MISSING if rng.random() < 0.1 else str(rng.integers(76, 171)),
        genres=genres,
        other_genres=tuple(others),
        cast=f"{vocabulary.person(rng)}   {vocabulary.person(rng)}",
        director=vocabulary.director_line(rng),
        release=vocabulary.release_line(rng, year),
        posters=oracle.draw_number_of_posters(rng),
    )


def _make_poster(seed: int, index: int, number: int, film: _Film) -> _Poster:
    rng = _stream(seed, index, number)
    cues = oracle.draw_cues(rng, film.genres)
    worded_genres = list(rng.permutation(decode_genres(cues.words)))
    words = {genre: list(rng.choice(vocabulary.GENRE_WORDS[genre], 2, replace=False)) for genre in worded_genres}
    tagline = vocabulary.tagline(rng, [words[genre][0] for genre in worded_genres])
    title = (film.title,)
    in_title = worded_genres[0] if worded_genres and rng.random() < _TITLE_WITH_A_WORD else None
    if in_title:
        title = (f"{words[in_title][1].capitalize()} at", film.title)
    content = Content(
        title=title,
        tagline=tagline,
        cast=film.cast if rng.random() < _CAST_SHOWN else "",
        credits=film.director if rng.random() < 0.5 else film.release,
        motifs=tuple(rng.permutation(decode_genres(cues.picture))),
    )
    printed = {genre: pair if genre == in_title else pair[:1] for genre, pair in words.items()}
    return _Poster(f"{film.film_id}_{number}", film, cues, printed, content)


def _title_row(film: _Film) -> str:
    spelled = [genre.title() for genre in decode_genres(film.genres)]
    genres = ",".join(sorted([*spelled, *film.other_genres]))
    return "\t".join([film.film_id, "movie", film.title, film.title, "0", str(film.year), _MISSING, film.runtime, genres])


def _cue_row(poster: _Poster) -> str:
    content = poster.content
    text = [*content.title, content.tagline, content.cast, content.credits]
    return json.dumps(
        {
            "poster_id": poster.poster_id,
            "film_id": poster.film.film_id,
            "genres": decode_genres(poster.film.genres),
            "picture": decode_genres(poster.cues.picture),
            "words": decode_genres(poster.cues.words),
            "printed": poster.words,
            "text": [line for line in text if line],
        }
    )


def _read_cues(folder: str | pathlib.Path) -> dict[str, dict[str, Any]]:
    if not (pathlib.Path(folder) / _DRAWN).is_file():
        raise InputError(f"{str(folder)!r} is not a finished folder of drawn posters: it has no {_DRAWN}.")
    return {row["poster_id"]: row for row in _read_rows(pathlib.Path(folder) / CUES_FILE)}


def _read_rows(path: pathlib.Path) -> list[dict[str, Any]]:
    try:
        return list(map(json.loads, path.read_bytes().splitlines()))
    except (FileNotFoundError, ValueError) as error:
        raise corrupt_file_error(path, "Delete the folder to draw it again.", str(error)) from None
    except OSError as error:
        raise unreadable(path, error) from error


def _write_text(path: pathlib.Path, text: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, "utf-8")
    temporary.replace(path)
