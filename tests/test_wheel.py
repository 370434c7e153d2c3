"""An installed wheel runs from any folder: without the checkout, and beside a `configs` of the user."""

import importlib.metadata
import json
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parent.parent
SETUPTOOLS = 77  # pyproject.toml's build-system

pytestmark = pytest.mark.skipif(
    int(importlib.metadata.version("setuptools").split(".")[0]) < SETUPTOOLS,
    reason=f"setuptools before {SETUPTOOLS} cannot build the wheel; pip install 'setuptools>={SETUPTOOLS}'",
)
TINY = {
    "data.drawn_films": 10,
    "data.drawn_width": 160,
    "ocr.min_side": 160,
    "ocr.workers": 1,
    "data.split_by": "poster",
    "encoders.scratch.image_size": 16,
    "encoders.scratch.width": 16,
    "encoders.scratch.heads": 2,
    "encoders.scratch.image_layers": 1,
    "encoders.scratch.projection": 16,
    "encoders.scratch.vocabulary": 300,
    "features.level": "pooled",
    "model.dim": 16,
    "model.smsam_layers": 1,
    "model.heads": 2,
    "train.batch_size": 32,
    "train.max_epochs": 1,
    "evaluate.bootstrap": 100,
    "evaluate.controls": "()",
    "loss.margin": "none",
}


FAST = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


def run(program, *arguments, cwd):
    """Runs a program without the checkout on any path."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment = {**inherited, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": FAST}
    return subprocess.run(
        [program, *map(str, arguments)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )


def build(source, out):
    command = ("-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", out, source)
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}  # setuptools may lie in any of these
    built = subprocess.run(
        [sys.executable, *map(str, command)], env={**os.environ, **path}, capture_output=True, text=True, timeout=300
    )
    assert built.returncode == 0, built.stderr
    return next(pathlib.Path(out).glob("*.whl"))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """What is needed of the checkout, so that nothing is written into it."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("posterfusion_jax", "configs"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    return build(source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """The Python of an environment that has the wheel, and the other packages from this one's folder.

    A path in a .pth file is searched, but its own .pth files, such as an editable installation's, are not read.
    """
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", site, wheel]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder of the user with a package `configs`."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "configs").mkdir()
    (folder / "configs" / "__init__.py").write_text("")
    return folder


def call(python, *flags, cwd):
    return run(python, "-m", "posterfusion_jax.main", *flags, cwd=cwd)


def test_the_sdist_makes_the_same_wheel(source, wheel, tmp_path):
    program = f"from setuptools import build_meta; print(build_meta.build_sdist({str(tmp_path)!r}))"
    path = os.pathsep.join(sys.path)
    subprocess.run([sys.executable, "-c", program], cwd=source, check=True, env={**os.environ, "PYTHONPATH": path})
    again = build(next(tmp_path.glob("*.tar.gz")), tmp_path / "wheel")
    contents = [
        {name: file.read(name) for name in file.namelist() if "dist-info" not in name}
        for file in map(zipfile.ZipFile, (wheel, again))
    ]
    assert contents[0] == contents[1]
    assert {f"posterfusion_jax/configs/{path.name}" for path in (ROOT / "configs").glob("*.py")} <= set(contents[0])
    assert "posterfusion_jax/py.typed" in contents[0]
    assert not [name for name in contents[0] if not name.startswith("posterfusion_jax/")]


def test_from_the_installation_and_no_checkout(python, tmp_path):
    found = run(python, "-c", "import posterfusion_jax.main as m; print(m.__file__)", cwd=tmp_path)
    assert str(python.parent.parent) in found.stdout, found.stderr
    assert "Folder of the run" in call(python, "--help", cwd=tmp_path).stdout


def test_the_console_command_has_all_its_parts(wheel, python, tmp_path):
    contents = zipfile.ZipFile(wheel)
    (entry_points,) = (name for name in contents.namelist() if name.endswith("entry_points.txt"))
    assert "posterfusion = posterfusion_jax.main:cli" in contents.read(entry_points).decode()
    assert json.loads(contents.read("posterfusion_jax/report/paper_tables.json"))["table_i"]
    command = (python, "-c", "from posterfusion_jax.main import cli; cli()")
    assert "posterfusion VERB --help" in run(*command, "--help", cwd=tmp_path).stdout
    without = run(*command, "tables", cwd=tmp_path)
    assert without.returncode == 2, without.stderr
    assert "--results=data/results/tables has no by_film/*.json" in without.stderr
    shown = run(*command, "tables", f"--results={ROOT}/data/results/tables", "--only=table_iv", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("### Table IV")


def test_every_config_of_the_package_is_found_by_name(python, project):
    program = (
        "from posterfusion_jax.config.file import load, shipped_configs\n"
        "print(shipped_configs(), [load(name).seed for name in shipped_configs()], load('configs/tables.py:gmu').model.name)"
    )
    found = run(python, "-c", program, cwd=project)
    names = sorted(path.stem for path in (ROOT / "configs").glob("*.py"))
    assert found.stdout.strip() == f"{names} {[0] * len(names)} gmu", found.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--config=papr"], "Did you mean --config=paper?"),
        (["--config=paper"], "data.posters_dir is empty"),
        (["--config=tables:gum"], "Did you mean 'gmu'?"),
        (["--config=paper", "--config.data.posters_dir=nowhere"], "data.posters_dir="),
    ],
)
def test_what_is_wrong_is_a_message(python, project, flags, message):
    refused = call(python, *flags, cwd=project)
    assert refused.returncode == 2, refused.stderr
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (project / "runs").exists()


@pytest.mark.slow
def test_from_drawn_posters_to_a_prediction(python, project, tmp_path):
    flags = [f"--config.{field}={value}" for field, value in TINY.items()]
    done = call(python, "--config=quickstart", f"--workdir={tmp_path}/run", *flags, cwd=project)
    assert done.returncode == 0, done.stderr
    poster = next((tmp_path / "run" / "posters" / "images").glob("*.jpg"))
    predicted = call(python, "--mode=predict", f"--workdir={tmp_path}/run", "--json", poster, cwd=project)
    assert predicted.returncode == 0, predicted.stderr
    assert json.loads(predicted.stdout)["file"] == str(poster)
