"""Size and checksum of every file of a checkpoint, to detect damage without the libraries that read it.

The list is written while the checkpoint still has its temporary name, so it appears together with the checkpoint. Checkpoints
of earlier versions have no list.
"""

import json
import os
import pathlib
import re
import zlib

from posterfusion_jax.checkpoints.meta import PREFIX
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.checksums import read_checked_json, with_checksum

LIST = pathlib.PurePath("meta", "files.json")  # within the folder of an epoch
_BLOCK = 1 << 20


def list_files(folder: pathlib.Path, epoch: int) -> None:
    """Write the list of an epoch that is being saved.

    Args:
      folder: folder of all checkpoints of a run.
      epoch: number of the epoch, whose folder has its final or still a temporary name.
    """
    for path in folder.iterdir():
        if re.fullmatch(rf"{PREFIX}_{epoch}(\D.*)?", path.name) and (path / LIST.parent).is_dir():
            # Top-level files are excluded: Orbax changes them when it renames the checkpoint.
            files = sorted(file for file in path.glob("*/**/*") if file.is_file() and file != path / LIST)
            about = {str(file.relative_to(path)): [file.stat().st_size, _checksum(file)] for file in files}
            partial = path / LIST.with_suffix(".partial")
            partial.write_text(json.dumps(with_checksum({"files": about})))
            os.replace(partial, path / LIST)


def find_damage(folder: pathlib.Path) -> str | None:
    """Return the first proven damage of the files of a checkpoint; None without proof.

    Args:
      folder: folder of one epoch.
    """
    try:
        listed = read_checked_json(folder / LIST, fix="")["files"]
    except (InputError, KeyError):
        return None
    for name, (size, check) in listed.items():
        try:
            found = (folder / name).stat().st_size
            if found != size:
                return f"{name} has {found:,} bytes of {size:,}"
            if _checksum(folder / name) != check:
                return f"the checksum of {name} does not match its contents"
        except FileNotFoundError:
            return f"{name} is missing"
        except OSError:
            continue
    return None


def _checksum(file: pathlib.Path) -> str:
    found = 0
    with file.open("rb") as opened:
        while block := opened.read(_BLOCK):
            found = zlib.crc32(block, found)
    return f"{found:08x}"
