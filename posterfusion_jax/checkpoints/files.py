"""The size and checksum of every file of a checkpoint, so that damage can be proven without the libraries that read it.

The list is written while the checkpoint still has its temporary name, and so appears with it or not at all. Checkpoints of
versions before this one have none.
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
    """Writes the list of an epoch that is being saved.

    Args:
      folder: of all checkpoints of a run.
      epoch: whose folder has its own or still a temporary name.
    """
    for path in folder.iterdir():
        if re.fullmatch(rf"{PREFIX}_{epoch}(\D.*)?", path.name) and (path / LIST.parent).is_dir():
            # Not those beside the folders: Orbax changes them once more when it gives the checkpoint its name.
            files = sorted(file for file in path.glob("*/**/*") if file.is_file() and file != path / LIST)
            about = {str(file.relative_to(path)): [file.stat().st_size, _checksum(file)] for file in files}
            partial = path / LIST.with_suffix(".partial")
            partial.write_text(json.dumps(with_checksum({"files": about})))
            os.replace(partial, path / LIST)


def find_damage(folder: pathlib.Path) -> str | None:
    """Returns what is wrong with the files of a checkpoint, None where that cannot be proven.

    Args:
      folder: of one epoch.
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
                return f"the checksum of {name} is that of other contents"
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
