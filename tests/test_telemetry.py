"""Nothing is sent: no library reports its use, in any process that this project starts, whatever the environment says."""

import ast
import json
import os
import pathlib
import subprocess
import sys

import imdb_folder
import network_watch
import pytest

from posterfusion_jax.utils.telemetry import VARIABLES, disable_telemetry

ROOT = pathlib.Path(__file__).parent.parent
REPORTING = ("onnxruntime", "rapidocr")  # packages that begin to report when they are imported

READ_HERE = """
from PIL import Image
from posterfusion_jax.ocr.engines.base import make_engine
make_engine("rapidocr", threads=1, min_side=64).read(Image.new("RGB", (64, 96), "white"))
import onnxruntime, time
time.sleep(1)
"""
READ_IN_A_WORKER = """
import functools, pathlib, sys, time
from PIL import Image
from posterfusion_jax.ocr.engines.base import make_engine
from posterfusion_jax.ocr.task import Task
from posterfusion_jax.ocr.worker_pool import read_in_processes
from posterfusion_jax.posters.folder import PosterFile
file = pathlib.Path(sys.argv[1]) / "a.png"
Image.new("RGB", (64, 96), "white").save(file)
make = functools.partial(make_engine, "rapidocr", threads=1, min_side=64)
[record] = read_in_processes([Task(PosterFile("a", "", str(file)), "", 1)], make_engine=make, workers=1)
assert record.status == "empty", record
"""


@pytest.fixture
def rapidocr():
    for package in REPORTING:
        pytest.importorskip(package, reason=f"{package} is not installed (extra 'ocr')")


def environment(**changes: str | None) -> dict[str, str]:
    """This process's environment without the switches, so that only the program under test can set them."""
    inherited = {k: v for k, v in os.environ.items() if k not in VARIABLES and not k.startswith("XDG_")}
    return {k: v for k, v in (inherited | {"PYTHONPATH": str(ROOT)} | changes).items() if v is not None}


