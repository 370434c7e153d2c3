"""Whole runs in the environments of notebooks, containers and cron jobs: MPLBACKEND, matplotlibrc, HOME and TMPDIR."""

import os
import pathlib
import subprocess
import sys
import tempfile

import foreign_uid
import pytest

from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.temporary_folder import check_temporary_folder

ROOT = pathlib.Path(__file__).parent.parent
MODES = ("ocr", "build", "features", "train", "evaluate", "report", "predict")
NOTEBOOK = "module://matplotlib_inline.backend_inline"  # what Jupyter and Colab export; the module is not installed here
START = """
import atexit, sys
from absl import app
from posterfusion_jax import main
atexit.register(lambda: print("matplotlib:", "matplotlib" in sys.modules))
app.run(main.main, flags_parser=main._parse_flags)
"""
CONFIG = """
from configs import base

def get_config():
    c = base.get_config()
    c.data.posters_dir, c.ocr.engine = {posters!r}, "none"
    c.encoders.image = c.encoders.text = {clip!r}
    c.model.dim, c.model.heads, c.model.smsam_layers, c.model.ffn = 16, 2, 1, (16, 8)
    c.train.max_epochs, c.train.batch_size, c.evaluate.bootstrap = 1, 8, 100
    return c
"""


def environment(**changes: str | None) -> dict[str, str]:
    names = ("HOME", "MPLBACKEND", "MPLCONFIGDIR", "TMPDIR", "JAX_ENABLE_COMPILATION_CACHE", "JAX_COMPILATION_CACHE_DIR")
    kept = {k: v for k, v in os.environ.items() if k not in names and not k.startswith("XDG_")}
    merged = kept | {"PYTHONPATH": str(ROOT)} | changes
    return {name: value for name, value in merged.items() if value is not None}


def start(folder: pathlib.Path, *flags: str, uid: bool = False, **changes: str | None) -> subprocess.CompletedProcess:
    prefix = [sys.executable, foreign_uid.__file__] if uid else []
    return subprocess.run(
        [*prefix, sys.executable, "-c", START, *flags],
        cwd=folder,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory, posters_dir, clip_folder) -> pathlib.Path:
    """The current folder of the runs: a config, and a matplotlibrc with a backend that is not installed."""
    folder = tmp_path_factory.mktemp("environment")
    (folder / "tiny.py").write_text(CONFIG.format(posters=str(posters_dir), clip=str(clip_folder)))
    (folder / "matplotlibrc").write_text("backend: module://no_such_package.backend\naxes.facecolor: red\ntext.usetex: True\n")
    return folder


@pytest.fixture(scope="module")
def runs(folder, posters_dir) -> dict[str, subprocess.CompletedProcess]:
    """Each mode once, as a user without a home folder, with a notebook's MPLBACKEND."""
    picture = str(next((posters_dir / "images").iterdir()))
    ended = {}
    for mode in MODES:
        flags = ["--workdir=w", f"--mode={mode}", *([picture] if mode == "predict" else ["--config=tiny.py"])]
        ended[mode] = start(folder, *flags, uid=True, HOME=None, MPLBACKEND=NOTEBOOK)
        if ended[mode].returncode == foreign_uid.NO_NAMESPACE:
            ended[mode] = start(folder, *flags, HOME="", MPLBACKEND=NOTEBOOK)
        assert ended[mode].returncode == 0, ended[mode].stderr
    return ended


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_each_mode_runs_without_a_home_with_one_warning_and_the_backend_of_a_notebook(runs, mode):
    warnings = [line for line in runs[mode].stderr.splitlines() if line.startswith("WARNING") and "No poster" not in line]
    assert len(warnings) == 1, warnings
    assert warnings[0].startswith("WARNING: Compiled programs are not kept: HOME")
    assert "Traceback" not in runs[mode].stderr


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_only_the_report_loads_matplotlib(runs, mode):
    assert f"matplotlib: {mode == 'report'}" in runs[mode].stdout.splitlines()


@pytest.mark.slow
def test_nothing_is_left_in_the_current_folder(runs, folder):
    assert sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") == ["matplotlibrc", "tiny.py", "w"]


