"""A start that fails is a message, and leaves no folder behind; commands of the sweep take fields without a value."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent


def call(*command, cwd):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "", "PYTHONPATH": str(ROOT), "GOOGLE_API_KEY": ""}
    environment |= {"GEMINI_API_KEY": ""}
    return subprocess.run(
        [sys.executable, *map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--config=paper", "--config.data.posters_dir=nowhere"], "data.posters_dir="),
        (["--config=paper", "--config.data.posters_dir=POSTERS", "--config.encoders.image=/nowhere"], "'/nowhere'"),
        (
            [
                "--config=paper",
                "--config.data.posters_dir=POSTERS",
                "--config.data.split_by=file",
                "--config.data.split_file=x",
            ],
            "data.split_file=",
        ),
        (["--config=quickstart", "--config.ocr.engine=gemini"], "needs a key"),
        (["--config=quickstart", "--mode=train"], "there is no dataset"),
        (["--config=quickstart", "--mode=report"], "holds no checkpoint"),
        (["--config=quickstart", "--mode=predict", "x.jpg"], "holds no checkpoint"),
        (["--mode=evaluate", "--workdir=runs/one"], "holds no checkpoint"),
        (["--mode=evaluate", "--workdir=runs/one", "--config.seed=1"], "--config=FILE or --config=NAME"),
        (["--config=paper", "--lr=1"], "Did you mean train.learning_rate?"),
        (["--config=paper", "--config.labels=x"], "Did you mean data.labels"),
    ],
)
def test_a_start_that_fails_creates_nothing(tmp_path, posters_dir, flags, message):
    flags = [flag.replace("POSTERS", str(posters_dir)) for flag in flags]
    refused = call("-m", "posterfusion_jax.main", *flags, cwd=tmp_path)
    assert refused.returncode == 2, refused.stderr
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_grid_may_hold_fields_without_a_value(tmp_path, posters_dir, clip_folder):
    small = ["dim=16", "heads=2", "smsam_layers=0", "ffn=(8,)"]
    flags = [f"--config.model.{value}" for value in small]
    flags += [f"--config.data.posters_dir={posters_dir}", "--config.ocr.engine=none", "--config.train.max_epochs=1"]
    flags += [f"--config.encoders.{tower}={clip_folder}" for tower in ("image", "text")]
    flags += ["--config.evaluate.bootstrap=100", "--config.evaluate.controls=()"]
    out = tmp_path / "out.json"
    sweep = (ROOT / "launch" / "sweep.py", "--config=paper", "--root=runs", "--seeds=0", "--grid=loss.margin=none,,0.1")
    done = call(*sweep, "--out", out, "--", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert list(json.loads(out.read_text())["cells"]) == ["none", "0.1"]
    refused = call(*sweep, "--split=train", "--", *flags, cwd=tmp_path)
    assert refused.returncode == 1
    assert "evaluate.splits" in refused.stderr
