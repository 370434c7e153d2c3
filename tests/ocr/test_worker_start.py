"""Workers never load the program that started them, and one that cannot start is an error with its own words."""

import functools
import multiprocessing
import os
import pathlib
import subprocess
import sys
import threading
import types
from multiprocessing import spawn

import fake_engines
import pytest
import starting_engines
from PIL import Image

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.engines.base import EngineChoice
from posterfusion_jax.ocr.read_files import read_files
from posterfusion_jax.ocr.remote.client import Limits
from posterfusion_jax.ocr.task import Task
from posterfusion_jax.ocr.worker_pool import EngineProcess, read_in_processes
from posterfusion_jax.ocr.worker_process import WorkerError
from posterfusion_jax.posters.folder import PosterFile

HELPERS = pathlib.Path(__file__).resolve().parents[1] / "helpers"
_FOLDERS = (HELPERS.parents[1], HELPERS, pathlib.Path(__file__).resolve().parent)
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, _FOLDERS))}

# A user's program: no guard, an effect at each start, posters read in two processes.
PROGRAM = """
import pathlib
print("x", file=open("started", "a"), end="", flush=True)
import fake_engines
from posterfusion_jax.ocr.engines.base import EngineChoice
from posterfusion_jax.ocr.read_files import read_files
from posterfusion_jax.ocr.remote.client import Limits
files = sorted(pathlib.Path("images").glob("*.png"))
records = list(read_files(files, EngineChoice(name="rapidocr", make=fake_engines.make), workers=2, limits=Limits()))
print([record.text.split()[0] for record in records])
"""
NOTEBOOK = "import sys, types; main = types.ModuleType('__main__'); sys.modules['__main__'] = main; exec({!r}, main.__dict__)"


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    (tmp_path / "images").mkdir()
    for width in (30, 31, 32):
        Image.new("RGB", (width, 20)).save(tmp_path / "images" / f"{width}.png")
    return tmp_path


def start(folder: pathlib.Path, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, input=text, capture_output=True, text=True, timeout=100)


def begin(folder: pathlib.Path, way: str) -> subprocess.CompletedProcess:
    """Starts `PROGRAM` in one of the ways in which Python can be started."""
    if way.endswith(".py"):
        (folder / way).parent.mkdir(exist_ok=True)
        (folder / way).write_text(PROGRAM)
        return start(folder, "./" + way)
    if way == "module":
        (folder / "usersprogram.py").write_text(PROGRAM)
        return start(folder, "-m", "usersprogram")
    if way == "folder":
        (folder / "program").mkdir()
        (folder / "program" / "__main__.py").write_text(PROGRAM)
        return start(folder, "program")
    if way == "command":
        return start(folder, "-c", PROGRAM)
    if way == "notebook":
        return start(folder, "-c", NOTEBOOK.format(PROGRAM))
    if way == "session":
        return start(folder, "-i", "-q", text=PROGRAM.strip() + "\nexit()\n")
    return start(folder, "-", text=PROGRAM)


@pytest.mark.parametrize(
    "way",
    [
        "script.py",
        "it's (1) ü;$.py",
        "a.b/multiprocessing.spawn.py",
        "module",
        "folder",
        "command",
        "notebook",
        "session",
        "stdin",
    ],
)
def test_workers_do_not_load_the_program_that_started_them(folder, way):
    done = begin(folder, way)
    assert done.stdout.strip() == "['30', '31', '32']", done.stderr
    assert (folder / "started").read_text() == "x"
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_a_worker_that_prints_leaves_the_output_of_the_program_alone(folder):
    done = start(folder, "-c", PROGRAM.replace("fake_engines", "starting_engines").replace("workers=2", "workers=1"))
    assert done.stdout == "['30', '31', '32']\n"
    assert sorted(done.stderr.splitlines()) == ["stderr of a worker", "stdout of a worker"]


def tasks(folder: pathlib.Path) -> list[Task]:
    return [Task(PosterFile(path.stem, "", str(path)), "0", 1) for path in sorted((folder / "images").iterdir())]


def read(folder: pathlib.Path, make) -> list:
    return list(read_in_processes(tasks(folder), make_engine=make, workers=2))


