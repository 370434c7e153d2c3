"""The JSON part of a checkpoint, read without Orbax: importing that takes seconds, in which OCR can start."""

import json
import pathlib
import re
from typing import Any

from posterfusion_jax.errors import InputError

PREFIX = "epoch"  # of the folders, one a checkpoint
FORMAT = 2  # of checkpoints: raise it when a later stage needs what older ones do not hold


def read_latest_meta(folder: pathlib.Path) -> dict[str, Any] | None:
    """`checkpoints.Checkpoints.read_meta` of the newest epoch saved; None where nothing was saved."""
    names = (re.fullmatch(rf"{PREFIX}_(\d+)", path.name) for path in folder.iterdir()) if folder.is_dir() else ()
    epochs = [int(name[1]) for name in names if name]  # Orbax gives a checkpoint this name when it is whole
    if not epochs:
        return None
    meta = json.loads((folder / f"{PREFIX}_{max(epochs)}" / "meta" / "metadata").read_text())
    check_format(meta, folder, max(epochs))
    return meta


def check_format(meta: dict[str, Any], folder: pathlib.Path, epoch: int) -> None:
    """Raises InputError where the checkpoint was made by a version whose checkpoints this one does not read."""
    if meta.get("format") != FORMAT:
        raise InputError(
            f"{folder}/{PREFIX}_{epoch} has checkpoint format {meta.get('format')!r}, this version reads {FORMAT}. "
            "Evaluate it with the version that made it, or train anew."
        )