@pytest.mark.parametrize("backend", ["TkAgg", "nonsense", "", "module://ipympl.backend_nbagg", NOTEBOOK, "agg"])
@pytest.mark.parametrize("rc", ["backend: nonsense", "axes.facecolor: red", None])
def test_charts_are_the_same_under_any_backend_and_style(tmp_path, backend, rc):
    if rc:
        (tmp_path / "matplotlibrc").write_text(rc)
    program = "import hashlib, os, numpy as np\nfrom posterfusion_jax.report import charts, page\n"
    program += "figure = charts.plot_co_occurrence(np.ones((3, 13), int), [str(k) for k in range(13)])\n"
    program += "print(hashlib.sha256(page._render(figure, 'svg')).hexdigest(), repr(os.environ.get('MPLBACKEND')))"
    command = [sys.executable, "-c", program]
    home = str(tmp_path.parent)  # with the list of fonts of the first of these tests
    odd = subprocess.run(command, cwd=tmp_path, env=environment(HOME=home, MPLBACKEND=backend), capture_output=True, text=True)
    plain = _plain_chart(home, *command)
    assert odd.stdout == plain.replace("None", repr(backend)), odd.stderr
    assert odd.stderr == ""


_PLAIN: dict[tuple[str, ...], str] = {}


def _plain_chart(home: str, *command: str) -> str:
    if command not in _PLAIN:
        done = subprocess.run(command, cwd=ROOT, env=environment(HOME=home), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        _PLAIN[command] = done.stdout
    return _PLAIN[command]


@pytest.mark.parametrize("first", ["matplotlib", "report"])
@pytest.mark.parametrize("backend", ["svg", "pdf", "template"])
def test_the_users_own_backend_and_style_stay(tmp_path, first, backend):
    program = "import sys\n"
    if first == "matplotlib":
        program += "import matplotlib.pyplot as plt\nplt.rcParams['axes.facecolor'] = 'red'\nplt.plot([1]); plt.close()\n"
    program += "import numpy as np\nfrom posterfusion_jax.report import charts, page\n"
    program += "page._render(charts.plot_co_occurrence(np.ones((3, 13), int), [str(k) for k in range(13)]), 'png')\n"
    program += "assert ('matplotlib.pyplot' in sys.modules) == (sys.argv[1] == 'matplotlib')\n"
    program += "import matplotlib.pyplot as plt\nplt.plot([1])\n"
    program += "print(plt.get_backend(), plt.rcParams['axes.facecolor'], plt.get_fignums())"
    command = [sys.executable, "-c", program, first]
    variables = environment(HOME=str(tmp_path.parent), MPLBACKEND=backend)
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert done.stdout == f"{backend} {'red' if first == 'matplotlib' else 'white'} [1]\n", done.stderr


@pytest.mark.parametrize("place", ["{tmp}/x", "{tmp}", "/proc"])
def test_a_folder_for_matplotlib_that_cannot_be_written(tmp_path, place):
    (tmp_path / "file").touch()
    variables = environment(HOME=str(tmp_path), MPLCONFIGDIR=place.format(tmp=tmp_path / "file"))
    done = subprocess.run(
        [sys.executable, "-c", "from posterfusion_jax.report import charts"], env=variables, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"backend: \xff\xfe", b"\x00\xff"])
def test_a_matplotlibrc_that_cannot_be_read_is_a_message(folder, runs, tmp_path, content):
    (tmp_path / "matplotlibrc").write_bytes(content)
    done = start(tmp_path, f"--workdir={folder / 'w'}", "--mode=report", HOME=str(tmp_path))
    assert done.returncode == 2
    assert "Correct or remove the file matplotlibrc" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "variables",
    [{"HOME": ""}, {"HOME": "{tmp}", "XDG_CACHE_HOME": "{tmp}/file"}],
)
def test_predictions_under_an_odd_home(folder, runs, posters_dir, tmp_path, variables):
    (tmp_path / "file").touch()
    changes = {name: value.format(tmp=tmp_path) for name, value in variables.items()}
    picture = str(next((posters_dir / "images").iterdir()))
    done = start(folder, "--workdir=w", "--mode=predict", picture, **changes)
    assert done.returncode == 0, done.stderr
    assert [line[:39] for line in done.stderr.splitlines() if line.startswith("WARNING")] == [
        "WARNING: Compiled programs are not kept"
    ]
    assert done.stdout.splitlines()[0] == picture


def test_no_folder_for_temporary_files_is_a_message(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/nonexistent/a", "/proc"])
    with pytest.raises(InputError, match=r"temporary files.*/nonexistent/a.*TMPDIR=FOLDER"):
        check_temporary_folder()


def test_a_temporary_folder_that_cannot_be_written_is_not_needed(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", "/proc")
    check_temporary_folder()


def test_no_other_module_imports_matplotlib():
    for file in (ROOT / "posterfusion_jax").rglob("*.py"):
        text = file.read_text()
        if file.name != "plotting.py":
            assert "import matplotlib" not in text, file
            assert "\nfrom matplotlib" not in text, file
