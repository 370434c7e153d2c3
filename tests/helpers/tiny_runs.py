"""Runs small enough for tests: twenty coloured posters, tiny encoders, a head of 16 units."""

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

from posterfusion_jax.config import defaults
from posterfusion_jax.config.run import Run, resolve
from posterfusion_jax.ocr.records.record import OcrRecord
from posterfusion_jax.ocr.task import Task
from posterfusion_jax.ocr.worker_pool import read_serially
from posterfusion_jax.posters.folder import PosterFile


def tiny_run(
    workdir: pathlib.Path, posters: pathlib.Path, clip: pathlib.Path, text: pathlib.Path | None = None, **changes
) -> Run:
    """A run on cached features; `changes` are dotted config fields with "__" for the dot."""
    config = defaults.get_config()
    config.data.posters_dir = str(posters)
    config.encoders.image = str(clip)
    config.encoders.text = str(text or clip)
    config.model.dim, config.model.heads, config.model.smsam_layers, config.model.ffn = 16, 2, 1, (16, 8)
    config.train.learning_rate = 1e-3
    config.train.max_epochs = 3
    config.train.batch_size = 8
    config.evaluate.bootstrap = 100
    with config.unlocked():
        for field, value in changes.items():
            section, _, name = field.rpartition("__")
            target = config
            for part in section.split("__") if section else ():
                target = target[part]
            assert name in target, field
            target[name] = value
    return resolve(config, workdir)


def read_with(engine: Any) -> Callable[..., Iterator[OcrRecord]]:
    """In the place of `prediction.read_files`: this engine, in this process."""
    return lambda files, *_, **__: read_serially([Task(PosterFile(str(file), "", str(file)), "", 1) for file in files], engine)
