"""Shapes in annotations: checked in tests, not checked in a run, complete where the package is pure."""

import ast
import functools
import importlib
import json
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shape_checks
from jaxtyping import TypeCheckError

from posterfusion_jax.encoders.augment import drop_tokens
from posterfusion_jax.encoders.grid import pool_grid
from posterfusion_jax.input_pipeline.sources import BatchSource
from posterfusion_jax.losses.asymmetric import make_loss
from posterfusion_jax.metrics.calibration import expected_calibration_error
from posterfusion_jax.metrics.multilabel import average_precisions
from posterfusion_jax.models.fusion import PosterFusion
from posterfusion_jax.models.gmu import Gmu
from posterfusion_jax.models.inputs import HeadInputs, fill_missing, masked_mean
from posterfusion_jax.train.step import mean_loss

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDERS = ("losses", "metrics", "models")
ARRAYS = {"Array", "ndarray", "ArrayLike", "HeadInputs", "Counts"}
WITHOUT_SHAPES = {  # they convert whatever NumPy can convert, and return numbers
    *("calibration_report", "film_bootstrap", "fit_calibration", "fit_thresholds"),
    *("constant_measures", "multilabel_report", "paired_difference", "report_from_counts"),
    *("Counts.sum", "format_report"),  # counts of any shape
}

HEADS = {"fusion": PosterFusion(labels=13, dim=8, heads=2, smsam_layers=1, ffn=(4,)), "gmu": Gmu(labels=13, width=4)}
PROGRAM = """
import json, sys
sys.path[:0] = ["tests", "tests/helpers"]
import jax.numpy as jnp
from posterfusion_jax.models.inputs import masked_mean
masked_mean(jnp.ones((2, 3, 4)), jnp.ones((2, 3), jnp.int32))  # the annotation has a bool mask
assert not hasattr(masked_mean, "__wrapped__")
assert "beartype" not in sys.modules
import jax
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
import posterfusion_jax.metrics.multilabel, posterfusion_jax.losses.asymmetric
from test_shapes import outputs
print(json.dumps(outputs()))
"""


def pooled() -> HeadInputs:
    image, text = (jnp.linspace(-1, 1, 2 * width).reshape(2, width) for width in (6, 5))
    return HeadInputs(image, jnp.ones(2, bool), text, jnp.array([True, False]))


def outputs() -> dict[str, list]:
    """The names and sums of the parameters of each head, and its logits."""
    found = {}
    for name, head in HEADS.items():
        variables = head.init(jax.random.key(0), pooled())
        leaves = jax.tree_util.tree_leaves_with_path(variables)
        sums = [[jax.tree_util.keystr(path), float(np.asarray(leaf, np.float64).sum())] for path, leaf in leaves]
        found[name] = [sums, np.asarray(head.apply(variables, pooled())).tolist()]
    return found


LOGITS, SCORES = jnp.zeros((4, 13)), np.full((4, 13), 0.5)
TOKENS, FILLER = jnp.zeros((2, 3, 4)), jnp.zeros(4)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (make_loss("asl"), (LOGITS, jnp.zeros((4, 12)))),
        (make_loss("asl"), (jnp.zeros((4, 13), jnp.int32), LOGITS)),
        (expected_calibration_error, (SCORES, SCORES[:3] > 0)),
        (expected_calibration_error, (SCORES > 0, SCORES > 0)),
        (average_precisions, (SCORES, SCORES > 0, np.ones((2, 5)))),
        (masked_mean, (TOKENS, jnp.ones((2, 4), bool))),
        (masked_mean, (TOKENS, jnp.ones((2, 3)))),
        (fill_missing, (TOKENS, jnp.ones((2, 3), bool), FILLER[:3])),
        (mean_loss, (LOGITS, jnp.ones(3))),
        (functools.partial(drop_tokens, share=0.5), (jax.random.key(0), jnp.ones((2, 3)))),
        (functools.partial(pool_grid, to=1), (TOKENS[0],)),
        (functools.partial(BatchSource, ["a"], ["f"], load=None), (np.zeros((1, 13)),)),
        (lambda inputs: HEADS["fusion"].init(jax.random.key(0), inputs), (pooled()._replace(text_mask=jnp.ones(3, bool)),)),
        (lambda inputs: HEADS["gmu"].init(jax.random.key(0), inputs), (pooled()._replace(image=jnp.ones((2, 6), int)),)),
    ],
)
def test_a_wrong_shape_or_dtype_is_an_error_in_tests(function, arguments):
    with pytest.raises(TypeCheckError):
        function(*arguments)