def watched(folder: pathlib.Path, command: list[str], **changes: str | None) -> dict[str, dict[str, int]]:
    """Runs a command under `network_watch`; skips the test where no network namespace can be made."""
    report = folder / "network.json"
    done = subprocess.run(
        [sys.executable, network_watch.__file__, str(report), *command],
        cwd=ROOT,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode == network_watch.NO_NAMESPACE:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return json.loads(report.read_text())


def test_the_watch_sees_names_and_addresses(tmp_path):
    program = "import socket\ntry: socket.getaddrinfo('events.example.org', 443)\nexcept OSError: pass\n"
    program += "s = socket.socket()\ntry: s.connect(('169.254.169.254', 80))\nexcept OSError: pass\n"
    seen = watched(tmp_path, [sys.executable, "-c", program])
    assert list(seen["names"]) == ["events.example.org"]
    assert list(seen["addresses"]) == ["169.254.169.254:80"]


@pytest.mark.parametrize("program", [READ_HERE, READ_IN_A_WORKER], ids=["here", "worker"])
@pytest.mark.parametrize("place", ["home", "cache", "switched on"])
def test_an_engine_leaves_no_file_and_asks_for_no_name(rapidocr, tmp_path, program, place):
    home, cache, scratch = (tmp_path / name for name in ("home", "cache", "scratch"))
    for folder in (home, cache, scratch):
        folder.mkdir()
    changes: dict[str, str | None] = {"HOME": str(home)}
    if place == "cache":
        changes = {"HOME": None, "XDG_CACHE_HOME": str(cache), "XDG_DATA_HOME": str(cache), "XDG_STATE_HOME": str(cache)}
    if place == "switched on":
        changes |= {"ORT_DISABLE_TELEMETRY": "0", "HF_HUB_DISABLE_TELEMETRY": "0"}
    done = subprocess.run(
        [sys.executable, "-c", program, scratch],
        cwd=ROOT,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert [path for folder in (home, cache) for path in folder.rglob("*") if path.is_file()] == []


@pytest.mark.slow
def test_a_whole_run_on_local_folders_asks_for_no_name(rapidocr, tmp_path, clip_folder):
    posters = imdb_folder.make_folder(tmp_path / "posters", films=24, read_every=1)
    records = (posters / "ocr.jsonl").read_text().splitlines(keepends=True)
    (posters / "ocr.jsonl").write_text("".join(records[3:]))  # three posters are left for the OCR workers
    (tmp_path / "home").mkdir()
    config = tmp_path / "tiny.py"
    config.write_text(
        "from configs import base\n\n\ndef get_config():\n    c = base.get_config()\n"
        f"    c.data.posters_dir = {str(posters)!r}\n    c.encoders.image = c.encoders.text = {str(clip_folder)!r}\n"
        "    c.model.dim, c.model.heads, c.model.smsam_layers, c.model.ffn = 16, 2, 1, (16, 8)\n"
        "    c.ocr.workers, c.ocr.min_side, c.train.max_epochs, c.evaluate.bootstrap = 2, 64, 1, 100\n    return c\n"
    )
    start = [sys.executable, "-m", "posterfusion_jax.main", f"--workdir={tmp_path / 'w'}"]
    # The hub is not switched off by its own variable: that nothing asks for it is part of the promise.
    changes = {"HOME": str(tmp_path / "home"), "JAX_ENABLE_COMPILATION_CACHE": "false", "HF_HUB_OFFLINE": None}
    quiet = {"names": {}, "addresses": {}}
    assert watched(tmp_path, [*start, f"--config={config}"], **changes) == quiet
    assert (tmp_path / "w" / "report" / "report.html").is_file()
    picture = next((posters / "images").iterdir())
    assert watched(tmp_path, [*start, "--mode=predict", str(picture)], **changes) == quiet
    left = {path.relative_to(tmp_path / "home").parts[:2] for path in (tmp_path / "home").rglob("*") if path.is_file()}
    assert left <= {(".cache", "matplotlib")}


@pytest.mark.parametrize("package", ["posterfusion_jax", "posterfusion_jax.ocr.records.record", "benchmarks.baselines"])
def test_importing_the_package_sets_the_switches_and_costs_nothing(package):
    program = f"import {package}, os, sys; print([os.environ[k] for k in {sorted(VARIABLES)}], 'jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.stdout == f"{[VARIABLES[name] for name in sorted(VARIABLES)]} False\n", done.stderr


def test_a_variable_that_is_set_otherwise_is_replaced(monkeypatch):
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "false")
    monkeypatch.delenv("DO_NOT_TRACK", raising=False)
    disable_telemetry()
    assert {name: os.environ[name] for name in VARIABLES} == VARIABLES


def unguarded(source: str) -> list[int]:
    """The lines that import one of `REPORTING` without a call of disable_telemetry earlier in the same scope."""
    found: list[int] = []

    def scan(statements: list[ast.stmt], guarded: bool) -> None:
        for statement in statements:
            value = getattr(statement, "value", None)
            if isinstance(statement, ast.Expr) and isinstance(value, ast.Call):
                guarded |= ast.unparse(value.func).rpartition(".")[2] == "disable_telemetry"
            names = [alias.name for alias in statement.names] if isinstance(statement, ast.Import) else []
            names += [statement.module or ""] if isinstance(statement, ast.ImportFrom) else []
            if not guarded and any(name.partition(".")[0] in REPORTING for name in names):
                found.append(statement.lineno)
            for part in ("body", "orelse", "finalbody"):
                scan(getattr(statement, part, []), guarded)
            for handler in getattr(statement, "handlers", []):
                scan(handler.body, guarded)

    scan(ast.parse(source).body, False)
    return found


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("import onnxruntime", [1]),
        ("from rapidocr import RapidOCR", [1]),
        ("import os\nif os.name:\n    import onnxruntime.capi", [3]),
        ("def f():\n    try:\n        import rapidocr\n    except ImportError:\n        import onnxruntime", [3, 5]),
        ("import rapidocr\ndisable_telemetry()", [1]),
        ("disable_telemetry()\nimport rapidocr", []),
        ("def f():\n    telemetry.disable_telemetry()\n    try:\n        import rapidocr\n    finally:\n        pass", []),
    ],
)
def test_imports_without_the_switch_are_found(source, lines):
    assert unguarded(source) == lines


def test_no_module_imports_a_reporting_package_without_the_switch():
    files = [
        *(file for folder in ("posterfusion_jax", "launch", "benchmarks", "configs") for file in (ROOT / folder).rglob("*.py"))
    ]
    assert any("disable_telemetry()" in file.read_text() for file in files)
    assert {str(file.relative_to(ROOT)): lines for file in files if (lines := unguarded(file.read_text()))} == {}


def test_tensorflow_datasets_does_not_look_into_its_bucket():
    """It is off in the releases that were checked: one in which it is on must fail here."""
    from tensorflow_datasets.core.utils import gcs_utils

    assert gcs_utils._is_gcs_disabled


def test_requests_to_the_model_hub_are_marked_as_without_telemetry():
    program = "import posterfusion_jax, transformers\nfrom transformers.utils.hub import http_user_agent\n"
    program += "from huggingface_hub import constants\nprint(constants.HF_HUB_DISABLE_TELEMETRY, http_user_agent())"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=100
    )
    assert done.stdout.startswith("True "), done.stderr
    assert done.stdout.rstrip().endswith("telemetry/off")
