"""The same posters by several engines in turn, so that what else the machine does slows all of them alike."""

import dataclasses
import hashlib
import os
from collections.abc import Mapping, Sequence

import numpy as np

from posterfusion_jax.ocr.engines.base import Engine
from posterfusion_jax.ocr.records.store import RecordWriter
from posterfusion_jax.ocr.worker_pool import Task, read_task
from posterfusion_jax.posters.decode import read_bytes
from posterfusion_jax.posters.folder import PosterFile
from posterfusion_jax.utils.progress import progress_bar

CPU_SECONDS = "cpu_seconds"


def sample_posters(posters: Sequence[PosterFile], *, films: int, seed: int) -> list[PosterFile]:
    """One poster each of so many films (of all, if there are fewer), both drawn at random; in the order of drawing.

    Args:
      seed: of the drawing. The same posters and seed give the same sample, and a larger one begins with a smaller one.
    """
    of_film: dict[str, list[PosterFile]] = {}
    for poster in sorted(posters):
        of_film.setdefault(poster.film_id, []).append(poster)
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(sorted(of_film))[:films].tolist()
    return [of_film[film][rng.integers(len(of_film[film]))] for film in drawn]


def read_interleaved(
    posters: Sequence[PosterFile], engines: Mapping[str, Engine], stores: Mapping[str, RecordWriter], *, progress: bool = True
) -> None:
    """Reads each poster with each engine in this process and appends the records; what a store holds is not read again.

    Each record has its processor time, that of programs that the engine starts included, as usage[CPU_SECONDS]; other than
    the seconds on the clock it hardly depends on what else the machine does. Which engine begins changes from poster to
    poster. Each engine reads its first poster twice, because loading its models is not to count as reading.

    Args:
      engines, stores: by the same names.
    """
    fresh = set(engines)
    for turn, poster in enumerate(progress_bar(iterable=posters, desc="OCR", unit="poster", disable=not progress)):
        sha256 = hashlib.sha256(read_bytes(poster.path)).hexdigest()
        names = list(engines)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            if stores[name].find(sha256) is not None:
                continue
            task = Task(poster, sha256, 1)
            if name in fresh:
                read_task(engines[name], task)
                fresh.remove(name)
            before = _cpu_seconds()
            record = read_task(engines[name], task)
            usage = {CPU_SECONDS: round(_cpu_seconds() - before, 3)}
            stores[name].append(dataclasses.replace(record, usage=usage))


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
