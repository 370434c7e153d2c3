"""Poster files to records at once, without a store: for prediction."""

import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from posterfusion_jax.ocr.engines import REMOTE_ENGINES, Usage
from posterfusion_jax.ocr.pool import Task, make_record, read_here
from posterfusion_jax.ocr.record import OcrRecord
from posterfusion_jax.ocr.service import Limits, ask_service
from posterfusion_jax.poster_folder import PosterFile


def read_files(files: Sequence[pathlib.Path], engine: Any, *, limits: Limits) -> Iterator[OcrRecord]:
    """One record a file, in order; a file that cannot be read, or found no answer, has one with the status "error".

    Args:
      files: posters of any name.
      engine: an `engines.Engine`, which reads file by file, or an `engines.RemoteEngine`, which is asked about all of them
        before the first record comes. It can be used once.
      limits: of a remote engine.

    Raises:
      InputError: the service answers nobody (a wrong key, say).
    """
    tasks = [Task(PosterFile(str(file), "", str(file)), str(number), 1) for number, file in enumerate(files)]
    if engine.name not in REMOTE_ENGINES:
        yield from read_here(tasks, engine)
        return
    found: dict[str, OcrRecord] = {}

    def keep(record: OcrRecord, _: Usage) -> None:
        found[record.poster_id] = record

    asked = ask_service(tasks, engine, limits=limits, keep=keep)
    for task in tasks:
        yield found.get(task.poster.poster_id) or make_record(engine, task, reason=asked.stopped)
