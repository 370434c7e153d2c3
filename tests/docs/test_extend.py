"""The recipes of docs/extend.md: each file is taken from the page and works from a folder outside the checkout."""

import json
import os
import pathlib
import re
import subprocess
import sys

import imdb_folder
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^`(\w+\.py)`:\n\n```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
REFERENCES = dict(re.findall(r"--config\.([\w.]+)=(?:\(')?(\w+:\w+)", PAGE))
RUN = """
import json, sys
import posterfusion_jax as pf

posters, workdir, changes = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
run = pf.resolve(pf.load_config("base", {"data.posters_dir": posters, **changes}), workdir)
results = pf.pipeline.run_all(run)
files = sorted((run.paths.posters / "images").glob("*.jpg"))[:2]
model = pf.load(workdir)
print(json.dumps({"results": results["test"], "texts": [p.text for p in model.predict(files)], "about": model.about}))
"""
SMALL = {
    "model.dim": 8,
    "train.max_epochs": 1,
    "train.batch_size": 8,
    "evaluate.bootstrap": 100,
    "evaluate.controls": [],
    "ocr.workers": 1,
}


TAGS = ("Horror, Sci-Fi", "Comedy", "Drama, Comedy", "Western")


def environment(folder):
    return {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])}


@pytest.fixture(scope="module")
def recipes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipes")
    for name, code in RECIPES.items():
        (folder / name).write_text(code)
    return folder


@pytest.fixture(scope="module")
def ran(tmp_path_factory, recipes):
    """One run with all seven, and what it printed last."""
    posters = imdb_folder.make_folder(tmp_path_factory.mktemp("own_posters"), films=40)
    (posters / "ocr.jsonl").unlink()
    for k, picture in enumerate(sorted((posters / "images").iterdir())[1:]):
        picture.with_suffix(".txt").write_text(TAGS[k % len(TAGS)])
    changes = SMALL | REFERENCES | {"evaluate.metrics": [REFERENCES["evaluate.metrics"]]}
    workdir = tmp_path_factory.mktemp("own") / "run"
    command = [sys.executable, "-c", RUN, str(posters), str(workdir), json.dumps(changes)]
    done = subprocess.run(command, env=environment(recipes), capture_output=True, text=True, timeout=500, cwd=recipes)
    assert done.returncode == 0, done.stderr
    return workdir, json.loads(done.stdout.splitlines()[-1])


def test_the_page_has_seven_recipes():
    assert len(RECIPES) == 7
    assert set(REFERENCES) == {
        *("model.name", "loss.preset", "evaluate.metrics", "encoders.image", "encoders.text", "ocr.engine", "data.source"),
    }
    assert {f"{reference.partition(':')[0]}.py" for reference in REFERENCES.values()} == set(RECIPES)


def test_the_head_and_the_loss_train(ran):
    _, printed = ran
    assert printed["results"]["model"] == "film:FiLM"
    assert printed["results"]["config"]["loss"]["preset"] == "weighted:loss"
    assert set(printed["results"]["calibration"]) == {"raw", "fitted"}  # no closed form
    assert "film:FiLM" in printed["about"]


def test_the_metric_is_in_the_results_and_in_the_report(ran):
    workdir, printed = ran
    assert 0 <= printed["results"]["metrics"]["one_error:one_error"] <= 1
    low, high = printed["results"]["intervals"]["metrics"]["one_error:one_error"]
    assert 0 <= low <= high <= 1
    assert "one_error" in (workdir / "report" / "report.html").read_text()


def test_the_towers_encode(ran):
    _, printed = ran
    families = {side: passport["family"] for side, passport in printed["results"]["encoders"].items()}
    assert families == {"image": "colors", "text": "bag of words"}


def test_the_engine_reads_in_the_dataset_and_in_prediction(ran):
    _, printed = ran
    assert set(printed["texts"]) <= {"RED", "GREEN", "BLUE"}
    assert printed["results"]["cut_texts"]["texts"] > 0


def test_the_source_gives_the_labels_and_lists_what_it_left_out(ran):
    workdir, printed = ran
    assert tuple(printed["results"]["metrics"]["per_genre"]) == ("Comedy", "Drama", "Horror", "Sci-Fi", "Western")
    assert printed["results"]["config"]["data"]["source"] == "tag_files:TagFiles"
    (left_out,) = (workdir / "dataset").rglob("left_out.jsonl")
    lines = [json.loads(line) for line in left_out.read_text().splitlines()]
    (unread,) = [line for line in lines if line["kind"] == "text file"]
    assert "its labels cannot be read" in unread["reason"]


def test_another_metric_evaluates_a_finished_run_again(ran, recipes):
    workdir, _ = ran
    before = (workdir / "results" / "test.json").stat().st_mtime_ns
    again = (
        "import sys, posterfusion_jax as pf\nfrom posterfusion_jax.pipeline.workdir import saved_run\nimport pathlib\n"
        "from ml_collections import ConfigDict\n"
        "config = ConfigDict(saved_run(pathlib.Path(sys.argv[1])).config.to_dict())\n"
        "config.evaluate.metrics = ()\n"
        "print('one_error:one_error' in pf.pipeline.evaluate(pf.resolve(config, sys.argv[1]))['test']['metrics'])\n"
    )
    command = [sys.executable, "-c", again, str(workdir)]
    done = subprocess.run(command, env=environment(recipes), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False"
    assert (workdir / "results" / "test.json").stat().st_mtime_ns > before
