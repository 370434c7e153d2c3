"""Read posters with Gemini's batch API: half the price, answers within a day, collected by any later process.

One call does everything that is possible now: it collects the finished jobs and submits the posters that are in none.
A job is stored before it is submitted. If a kill falls between the two, the next call searches for it at the service.
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
from posterfusion_jax.ocr.remote.client import RunEnd, record_fields
from posterfusion_jax.ocr.task import Task, make_record
from posterfusion_jax.posters.decode import UnreadableImage, read_bytes

PRICE = 0.5  # of the price of a single request
MAX_BYTES = 1_000_000_000  # of a job's file; the service takes 2 GB
_DONE = ("JOB_STATE_SUCCEEDED", "JOB_STATE_PARTIALLY_SUCCEEDED")
_GONE = ("JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """Configure batches and the waiting for them.

    Attributes:
      posters_per_job: at most; fewer if they would fill a file of `MAX_BYTES`.
      poll: seconds between two checks of the jobs until all are collected; 0: check once.
      budget: US dollars that the jobs submitted now may cost at most, 0 without a limit.
    """

    posters_per_job: int = 1000
    poll: float = 0.0
    budget: float = 0.0


class _Account:
    """Hold the jobs, the engine, and the function that saves records."""

    def __init__(self, engine: GeminiEngine, jobs: BatchJobs, save_record: Callable[[OcrRecord, Usage], None]):
        self.engine, self.jobs, self.save_record = engine, jobs, save_record
        self.spent = Usage(answers=0)
        self.notes: list[str] = []


def read_in_batches(
    tasks: Sequence[Task],
    engine: GeminiEngine,
    jobs_file: pathlib.Path,
    *,
    options: BatchOptions,
    is_known: Callable[[Task], bool],
    save_record: Callable[[OcrRecord, Usage], None],
) -> RunEnd:
    """Collect the finished jobs and submit the posters that are in no job.

    Args:
      tasks: the posters without a record.
      engine: makes the requests.
      jobs_file: where jobs are stored.
      options: of the batches.
      is_known: returns whether this attempt has an answer already (after a kill during collection).
      save_record: called with each record and the cost so far.

    Raises:
      InputError: the service rejects the key or the model.
    """
    account = _Account(engine, BatchJobs(jobs_file), save_record)
    stopped = None
    try:
        _find_lost(account)
        _collect(account, is_known)
        pending = [task for task in tasks if task.sha256 not in account.jobs.under_way() and not is_known(task)]
        _submit(account, pending, posters_per_job=options.posters_per_job, budget=options.budget)
        while options.poll and account.jobs.open_jobs():
            time.sleep(options.poll)
            _collect(account, is_known)
    except (ServiceExhausted, ServiceBusy) as error:
        stopped = str(error)
    under_way = len(account.jobs.under_way())
    return RunEnd(spent=account.spent, stopped=stopped, under_way=under_way, notes=tuple(account.notes))


def _find_lost(account: _Account) -> None:
    """Find at the service the jobs that were planned and not confirmed as submitted."""
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
    for line in lines.split("\n"):  # not splitlines: JSON may contain U+2028 and the like unescaped
        if not line.strip():
            continue
        try:
            answer = json.loads(line)
            task = tasks[answer["key"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            account.notes.append(f"the job {job.name} has a line of no known poster: {account.engine.redact(line)[:80]!r}")
            continue
        if is_known(task):
            continue
        result = _parse_line(account.engine, answer)
        spent = result.usage or Usage(answers=0)
        account.spent += spent
        found = {"prompt_version": account.engine.prompt_version, **record_fields(result, spent)}
        account.save_record(make_record(account.engine, task, **found), account.spent)


def _parse_line(engine: GeminiEngine, answer: dict[str, Any]) -> OcrResult:
    if "response" in answer:
        prices = (PRICE * engine.prices[0], PRICE * engine.prices[1])
        try:
            response = engine.response(answer["response"])
        except ValueError:  # pydantic's message would quote the whole answer
            return OcrResult(status="error", reason="the service's answer has the wrong form")
        return parse_answer(response, prices=prices)
    error = answer.get("error")
    error = error if isinstance(error, dict) else {}
    message = engine.redact(f"{error.get('code', '')} {error.get('message', 'no answer')}")
    return OcrResult(status="error", reason=message)


def _submit(account: _Account, tasks: Sequence[Task], *, posters_per_job: int, budget: float) -> None:
    engine = account.engine
    reserved, usd_per_poster = 0.0, PRICE * engine.worst_case.usd
    batch: list[tuple[Task, str]] = []
    size = 0
    for task in tasks:
        if budget and reserved + usd_per_poster > budget:
            _submit_job(account, batch)
            raise ServiceExhausted(
                f"ocr.limits.budget={budget:g} US dollars: the posters submitted now may cost {reserved:.4f}"
            )
        try:
            line = json.dumps({"key": task.sha256, "request": _request(engine, task)}) + "\n"
        except UnreadableImage as error:
            account.save_record(make_record(engine, task, reason=f"unreadable image: {error}"), account.spent)
            continue
        if batch and (len(batch) == posters_per_job or size + len(line) > MAX_BYTES):
            _submit_job(account, batch)
            batch, size = [], 0
        batch.append((task, line))
        size += len(line)
        reserved += usd_per_poster
    _submit_job(account, batch)


def _request(engine: GeminiEngine, task: Task) -> dict[str, Any]:
    """Return the request in the form of the REST API; a poster that is read again uses the engine's next level."""
    picture = engine.prepare(read_bytes(task.poster.path))
    blob = {"mimeType": picture.mime_type, "data": base64.b64encode(picture.data).decode()}
    return engine.rest_request(blob, level=(task.attempt - 1) % len(engine.temperatures))


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
        raise InputError(f"{file} cannot be written: {error.strerror or error}. A job needs space for its requests.") from error
    finally:
        file.unlink(missing_ok=True)
    account.jobs.put(job)
    submitted = account.engine.call(
        lambda client: client.batches.create(model=account.engine.model, src=uploaded.name, config={"display_name": job.id})
    )
    account.jobs.put(dataclasses.replace(job, state="submitted", name=submitted.name))


def batch_jobs_path(store: pathlib.Path) -> pathlib.Path:
    """Return the file in which the jobs of a store are stored."""
    return store.with_name(store.name + ".batches")
