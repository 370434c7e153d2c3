"""OCR records in the folder of a table's pictures are read by the build, as by the stage that reads words."""

import hashlib
import json

import pytest
from tables import FILMS, TCONSTS, draw_pictures, write_csv

from posterfusion_jax.config import defaults
from posterfusion_jax.config.run import resolve
from posterfusion_jax.pipeline.build import build
from posterfusion_jax.pipeline.ocr import read_words
from posterfusion_jax.pipeline.source import change_run, detect


@pytest.fixture
def run(tmp_path):
    pictures = tmp_path / "pictures"
    draw_pictures(pictures, TCONSTS)
    rows = [[tconst, "|".join(labels)] for tconst, (*_, labels) in zip(TCONSTS, FILMS, strict=True)]
    config = defaults.get_config()
    config.data.table = str(write_csv(tmp_path / "labels.csv", ["id", "genre"], rows))
    config.data.images = str(pictures)
    config.data.label_min_posters = 1
    config.data.split_fractions = (0.5, 0.5, 0.0)
    return detect(resolve(config, tmp_path / "run"))


def write_records(path, pictures):
    lines = []
    for file in sorted(pictures.glob("*.jpg")):
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        record = {"sha256": sha256, "engine": "rapidocr", "status": "ok", "text": f"WORD {file.stem}"}
        lines.append(json.dumps(record) + "\n")
    path.write_text("".join(lines))


def test_records_in_the_folder_of_the_pictures_count(run, capsys):
    write_records(run.paths.posters / "ocr.jsonl", run.paths.posters)
    read_words(run)
    assert "0 read now" in capsys.readouterr().out
    build(run)
    assert f"text: ok {len(TCONSTS)};" in capsys.readouterr().out


def test_records_of_an_earlier_run_count(run, tmp_path, capsys):
    write_records(tmp_path / "records.jsonl", run.paths.posters)
    again = change_run(run, {"ocr.store": str(tmp_path / "records.jsonl")})
    read_words(again)
    build(again)
    assert f"text: ok {len(TCONSTS)};" in capsys.readouterr().out
