"""The JSON part of a checkpoint, read without Orbax: importing that takes seconds, in which OCR can start."""

import pathlib
import re
from typing import Any

from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.checksums import read_checked_json, unreadable

PREFIX = "epoch"  # of the folders, one a checkpoint
FORMAT = 2  # of checkpoints: raise it when a later stage needs what older ones do not hold


def read_latest_meta(folder: pathlib.Path) -> dict[str, Any] | None:
    """`checkpoints.manager.Checkpoints.read_meta` of the newest epoch saved; None where nothing was saved."""
    epochs = saved_epochs(folder)
    return read_meta(folder, max(epochs)) if epochs else None


def saved_epochs(folder: pathlib.Path) -> list[int]:
    """The epochs that have a checkpoint (Orbax names it when it is whole). Raises InputError where the folder is unreadable."""
    try:
        found = list(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise unreadable(folder, error) from error
    names = (re.fullmatch(rf"{PREFIX}_(\d+)", path.name) for path in found)
    return [int(name[1]) for name in names if name]


def read_meta(folder: pathlib.Path, epoch: int) -> dict[str, Any]:
    """What the checkpoint of an epoch says of itself.

    Raises:
      InputError: it is damaged, or of a version whose checkpoints this one does not read.
    """
    meta = read_checked_json(folder / f"{PREFIX}_{epoch}" / "meta" / "metadata", fix=fix_of(folder, epoch))
    _check_format(meta, folder, epoch)
    return meta


def fix_of(folder: pathlib.Path, epoch: int) -> str:
    """What to do about a damaged checkpoint."""
    return (
        f"Remove {folder / f'{PREFIX}_{epoch}'}: training goes on from the other checkpoint there, or begins anew without one."
    )


def _check_format(meta: dict[str, Any], folder: pathlib.Path, epoch: int) -> None:
    """Raises InputError where the checkpoint was made by a version whose checkpoints this one does not read."""
    if meta.get("format") != FORMAT:
        raise InputError(
            f"{folder}/{PREFIX}_{epoch} has checkpoint format {meta.get('format')!r}, this version reads {FORMAT}. "
            "Evaluate it with the version that made it, or train anew."
        )
