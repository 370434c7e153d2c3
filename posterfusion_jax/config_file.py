"""Reads `--config=FILE` and `--config=FILE:ARGUMENT`, whatever characters the file's path has."""

import contextlib
import os
import pathlib
import re
import runpy
from typing import Any

from ml_collections.config_flags import config_flags

from posterfusion_jax.errors import InputError
from posterfusion_jax.user_path import check_local, expand_path


class ConfigFileParser(config_flags.ConfigFileFlagParser):
    """The parser of ml_collections, which takes every colon for the end of the path, behind `split_config`.

    Set it as the `parser` of a flag that `config_flags.DEFINE_config_file` made.
    """

    def parse(self, text: str) -> Any:
        """Returns the config. Raises as `split_config`, and as the parser of ml_collections."""
        file, argument = split_config(text)
        if ":" not in file:
            return super().parse(file if argument is None else f"{file}:{argument}")
        config = runpy.run_path(file, run_name="config_config")["get_config"](*() if argument is None else (argument,))
        return config.lock()


def split_config(text: str, field: str = "--config") -> tuple[str, str | None]:
    """Splits `file.py:argument` into the file, expanded, and the argument (None without one).

    A colon may be part of the file's path: the longest part before a colon that is a file counts.

    Args:
      text: as the user wrote it.
      field: the flag, for messages.

    Raises:
      InputError: as `expand_path`.
    """
    check_local(text, field)
    for cut in [len(text), *(place.start() for place in reversed(list(re.finditer(":", text))))]:
        with contextlib.suppress(InputError):  # of an argument that is no path
            if os.path.isfile(file := expand_path(text[:cut], field)):
                return file, text[cut + 1 :] if cut < len(text) else None
    file, colon, argument = text.partition(":")
    return expand_path(file, field), argument if colon else None


def config_name(text: str) -> str:
    """Returns the name of a config file without folder, suffix and argument: the default name of its workdir."""
    return pathlib.Path(split_config(text)[0]).stem
