"""Read the files with which MM-IMDb states its films: split.json of the first version, list.txt of the second."""

import json
import os
import pathlib
from typing import Any

from posterfusion_jax.datasets.imdb_posters.paths import SPLITS
from posterfusion_jax.datasets.sources.cell_notes import CellNotes
from posterfusion_jax.datasets.tables.columns import SPLIT_OF
from posterfusion_jax.errors import InputError

SPLIT_FILE, LIST_FILE = "split.json", "list.txt"
_LARGEST = 1 << 26  # bytes; the files have 0.3 and 1 MB
DIGITS = 7  # of an id, with leading zeros


def read_split(file: pathlib.Path, notes: CellNotes) -> dict[str, str]:
    """Return film -> "train", "validation" or "test"; nothing where there is no file.

    Args:
      file: split.json.
      notes: gets the films in several parts.

    Raises:
      InputError: another form, a part of another name, or no film in train.
    """
    if not file.is_file():
        return {}
    splits: dict[str, str] = {}
    try:
        content: Any = json.loads(_read(file))
        for name, films in content.items():
            split = SPLIT_OF[name.lower()]
            for film in films:
                key = str(film).zfill(DIGITS)
                if splits.setdefault(key, split) != split:
                    notes.add("film in several splits, the first counts", SPLIT_FILE, key)
    except (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        fault = f"no split has the name {error}" if isinstance(error, KeyError) else str(error)[:150]
        raise InputError(
            f"{str(file)!r} is not the split of MM-IMDb: {fault}. It must be an object with lists of ids under train, dev and "
            'test, as {"train": ["0114709"], "dev": [], "test": []}. Without it, the split is made by film.'
        ) from error
    if splits and "train" not in splits.values():
        raise InputError(f"{str(file)!r} has no film in train; its parts are {', '.join(content)}, of {', '.join(SPLITS)}.")
    return splits


def read_list(file: pathlib.Path) -> frozenset[str]:
    """Return the ids of the films whose paths a list has, a path in each line; nothing where there is no file.

    Raises:
      InputError: it cannot be read.
    """
    if not file.is_file():
        return frozenset()
    try:
        lines = _read(file).decode("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"{str(file)!r} cannot be read: {error}. It must have the path of a film in each line.") from error
    names = (os.path.basename(line.strip().replace("\\", "/")) for line in lines)
    return frozenset(os.path.splitext(name)[0] for name in names if name)


def _read(file: pathlib.Path) -> bytes:
    with file.open("rb") as opened:
        data = opened.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError(f"it has over {_LARGEST:,} bytes")
    return data
