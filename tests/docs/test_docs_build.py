"""The documentation site builds without a warning, where the extra `docs` is installed."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "docs" / "_ext"))

import api_pages  # noqa: E402 (after the path)

import posterfusion_jax  # noqa: E402

TOOLS = ("sphinx", "myst_nb", "furo", "jupytext")


def test_the_site_builds_without_a_warning(tmp_path):
    missing = [name for name in TOOLS if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: pip install -e '.[docs]'")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "docs", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500)
    assert built.returncode == 0, built.stderr
    assert not built.stderr.strip()
    page = (tmp_path / "configuration.html").read_text(encoding="utf-8")
    assert "train.learning_rate" in page
    assert "asymmetric_loss" in (tmp_path / "_generated" / "api" / "losses.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("namespace", api_pages.PUBLIC)
def test_the_reference_has_every_public_name(namespace):
    text, missing = api_pages.page(namespace)
    if hasattr(posterfusion_jax, "GENRES"):  # the lazy public API
        assert not missing
    for name in set(api_pages.PUBLIC[namespace]) - {entry.rpartition(".")[2] for entry in missing}:
        assert f".{name}\n" in text


def test_a_name_that_does_not_exist_is_left_out():
    assert api_pages.lookup("losses.asymmetric", "nothing") is None
    assert api_pages.lookup("no_such_module", "nothing") is None
