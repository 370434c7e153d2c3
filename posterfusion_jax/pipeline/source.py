"""The source of a run's posters: made from its config, and found out where the config leaves it open."""

import functools
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from posterfusion_jax.config.data_rules import AUTO, OF_FILMS
from posterfusion_jax.config.run import Run, keep_detected, resolve
from posterfusion_jax.datasets.sources.base import Source
from posterfusion_jax.datasets.sources.detect import detect_source
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.datasets.sources.registry import make_source
from posterfusion_jax.utils.console import print_message


def run_source(run: Run) -> Source:
    """Return the source of a run's posters; the same object for the same run, so that a table is read once.

    Raises:
      InputError: a source of your own that cannot be made.
    """
    data = run.config.data
    return _make(
        SourceOptions(
            kind="folder" if data.source in OF_FILMS else data.source,
            folder=str(run.paths.posters),
            table=data.table,
            columns=data.table_columns,
            pictures_dir=str(run.paths.workdir / "pictures") if data.source == "hugging_face" else "",
        )
    )


@functools.lru_cache(maxsize=2)
def _make(options: SourceOptions) -> Source:
    return make_source(options)


def detect(run: Run) -> Run:
    """Return the run with a config that states what its data are, so that a rerun repeats it.

    Raises:
      InputError: the folder is of no known kind, or the table cannot be read; the message states what was found.
    """
    if run.config.data.source == AUTO:
        kind, reasons = detect_source(str(run.paths.posters))
        print_message(f"data.source={kind}: {'; '.join(reasons)}")
        found: dict[str, Any] = {"data.source": kind}
        if kind in OF_FILMS:
            found |= {"data.posters_dir": str(run.paths.posters), "data.images": ""}
        run = change_run(run, found)
    if run.config.data.source in OF_FILMS:
        return run
    decisions = dict(run_source(run).decisions())
    own_split = decisions.pop("data.split_by", "group")
    if run.config.data.split_by == "film":  # the default: no rule was chosen
        decisions["data.split_by"] = own_split
    return change_run(run, decisions)


def change_run(run: Run, fields: Mapping[str, Any]) -> Run:
    """Return the run with other values of some fields, dotted."""
    config = ConfigDict(run.config.to_dict())
    config.update_from_flattened_dict(dict(fields))
    return resolve(config, run.paths.workdir, saved=True)


def complete_run(run: Run, saved: dict[str, Any] | None) -> Run:
    """Return the run with what was detected when it began, or with what is detected now.

    Args:
      run: of this start.
      saved: the config of the run's checkpoint; None where there is none.

    Raises:
      InputError: as `detect`.
    """
    if run.config.data.source in OF_FILMS:
        return run
    config = ConfigDict(run.config.to_dict())
    keep_detected(config, saved)
    run = resolve(config, run.paths.workdir, saved=True)
    return run if saved is not None else detect(run)
