"""Gemini's batch API against a server on 127.0.0.1: submitted by one call, collected by another."""

import json

import gemini_run
import pytest
from gemini_server import KEY, MODEL, serve

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.records.store import load_records
from posterfusion_jax.ocr.remote import gemini_batch
from posterfusion_jax.ocr.remote.client import Limits
from posterfusion_jax.ocr.remote.gemini_batch import BatchOptions
from posterfusion_jax.ocr.summary import format_summary


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    with serve() as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        yield server


def run(folder, *, posters_per_job=1000, budget=0.0, **options):
    return gemini_run.read(folder, batch=BatchOptions(posters_per_job=posters_per_job, budget=budget), **options)


def records(folder):
    return list(load_records([folder / "ocr.jsonl"])) if (folder / "ocr.jsonl").exists() else []


def test_one_call_submits_and_a_later_one_collects(tmp_path, server):
    gemini_run.write_posters(tmp_path, 5)
    summary = run(tmp_path, posters_per_job=2)
    assert (summary.under_way, summary.read, len(server.batches.jobs)) == (5, 0, 3)
    assert "5 posters are in batch jobs under way" in format_summary(summary)
    assert not list(tmp_path.glob("*.posterfusion-*"))  # the questions' file is gone

    summary = run(tmp_path)  # too early: nothing is submitted twice
    assert (summary.under_way, summary.read, len(server.batches.jobs)) == (5, 0, 3)

    server.batches.finish()
    summary = run(tmp_path)
    assert (summary.under_way, summary.read, summary.left) == (0, 5, 0)
    assert summary.spent is not None
    assert summary.spent.usd == pytest.approx(5 * 200e-6)  # half of what they cost at once
    found = records(tmp_path)
    assert {(record.status, record.lines[0], record.engine) for record in found} == {("ok", "THE POSTER", "gemini")}
    assert {record.poster_id for record in found} == {f"tt{1000000 + i}_0" for i in range(5)}

    summary = run(tmp_path)
    assert (summary.already, len(server.batches.jobs)) == (5, 3)


def test_a_batch_asks_what_a_single_question_asks(tmp_path, server):
    gemini_run.write_posters(tmp_path / "a", 1)
    gemini_run.write_posters(tmp_path / "b", 1)
    options = {"thinking": "low", "media_resolution": "high"}
    gemini_run.read(tmp_path / "a", **options)
    run(tmp_path / "b", **options)
    server.batches.finish()
    # Some names go out from google-genai with underscores, which the service reads as well.
    plain = (json.dumps(request.body).replace("thinking_level", "thinkingLevel") for request in server.requests)
    single, batched = (json.loads(body.replace("property_ordering", "propertyOrdering")) for body in plain)
    assert single.keys() == batched.keys()
    assert single["generationConfig"] == batched["generationConfig"]
    assert single["safetySettings"] == batched["safetySettings"]
    texts = [[part["text"] for part in body["contents"][0]["parts"] if "text" in part] for body in (single, batched)]
    assert texts[0] == texts[1]


def test_what_has_no_text_is_a_record_and_a_retry_climbs_the_ladder(tmp_path, server):
    gemini_run.write_posters(tmp_path, 3)
    kinds = iter(["recitation", "400", "ok"])
    of_image = {}
    server.weather = lambda image, before: of_image.setdefault(image, next(kinds)) if before == 0 else "ok"
    run(tmp_path)
    server.batches.finish()
    summary = run(tmp_path)
    assert summary.by_status == {"error": 1, "ok": 1, "recitation": 1}
    assert "400 Unable to process input image." in format_summary(summary)
    run(tmp_path, retry=("recitation", "error"))
    server.batches.finish()
    summary = run(tmp_path, retry=("recitation", "error"))
    assert summary.by_status == {"ok": 2}
    assert [request.temperature for request in server.requests[3:]] == [0.5, 0.5]
    assert len(server.batches.jobs) == 2


def test_a_job_whose_confirmation_is_lost_is_found_again(tmp_path, server):
    gemini_run.write_posters(tmp_path, 2)
    server.batches.orders["create"] = ["drop"]
    summary = run(tmp_path)
    assert summary.stopped is not None
    assert summary.under_way == 2  # perhaps
    server.batches.finish()
    summary = run(tmp_path)
    assert (summary.read, len(server.batches.jobs)) == (2, 1)


