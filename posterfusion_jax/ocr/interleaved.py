"""Read posters with several engines alternately, so that other load on the machine slows all of them alike."""

import dataclasses
import hashlib
import os
from collections.abc import Mapping, Sequence

import numpy as np

from posterfusion_jax.ocr.engines.base import Engine
from posterfusion_jax.ocr.records.store import RecordWriter
from posterfusion_jax.ocr.task import Task, run_engine
from posterfusion_jax.posters.decode import read_bytes
from posterfusion_jax.posters.folder import PosterFile
from posterfusion_jax.utils.progress import progress_bar

CPU_SECONDS = "cpu_seconds"


def sample_posters(posters: Sequence[PosterFile], *, films: int, seed: int) -> list[PosterFile]:
    """Draw one poster per film from `films` films (from all, if there are fewer), in the order of drawing.

    Args:
      posters: to draw from.
      films: number of films, drawn at random like their posters.
      seed: of the drawing. The same posters and seed give the same sample, and a larger one begins with a smaller one.
    """
    posters_of_film: dict[str, list[PosterFile]] = {}
    for poster in sorted(posters):
        posters_of_film.setdefault(poster.film_id, []).append(poster)
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(sorted(posters_of_film))[:films].tolist()
    return [posters_of_film[film][rng.integers(len(posters_of_film[film]))] for film in drawn]


def read_interleaved(
    posters: Sequence[PosterFile], engines: Mapping[str, Engine], stores: Mapping[str, RecordWriter], *, progress: bool = True
) -> None:
    """Read each poster with each engine in this process and append the records.

    An image that a store contains is not read again. Each record has its processor time in seconds, including that of programs
    that the engine starts, as usage[CPU_SECONDS]; unlike the elapsed time it hardly depends on other load on the machine. The
    engine that begins changes from poster to poster. Each engine reads its first poster twice, so that loading its models does
    not count.

    Args:
      posters: to read.
      engines: by name.
      stores: the record file of each engine, by the same names.
      progress: whether to draw a progress bar.
    """
    not_warmed_up = set(engines)
    for number, poster in enumerate(progress_bar(iterable=posters, desc="OCR", unit="poster", disable=not progress)):
        sha256 = hashlib.sha256(read_bytes(poster.path)).hexdigest()
        names = list(engines)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            if stores[name].find(sha256) is not None:
                continue
            task = Task(poster, sha256, 1)
            if name in not_warmed_up:
                run_engine(engines[name], task)
                not_warmed_up.remove(name)
            before = _cpu_seconds()
            record = run_engine(engines[name], task)
            usage = {CPU_SECONDS: round(_cpu_seconds() - before, 3)}
            stores[name].append(dataclasses.replace(record, usage=usage))


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
