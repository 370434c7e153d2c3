"""The command line: messages instead of tracebacks, exit status, kill and restart, and what is imported on the way."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from posterfusion_jax.datasets.synthetic import generator
from posterfusion_jax.genres import GENRES

ROOT = pathlib.Path(__file__).parent.parent
ENVIRONMENT = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "", "PYTHONPATH": str(ROOT)}


def command(*flags):
    return [sys.executable, "-m", "posterfusion_jax.main", *map(str, flags)]


def call(*flags):
    return subprocess.run(command(*flags), cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--config=configs/paper.py", "--config.train.lerning_rate=1"], "Did you mean train.learning_rate"),
        (["--config=configs/papr.py"], "configs/papr.py"),
        (["--config=configs/paper.py", "--wrkdir=x"], "wrkdir"),
        (["--config=configs/paper.py", "--mode=trian"], "trian"),
        (["--config=configs/paper.py", "--config.train.batch_size=many"], "train.batch_size"),
        ([], "--config=configs/quickstart.py"),
        (["--config=configs/paper.py"], "data.posters_dir is empty"),
        (["--config=configs/paper.py", "poster.jpg"], "'poster.jpg' is not a flag"),
        (["--mode=predict", "--workdir=/nonexistent", "poster.jpg"], "holds no checkpoint"),
        (
            ["--config=configs/paper.py", "--mode=build", "--config.data.posters_dir=/nonexistent"],
            "data.posters_dir='/nonexistent'",
        ),
    ],
)
def test_bad_flags_are_one_clear_message(flags, message):
    result = call(*flags)
    assert result.returncode == 2, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def tiny_flags(workdir, posters, **more):
    changes = {
        "data.source": "folder",
        "data.posters_dir": posters,
        "encoders.scratch.width": 16,
        "encoders.scratch.heads": 2,
        "encoders.scratch.image_layers": 1,
        "encoders.scratch.text_layers": 1,
        "encoders.scratch.projection": 16,
        "encoders.scratch.image_size": 16,
        "encoders.scratch.vocabulary": 300,
        "model.dim": 16,
        "model.heads": 2,
        "train.max_epochs": 4,
        "train.batch_size": 8,
        "ocr.engine": "none",
        **more,
    }
    return [
        f"--config={ROOT}/configs/quickstart.py",
        f"--workdir={workdir}",
        *(f"--config.{k}={v}" for k, v in changes.items()),
    ]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, posters_dir):
    workdir = tmp_path_factory.mktemp("unbroken")
    result = call(*tiny_flags(workdir, posters_dir))
    assert result.returncode == 0, result.stderr
    return workdir, result


@pytest.mark.slow
def test_one_command_goes_from_posters_to_a_report(unbroken):
    workdir, result = unbroken
    for words in ("macro F1", "run directory:", "pictures:", "posterfusion predict", "genre-stratified", "parameters"):
        assert words in result.stdout, words
    assert (workdir / "report" / "report.md").is_file()


def kill_when(reached, folder, start, *, wait=0.0):
    """Starts the command, and kills it with -9 `wait` seconds after `reached(folder)`."""
    process = subprocess.Popen(start, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not reached(folder):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    time.sleep(wait)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_killed_while_drawing_it_draws_the_same_folder(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    generator.draw_folder(whole, films=40)
    flags = ["--config.data.drawn_films=40", "--config.ocr.engine=none", "--mode=ocr"]
    start = command("--config=configs/quickstart.py", f"--workdir={tmp_path}", f"--config.data.posters_dir={broken}", *flags)
    for drawn in (3, 30):
        kill_when(lambda folder, drawn=drawn: len(list(folder.glob("images/*.jpg"))) > drawn, broken, start)
        assert not (broken / "title.basics.tsv.gz").exists()
    done = call(*start[3:])
    assert done.returncode == 0, done.stderr
    files = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert files == sorted(
        path.relative_to(broken) for path in broken.rglob("*") if path.is_file() and path.name != "ocr.jsonl"
    )
    assert all((whole / file).read_bytes() == (broken / file).read_bytes() for file in files)


@pytest.mark.slow
def test_evaluation_and_prediction_need_only_the_workdir(unbroken, posters_dir):
    workdir, _ = unbroken
    (workdir / "results" / "test.json").unlink()
    again = call("--mode=evaluate", f"--workdir={workdir}")
    assert again.returncode == 0, again.stderr
    assert (workdir / "results" / "test.json").is_file()
    images = sorted((posters_dir / "images").glob("*.jpg"))[:2]
    predicted = call("--mode=predict", f"--workdir={workdir}", "--json", *images)
    assert predicted.returncode == 0, predicted.stderr
    lines = [json.loads(line) for line in predicted.stdout.splitlines()]
    assert [line["file"] for line in lines] == [str(image) for image in images]
    for line in lines:
        assert set(line) == {"file", "text", "scores", "probabilities", "genres"}
        assert list(line["scores"]) == list(line["probabilities"]) == list(GENRES)
        assert all(0 < probability < 1 for probability in line["probabilities"].values())
        assert line["genres"] == [genre for genre in GENRES if line["scores"][genre] > 0.5]
    shown = call("--mode=predict", f"--workdir={workdir}", *images)
    assert "genres:" in shown.stdout
    best = max(lines[0]["scores"], key=lines[0]["scores"].get)
    score, probability = lines[0]["scores"][best], lines[0]["probabilities"][best]
    assert f"{best} {score:.2f} ({100 * probability:.0f} %)" in shown.stdout
    assert "text:" in shown.stdout


@pytest.mark.slow
def test_predict_fails_only_if_no_file_could_be_predicted(unbroken, posters_dir, tmp_path):
    workdir, _ = unbroken
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"nothing")
    good = next((posters_dir / "images").glob("*.jpg"))
    mixed = call("--mode=predict", f"--workdir={workdir}", "--json", broken, good)
    assert mixed.returncode == 0
    assert set(json.loads(mixed.stdout.splitlines()[0])) == {"file", "error"}
    assert call("--mode=predict", f"--workdir={workdir}", broken).returncode == 1


@pytest.mark.slow
def test_other_config_for_a_trained_workdir_is_refused(unbroken, posters_dir):
    workdir, _ = unbroken
    result = call(*tiny_flags(workdir, posters_dir, **{"model.smsam_layers": 1}), "--mode=evaluate")
    assert result.returncode == 2
    assert "model.smsam_layers: 2 there, 1 now" in result.stderr


@pytest.mark.slow
def test_neither_tensorflow_nor_torch_on_the_way_to_predictions(unbroken, posters_dir):
    workdir, _ = unbroken
    image = next((posters_dir / "images").glob("*.jpg"))
    code = f"""
import sys
from posterfusion_jax import main
from absl import app
def done():
    heavy = sorted({{"tensorflow", "torch"}} & set(sys.modules))
    print("heavy:", heavy)
import atexit; atexit.register(done)
app.run(main.main, argv=["main", "--mode=predict", "--workdir={workdir}", "{image}"])
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    assert "heavy: []" in result.stdout


@pytest.mark.parametrize(("asked", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_request_to_stop_is_a_message_and_a_status(tmp_path, posters_dir, asked, status):
    flags = tiny_flags(tmp_path, posters_dir, **{"train.max_epochs": 40, "train.patience": 40})
    process = subprocess.Popen(command(*flags), cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not (tmp_path / "checkpoints").exists():
        assert process.poll() is None
        time.sleep(0.2)
    process.send_signal(asked)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == status, errors.decode()
    assert b"interrupted" in errors
    assert b"Traceback" not in errors
