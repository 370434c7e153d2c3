"""The notebooks of docs/notebooks/: each runs as a script, on drawn posters that are read once for all three."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.py"))
PRINTS = {
    "01_predict": ("test macro F1", "no use on real posters", "missing.jpg cannot be read"),
    "02_own_head": ("test macro F1", "head 'cross_gate'"),
    "03_compare": ("mAP:", "image_only"),
}


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("notebooks")


def test_there_are_three():
    assert [path.stem for path in NOTEBOOKS] == sorted(PRINTS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.slow
def test_a_notebook_runs_as_a_script(path, work):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT), "POSTERFUSION_NOTEBOOKS": str(work)}
    done = subprocess.run([sys.executable, str(path)], env=environment, capture_output=True, text=True, timeout=500, cwd=work)
    assert done.returncode == 0, done.stderr
    for words in PRINTS[path.stem]:
        assert words in done.stdout


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_in_percent_format_with_a_title(path):
    text = path.read_text()
    assert text.startswith("# %% [markdown]\n# # ")
    assert text.count("# %%") > 5