@pytest.mark.parametrize("name", shape_checks.PACKAGES)
def test_every_package_of_the_list_is_checked(name):
    package = importlib.import_module(name)
    folder = pathlib.Path(package.__file__).parent
    names = [f"{name}.{path.stem}" for path in folder.glob("*.py") if path.stem != "__init__"]
    for module in names if hasattr(package, "__path__") else [name]:
        assert type(importlib.import_module(module).__loader__).__name__ == "_JaxtypingLoader", module


@pytest.mark.usefixtures("unchecked_shapes")
def test_tests_can_switch_the_checks_off():
    assert masked_mean(TOKENS, jnp.ones((2, 3))).shape == (2, 4)


def test_a_run_has_no_checks_and_the_same_numbers():
    run = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == outputs()


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["-c", "import posterfusion_jax.metrics.multilabel"], ("jax",)),
        (["-m", "posterfusion_jax.main", "--help"], ("jax", "jaxtyping")),
    ],
)
def test_it_costs_no_import_where_none_is_needed(arguments, absent):
    command = [sys.executable, "-X", "importtime", *arguments]  # --help exits with 1
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    loaded = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines()}
    assert "posterfusion_jax.metrics" in loaded
    assert not loaded & set(absent)


def functions_of(path: pathlib.Path):
    """(name, annotations) of the functions and methods of a file that are not inside functions."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        for function in members:
            if isinstance(function, ast.FunctionDef):
                of = function.args
                parts = [arg.annotation for arg in (*of.posonlyargs, *of.args, *of.kwonlyargs)]
                yield prefix + function.name, [part for part in (*parts, function.returns) if part is not None]


def shapes_of(annotation: ast.expr) -> list[ast.Subscript]:
    """The parts of an annotation with a shape, such as Float[Array, "b g"]."""
    parts = [part for part in ast.walk(annotation) if isinstance(part, ast.Subscript) and isinstance(part.slice, ast.Tuple)]
    return [part for part in parts if isinstance(part.slice.elts[-1], ast.Constant) and isinstance(part.value, ast.Name)]


def names_in(nodes: list[ast.expr]) -> list[str]:
    words = [getattr(part, "id", getattr(part, "attr", "")) for node in nodes for part in ast.walk(node)]
    return [word for word in words if word in ARRAYS]


@pytest.mark.parametrize("folder", FOLDERS)
def test_functions_with_arrays_state_shapes(folder):
    without, bare, known = [], [], 0
    for path in sorted((ROOT / "posterfusion_jax" / folder).glob("*.py")):
        for name, annotations in functions_of(path):
            shapes = [shape for annotation in annotations for shape in shapes_of(annotation)]
            known += bool(shapes)
            public = not any(part[0] == "_" and part != "__call__" for part in name.split("."))
            if public and names_in(annotations) and not shapes and name not in WITHOUT_SHAPES:
                without.append(f"{path.name}: {name}")
            plain = [word for word in names_in(annotations) if word in ("Array", "ndarray")]
            if len(plain) > len([word for word in names_in(shapes) if word in ("Array", "ndarray")]):
                bare.append(f"{path.name}: {name}")
    assert known
    assert not without
    assert not bare
