"""Which posters are in which job of a batch service: remembered on disk, so that another process can collect them."""

import dataclasses
import json
import os
import pathlib
from typing import Any

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.worker_pool import Task
from posterfusion_jax.posters.folder import PosterFile

OPEN_STATES = ("planned", "submitted")
STATES = (*OPEN_STATES, "collected", "failed", "dropped")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One batch of posters.

    Attributes:
      id: ours, given before the job is submitted; the service knows the job by it.
      state: "planned" (about to be submitted: nobody knows yet whether it was), "submitted", "collected" (its answers are
        records), "failed" (at the service) or "dropped" (it never came to be).
      name: the service's, once submitted.
      posters: sha256, poster_id, film_id and attempt of each.
    """

    id: str
    state: str
    posters: tuple[tuple[str, str, str, int], ...]
    name: str = ""
    reason: str = ""

    def tasks(self) -> dict[str, Task]:
        """What each answer belongs to, by sha256. The files may be elsewhere by now; only their names are told."""
        return {
            sha256: Task(PosterFile(poster_id, film_id, poster_id), sha256, attempt)
            for sha256, poster_id, film_id, attempt in self.posters
        }


class BatchJobs:
    """The jobs of one store, in an append-only file beside it: one line for every change of a job's state."""

    def __init__(self, path: pathlib.Path):
        """Reads the file, which need not exist. A line that a kill cut short is not counted.

        Raises:
          InputError: a line inside it is no job.
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
                        f"{path}:{number} is no batch job ({error}). The answers of its jobs are paid for: mend the line, "
                        "or remove it if you can do without that job."
                    ) from error
            if torn:
                os.truncate(path, path.stat().st_size - len(torn))

    def open_jobs(self) -> list[Job]:
        """Those that are not settled, oldest first."""
        return [job for job in self._jobs.values() if job.state in OPEN_STATES]

    def under_way(self) -> set[str]:
        """The images in open jobs."""
        return {poster[0] for job in self.open_jobs() for poster in job.posters}

    def put(self, job: Job) -> None:
        """Remembers a job, or its new state; on disk when this returns."""
        fields: dict[str, Any] = {name: value for name, value in vars(job).items() if value}
        if job.id in self._jobs:
            fields.pop("posters", None)
        with self.path.open("ab") as file:
            file.write(json.dumps(fields, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._jobs[job.id] = job
