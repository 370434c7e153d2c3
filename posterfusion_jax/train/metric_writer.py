"""Training logs: one JSON line per epoch, and the same values for TensorBoard."""

import json
import os
import pathlib
from typing import Any

from tensorboardX import SummaryWriter

from posterfusion_jax.utils.checksums import CHECK, checksum_matches, corrupt_file_error, unreadable, with_checksum

METRICS_FILE = "metrics.jsonl"


class Writers:
    """Write the logs of one run. Lines of epochs after `resumed_epoch`, left by an interrupted start, are removed."""

    def __init__(self, folder: pathlib.Path, *, resumed_epoch: int):
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / METRICS_FILE
        kept = [entry for entry in read_history(folder) if entry["epoch"] <= resumed_epoch]
        partial = self._path.with_suffix(".partial")
        partial.write_text("".join(json.dumps(with_checksum(entry)) + "\n" for entry in kept))
        os.replace(partial, self._path)
        self._tensorboard = SummaryWriter(str(folder / "tensorboard"), purge_step=resumed_epoch + 1)

    def write(self, epoch: int, values: dict[str, float]) -> None:
        """Append the values of one epoch."""
        with self._path.open("a") as file:
            file.write(json.dumps(with_checksum({"epoch": epoch, **values})) + "\n")
        for name, value in values.items():
            self._tensorboard.add_scalar(name, value, epoch)

    def close(self) -> None:
        """Flush buffered values and close the logs."""
        self._tensorboard.close()


def read_history(folder: pathlib.Path) -> list[dict[str, Any]]:
    """Return the epochs written so far, without an incomplete last line.

    Raises:
      InputError: a line is damaged.
    """
    path = folder / METRICS_FILE
    try:
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    except OSError as error:
        raise unreadable(path, error) from error
    entries = []
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            if not checksum_matches(entry):
                raise ValueError(f"its {CHECK!r} does not match the line")
        except (ValueError, TypeError) as error:
            if number == len(lines) and not line.endswith(b"\n"):
                break
            raise corrupt_file_error(
                f"{path}:{number}", "Remove the line: the chart of the training will lack that epoch.", str(error)
            ) from None
        entries.append({name: value for name, value in entry.items() if name != CHECK})
    return entries
