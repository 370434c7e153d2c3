"""JSON part of a checkpoint, read without Orbax, whose import takes seconds."""

import pathlib
import re
from typing import Any

from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.checksums import read_checked_json, unreadable

PREFIX = "epoch"  # of folder names, one folder per checkpoint
FORMAT = 2  # of checkpoints; increment it when a later stage needs fields that older checkpoints lack


def read_latest_meta(folder: pathlib.Path) -> dict[str, Any] | None:
    """Return `read_meta` of the newest epoch saved; None without a checkpoint."""
    epochs = saved_epochs(folder)
    return read_meta(folder, max(epochs)) if epochs else None


def saved_epochs(folder: pathlib.Path) -> list[int]:
    """Return the epochs that have a complete checkpoint. Raises InputError if the folder is unreadable."""
    try:
        found = list(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise unreadable(folder, error) from error
    names = (re.fullmatch(rf"{PREFIX}_(\d+)", path.name) for path in found)
    return [int(name[1]) for name in names if name]


def read_meta(folder: pathlib.Path, epoch: int) -> dict[str, Any]:
    """Return the meta of the checkpoint of an epoch.

    Raises:
      InputError: it is damaged, or of a format that this version does not read.
    """
    meta = read_checked_json(folder / f"{PREFIX}_{epoch}" / "meta" / "metadata", fix=fix_of(folder, epoch))
    _check_format(meta, folder, epoch)
    return meta


def fix_of(folder: pathlib.Path, epoch: int) -> str:
    """Return the fix for a damaged checkpoint, for messages."""
    return f"Remove {folder / f'{PREFIX}_{epoch}'}: training resumes from the other checkpoint there, or restarts without one."


def _check_format(meta: dict[str, Any], folder: pathlib.Path, epoch: int) -> None:
    """Raise InputError if this version does not read the format of the checkpoint."""
    if meta.get("format") != FORMAT:
        raise InputError(
            f"{folder}/{PREFIX}_{epoch} has checkpoint format {meta.get('format')!r}, this version reads {FORMAT}. "
            "Evaluate it with the version that made it, or train again."
        )
