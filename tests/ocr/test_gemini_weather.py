"""Gemini in bad weather: a real server on 127.0.0.1 that fails in every way the service is known to."""

import collections
import dataclasses
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import gemini_run
import gemini_server
import pytest
from gemini_server import KEY, MODEL, serve

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.records.record import OcrRecord
from posterfusion_jax.ocr.records.store import load_records
from posterfusion_jax.ocr.remote import client
from posterfusion_jax.ocr.remote.client import Limits
from posterfusion_jax.ocr.summary import format_summary

HELPERS = pathlib.Path(__file__).resolve().parents[1] / "helpers"
ROOT = HELPERS.parents[1]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    monkeypatch.setattr(client, "_FIRST_PAUSE", 0.02)


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    gemini_run.write_posters(tmp_path, 1)
    return tmp_path


def records(folder: pathlib.Path) -> list[OcrRecord]:
    return list(load_records([folder / "ocr.jsonl"]))


def ask(folder, monkeypatch, weather, **options):
    """One run in this weather: its summary, its records, the requests."""
    with serve(weather) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        summary = gemini_run.read(folder, **options)
    return summary, records(folder), server.requests


def first(weather: str, times: int = 1):
    """Bad weather for the first questions, then sunshine."""
    return lambda image, before: weather if before < times else "ok"