def test_a_job_that_never_came_to_be_is_submitted_again(tmp_path, server):
    gemini_run.write_posters(tmp_path, 2)
    server.batches.orders["create"] = ["429"]
    summary = run(tmp_path)
    assert "429" in (summary.stopped or "")
    assert server.batches.jobs == {}
    run(tmp_path)
    assert len(server.batches.jobs) == 1


def test_killed_in_mid_collection(tmp_path, server, monkeypatch):
    gemini_run.write_posters(tmp_path, 4)
    run(tmp_path)
    server.batches.finish()
    real = gemini_batch.parse_answer
    answers = iter(range(2))

    def dies(*args, **kwargs):
        if next(answers, None) is None:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(gemini_batch, "parse_answer", dies)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    assert len(records(tmp_path)) == 2
    monkeypatch.setattr(gemini_batch, "parse_answer", real)
    summary = run(tmp_path)
    assert summary.read == 2
    assert len(records(tmp_path)) == 4


def test_a_torn_last_line_of_the_jobs_is_cut_off(tmp_path, server):
    gemini_run.write_posters(tmp_path, 1)
    run(tmp_path)
    jobs = tmp_path / "ocr.jsonl.batches"
    whole = jobs.read_bytes()
    jobs.write_bytes(whole + b'{"id": "posterfusion-')
    server.batches.finish()
    assert run(tmp_path).read == 1
    jobs.write_bytes(b"nonsense\n" + whole)
    with pytest.raises(InputError, match=r"ocr.jsonl.batches:1 is not a batch job"):
        run(tmp_path)


@pytest.mark.parametrize("state", ["BATCH_STATE_FAILED", "BATCH_STATE_EXPIRED", "BATCH_STATE_CANCELLED"])
def test_a_job_that_fails_is_told_and_its_posters_submitted_again(tmp_path, server, state):
    gemini_run.write_posters(tmp_path, 2)
    run(tmp_path)
    server.batches.finish(state)
    summary = run(tmp_path)
    assert state.removeprefix("BATCH_") in summary.notes[0]
    assert (summary.under_way, len(server.batches.jobs)) == (2, 2)


def test_an_answer_is_kept_where_the_file_is_gone_or_renamed(tmp_path, server):
    gemini_run.write_posters(tmp_path, 2)
    run(tmp_path)
    images = sorted((tmp_path / "images").iterdir())
    images[0].unlink()
    images[1].rename(tmp_path / "images" / "tt7654321_9.png")
    server.batches.finish()
    assert run(tmp_path).read == 2
    assert run(tmp_path).already == 1


def test_polling_waits_for_the_answers(tmp_path, server, monkeypatch):
    gemini_run.write_posters(tmp_path, 2)
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 2:
            server.batches.finish()

    monkeypatch.setattr(gemini_batch.time, "sleep", sleep)
    summary = gemini_run.read(tmp_path, batch=BatchOptions(poll=30.0))
    assert (summary.read, summary.under_way, waits) == (2, 0, [30.0, 30.0])


def test_the_budget_bounds_what_is_submitted(tmp_path, server):
    gemini_run.write_posters(tmp_path, 6)
    worst = (5000 * 1.0 + 2048 * 2.0) / 1e6 / 2
    summary = run(tmp_path, budget=2.5 * worst)
    assert summary.under_way == 2
    assert "ocr.limits.budget" in (summary.stopped or "")


def test_a_wrong_key_and_vertex_are_told(tmp_path, server, monkeypatch):
    gemini_run.write_posters(tmp_path, 1)
    server.batches.orders["create"] = ["key"]
    with pytest.raises(InputError, match="Gemini rejects the key") as caught:
        run(tmp_path)
    assert KEY not in str(caught.value)


def test_a_broken_poster_is_a_record(tmp_path, server):
    gemini_run.write_posters(tmp_path, 2)
    (tmp_path / "images" / "tt1000000_0.png").write_bytes(b"no image")
    summary = run(tmp_path)
    assert (summary.by_status, summary.under_way) == ({"error": 1}, 1)


def test_the_limits_of_single_questions_do_not_matter(tmp_path, server):
    gemini_run.write_posters(tmp_path, 1)
    summary = gemini_run.read(tmp_path, batch=BatchOptions(), limits=Limits(max_requests=1))
    assert summary.under_way == 1
    assert MODEL in str(server.batches.jobs["batches/0"]["model"])
