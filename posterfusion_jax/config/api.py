"""Configs in Python: loaded by name or file, changed by a dictionary, resolved to a run."""

import pathlib
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict, FrozenConfigDict

from posterfusion_jax.config import run as run_lib
from posterfusion_jax.config.file import load
from posterfusion_jax.config.hints import describe_section, describe_unknown, sections_of
from posterfusion_jax.config.run import Run
from posterfusion_jax.config.schema import describe_kind, known_fields
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.user_path import expand_path


def load_config(config: str | pathlib.Path, overrides: Mapping[str, Any] | None = None) -> ConfigDict:
    """Load a config and change some of its fields.

    Args:
      config: a name, such as "paper" or "tables:gmu", or a file with a function get_config().
      overrides: dotted field -> value, such as {"data.posters_dir": "my_posters", "train.batch_size": 64}.

    Returns:
      The config, with every field.

    Raises:
      InputError: no such config, a field that does not exist, or a value of another type.

    Example::

        config = pf.load_config("paper", {"data.posters_dir": "my_posters"})
    """
    loaded = load(str(config))
    change_fields(loaded, overrides or {})
    return loaded


def resolve(config: ConfigDict | FrozenConfigDict, workdir: str | pathlib.Path) -> Run:
    """Check a config and return the run that it describes in a folder; nothing is created yet.

    Args:
      config: from `load_config`.
      workdir: folder of the run; "~" and "$NAME" are expanded.

    Returns:
      The run: its frozen config and its paths, for the functions of `posterfusion_jax.pipeline`.

    Raises:
      InputError: a value that is not allowed, by itself or together with another field.

    Example::

        run = pf.resolve(pf.load_config("quickstart"), workdir="runs/mine")
    """
    return run_lib.resolve(config, pathlib.Path(expand_path(workdir, "workdir")))


def change_fields(config: ConfigDict, overrides: Mapping[str, Any]) -> None:
    """Change fields of a config; lists become tuples, and paths become strings.

    Args:
      config: locked or not.
      overrides: dotted field -> value.

    Raises:
      InputError: a field that does not exist, or a value of another type.
    """
    fields = tuple(known_fields())
    for field, value in overrides.items():
        if field in sections_of(fields):
            raise InputError(f"{field}={value!r}: {describe_section(field, fields)}")
        if field not in fields:
            raise InputError(describe_unknown(str(field), fields))
        plain = tuple(value) if isinstance(value, list) else str(value) if isinstance(value, pathlib.Path) else value
        try:
            config.update_from_flattened_dict({field: plain})
        except (TypeError, ValueError) as error:
            raise InputError(f"{field}={value!r} must be {describe_kind(field)}.") from error
