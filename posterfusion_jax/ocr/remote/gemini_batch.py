"""Gemini's batch API: half the price, answers within a day, collected by whichever process comes by.

One call does whatever can be done now: it collects the jobs that are finished and submits the posters that are in none.
A job is written down before it is submitted. If a kill falls between the two, the next call looks for it at the service.
https://ai.google.dev/gemini-api/docs/batch-api
"""

import base64
import dataclasses
import json
import pathlib
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.engines.base import OcrResult, ServiceBusy, ServiceExhausted, Usage
from posterfusion_jax.ocr.engines.gemini import GeminiEngine
from posterfusion_jax.ocr.engines.gemini_response import parse_answer
from posterfusion_jax.ocr.records.record import OcrRecord
from posterfusion_jax.ocr.remote.batch_jobs import BatchJobs, Job
from posterfusion_jax.ocr.remote.client import fields_of
from posterfusion_jax.ocr.worker_pool import Task, make_record
from posterfusion_jax.posters.decode import UnreadableImage, read_bytes

PRICE = 0.5  # of what the same answer costs at once
MAX_BYTES = 1_000_000_000  # of a job's file; the service takes 2 GB
_DONE = ("JOB_STATE_SUCCEEDED", "JOB_STATE_PARTIALLY_SUCCEEDED")
_GONE = ("JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """How batches are made and awaited.

    Attributes:
      posters_a_job: at most; fewer where they would fill a file of `MAX_BYTES`.
      poll: seconds between two looks at the jobs until all are collected; 0: look once.
      budget: US dollars that the jobs submitted now may cost at most, 0 without a limit.
    """

    posters_a_job: int = 1000
    poll: float = 0.0
    budget: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batched:
    """What a call did.

    Attributes:
      spent: on the answers collected.
      submitted: posters, in new jobs.
      under_way: posters in all jobs that are not collected yet.
      notes: what went wrong, for people.
      stopped: why not everything was submitted.
    """

    spent: Usage
    submitted: int
    under_way: int
    notes: tuple[str, ...]
    stopped: str | None


class _Account:
    """Jobs, engine, and where answers go."""

    def __init__(self, engine: GeminiEngine, jobs: BatchJobs, keep: Callable[[OcrRecord, Usage], None]):
        self.engine, self.jobs, self.keep = engine, jobs, keep
        self.spent = Usage(answers=0)
        self.notes: list[str] = []
        self.submitted = 0


def ask_in_batches(
    tasks: Sequence[Task],
    engine: GeminiEngine,
    jobs_file: pathlib.Path,
    *,
    options: BatchOptions,
    is_known: Callable[[Task], bool],
    keep: Callable[[OcrRecord, Usage], None],
) -> Batched:
    """Collects what is finished and submits what is in no job.

    Args:
      tasks: the posters without a record.
      jobs_file: where jobs are remembered.
      is_known: whether this attempt has an answer already (a kill in mid-collection).
      keep: called with each record.

    Raises:
      InputError: the service refuses the key or the model.
    """
    account = _Account(engine, BatchJobs(jobs_file), keep)
    stopped = None
    try:
        _find_lost(account)
        _collect(account, is_known)
        waiting = [task for task in tasks if task.sha256 not in account.jobs.under_way() and not is_known(task)]
        _submit(account, waiting, posters_a_job=options.posters_a_job, budget=options.budget)
        while options.poll and account.jobs.open_jobs():
            time.sleep(options.poll)
            _collect(account, is_known)
    except (ServiceExhausted, ServiceBusy) as error:
        stopped = str(error)
    under_way = len(account.jobs.under_way())
    return Batched(
        spent=account.spent, submitted=account.submitted, under_way=under_way, notes=tuple(account.notes), stopped=stopped
    )


def _find_lost(account: _Account) -> None:
    """Of the jobs that were planned and not seen to be submitted, finds those that the service has."""
    planned = [job for job in account.jobs.open_jobs() if job.state == "planned"]
    if not planned:
        return
    found = {job.display_name: job.name for job in account.engine.call(lambda client: list(client.batches.list()))}
    for job in planned:
        if job.id in found:
            account.jobs.put(dataclasses.replace(job, state="submitted", name=found[job.id]))
        else:
            account.jobs.put(dataclasses.replace(job, state="dropped"))


def _collect(account: _Account, is_known: Callable[[Task], bool]) -> None:
    for job in account.jobs.open_jobs():
        state = account.engine.call(lambda client, name=job.name: client.batches.get(name=name))
        name = state.state.name if state.state is not None else ""
        results = state.dest.file_name if state.dest is not None else None
        if name not in (*_DONE, *_GONE):
            continue
        if results:
            data = account.engine.call(lambda client, file=results: client.files.download(file=file))
            _keep_answers(account, job, data.decode(errors="replace"), is_known)
        if name in _GONE:
            account.notes.append(f"the job {job.name} ended as {name}; its posters without an answer are submitted again")
            account.jobs.put(dataclasses.replace(job, state="failed", reason=name))
        else:
            account.jobs.put(dataclasses.replace(job, state="collected"))


def _keep_answers(account: _Account, job: Job, lines: str, is_known: Callable[[Task], bool]) -> None:
    tasks = job.tasks()
    for line in lines.split("\n"):  # not splitlines: JSON may hold U+2028 and the like as they are
        if not line.strip():
            continue
        try:
            answer = json.loads(line)
            task = tasks[answer["key"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            account.notes.append(
                f"the job {job.name} has a line that belongs to no poster: {account.engine.redact(line)[:80]!r}"
            )
            continue
        if is_known(task):
            continue
        reading = _reading(account.engine, answer)
        spent = reading.usage or Usage(answers=0)
        account.spent += spent
        found = {"prompt_version": account.engine.prompt_version, **fields_of(reading, spent)}
        account.keep(make_record(account.engine, task, **found), account.spent)


def _reading(engine: GeminiEngine, answer: dict[str, Any]) -> OcrResult:
    if "response" in answer:
        prices = (PRICE * engine.prices[0], PRICE * engine.prices[1])
        try:
            response = engine.response(answer["response"])
        except ValueError:  # pydantic's, which would show the whole of it
            return OcrResult(status="error", reason="the service's answer is none")
        return parse_answer(response, prices=prices)
    error = answer.get("error")
    error = error if isinstance(error, dict) else {}
    said = engine.redact(f"{error.get('code', '')} {error.get('message', 'no answer')}")
    return OcrResult(status="error", reason=said)


def _submit(account: _Account, tasks: Sequence[Task], *, posters_a_job: int, budget: float) -> None:
    engine = account.engine
    reserved, a_poster = 0.0, PRICE * engine.worst_case.usd
    batch: list[tuple[Task, str]] = []
    size = 0
    for task in tasks:
        if budget and reserved + a_poster > budget:
            _submit_job(account, batch)
            raise ServiceExhausted(
                f"ocr.limits.budget={budget:g} US dollars: the posters submitted now may cost {reserved:.4f} of them"
            )
        try:
            line = json.dumps({"key": task.sha256, "request": _request(engine, task)}) + "\n"
        except UnreadableImage as error:
            account.keep(make_record(engine, task, reason=f"unreadable image: {error}"), account.spent)
            continue
        if batch and (len(batch) == posters_a_job or size + len(line) > MAX_BYTES):
            _submit_job(account, batch)
            batch, size = [], 0
        batch.append((task, line))
        size += len(line)
        reserved += a_poster
    _submit_job(account, batch)


def _request(engine: GeminiEngine, task: Task) -> dict[str, Any]:
    """The question in the words of the REST API; a poster that is asked about again climbs the engine's ladder."""
    picture = engine.prepare(read_bytes(task.poster.path))
    blob = {"mimeType": picture.mime_type, "data": base64.b64encode(picture.data).decode()}
    return engine.rest_request(blob, rung=(task.attempt - 1) % len(engine.temperatures))


def _submit_job(account: _Account, batch: Sequence[tuple[Task, str]]) -> None:
    if not batch:
        return
    posters = tuple((task.sha256, task.poster.poster_id, task.poster.film_id, task.attempt) for task, _ in batch)
    job = Job(id=f"posterfusion-{uuid.uuid4().hex}", state="planned", posters=posters)
    file = account.jobs.path.with_name(f"{account.jobs.path.name}.{job.id}.jsonl")
    try:
        file.write_text("".join(line for _, line in batch), encoding="utf-8")
        uploaded = account.engine.call(
            lambda client: client.files.upload(file=file, config={"display_name": job.id, "mime_type": "application/jsonl"})
        )
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror or error}. A job's questions need room there.") from error
    finally:
        file.unlink(missing_ok=True)
    account.jobs.put(job)
    submitted = account.engine.call(
        lambda client: client.batches.create(model=account.engine.model, src=uploaded.name, config={"display_name": job.id})
    )
    account.jobs.put(dataclasses.replace(job, state="submitted", name=submitted.name))
    account.submitted += len(batch)


def batch_file(store: pathlib.Path) -> pathlib.Path:
    """Where the jobs of a store are remembered."""
    return store.with_name(store.name + ".batches")
