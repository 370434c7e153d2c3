"""Generate folders of posters like a user's, with pictures of noise, a thousand in seconds."""

import gzip
import hashlib
import io
import json
import pathlib

import numpy as np
from PIL import Image

from posterfusion_jax.genres import GENRES

POSTERS_A_FILM = 3
_COMMENT = b"poster --------"  # eight digits take the place of the dashes, so that no two files are equal
_COLUMNS = (
    *("tconst", "titleType", "primaryTitle", "originalTitle", "isAdult", "startYear", "endYear", "runtimeMinutes"),
    "genres",
)
_WORDS = ("THE", "LAST", "NIGHT", "OF", "A", "STRANGER", "IN", "PARADISE", "FROM", "DIRECTOR", "COMING", "SOON", "LOVE")


def make_folder(folder: pathlib.Path, *, posters: int, width: int, seed: int = 0, pictures: int = 16) -> None:
    """Write title.basics.tsv.gz, images/<two digits>/<tconst>_<k>.jpg and ocr.jsonl.

    Args:
      folder: is created.
      posters: how many; three per film.
      width: of a picture in pixels, its height is 1.5 times that. 300 pixels make files of about 28 kB, as real posters
        of that width have.
      seed: of pictures, genres and words.
      pictures: the number of distinct pictures; further posters repeat them, in files of other bytes.
    """
    rng = np.random.default_rng(seed)
    drawn = [_jpeg(rng, width) for _ in range(pictures)]
    rates = np.linspace(0.03, 0.5, len(GENRES))
    films = -(-posters // POSTERS_A_FILM)
    (folder / "images").mkdir(parents=True)
    for part in range(100):
        (folder / "images" / f"{part:02d}").mkdir()
    with gzip.open(folder / "title.basics.tsv.gz", "wt", encoding="utf-8", compresslevel=1) as titles:
        titles.write("\t".join(_COLUMNS) + "\n")
        for film in range(films):
            genres = np.flatnonzero(rng.random(len(GENRES)) < rates)[:3]
            spelt = ",".join(GENRES[g].title() for g in genres) or "Drama"
            name = f"{_words(rng, 3).title()} {film}"
            titles.write("\t".join([_tconst(film), "movie", name, name, "0", "1999", "\\N", "90", spelt]) + "\n")
    with (folder / "ocr.jsonl").open("w", encoding="utf-8") as records:
        for number in range(posters):
            film, k = divmod(number, POSTERS_A_FILM)
            data = drawn[number % pictures].replace(b"--------", b"%08d" % number)
            (folder / "images" / f"{film % 100:02d}" / f"{_tconst(film)}_{k + 1}.jpg").write_bytes(data)
            records.write(_record(rng, hashlib.sha256(data).hexdigest(), f"{_tconst(film)}_{k + 1}") + "\n")


def _tconst(film: int) -> str:
    return f"tt{film:07d}"


def _words(rng: np.random.Generator, count: int) -> str:
    return " ".join(_WORDS[i] for i in rng.integers(len(_WORDS), size=count))


def _record(rng: np.random.Generator, sha256: str, poster_id: str) -> str:
    lines = [_words(rng, int(rng.integers(1, 7))) for _ in range(int(rng.integers(1, 16)))]
    fields = {
        "sha256": sha256,
        "status": "ok",
        "text": "\n".join(lines),
        "engine": "rapidocr",
        "poster_id": poster_id,
        "film_id": poster_id.partition("_")[0],
        "lines": lines,
        "confidences": [0.9876] * len(lines),
        "boxes": [[0.1234, 0.2345, 0.8765, 0.3456]] * len(lines),
        "engine_version": "3.10.0",
        "source_width": 500,
        "source_height": 750,
    }
    return json.dumps(fields)


def _jpeg(rng: np.random.Generator, width: int) -> bytes:
    """Draw noise of several sizes, the coarse ones stronger, as in pictures."""
    size = (width, width * 3 // 2)
    picture = np.zeros((size[1], size[0], 3), np.float32)
    for cells in (2, 6, 18, 54, 162):
        noise = rng.integers(0, 256, (cells * 3 // 2, cells, 3), dtype=np.uint8)
        picture += np.asarray(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC), np.float32) / cells**0.15
    picture = (picture - picture.min()) / (picture.max() - picture.min()) * 255
    data = io.BytesIO()
    Image.fromarray(picture.astype(np.uint8)).save(data, "JPEG", quality=75, comment=_COMMENT)
    return data.getvalue()
