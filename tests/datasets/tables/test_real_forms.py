"""Real posters in the forms that people have: read with two paths as the reader of IMDb's files reads them, then trained on."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
from real_forms import FORMS, read_films

from posterfusion_jax.datasets.label_set import label_key
from posterfusion_jax.datasets.sources.detect import detect_source
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.datasets.sources.registry import make_source

pytestmark = pytest.mark.real
UNTITLED = ("list_and_indicators", "indicators_by_split", "class_folders")
# The scratch tower learns its words from records, and there are none without OCR: the encoders are a tiny CLIP.
CONFIG = """
from posterfusion_jax.config import defaults

def get_config():
    config = defaults.get_config()
    config.ocr.engine = "none"
    config.encoders.image = config.encoders.text = "CLIP"
    config.model.dim, config.model.heads, config.model.smsam_layers, config.model.ffn = 16, 2, 1, (16, 8)
    config.train.max_epochs = 2
    config.train.batch_size = 8
    config.evaluate.bootstrap = 100
    return config
"""


@pytest.fixture(scope="module")
def films(shared_dir):
    return read_films(shared_dir / "posters")


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_a_form_of_the_real_posters_is_read_as_imdbs(tmp_path, films, form):
    (tmp_path / "form").mkdir()
    table, images = form(tmp_path / "form", films)
    kind = "table" if table else detect_source(images)[0]
    assert kind == {"mm_imdb": "mm_imdb", "class_folders": "class_folders", "media_library": "nfo"}.get(form.__name__, "table")
    source = make_source(SourceOptions(kind=kind, folder=str(images), table=str(table or "")))
    pictures = source.list_pictures()
    entries = source.read_entries(pictures.posters)
    by_film = {pathlib.Path(os.path.realpath(poster.path)).name: entries.of(poster) for poster in pictures.posters}
    assert len(by_film) == len(pictures.posters) == len(films) > 1500
    assert not {kind: len(items) for kind, items in pictures.left_out.items() if kind != "second file"}
    assert not entries.left_out
    for film in films:
        entry = by_film[pathlib.Path(film.picture).name]
        assert sorted(map(label_key, entry.labels)) == sorted(map(label_key, film.labels)), film
        if form.__name__ not in UNTITLED:
            title = (
                film.title.encode("latin-1", "replace").decode("latin-1") if form.__name__ == "kaggle_posters" else film.title
            )
            assert entry.title == title


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_a_form_is_trained_on_evaluated_and_predicted(tmp_path, films, clip_folder, form):
    (tmp_path / "form").mkdir()
    some = films[:: len(films) // 60][:60]
    found = form(tmp_path / "form", some)
    (tmp_path / "config.py").write_text(CONFIG.replace("CLIP", str(clip_folder), 1))

    def run(*flags: str) -> str:
        command = [sys.executable, "-m", "posterfusion_jax.main", f"--workdir={tmp_path / 'run'}", *flags]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    run(f"--config={tmp_path / 'config.py'}", *found.flags)
    results = json.loads(next((tmp_path / "run").rglob("results/*test*.json")).read_text())
    assert 0 <= results["metrics"]["f1_macro"] <= 1
    lines = run("--mode=predict", "--json", *(film.picture for film in some[:3])).splitlines()
    assert len([line for line in lines if "error" not in json.loads(line)]) == 3
