"""From the config to the dataset: whose words are taken where a poster has several records."""

import json

import imdb_folder
import pytest

from posterfusion_jax.config import defaults
from posterfusion_jax.config.run import resolve
from posterfusion_jax.pipeline.build import build
from posterfusion_jax.pipeline.dataset import open_run_dataset


@pytest.mark.parametrize(("prefer", "text"), [((), "NEW"), (("rapidocr@1",), "OLD"), (("rapidocr@2",), "NEW")])
def test_the_preferred_records_make_the_dataset(tmp_path, prefer, text):
    posters = imdb_folder.make_folder(tmp_path / "posters", films=20)
    image = next((posters / "images").glob(f"{imdb_folder.film_id(3)}_1.jpg")).read_bytes()
    lines = [
        json.dumps(json.loads(imdb_folder.record_line(image, words, engine=engine)) | {"engine_version": version})
        for words, engine, version in (("OLD", "rapidocr", "1"), ("NEW", "rapidocr", "2"), ("ANOTHER", "other", "1"))
    ]
    (posters / "ocr.jsonl").write_text("\n".join(lines) + "\n")
    config = defaults.get_config()
    config.data.posters_dir = str(posters)
    config.ocr.prefer = prefer
    run = resolve(config, tmp_path)
    build(run)
    rows = [row for split in open_run_dataset(run).splits.values() for row in split]
    assert {row["text"] for row in rows if row["poster_id"] == f"{imdb_folder.film_id(3)}_1"} == {text}
