"""Each environment variable that JAX reads is set aside, recorded or refused in one line, and never a traceback."""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys

import pytest

from posterfusion_jax.errors import InputError
from posterfusion_jax.utils import jax_environment
from posterfusion_jax.utils.jax_environment import FRACTIONS, PINNED, explain, prepare, recorded

ROOT = pathlib.Path(__file__).parents[2]
ODD = {  # a value of each pinned variable that would change or stop something
    "JAX_ENABLE_X64": "1",
    "JAX_DEFAULT_DTYPE_BITS": "64",
    "JAX_EXPLICIT_X64_DTYPES": "error",
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
    "JAX_THREEFRY_PARTITIONABLE": "0",
    "JAX_RANDOM_SEED_OFFSET": "7",
    "JAX_ENABLE_CUSTOM_PRNG": "true",
    "JAX_LEGACY_PRNG_KEY": "error",
    "JAX_DEBUG_KEY_REUSE": "1",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "JAX_ALLOW_F16_REDUCTIONS": "0",
    "JAX_DISABLE_JIT": "1",
    "JAX_NO_TRACING": "1",
    "JAX_NO_EXECUTION": "1",
    "JAX_CHECK_TRACER_LEAKS": "1",
    "JAX_DEBUG_NANS": "yes",
    "JAX_DEBUG_INFS": "on",
    "JAX_TRANSFER_GUARD": "disallow",
    "JAX_TRANSFER_GUARD_HOST_TO_DEVICE": "disallow",
    "JAX_TRANSFER_GUARD_DEVICE_TO_DEVICE": "disallow_explicit",
    "JAX_TRANSFER_GUARD_DEVICE_TO_HOST": "disallow",
    "JAX_RAISE_PERSISTENT_CACHE_ERRORS": "1",
}


def test_each_pinned_variable_is_tried():
    assert set(ODD) == set(PINNED)


@pytest.mark.parametrize("variable", PINNED)
@pytest.mark.parametrize("value", [None, "nonsense"])
def test_a_pinned_variable_is_set_aside_with_its_name_and_value(variable, value, capsys):
    value = ODD[variable] if value is None else value
    environ = {variable: value, "OTHER": "kept"}
    prepare(environ, computes=False)
    assert environ == {"OTHER": "kept"}
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"note: {variable}={value!r} is not used: ")


@pytest.mark.parametrize("variable", PINNED)
def test_its_own_value_is_nothing_to_note(variable, capsys):
    for value in (str(PINNED[variable].value), str(PINNED[variable].value).lower()):
        environ = {variable: value}
        prepare(environ, computes=False)
        assert environ == {}
    assert capsys.readouterr().err == ""


def test_what_may_change_numbers_is_noted_and_recorded(capsys):
    environ = {"JAX_DEFAULT_MATMUL_PRECISION": "bfloat16", "XLA_FLAGS": "--xla_cpu_enable_fast_math=true"}
    prepare(environ, computes=False)
    assert len(environ) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("=")[0] for line in lines] == ["note: JAX_DEFAULT_MATMUL_PRECISION", "note: XLA_FLAGS"]
    assert recorded(environ) == environ


@pytest.mark.parametrize("flags", ["", " ", "--xla_force_host_platform_device_count=8"])
def test_flags_that_change_no_numbers_are_not_recorded(flags, capsys):
    environ = {"XLA_FLAGS": flags}
    prepare(environ, computes=False)
    assert recorded(environ) == {}
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("variable", FRACTIONS)
@pytest.mark.parametrize("value", ["abc", "0", "1.5", "-1", "nan"])
def test_a_share_of_memory_must_be_one(variable, value):
    with pytest.raises(InputError, match=rf"{variable}='{value}' must be a share"):
        prepare({variable: value}, computes=False)


def test_an_error_of_other_origin_is_not_explained():
    def fail(error):
        raise error

    for error in (ValueError("bad"), AssertionError(), RuntimeError("JAX_PLATFORMS")):
        with pytest.raises(type(error)) as caught:
            fail(error)
        assert explain(caught.value, {"JAX_PLATFORMS": "cuda", "JAX_LOG_COMPILES": "bad"}) is None