def with_fault(fault: str):
    return functools.partial(starting_engines.make, fault=fault)


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("raises", WorkerError, r"in make\n.*\n.*RuntimeError: the model is for another processor"),
        ("refuses", InputError, r"^ocr\.min_side=1 is too small\.$"),
        ("exits", InputError, r"(?s)ended before it was ready: exit status 3.*stderr of a worker"),
        ("is killed", InputError, r"(?s)killed by signal 9 \(Killed\).*fewer workers with --config\.ocr\.workers"),
        ("leaves", InputError, r"(?s)exit status 1.*goodbye"),
    ],
)
def test_a_worker_that_cannot_start_is_an_error_and_no_record(folder, fault, kind, words):
    with pytest.raises(kind, match=words):
        read(folder, with_fault(fault))
    process = EngineProcess(with_fault(fault))
    with pytest.raises(kind, match=words):
        process.read(tasks(folder)[0])
    process.close()
    files = [task.poster.path for task in tasks(folder)]
    engine = EngineChoice(name="rapidocr", options={"fault": fault}, make=starting_engines.make)
    records = read_files(files, engine, workers=2, limits=Limits())
    with pytest.raises(kind, match=words):
        next(records)


def test_a_maker_in_a_module_that_workers_cannot_import(folder, monkeypatch):
    module = types.ModuleType("only_here")
    exec("def make():\n    pass", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    with pytest.raises(WorkerError, match="No module named 'only_here'"):
        read(folder, module.make)


@pytest.mark.parametrize("wrap", ["make", "functools.partial(make, name='x')"])
def test_a_maker_in_the_main_program_is_refused_with_the_way_out(folder, wrap):
    program = "import functools, fake_engines\nfrom posterfusion_jax.ocr.worker_pool import read_in_processes\n"
    program += "def make(name='y'):\n    return fake_engines.FakeEngine(name, 0, None)\n"
    program += f"next(read_in_processes([], make_engine={wrap}, workers=2), None)"
    done = start(folder, "-c", program)
    assert "is defined in the main program. OCR worker processes import it by its name" in done.stderr
    assert "InputError" in done.stderr


@pytest.mark.parametrize(
    "make", [lambda: fake_engines.FakeEngine("x", 0.0, None), threading.Lock().acquire], ids=["lambda", "lock"]
)
def test_a_maker_that_cannot_be_sent_is_refused(folder, make):
    with pytest.raises(InputError, match="cannot be sent to a worker"):
        read(folder, make)


@pytest.mark.parametrize("python", ["/nonexistent/python", os.devnull])
def test_no_python_to_start(folder, python):
    before = spawn.get_executable()
    multiprocessing.set_executable(python)
    try:
        with pytest.raises(InputError, match=r"no OCR worker process can be started.*ocr\.workers"):
            read(folder, fake_engines.make)
    finally:
        multiprocessing.set_executable(before)


def test_a_python_without_the_package(folder, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no such interpreter here >&2\nexit 7\n")
    python.chmod(0o700)
    before = spawn.get_executable()
    multiprocessing.set_executable(str(python))
    try:
        with pytest.raises(InputError, match=r"(?s)exit status 7.*no such interpreter here"):
            read(folder, fake_engines.make)
    finally:
        multiprocessing.set_executable(before)


def test_modules_in_the_current_folder_hide_none_that_a_worker_starts_with(folder):
    for name in ("multiprocessing", "socket", "pickle", "struct"):
        (folder / f"{name}.py").write_text("raise RuntimeError('the wrong module')")
    program = "import sys; sys.path.remove('')\n" + PROGRAM
    done = start(folder, "-c", program)
    assert done.stdout.strip() == "['30', '31', '32']", done.stderr


def test_folders_that_the_program_added_to_the_path_are_searched(folder):
    (folder / "more").mkdir()
    (folder / "more" / "own_engine.py").write_text("from fake_engines import make\nmake.__module__ = 'own_engine'\n")
    program = "import sys; sys.path.append('more')\n" + PROGRAM.replace("fake_engines", "own_engine")
    done = start(folder, "-c", program)
    assert done.stdout.strip() == "['30', '31', '32']", done.stderr
