"""Partial epoch: the finished steps of an interrupted epoch, saved next to the checkpoints and resumed."""

import contextlib
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Float32

from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.train.step import TrainState
from posterfusion_jax.utils.console import print_message


class PartialEpoch:
    """Save and restore at most one partial epoch, in `<folder>/<finished steps>/epoch_<number>`, an Orbax checkpoint."""

    def __init__(self, folder: pathlib.Path, check: Callable[[dict[str, Any]], None] = lambda _: None):
        """Set the folder; `check` gets the `meta` of a restored epoch, and raises InputError if it is of another run."""
        self._folder, self._check = folder, check

    def save(self, epoch: int, state: TrainState, losses: Float32[np.ndarray, " n"], meta: dict[str, Any]) -> None:
        """Save the finished steps of an epoch, if there are any.

        Args:
          epoch: number of the epoch.
          state: state after the finished steps. A state with donated buffers (after a second Ctrl-C) is not saved.
          losses: losses of the finished steps.
          meta: meta of the run.
        """
        if not len(losses) or any(leaf.is_deleted() for leaf in jax.tree.leaves(state)):
            return
        earlier = self._parts()
        about = {**meta, "epoch": epoch, "losses": [float(loss) for loss in losses]}
        with contextlib.closing(Checkpoints(self._folder / str(len(losses)))) as checkpoints:
            if epoch != checkpoints.latest:  # equal if no further step was done since the last save
                checkpoints.save(epoch, state, about, rank=-epoch)
                checkpoints.wait()
        for part in earlier:
            if part.name != str(len(losses)):
                shutil.rmtree(part)
        print_message(f"\ntraining: partial epoch {epoch} saved after {len(losses)} steps", error=True)

    def restore(self, epoch: int, state: TrainState) -> tuple[TrainState, Float32[np.ndarray, " n"]]:
        """Return the state from which to resume an epoch.

        Args:
          epoch: number of the epoch to be trained; saved parts of earlier epochs are out of date, and removed.
          state: state after the epoch before it.

        Returns:
          The state after the saved steps of the epoch, on the devices of `state`, and the losses of these steps;
          `state` itself and no losses without a saved part.

        Raises:
          InputError: the saved part is damaged, or of another run.
        """
        found: tuple[TrainState, np.ndarray] = state, np.zeros(0, np.float32)
        for part in self._parts():
            with contextlib.closing(Checkpoints(part)) as checkpoints:
                saved = checkpoints.latest
                if saved == epoch:
                    meta = checkpoints.read_meta(epoch)
                    self._check(meta)
                    if len(meta["losses"]) > len(found[1]):
                        restored = checkpoints.read_state(epoch, state)
                        placed = jax.tree.map(lambda new, old: jax.device_put(new, old.sharding), restored, state)
                        found = placed, np.array(meta["losses"], np.float32)
            if saved != epoch:
                shutil.rmtree(part)
        if len(found[1]):
            print_message(f"training: resuming epoch {epoch} after {len(found[1])} of its steps")
        return found

    def clear(self) -> None:
        """Remove the saved part, once the epoch has been trained."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _parts(self) -> list[pathlib.Path]:
        return sorted(self._folder.iterdir()) if self._folder.is_dir() else []
