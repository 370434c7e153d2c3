"""Two hundred book covers from a table to the report: nothing speaks of films."""

import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw
from tables import write_csv

ROOT = pathlib.Path(__file__).parent.parent
SUBJECTS = ("Astronomy", "Bookbinding", "Cooking", "Gardens", "Poetry", "Sea Voyages", "Self-Help", "Trains & Trams")
OF_FILMS = re.compile(r"film|movie|imdb|tconst|cinema", re.IGNORECASE)
# Names and values on disk and in configs, which are the same for all data, and the default prompts of zero-shot CLIP.
ON_DISK = re.compile(
    r"\"unit\": \"film\"|a movie poster( of a \{genre\} film)?|mm_imdb|\"imdb\"|"
    r"\"?(film_ids?|films|metrics_by_film|imdb_posters|drawn_films|drop_film|n_films)\"?",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> pathlib.Path:
    """A folder of covers named by ISBN, coloured by their subjects, and their table."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "covers").mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for k in range(200):
        chosen = sorted(rng.choice(8, size=rng.integers(1, 4), replace=False))
        isbn = f"978{k:010d}"
        image = Image.new("RGB", (48, 72), "#eeeedd")
        draw = ImageDraw.Draw(image)
        for place in chosen:
            draw.rectangle((4, 4 + 8 * place, 44, 10 + 8 * place), fill=f"hsl({45 * place}, 80%, 45%)")
        draw.point((k % 48, 70), fill="black")
        image.save(folder / "covers" / f"{isbn}.png")
        rows.append([isbn, f"Volume {k}", "A. Writer", "; ".join(SUBJECTS[place] for place in chosen), f"VOLUME {k}"])
    write_csv(folder / "catalogue.csv", ["ISBN-13", "Title", "Author", "Subjects", "words"], rows)
    return folder


def call(folder: pathlib.Path, *flags: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "posterfusion_jax.main", *flags]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def run(shop, clip_folder) -> subprocess.CompletedProcess:
    fields = (
        *("train.max_epochs=2", "train.batch_size=32", "evaluate.bootstrap=100", "ocr.engine=none"),
        *(f"encoders.image={clip_folder}", f"encoders.text={clip_folder}"),
    )
    return call(shop, "--table=catalogue.csv", "--images=covers", *(f"--config.{field}" for field in fields))


def lines_of_films(text: str) -> list[str]:
    return [line[:200] for line in text.splitlines() if OF_FILMS.search(ON_DISK.sub("", line))]


def test_the_terminal_speaks_of_books(shop, run):
    assert run.returncode == 0, run.stderr
    assert lines_of_films(run.stdout) == []
    assert lines_of_films(run.stderr) == []
    out = " ".join(run.stdout.split())
    assert "95 % intervals over books" in out
    assert "200 rows, 200 with a picture, 0 without; 200 posters" in out
    assert "words: column 'words'" in out


def test_the_files_speak_of_books(shop, run):
    folder = shop / "runs" / "catalogue"
    files = [*(folder / "results").glob("*.json"), *(folder / "results").glob("*.csv"), *(folder / "report").glob("*.md")]
    files += [folder / "report" / "report.html", *folder.glob("dataset/posters/*/*/report.json")]
    assert len(files) >= 8
    found = {}
    for file in files:
        text = re.sub(r"base64,[A-Za-z0-9+/=]+", "", file.read_text(encoding="utf-8"))
        lines = lines_of_films(text)
        if lines:
            found[file.name] = lines
    assert found == {}
    card = (folder / "report" / "model_card.md").read_text()
    assert "Labels are those of the user's data (source: table)" in card
    assert "resampled" in card
    assert "books" in card
    results = json.loads((folder / "results" / "test.json").read_text())
    assert results["dataset"]["source"] == {"name": "table", "unit": "book", "labels": "table"}
    assert tuple(results["metrics"]["per_genre"]) == SUBJECTS


def test_a_prediction_speaks_of_books(shop, run):
    predicted = call(shop, "--mode=predict", "--workdir=runs/catalogue", "covers/9780000000003.png")
    assert predicted.returncode == 0, predicted.stderr
    assert lines_of_films(predicted.stdout + predicted.stderr) == []
