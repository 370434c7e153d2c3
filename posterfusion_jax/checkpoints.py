"""Orbax checkpoints: the latest epoch (to go on from) and the best one (to use), each one explicit unit.

A checkpoint is the state (parameters, optimiser) and `meta`, JSON with all that is needed to use it without the config that
made it: the config itself, the encoders' passports, feature widths, thresholds, calibration, and where early stopping stands.
"""

import pathlib
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from posterfusion_jax.checkpoint_meta import FORMAT, PREFIX, check_format
from posterfusion_jax.errors import InputError


class Checkpoints:
    """The checkpoints of one run, by epoch. The best is the one with the lowest rank, the first of equals."""

    def __init__(self, folder: pathlib.Path):
        self._folder = folder.absolute()
        policy = AnyPreservationPolicy([LatestN(1), BestN(n=1, get_metric_fn=_order, reverse=True)])
        options = ocp.CheckpointManagerOptions(
            step_prefix=PREFIX,
            best_fn=_order,
            best_mode="min",
            preservation_policy=policy,
        )
        handlers = {"state": ocp.StandardCheckpointHandler(), "meta": ocp.JsonCheckpointHandler()}
        self._manager = ocp.CheckpointManager(self._folder, options=options, item_handlers=handlers)

    def save(self, epoch: int, state: Any, meta: dict[str, Any], *, rank: float) -> None:
        """Saves in the background; the checkpoint appears whole or not at all."""
        items = ocp.args.Composite(state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave({"format": FORMAT, **meta}))
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
        """The JSON part of a checkpoint."""
        meta = self._manager.restore(epoch, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))["meta"]
        check_format(meta, self._folder, epoch)
        return meta

    def read_state(self, epoch: int, like: Any) -> Any:
        """The arrays of a checkpoint.

        Args:
          epoch: one of those kept.
          like: the same tree with anything that has shape and dtype at its leaves.

        Raises:
          InputError: the checkpoint holds other arrays than `like`; names the first that differs.
        """
        abstract = _shapes_of(like)
        self._check_fits(epoch, self._manager.item_metadata(epoch)["state"].tree, abstract)
        return self._manager.restore(epoch, args=ocp.args.Composite(state=ocp.args.StandardRestore(abstract)))["state"]

    def read_params(self, epoch: int, like: Any) -> Any:
        """The parameters of a checkpoint without the optimiser's state, which is twice as large.

        Args and Raises as those of `read_state`; `like` is of the parameters alone.
        """
        folder: Any = self._folder / f"{PREFIX}_{epoch}" / "state"  # Orbax's annotations want a path class of their own
        handler = ocp.PyTreeCheckpointHandler()
        abstract = {"params": _shapes_of(like)}
        self._check_fits(epoch, {"params": handler.metadata(folder).tree["params"]}, abstract)
        as_arrays = ocp.checkpoint_utils.construct_restore_args(abstract)
        args = ocp.args.PyTreeRestore(abstract, restore_args=as_arrays, partial_restore=True)
        return handler.restore(folder, args=args)["params"]

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


def _order(metrics: dict[str, float]) -> Any:
    """The best checkpoint has the lowest of these: of equal ranks the earliest, as in `train.loop.EarlyStopping`."""
    return metrics["rank"], metrics["epoch"]


def _shapes_of(tree: Any) -> Any:
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), tree)


def _named_leaves(tree: Any) -> list[tuple[str, Any]]:
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]


def _canonical(name: str) -> str:
    """Optimiser states come back from disk as dicts and lists: `.count`, `['count']` and `[0]`, `['0']` are one name."""
    return "/".join(part for part in name.replace("[", ".").replace("]", "").replace("'", "").split(".") if part)


def _shape(shape: tuple[int, ...] | None) -> str:
    return "absent" if shape is None else str(list(shape))
