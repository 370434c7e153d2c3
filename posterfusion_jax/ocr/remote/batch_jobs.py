"""Store on disk which posters are in which job of a batch service, so that another process can collect them."""

import dataclasses
import json
import os
import pathlib
from typing import Any

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.task import Task
from posterfusion_jax.posters.folder import PosterFile

OPEN_STATES = ("planned", "submitted")
STATES = (*OPEN_STATES, "collected", "failed", "dropped")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """Describe one batch of posters.

    Attributes:
      id: assigned here, before the job is submitted; the service stores it with the job.
      state: "planned" (about to be submitted; it is unknown yet whether it was), "submitted", "collected" (its answers are
        records), "failed" (at the service) or "dropped" (it was never created).
      posters: sha256, poster_id, film_id and attempt of each.
      name: the service's, once submitted.
      reason: why the job failed, "" if it did not.
    """

    id: str
    state: str
    posters: tuple[tuple[str, str, str, int], ...]
    name: str = ""
    reason: str = ""

    def tasks(self) -> dict[str, Task]:
        """Return the task of each answer, by sha256.

        The present paths of the files are unknown; a task's file is the name of the poster.
        """
        return {
            sha256: Task(PosterFile(poster_id, film_id, poster_id), sha256, attempt)
            for sha256, poster_id, film_id, attempt in self.posters
        }


class BatchJobs:
    """Hold the jobs of one store, in an append-only file next to it: one line for every change of a job's state."""

    def __init__(self, path: pathlib.Path):
        """Read the file, which need not exist. A line that a kill cut short is removed.

        Raises:
          InputError: a line inside it is not a job.
        """
        self.path = path
        self._jobs: dict[str, Job] = {}
        if path.exists():
            *lines, torn = path.read_bytes().split(b"\n")
            for number, line in enumerate(lines, start=1):
                try:
                    fields = json.loads(line)
                    before = self._jobs.get(fields["id"])
                    posters = tuple(map(tuple, fields["posters"])) if "posters" in fields else before and before.posters
                    self._jobs[fields["id"]] = Job(**{**fields, "posters": posters})
                except (ValueError, KeyError, TypeError) as error:
                    raise InputError(
                        f"{path}:{number} is not a batch job ({error}). The answers of its jobs are paid for: fix the line, "
                        "or remove it to give up that job."
                    ) from error
            if torn:
                os.truncate(path, path.stat().st_size - len(torn))

    def open_jobs(self) -> list[Job]:
        """Return the jobs in an open state, oldest first."""
        return [job for job in self._jobs.values() if job.state in OPEN_STATES]

    def under_way(self) -> set[str]:
        """Return the images in open jobs."""
        return {poster[0] for job in self.open_jobs() for poster in job.posters}

    def put(self, job: Job) -> None:
        """Store a job, or its new state; it is on disk when this returns."""
        fields: dict[str, Any] = {name: value for name, value in vars(job).items() if value}
        if job.id in self._jobs:
            fields.pop("posters", None)
        with self.path.open("ab") as file:
            file.write(json.dumps(fields, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._jobs[job.id] = job
