"""Runs on data without films: covers of books in a table, and pictures in class folders. No output speaks of films."""

import csv
import json
import pathlib
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from posterfusion_jax.evaluation.results import read_results
from posterfusion_jax.pipeline.dataset import open_run_dataset
from posterfusion_jax.pipeline.predict import load, predict
from posterfusion_jax.pipeline.source import complete_run
from posterfusion_jax.pipeline.stages import run_all
from posterfusion_jax.report.prediction import as_text

SUBJECTS = ("Algebra", "Botany", "Cookery", "Gardening", "Navigation", "Poetry", "Sewing", "Volcanoes")
COVERS = 200
FOREIGN = re.compile("film|movie|imdb|tconst|cinema", re.IGNORECASE)

# What stays, because files of earlier versions have it: keys, and the names and defaults of the config's fields.
KEYS = (
    *("films", "film_ids", "film_id", "metrics_by_film", "films_with_dropped", "dropped_films", "drawn_films"),
    *("zero_shot_prompts", "zero_shot_neutral"),  # their default values name film posters; of no use without zero_shot
)
VALUES = (("unit", "film"),)  # of a split: its ids are those of groups


def isbn(number: int) -> str:
    """Return an ISBN-13 with its check digit."""
    digits = f"978{number:09d}"
    return digits + str(-sum(int(digit) * (1, 3)[place % 2] for place, digit in enumerate(digits)) % 10)


def draw(file: pathlib.Path, color: tuple[int, ...], number: int) -> None:
    """Draw a small picture of one color with a number on it."""
    image = Image.new("RGB", (40, 60), color)
    ImageDraw.Draw(image).text((2, 20), str(number), fill="white")
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file)


