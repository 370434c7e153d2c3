"""The same command twice gives the same bytes; on more devices, whose sums have another order, nearly the same numbers."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from posterfusion_jax.checkpoints.meta import saved_epochs
from posterfusion_jax.evaluation.results import read_results, read_scores
from posterfusion_jax.train.metric_writer import read_history

pytestmark = pytest.mark.slow  # three whole runs; tests/test_x64.py compares the bytes of two runs in every test run

HELPERS = pathlib.Path(__file__).parent / "helpers"
PROGRAM = """
import json, pathlib, sys
sys.path.insert(0, sys.argv[2])
import fault_campaign
bench = fault_campaign.Bench(pathlib.Path(sys.argv[1]))
bench.prepare()
print(json.dumps({stage: bench.digest(stage) for stage in fault_campaign.STAGES}))
"""


def whole_run(root, kept, *, devices):
    """Digests of what each stage left; the run's folder is kept under another name, for its own must be the same each time."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, root, HELPERS.parent],
        env=os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": os.pathsep.join([str(HELPERS.parents[1]), str(HELPERS)])},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    shutil.copytree(root / "place" / "run", kept)
    shutil.rmtree(root)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("twice")
    digests = {name: whole_run(folder / "root", folder / name, devices=count) for name, count in (("a", 1), ("b", 1), ("c", 4))}
    return folder, digests


def rows_of(run):
    files = sorted(run.glob("dataset/**/*.array_record*"))
    return [(file.name, file.read_bytes()) for file in files]


def test_twice_the_same_bytes(runs):
    folder, digests = runs
    assert rows_of(folder / "a") == rows_of(folder / "b")
    for of in digests.values():
        del of["build"]  # its report has a hash of the OCR records, which say when they were made
    assert digests["a"] == digests["b"]


def test_on_four_devices_only_rounding_differs(runs):
    folder, _ = runs
    assert rows_of(folder / "a") == rows_of(folder / "c")
    assert saved_epochs(folder / "a" / "checkpoints") == saved_epochs(folder / "c" / "checkpoints")
    for one, four in zip(read_history(folder / "a" / "logs"), read_history(folder / "c" / "logs"), strict=True):
        np.testing.assert_allclose(one["train_loss"], four["train_loss"], rtol=1e-4)
    scores = [read_scores(folder / name / "results", "test")["scores"] for name in ("a", "c")]
    np.testing.assert_allclose(*scores, atol=1e-4)
    losses = [read_results(folder / name / "results", "test")["loss"] for name in ("a", "c")]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    print("largest difference of a score:", np.abs(scores[0] - scores[1]).max(), "of the loss:", abs(losses[0] - losses[1]))