REFUSED = {  # what is refused before anything is done, with a part of the reason
    ("JAX_PLATFORMS", "cuda"): "no such platform",
    ("JAX_PLATFORMS", "gpu"): "no such platform",
    ("JAX_PLATFORMS", "nonsense"): "no such platform",
    ("JAX_PLATFORM_NAME", "gpu"): "no such platform",
    ("JAX_DEFAULT_DEVICE", "gpu"): "no such platform",
    ("JAX_NUM_CPU_DEVICES", "x"): "not a value that JAX takes",
    ("JAX_LOG_COMPILES", "maybe"): "not a value that JAX takes",
    ("JAX_DEFAULT_MATMUL_PRECISION", "nope"): "not a value that JAX takes",
    ("JAX_DEFAULT_MATMUL_PRECISION", "TF32_TF32_F32"): "can compute with",
    ("XLA_FLAGS", "--xla_nope=1"): "Unknown flag",
    ("XLA_FLAGS", "no_file"): "XLA does not take it",
    ("XLA_FLAGS", "--xla_force_host_platform_device_count=x"): "XLA does not take it",
    ("PYTHONOPTIMIZE", "2"): "docstrings",
}
USED = {  # that do not keep a command from going on: here to its complaint that there is no checkpoint
    ("JAX_PLATFORMS", ""): "",
    ("JAX_PLATFORMS", "cuda,cpu"): "note: JAX_PLATFORMS='cuda,cpu': there is no cuda here, so cpu computes",
    ("JAX_NUM_CPU_DEVICES", "3"): "",
    ("JAX_COMPILATION_CACHE_DIR", "/proc/none"): "",
    ("CUDA_VISIBLE_DEVICES", "none"): "",
    ("TF_CPP_MIN_LOG_LEVEL", "nonsense"): "",
    ("PYTHONHASHSEED", "5"): "",
    ("PYTHONOPTIMIZE", "1"): "",
    ("PYTHONWARNINGS", "error"): "note: PYTHONWARNINGS=error",
    ("OMP_NUM_THREADS", "1"): "",
}


def clean(**more):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_"))}
    return {**kept, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'helpers'}", **more}


def call(variable, value):
    command = [sys.executable, "-m", "posterfusion_jax.main", "--mode=evaluate", "--workdir=/nonexistent"]
    more = {} if variable == "JAX_PLATFORMS" else {"JAX_PLATFORMS": "cpu"}
    if variable in ("JAX_PLATFORM_NAME", "JAX_DEFAULT_DEVICE"):
        more = {}
    return subprocess.run(command, env=clean(**more, **{variable: value}), capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def called():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        cases = [*REFUSED, *USED]
        return dict(zip(cases, pool.map(lambda case: call(*case), cases), strict=True))


@pytest.mark.parametrize(("variable", "value"), REFUSED)
def test_what_jax_cannot_run_with_is_one_line(called, variable, value):
    result = called[variable, value]
    assert result.returncode == 2, result.stderr
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"error: {variable}={value!r}"), result.stderr
    assert REFUSED[variable, value] in last
    assert "Traceback" not in result.stderr
    assert len([line for line in result.stderr.splitlines() if not line.startswith("note: ")]) == 1, result.stderr


@pytest.mark.parametrize(("variable", "value"), USED)
def test_other_variables_stop_nothing(called, variable, value):
    result = called[variable, value]
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("error: --workdir=/nonexistent holds no checkpoint"), result.stderr
    assert USED[variable, value] in result.stderr


PROGRAM = """
import json, pathlib, sys
from posterfusion_jax.utils.jax_environment import prepare
prepare()
import jax
assert not jax.config.jax_enable_x64 and not jax.config.jax_disable_jit
from tiny_runs import tiny_run
from posterfusion_jax.checkpoints.meta import read_latest_meta
from posterfusion_jax.evaluation.results import read_results, read_scores
from posterfusion_jax.pipeline.features import extract_features
from posterfusion_jax.pipeline.evaluate import evaluate
from posterfusion_jax.pipeline.build import build
from posterfusion_jax.pipeline.ocr import read_words
from posterfusion_jax.pipeline.train import train_model
changes = {"ocr__engine": "none", "train__max_epochs": 2, "model__dropout": 0.2}
run = tiny_run(*map(pathlib.Path, sys.argv[1:4]), **changes)
for stage in (read_words, build, extract_features, train_model, evaluate):
    stage(run)
meta, results = read_latest_meta(run.paths.checkpoints), read_results(run.paths.results, "test")
scores = read_scores(run.paths.results, "test")["scores"].tolist()
print(json.dumps([meta["arrays"], scores, meta["numerics"], results["numerics"]]))
"""


@pytest.mark.slow
def test_all_variables_at_once_change_nothing(tmp_path, posters_dir, clip_folder):
    def run(name, **more):
        command = [sys.executable, "-c", PROGRAM, tmp_path / name, posters_dir, clip_folder]
        done = subprocess.run(
            command, env=clean(JAX_PLATFORMS="cpu", **more), cwd=tmp_path, capture_output=True, text=True, timeout=500
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1]), done.stderr

    plain, _ = run("plain")
    odd, said = run("odd", **ODD, JAX_DEFAULT_MATMUL_PRECISION="float32")
    assert plain[:2] == odd[:2]
    assert all(f"note: {variable}={value!r} is not used" in said for variable, value in ODD.items())
    assert plain[2:] == [{}, {"training": {}, "evaluation": {}}]
    precision = {"JAX_DEFAULT_MATMUL_PRECISION": "float32"}
    assert odd[2:] == [precision, {"training": precision, "evaluation": precision}]


def test_documentation_names_each_variable():
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    names = (*PINNED, *jax_environment.RECORDED, *jax_environment.PLATFORMS, *FRACTIONS, *(variable for variable, _ in USED))
    assert [name for name in names if f"`{name}" not in page] == []