def draw_books(folder: pathlib.Path) -> pathlib.Path:
    """Draw covers named by their ISBN, and write their table; return it."""
    rng, rows = np.random.default_rng(0), []
    for number in range(COVERS):
        of_book = rng.choice(len(SUBJECTS), size=1 + number % 2, replace=False).tolist()
        names = [SUBJECTS[subject] for subject in of_book]
        draw(folder / "covers" / f"{isbn(number)}.png", (30 * of_book[0], 30 * of_book[-1], 80), number)
        title = f"A Book of {names[0]} {number}"
        rows.append([isbn(number), title, f"Author {number % 30}", ";".join(names), f"{title} by Author {number % 30}"])
    with (folder / "books.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["isbn", "title", "author", "subjects", "words"], *rows])
    return folder / "books.csv"


def draw_class_folders(folder: pathlib.Path) -> pathlib.Path:
    """Draw pictures in a folder per label; some posters of one title and year differ in their labels."""
    for number in range(60):
        for label in (SUBJECTS[number % 3], *SUBJECTS[3 : 3 + (number % 10 == 5)]):
            place = SUBJECTS.index(label)
            name = f"Work {number} (1990)" if number % 2 else f"{number}"
            draw(folder / label / f"{name} {label}.png", (60 * place, 200 - 40 * place, 10 * place), number)
    return folder


def run_and_print(run: Any, capfd: Any) -> str:
    """Run all stages; return what they print."""
    run_all(run)
    return "".join(capfd.readouterr())


def foreign_in_json(value: Any, key: str = "") -> list[str]:
    """Return the entries of JSON data that speak of films, apart from those that files of earlier versions have."""
    if key in ("zero_shot_prompts", "zero_shot_neutral"):
        return []
    if isinstance(value, dict):
        names = [name for name in value if FOREIGN.search(name) and name not in KEYS]
        return names + [found for name, part in value.items() for found in foreign_in_json(part, name)]
    if isinstance(value, list):
        return [found for part in value for found in foreign_in_json(part, key)]
    return [f"{key}: {value}"] if isinstance(value, str) and FOREIGN.search(value) and (key, value) not in VALUES else []


def foreign_in_files(run: Any) -> dict[str, list[str]]:
    """Return file -> lines that speak of films, for all results, the report, and the dataset's report."""
    found, files = {}, [open_run_dataset(run).dir / "report.json"]
    for folder in (run.paths.results, run.paths.report, run.paths.logs):
        files += [file for file in folder.rglob("*") if file.is_file()]
    for file in files:
        if file.suffix in (".png", ".jpg"):
            continue
        if file.suffix == ".json":
            lines = foreign_in_json(json.loads(file.read_text()))
        elif file.suffix == ".npz":
            with np.load(file) as arrays:
                lines = [name for name in arrays if FOREIGN.search(name) and name not in KEYS]
        else:  # SVG and HTML without the bytes of embedded pictures
            text = re.sub(r"base64,[\w+/=\s]+", "", file.read_text(errors="replace"))
            lines = [line for line in text.splitlines() if FOREIGN.search(line)]
        if lines:
            found[file.name] = lines
    return found


@pytest.fixture(scope="module")
def make_run(tmp_path_factory, clip_folder, tiny_run):
    def make(**data: str) -> Any:
        fields = {f"data__{name}": value for name, value in data.items()}
        run = tiny_run(
            tmp_path_factory.mktemp("run"),
            "",
            clip_folder,
            ocr__engine="none",
            train__max_epochs=1,
            train__batch_size=32,
            **fields,
        )
        return complete_run(run, None)

    return make


def test_a_run_on_book_covers_speaks_of_books(tmp_path, make_run, capfd):
    table = draw_books(tmp_path)
    run = make_run(source="table", table=str(table), images=str(tmp_path / "covers"))
    printed = run_and_print(run, capfd)
    assert not FOREIGN.findall(printed), printed
    assert foreign_in_files(run) == {}
    assert "95 % intervals over books." in printed
    assert f"{COVERS} books, 0 of them with several posters" in printed

    results = read_results(run.paths.results, "test")
    assert results is not None
    assert results["dataset"]["source"] == {"name": "table", "unit": "book", "labels": "table"}
    card = (run.paths.report / "model_card.md").read_text()
    page = (run.paths.report / "report.md").read_text()
    for text in (card, page):
        assert "Posters: the rows of books.csv and the pictures that they name." in text
        assert "Labels: all labels on at least 3 posters: 8; none has fewer; column 'subjects', separated by ';'." in text
        assert f"Books: {COVERS}; from 'title' and the year; posters of the same stay in one split" in text
        assert "Split: by group, genre-stratified" in text
        assert "shares of train, validation and test 0.8, 0.1, 0.1." in text
        assert "a poster of the same book in train" in text
        assert "text of another book" in text
        assert f"abels outside the 8 genres: none of {COVERS * 3 // 2} on {COVERS} posters" in text
    assert "Intended for research on book covers" in card
    assert "95 % intervals with books resampled" in card
    assert "Labels come from the table" in card
    assert "| words | column 'words' of the table |" in card
    assert "next to each bar posters and books" in page

    (found,) = predict(run, [str(tmp_path / "covers" / f"{isbn(7)}.png")])
    shown = as_text(found) + load(run.paths.workdir).about + "".join(capfd.readouterr())
    assert not FOREIGN.findall(shown), shown
    assert "books from the posters of its data.table" in shown


def test_a_run_on_class_folders_speaks_of_groups(tmp_path, make_run, capfd):
    folder = draw_class_folders(tmp_path / "classes")
    run = make_run(source="class_folders", images=str(folder))
    printed = run_and_print(run, capfd)
    assert not FOREIGN.findall(printed), printed
    assert foreign_in_files(run) == {}
    assert "95 % intervals over groups." in printed
    card = (run.paths.report / "model_card.md").read_text()
    assert "Posters: class folders: the folder of a picture is its label." in card
    assert "Labels come from the names of the folders" in card
    assert "Groups: 60; from title and year in the name of 36 posters" in card
    assert "none of 66 on 66 posters" in card
