"""Folders of pictures and tables about them, in the forms in which people have them."""

import csv
import io
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence

from PIL import Image

# number, title, year, labels: the films of all forms
FILMS = [
    (114709, "Toy Story", 1995, ("Animation", "Adventure", "Comedy")),
    (113497, "Jumanji", 1995, ("Adventure", "Family")),
    (113228, "Grumpier Old Men", 1995, ("Comedy", "Romance")),
    (88128, "Sixteen Candles", 1984, ("Comedy", "Romance")),
    (116282, "Fargo", 1996, ("Crime", "Drama", "Thriller")),
    (133093, "The Matrix", 1999, ("Action", "Sci-Fi")),
    (211915, "Amélie", 2001, ("Comedy", "Romance")),
    (62622, "2001: A Space Odyssey", 1968, ("Adventure", "Sci-Fi")),
    (76759, "Star Wars", 1977, ("Action", "Adventure", "Sci-Fi")),
    (81505, "The Shining", 1980, ("Drama", "Horror")),
    (78748, "Alien", 1979, ("Horror", "Sci-Fi")),
    (7131622, "Once Upon a Time... in Hollywood", 2019, ("Comedy", "Drama")),
]
TCONSTS = [f"tt{number:07d}" for number, *_ in FILMS]


def draw_pictures(folder: pathlib.Path, names: Iterable[str], *, suffix: str = ".jpg") -> None:
    """Draw one small picture for each name, all different; names may have folders."""
    for k, name in enumerate(names):
        file = folder / f"{name}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        image = Image.linear_gradient("L").resize((16, 24)).convert("RGB")
        image.putpixel((k % 16, k // 16), (255, 0, 3 * k % 256))
        data = io.BytesIO()
        image.save(data, "PNG" if suffix == ".png" else "JPEG", quality=95)
        file.write_bytes(data.getvalue() + k.to_bytes(4, "big"))  # bytes after the end make small pictures differ


def write_csv(
    file: pathlib.Path,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    encoding: str = "utf-8",
    delimiter: str = ",",
) -> pathlib.Path:
    """Write a table as Python's csv does."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding=encoding, newline="") as opened:
        writer = csv.writer(opened, delimiter=delimiter)
        writer.writerow(header)
        writer.writerows(rows)
    return file


def write_json_lines(file: pathlib.Path, rows: Iterable[Mapping[str, object]]) -> pathlib.Path:
    """Write one object a line."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file
