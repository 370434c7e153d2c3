"""An epoch that was asked to stop in its middle: kept beside the checkpoints, and gone on with."""

import contextlib
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.train.step import TrainState
from posterfusion_jax.utils.console import print_message


class PartialEpoch:
    """At most one, in a folder of its own: `<steps that are done>/epoch_<number>`, an Orbax checkpoint as all others."""

    def __init__(self, folder: pathlib.Path, check: Callable[[dict[str, Any]], None] = lambda _: None):
        """Reads nothing yet. `check` gets the `meta` of what is found, and raises InputError if that is of another run."""
        self._folder, self._check = folder, check

    def keep(self, epoch: int, state: TrainState, losses: np.ndarray, meta: dict[str, Any]) -> None:
        """Saves what is done of an epoch, if anything is.

        Args:
          epoch: its number.
          state: after the steps that are done. What was given away meanwhile (after a second Ctrl-C) is not kept.
          losses: of those steps, float32 [n].
          meta: of the run.
        """
        if not len(losses) or any(leaf.is_deleted() for leaf in jax.tree.leaves(state)):
            return
        earlier = self._parts()
        about = {**meta, "epoch": epoch, "losses": [float(loss) for loss in losses]}
        with contextlib.closing(Checkpoints(self._folder / str(len(losses)))) as checkpoints:
            if epoch != checkpoints.latest:  # the same steps may be there already: then it stopped before another was done
                checkpoints.save(epoch, state, about, rank=-epoch)
                checkpoints.wait()
        for part in earlier:
            if part.name != str(len(losses)):
                shutil.rmtree(part)
        print_message(f"\ntraining: epoch {epoch} is kept as it is after {len(losses)} steps", error=True)

    def restore(self, epoch: int, state: TrainState) -> tuple[TrainState, np.ndarray]:
        """Where to go on.

        Args:
          epoch: number of the epoch to be trained; what is kept of earlier ones is out of date, and removed.
          state: after the epoch before it.

        Returns:
          The state after the steps that are kept of the epoch, on the devices of `state`, and the losses of those steps,
          float32 [n]; `state` itself and none where nothing is kept.

        Raises:
          InputError: what is kept is damaged, or of another run.
        """
        found: tuple[TrainState, np.ndarray] = state, np.zeros(0, np.float32)
        for part in self._parts():
            with contextlib.closing(Checkpoints(part)) as checkpoints:
                kept = checkpoints.latest
                if kept == epoch:
                    meta = checkpoints.read_meta(epoch)
                    self._check(meta)
                    if len(meta["losses"]) > len(found[1]):
                        restored = checkpoints.read_state(epoch, state)
                        placed = jax.tree.map(lambda new, old: jax.device_put(new, old.sharding), restored, state)
                        found = placed, np.array(meta["losses"], np.float32)
            if kept != epoch:
                shutil.rmtree(part)
        if len(found[1]):
            print_message(f"training: goes on in epoch {epoch}, after {len(found[1])} of its steps")
        return found

    def drop(self) -> None:
        """Removes what is kept: the epoch has been trained."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _parts(self) -> list[pathlib.Path]:
        return sorted(self._folder.iterdir()) if self._folder.is_dir() else []
