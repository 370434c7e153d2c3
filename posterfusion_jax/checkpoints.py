"""Orbax checkpoints: the latest epoch (to go on from) and the best one (to use), each one explicit unit.

A checkpoint is the state (parameters, optimiser) and `meta`, JSON with all that is needed to use it without the config that
made it: the config itself, the encoders' passports, feature widths, thresholds, calibration, and where early stopping stands.
`meta` also has a checksum of every array and of itself, which are compared when the checkpoint is read.
"""

import contextlib
import errno
import functools
import json
import pathlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from posterfusion_jax.checkpoint_meta import FORMAT, PREFIX, fix_of, read_meta, saved_epochs
from posterfusion_jax.errors import InputError
from posterfusion_jax.integrity import checksum, damaged, sealed
from posterfusion_jax.path_alias import plain_path, user_names

_END_OF_READS = 0.2  # seconds, after one has failed


class Checkpoints:
    """The checkpoints of one run, by epoch. The best is the one with the lowest rank, the first of equals."""

    def __init__(self, folder: pathlib.Path):
        self._folder = folder.absolute()
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        self._plain_folder = plain_path(self._folder)  # Orbax takes some characters for patterns
        policy = AnyPreservationPolicy([LatestN(1), BestN(n=1, get_metric_fn=_order, reverse=True)])
        options = ocp.CheckpointManagerOptions(
            step_prefix=PREFIX,
            best_fn=_order,
            best_mode="min",
            preservation_policy=policy,
        )
        handlers = {"state": ocp.StandardCheckpointHandler(), "meta": ocp.JsonCheckpointHandler()}
        for epoch in saved_epochs(folder):
            self._check_rank(epoch)
        self._manager = ocp.CheckpointManager(self._plain_folder, options=options, item_handlers=handlers)

    def save(self, epoch: int, state: Any, meta: dict[str, Any], *, rank: float) -> None:
        """Saves in the background; the checkpoint appears whole or not at all."""
        about = {"format": FORMAT, **meta, "rank": rank, "arrays": _checksums(state)}
        items = ocp.args.Composite(state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(sealed(about)))
        self._manager.save(epoch, args=items, metrics={"rank": rank, "epoch": epoch})

    def wait(self) -> None:
        """Returns when all that was saved is on disk."""
        self._manager.wait_until_finished()

    @property
    def latest(self) -> int | None:
        """The newest epoch saved, or None."""
        return self._manager.latest_step()

    @property
    def best(self) -> int | None:
        """The best epoch saved, or None."""
        return self._manager.best_step()

    def read_meta(self, epoch: int) -> dict[str, Any]:
        """The JSON part of a checkpoint. Raises as `checkpoint_meta.read_meta`."""
        return read_meta(self._folder, epoch)

    def read_state(self, epoch: int, like: Any) -> Any:
        """The arrays of a checkpoint.

        Args:
          epoch: one of those kept.
          like: the same tree with anything that has shape and dtype at its leaves.

        Raises:
          InputError: the checkpoint is damaged, or holds other arrays than `like`; names the first that differs.
        """
        abstract = _shapes_of(like)
        with self._reading(epoch):
            stored = self._manager.item_metadata(epoch)["state"].tree
        self._check_fits(epoch, stored, abstract)
        with self._reading(epoch):
            state = self._manager.restore(epoch, args=ocp.args.Composite(state=ocp.args.StandardRestore(abstract)))["state"]
        self._check_arrays(epoch, state)
        return state

    def read_params(self, epoch: int, like: Any) -> Any:
        """The parameters of a checkpoint without the optimiser's state, which is twice as large.

        Args and Raises as those of `read_state`; `like` is of the parameters alone.
        """
        folder: Any = self._plain_folder / f"{PREFIX}_{epoch}" / "state"  # Orbax's annotations want a path class of their own
        handler = ocp.PyTreeCheckpointHandler()
        abstract = {"params": _shapes_of(like)}
        with self._reading(epoch):
            stored = {"params": handler.metadata(folder).tree["params"]}
        self._check_fits(epoch, stored, abstract)
        as_arrays = ocp.checkpoint_utils.construct_restore_args(abstract)
        args = ocp.args.PyTreeRestore(abstract, restore_args=as_arrays, partial_restore=True)
        with self._reading(epoch):
            restored = handler.restore(folder, args=args)
        self._check_arrays(epoch, restored)
        return restored["params"]

    @contextlib.contextmanager
    def _reading(self, epoch: int) -> Iterator[None]:
        """Around what Orbax reads: of a damaged file it says something else each time."""
        hook = sys.unraisablehook
        sys.unraisablehook = functools.partial(_pass_on, hook)
        try:
            yield
        except (InputError, OSError) as error:
            if isinstance(error, InputError) or error.errno in (errno.ENOSPC, errno.EACCES, errno.EROFS):
                raise
            raise self._damaged(epoch, error) from error
        except Exception as error:
            time.sleep(_END_OF_READS)
            raise self._damaged(epoch, error) from error
        finally:
            sys.unraisablehook = hook

    def _damaged(self, epoch: int, error: Exception | str) -> InputError:
        why = user_names(" ".join(str(error).split()))[:300]
        return damaged(self._folder / f"{PREFIX}_{epoch}", fix_of(self._folder, epoch), why)

    def _check_rank(self, epoch: int) -> None:
        """What Orbax chooses the best checkpoint by must be what the checkpoint says of itself."""
        with self._reading(epoch):
            noted = json.loads((self._folder / f"{PREFIX}_{epoch}" / "metrics" / "metrics").read_bytes())
        rank = self.read_meta(epoch).get("rank", noted.get("rank"))  # a version before this one did not write it
        if noted != {"rank": rank, "epoch": epoch}:
            raise self._damaged(epoch, f"metrics/metrics says {noted}, but its rank was {rank}")

    def _check_arrays(self, epoch: int, tree: Any) -> None:
        expected = self.read_meta(epoch).get("arrays")
        if expected is None:  # a version before this one did not write them
            return
        for name, found in _checksums(tree).items():
            if found != expected.get(name):
                raise self._damaged(epoch, f"the checksum of {name} is that of other numbers")

    def _check_fits(self, epoch: int, stored: Any, abstract: Any) -> None:
        here = {jax.tree_util.keystr(path): tuple(a.shape) for path, a in jax.tree_util.tree_leaves_with_path(stored)}
        want = {name: tuple(a.shape) for name, a in _named_leaves(abstract)}
        names = dict.fromkeys([_canonical(n) for n in want])
        here = {_canonical(n): shape for n, shape in here.items()}
        want = {_canonical(n): shape for n, shape in want.items()}
        for name in [*names, *here]:
            if here.get(name) != want.get(name):
                raise InputError(
                    f"{self._folder}/epoch_{epoch} does not fit the config: {name} is {_shape(here.get(name))} there, "
                    f"the config makes it {_shape(want.get(name))}. Use the config that the run was started with; "
                    "what another version of this package began to train is trained anew, in another workdir."
                )

    def close(self) -> None:
        """Waits for what is being written and lets go of the folder."""
        self._manager.close()


def _pass_on(hook: Callable[[Any], Any], unraisable: Any) -> None:
    """All but what TensorStore says, after one read has failed, of each other one: that asyncio's loop is closed."""
    if str(unraisable.exc_value) != "Event loop is closed":
        hook(unraisable)


def _order(metrics: dict[str, float]) -> Any:
    """The best checkpoint has the lowest of these: of equal ranks the earliest, as in `train.loop.EarlyStopping`."""
    return metrics["rank"], metrics["epoch"]


def _checksums(tree: Any) -> dict[str, str]:
    return {_canonical(name): checksum(np.ascontiguousarray(leaf).data.cast("B")) for name, leaf in _named_leaves(tree)}


def _shapes_of(tree: Any) -> Any:
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), tree)


def _named_leaves(tree: Any) -> list[tuple[str, Any]]:
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]


def _canonical(name: str) -> str:
    """Optimiser states come back from disk as dicts and lists: `.count`, `['count']` and `[0]`, `['0']` are one name."""
    return "/".join(part for part in name.replace("[", ".").replace("]", "").replace("'", "").split(".") if part)


def _shape(shape: tuple[int, ...] | None) -> str:
    return "absent" if shape is None else str(list(shape))
