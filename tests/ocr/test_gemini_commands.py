"""The OCR commands with Gemini, as a user gives them."""

import json
import os
import pathlib
import subprocess
import sys

import gemini_run
import pytest
from gemini_server import KEY, serve

from posterfusion_jax.ocr.engines.base import EngineChoice
from posterfusion_jax.ocr.engines.gemini_options import GeminiOptions
from posterfusion_jax.ocr.read_files import read_files
from posterfusion_jax.ocr.remote.client import Limits

ROOT = pathlib.Path(__file__).parent.parent.parent


def command(folder, server, *flags):
    environment = {**os.environ, "GOOGLE_GEMINI_BASE_URL": server.url, "GOOGLE_API_KEY": KEY, "PYTHONPATH": str(ROOT)}
    environment.pop("GEMINI_API_KEY", None)
    paths = [f"--config={ROOT}/configs/paper.py", f"--config.data.posters_dir={folder}", f"--workdir={folder}/run"]
    return subprocess.run(
        [sys.executable, "-m", "posterfusion_jax.main", "--mode=ocr", *paths, "--config.ocr.engine=gemini", *flags],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def statuses(folder):
    return [json.loads(line)["status"] for line in (folder / "ocr.jsonl").read_text().splitlines()]


def test_a_budget_stops_with_status_3_and_the_same_command_goes_on(tmp_path):
    gemini_run.write_posters(tmp_path, 6)
    with serve() as server:
        result = command(tmp_path, server, "--config.ocr.limits.max_requests=4")
        assert (result.returncode, statuses(tmp_path)) == (3, ["ok"] * 4), result.stderr
        assert "stopped with 2 posters left: the 4 requests of ocr.limits.max_requests are used up" in result.stdout
        assert "not finished: 2 posters are not read yet" in result.stderr
        assert "cost=$0.00" in result.stderr  # the bar
        result = command(tmp_path, server, "--config.ocr.limits.max_requests=4")
        assert (result.returncode, statuses(tmp_path)) == (0, ["ok"] * 6), result.stderr


def test_retry_names_what_is_read_again(tmp_path):
    gemini_run.write_posters(tmp_path, 2)
    with serve("safety") as server:
        assert command(tmp_path, server).returncode == 0
        server.weather = lambda image, before: "ok"
        assert command(tmp_path, server).returncode == 0
        assert statuses(tmp_path) == ["blocked"] * 2
        result = command(tmp_path, server, "--retry=blocked,error")
    assert (result.returncode, statuses(tmp_path)) == (0, ["blocked"] * 2 + ["ok"] * 2), result.stderr


def test_a_wrong_key_is_one_line(tmp_path):
    gemini_run.write_posters(tmp_path, 2)
    with serve("key") as server:
        result = command(tmp_path, server)
    assert result.returncode == 2
    assert "error: Gemini rejects the key" in result.stderr
    assert "Traceback" not in result.stderr
    assert KEY not in result.stdout + result.stderr


def test_batches_are_status_3_until_they_are_collected(tmp_path):
    gemini_run.write_posters(tmp_path, 2)
    with serve() as server:
        result = command(tmp_path, server, "--config.ocr.batch.use=True")
        assert result.returncode == 3, result.stderr
        assert "2 posters are in batch jobs under way" in result.stdout
        server.batches.finish()
        result = command(tmp_path, server, "--config.ocr.batch.use=True")
    assert (result.returncode, statuses(tmp_path)) == (0, ["ok"] * 2), result.stderr


@pytest.mark.parametrize("weather", ["ok", "503", "429day"])
def test_files_are_read_at_once_and_in_order(tmp_path, monkeypatch, weather):
    gemini_run.write_posters(tmp_path, 3)
    files = sorted((tmp_path / "images").iterdir())
    files[1].write_bytes(b"no image")
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    with serve(weather) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        engine = EngineChoice(name="gemini", options={"options": GeminiOptions(model="m", timeout=1.0)})
        found = list(read_files(files, engine, workers=0, limits=Limits(tries=1)))
    good = weather == "ok"
    assert [record.status for record in found] == ["ok" if good else "error", "error", "ok" if good else "error"]
    assert "unreadable image" in (found[1].reason or "") or weather == "429day"
    if not good:
        assert {"503": "overloaded", "429day": "the day's quota"}[weather] in (found[0].reason or "")