def test_an_answer_becomes_a_record(folder, monkeypatch):
    summary, [record], [request] = ask(folder, monkeypatch, "ok")
    assert (record.status, record.text) == ("ok", f"THE POSTER\n{record.sha256[:12]}")
    assert (record.engine, record.model_version, record.language) == ("gemini", f"{MODEL}-001", "en")
    assert record.prompt_version == "1"
    assert record.engine_version == f"{MODEL} prompt 1"
    assert record.usage == {"answers": 1, "input_tokens": 300, "output_tokens": 50, "usd": pytest.approx(400e-6)}
    assert request.image == record.sha256  # the file went out as it is
    config = request.body["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    assert set(config["responseSchema"]["properties"]) == {"lines", "language"}
    assert config["maxOutputTokens"] == 2048
    assert {setting["threshold"] for setting in request.body["safetySettings"]} == {"OFF"}
    assert "1 answers: 300 tokens in and 50 out, 0.0004 US dollars" in format_summary(summary)


def test_a_second_run_asks_nothing(folder, monkeypatch):
    ask(folder, monkeypatch, "ok")
    summary, _, requests = ask(folder, monkeypatch, "ok")
    assert (summary.already, summary.read, requests) == (1, 0, [])


@pytest.mark.parametrize("weather", ["429", "500", "503", "drop", "cut", "malformed", "hang:2"])
def test_passing_trouble_is_asked_again(folder, monkeypatch, weather):
    _, [record], requests = ask(folder, monkeypatch, first(weather, 2))
    assert (record.status, len(requests)) == ("ok", 3)


def test_the_pause_that_the_service_asks_for_is_kept_by_all(tmp_path, monkeypatch):
    gemini_run.write_posters(tmp_path, 6)
    kinds = iter(["429:0.7", "slow:0.3"])  # the second question is under way when the service asks for a pause

    def weather(image, before):
        return next(kinds, "ok")

    summary, _, requests = ask(tmp_path, monkeypatch, weather, limits=Limits(concurrency=2))
    assert (summary.by_status, len(requests)) == ({"ok": 6}, 7)
    later = [request.time - requests[0].time for request in requests[2:]]
    assert min(later) >= 0.7


@pytest.mark.parametrize(
    ("weather", "status", "text", "reason"),
    [
        ("none", "empty", "", None),
        ("text", "ok", "THE POSTER\nwithout JSON", "not the JSON"),
        ("max_tokens", "max_tokens", "THE POSTER\na torn li", "cut off after 50 tokens"),
        ("recitation", "recitation", "", "withheld as a recitation"),
        ("safety", "blocked", "", "SAFETY"),
        ("blocked", "blocked", "", "the prompt was blocked: PROHIBITED_CONTENT"),
        ("empty", "error", "", "an answer without text (finish reason STOP)"),
        ("other", "error", "", "finish reason OTHER"),
        ("400", "error", "", "400 INVALID_ARGUMENT: Unable to process input image."),
        ("503", "error", "", "503 The model is overloaded. (6 tries)"),
    ],
)
def test_what_an_answer_without_text_becomes(folder, monkeypatch, weather, status, text, reason):
    _, [record], _ = ask(folder, monkeypatch, weather)
    assert (record.status, record.text) == (status, text)
    assert reason in record.reason if reason else record.reason is None


def test_recitation_climbs_the_temperatures_and_asks_another_model_at_last(folder, monkeypatch):
    weather = first("recitation", 3)
    _, [record], requests = ask(folder, monkeypatch, weather, fallback_model="other-model")
    asked = [(request.model, request.temperature) for request in requests]
    assert asked == [(MODEL, 0.0), (MODEL, 0.5), (MODEL, 1.0), ("other-model", 0.0)]
    assert record.status == "ok"
    assert record.usage is not None
    assert record.usage["answers"] == 4  # all four are paid for


def test_retry_reads_again_what_it_names_and_nothing_else(tmp_path, monkeypatch):
    gemini_run.write_posters(tmp_path, 4)
    kinds = iter(["recitation", "safety", "400", "ok"])
    of_image = collections.defaultdict(lambda: next(kinds))
    ask(tmp_path, monkeypatch, lambda image, before: of_image[image], temperatures=(0.0,), limits=Limits(concurrency=1))
    summary, _, requests = ask(tmp_path, monkeypatch, "ok", retry=("recitation", "error"))
    assert (summary.read, summary.failed_before, summary.already, len(requests)) == (2, 1, 1, 2)
    assert {of_image[request.image] for request in requests} == {"recitation", "400"}


@pytest.mark.parametrize("weather", ["key", "403"])
def test_a_wrong_key_stops_at_once_and_is_never_shown(tmp_path, monkeypatch, weather, caplog, capfd):
    gemini_run.write_posters(tmp_path, 50)
    with pytest.raises(InputError, match="GOOGLE_API_KEY") as caught:
        ask(tmp_path, monkeypatch, weather, limits=Limits(concurrency=2))
    assert records(tmp_path) == []
    shown = "".join([str(caught.value), repr(caught.value.__cause__), caplog.text, *capfd.readouterr()])
    assert "<key>" in shown
    assert KEY not in shown


def test_the_key_is_in_no_record(tmp_path, monkeypatch):
    gemini_run.write_posters(tmp_path, 2)
    monkeypatch.setattr(gemini_server, "_respond", lambda *_: gemini_server.error(400, "BAD", f"no such header {KEY}"))
    ask(tmp_path, monkeypatch, "400")
    text = (tmp_path / "ocr.jsonl").read_text()
    assert "no such header <key>" in text
    assert KEY not in text


def test_no_key_is_told_before_anything_is_asked(folder, monkeypatch):
    monkeypatch.delenv("GOOGLE_API_KEY")
    with pytest.raises(InputError, match=r"needs a key in the environment: set GOOGLE_API_KEY"):
        gemini_run.read(folder)


def test_a_model_that_is_gone_is_named(folder, monkeypatch):
    with pytest.raises(InputError, match=f"ocr.gemini.model='{MODEL}' is not available"):
        ask(folder, monkeypatch, "404")


def test_the_days_quota_ends_the_run_and_the_next_goes_on(tmp_path, monkeypatch):
    gemini_run.write_posters(tmp_path, 20)
    with serve(lambda image, before: "ok" if len(server.requests) < 8 else "429day") as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        summary = gemini_run.read(tmp_path, limits=Limits(concurrency=3))
    assert (summary.read, summary.left) == (8, 12)
    assert "the day's quota of gemini-test is used up" in (summary.stopped or "")
    assert len(server.requests) <= 8 + 3
    summary, _, requests = ask(tmp_path, monkeypatch, "ok")
    assert (summary.read, summary.already, len(requests)) == (12, 8, 12)


def test_an_outage_ends_the_run_and_marks_no_poster(tmp_path, monkeypatch):
    gemini_run.write_posters(tmp_path, 40)
    summary, found, _ = ask(tmp_path, monkeypatch, "503", limits=Limits(concurrency=4, tries=2))
    assert (found, summary.left) == ([], 40)
    assert "10 posters in a row had no answer, most recently: 503" in (summary.stopped or "")


def test_a_service_that_only_asks_for_pauses_ends_the_run(folder, monkeypatch):
    monkeypatch.setattr(client, "_UNANSWERED", 3)
    summary, found, _ = ask(folder, monkeypatch, "429:0.01", limits=Limits(concurrency=1))
    assert (found, summary.left) == ([], 1)
    assert "only requests pauses" in (summary.stopped or "")
    summary, _, requests = ask(folder, monkeypatch, "429:7200", limits=Limits(concurrency=1))
    assert "requests a pause of 7200 seconds" in (summary.stopped or "")
    assert len(requests) == 1


def test_a_broken_file_costs_nothing(tmp_path, monkeypatch):
    gemini_run.write_posters(tmp_path, 2)
    (tmp_path / "images" / "tt1000000_0.png").write_bytes(b"no image")
    summary, _, requests = ask(tmp_path, monkeypatch, "ok")
    assert (summary.by_status, len(requests)) == ({"error": 1, "ok": 1}, 1)
    assert summary.failures[0].reason.startswith("unreadable image")


def test_the_budget_is_never_overspent(tmp_path, monkeypatch):
    gemini_run.write_posters(tmp_path, 60)
    budget = 30 * 400e-6  # thirty answers; one may cost 0.0052 at most
    summary, found, _ = ask(tmp_path, monkeypatch, "ok", max_output_tokens=100, limits=Limits(concurrency=8, budget=budget))
    assert summary.spent is not None
    assert 0.5 * budget < summary.spent.usd <= budget
    assert len(found) == summary.read == 60 - summary.left
    assert "ocr.limits.budget" in (summary.stopped or "")
    assert "stopped with" in format_summary(summary)


def test_no_more_requests_than_allowed(tmp_path, monkeypatch):
    gemini_run.write_posters(tmp_path, 20)
    summary, _, requests = ask(tmp_path, monkeypatch, "ok", limits=Limits(concurrency=4, max_requests=7))
    assert (len(requests), summary.read, summary.left) == (7, 7, 13)


def test_requests_run_side_by_side_and_not_more_than_allowed(tmp_path, monkeypatch):
    gemini_run.write_posters(tmp_path, 24)
    with serve("ok", seconds=0.2) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        gemini_run.read(tmp_path, limits=Limits(concurrency=6))
    assert 3 < server.most_under_way <= 6


def test_a_large_poster_is_reduced_where_the_config_says_so(folder, monkeypatch):
    _, [record], [request] = ask(folder, monkeypatch, "ok", max_side=6, thinking="low", media_resolution="high", safety="")
    assert request.image != record.sha256
    config = request.body["generationConfig"]
    assert list(config["thinkingConfig"].values()) == ["LOW"]
    assert config["mediaResolution"] == "MEDIA_RESOLUTION_HIGH"
    assert "safetySettings" not in request.body


FAULTS = ("429", "429:0.05", "500", "503", "hang:1.5", "drop", "cut", "malformed", "empty")


def mixed(share: float, seed: int):
    """A fault in so many of the questions, and for one image in fifty an answer that is withheld for ever."""
    chance = random.Random(seed)

    def weather(image, before):
        if int(image[:8], 16) % 50 == 0:
            return "safety"
        return chance.choice(FAULTS) if chance.random() < share else "ok"

    return weather


def check_mixed(folder: pathlib.Path, monkeypatch, count: int, concurrency: int) -> None:
    gemini_run.write_posters(folder, count)
    summary, found, requests = ask(folder, monkeypatch, mixed(0.1, 0), limits=Limits(concurrency=concurrency))
    assert summary.read == len(found) == count
    assert len({record.sha256 for record in found}) == count
    withheld = {record.sha256 for record in found if record.status == "blocked"}
    assert withheld == {record.sha256 for record in found if int(record.sha256[:8], 16) % 50 == 0}
    assert {record.status for record in found} == {"ok", "blocked"}
    faults = sum(request.weather not in ("ok", "safety") for request in requests)
    assert faults > 0.07 * count
    assert len(requests) == count + faults


def test_every_poster_ends_with_one_record_and_no_needless_request(tmp_path, monkeypatch):
    check_mixed(tmp_path, monkeypatch, 300, 16)


@pytest.mark.slow
def test_five_thousand_posters_with_ten_per_cent_faults(tmp_path, monkeypatch):
    check_mixed(tmp_path, monkeypatch, 5000, 32)


def start(folder: pathlib.Path, url: str, concurrency: int, *, timeout: float = 1.0) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, HELPERS / "gemini_run.py", folder, str(concurrency), str(timeout)],
        env={**os.environ, "GOOGLE_GEMINI_BASE_URL": url, "PYTHONPATH": os.pathsep.join([str(ROOT), str(HELPERS)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def check_kills(folder: pathlib.Path, kills: int) -> None:
    """Kills runs at random moments: each answer is in the store, and only what was under way is asked again."""
    chance = random.Random(1)
    concurrency, seconds = 8, 0.05
    gemini_run.write_posters(folder, 60 * kills)
    killed_at = []
    with serve("ok", seconds=seconds) as server:
        for _ in range(kills):
            before = len(server.answered)
            process = start(folder, server.url, concurrency)
            while len(server.answered) == before:
                assert process.poll() is None
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.3))
            process.kill()
            killed_at.append(time.monotonic())
            process.communicate()
        process = start(folder, server.url, concurrency)
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors.decode()
    lines = [json.loads(line) for line in (folder / "ocr.jsonl").read_text().splitlines()]
    assert len(lines) == len({line["sha256"] for line in lines}) == 60 * kills
    answers = collections.defaultdict(list)
    for image, at in server.answered:
        answers[image].append(at)
    # An answer that went out in the last moment before a kill cannot have been kept.
    twice = [times for times in answers.values() if len(times) > 1]
    assert all(min(abs(at - kill) for kill in killed_at) < 1 for times in twice for at in times[:-1])
    assert len(twice) <= kills * concurrency
    asked_twice = sum(times - 1 for times in server.asked.values())
    assert asked_twice <= kills * concurrency


def test_kill_9_loses_no_answer(tmp_path, monkeypatch):
    check_kills(tmp_path, 3)


@pytest.mark.slow
def test_twenty_kills_lose_no_answer(tmp_path, monkeypatch):
    check_kills(tmp_path, 20)


def test_ctrl_c_waits_for_the_answers_under_way(tmp_path):
    gemini_run.write_posters(tmp_path, 100)
    with serve("ok", seconds=2) as server:  # far longer than a signal takes on a busy machine
        process = start(tmp_path, server.url, 5, timeout=10.0)
        while len(server.answered) < 5:
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert b"waiting for the" in errors
    assert b"KeyboardInterrupt" in errors  # main tells it in a line
    assert len(server.requests) == len(server.answered) == len(records(tmp_path))
    assert 5 < len(server.requests) < 25


def test_limits_have_no_hidden_field():
    from posterfusion_jax.config import defaults

    assert set(defaults.get_config().ocr.limits) == {field.name for field in dataclasses.fields(Limits)}
