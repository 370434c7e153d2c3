"""A small folder of posters for the tests: coloured JPEGs, titles in IMDb's form, OCR records."""

import gzip
import hashlib
import json
import pathlib

from PIL import Image

HEADER = (
    "tconst",
    "titleType",
    "primaryTitle",
    "originalTitle",
    "isAdult",
    "startYear",
    "endYear",
    "runtimeMinutes",
    "genres",
)
GENRE_SETS = ("Drama", "Comedy,Drama", "Action,Sci-Fi", "Horror", "Comedy,Romance,Family", "Crime,Thriller")


def film_id(number: int) -> str:
    return f"tt{number:07d}"


def title_line(tconst: str, genres: str, *, title: str = "A Film", year: str = "1999") -> str:
    return "\t".join([tconst, "movie", title, title, "0", year, "\\N", "90", genres])


def write_titles(path: pathlib.Path, lines: list[str]) -> None:
    # mtime=0: the same lines give the same file
    path.write_bytes(gzip.compress("\n".join(["\t".join(HEADER), *lines, ""]).encode(), mtime=0))


def write_poster(path: pathlib.Path, number: int) -> bytes:
    """A JPEG whose bytes no other number has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = (number * 37 % 256, number * 91 % 256, number // 256 * 16)
    Image.new("RGB", (20, 30), colour).save(path, quality=95, comment=str(number).encode())
    return path.read_bytes()


def record_line(image: bytes, text: str, *, status: str = "ok", engine: str = "rapidocr") -> str:
    sha256 = hashlib.sha256(image).hexdigest()
    return json.dumps({"sha256": sha256, "status": status, "text": text, "lines": text.split("\n"), "engine": engine})


def make_folder(folder: pathlib.Path, *, films: int = 40, read_every: int = 2, words: tuple[str, ...] = ("",)) -> pathlib.Path:
    """`films` films of 1 to 3 posters; every `read_every`-th poster has an OCR record: the title, then one of `words`."""
    titles, records, number = [], [], 0
    for film in range(1, films + 1):
        titles.append(title_line(film_id(film), GENRE_SETS[film % len(GENRE_SETS)], title=f"Film {film}"))
        for k in range(1, film % 3 + 2):
            image = write_poster(folder / "images" / f"{film_id(film)}_{k}.jpg", number)
            if number % read_every == 0:
                records.append(record_line(image, f"FILM\n{film}\n{words[number % len(words)]}".strip()))
            number += 1
    write_titles(folder / "title.basics.tsv.gz", titles)
    (folder / "ocr.jsonl").write_text("".join(record + "\n" for record in records))
    return folder
