"""Orbax checkpoints: the latest epoch (to go on from) and the best one (to use), each one explicit unit.

A checkpoint is the state (parameters, optimizer) and `meta`, JSON with all that is needed to use it without the config that
made it: the config itself, the encoders' passports, feature widths, thresholds, calibration, and where early stopping stands.
`meta` also has a checksum of every array and of itself, which are compared when the checkpoint is read; those of its files
(`checkpoint_files`) prove damage that keeps it from being read.
"""

import contextlib
import functools
import json
import logging
import pathlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from posterfusion_jax.checkpoints.files import find_damage, list_files
from posterfusion_jax.checkpoints.meta import FORMAT, PREFIX, fix_of, read_meta, saved_epochs
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.checksums import checksum, corrupt_file_error, unreadable, with_checksum
from posterfusion_jax.utils.disk_full import is_disk_full
from posterfusion_jax.utils.path_alias import plain_path

_END_OF_READS = 0.2  # seconds, after one has failed


class Checkpoints:
    """The checkpoints of one run, by epoch. The best is the one with the lowest rank, the first of equals."""

    def __init__(self, folder: pathlib.Path):
        self._folder, self._saving = folder.absolute(), 0
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        self._plain_folder = plain_path(self._folder)  # Orbax takes some characters for patterns
        policy = AnyPreservationPolicy([LatestN(1), BestN(n=1, get_metric_fn=_order, reverse=True)])
        options = ocp.CheckpointManagerOptions(
            step_prefix=PREFIX,
            best_fn=_order,
            best_mode="min",
            preservation_policy=policy,
            async_options=ocp.AsyncOptions(post_finalization_callback=self._list_files),
        )
        handlers = {"state": ocp.StandardCheckpointHandler(), "meta": ocp.JsonCheckpointHandler()}
        for epoch in saved_epochs(folder):
            self._check_rank(epoch)
        self._manager = ocp.CheckpointManager(self._plain_folder, options=options, item_handlers=handlers)

    def save(self, epoch: int, state: Any, meta: dict[str, Any], *, rank: float) -> None:
        """Saves in the background; the checkpoint appears whole or not at all."""
        about = {"format": FORMAT, **meta, "rank": rank, "arrays": _checksums(state)}
        items = ocp.args.Composite(state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(with_checksum(about)))
        self.wait()  # so that the list of files is of the epoch that is being saved
        self._saving = epoch
        self._manager.save(epoch, args=items, metrics={"rank": rank, "epoch": epoch})

    def _list_files(self) -> None:
        list_files(self._folder, self._saving)

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
        """The JSON part of a checkpoint. Raises as `checkpoints.meta.read_meta`."""
        return read_meta(self._folder, epoch)

    def read_state(self, epoch: int, like: Any) -> Any:
        """Reads the arrays of a checkpoint, whatever devices they were saved from.

        Args:
          epoch: one of those kept.
          like: the same tree with anything that has shape and dtype at its leaves. Numbers that were saved in another width
            (under JAX_ENABLE_X64 by a version before this one) are rounded to its dtypes.

        Raises:
          InputError: the checkpoint is damaged or unreadable, or holds other arrays than `like`; names the first that differs.
        """
        return self._read(epoch, _shapes_of(like), partial=False)

    def read_params(self, epoch: int, like: Any) -> Any:
        """The parameters of a checkpoint without the optimizer's state, which is twice as large.

        Args and Raises as those of `read_state`; `like` is of the parameters alone.
        """
        return self._read(epoch, {"params": _shapes_of(like)}, partial=True)["params"]

    def _read(self, epoch: int, abstract: Any, *, partial: bool) -> Any:
        folder: Any = self._plain_folder / f"{PREFIX}_{epoch}" / "state"  # Orbax's annotations want a path class of their own
        handler = ocp.PyTreeCheckpointHandler()
        with self._reading(epoch):
            stored: Any = handler.metadata(folder).tree
            stored = {name: stored[name] for name in abstract} if partial else stored
        self._check_fits(epoch, stored, abstract)
        # As NumPy's: in the types that were saved, and without the devices that they were saved from.
        as_saved = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), abstract)
        args = ocp.args.PyTreeRestore(abstract, restore_args=as_saved, partial_restore=partial)
        with self._reading(epoch):
            restored = handler.restore(folder, args=args)
        self._check_arrays(epoch, restored)
        return self._narrowed(epoch, restored, abstract)

    def _narrowed(self, epoch: int, restored: Any, abstract: Any) -> Any:
        """The arrays in the wanted types, each a copy that may be given away."""
        pairs = zip(jax.tree.leaves(restored), jax.tree.leaves(abstract), strict=True)
        wide = [str(array.dtype) for array, like in pairs if array.dtype != like.dtype]
        if wide:
            logging.warning(
                "%s_%d in %s has %d arrays of %s, as JAX_ENABLE_X64 made them; they are rounded to 32 bits.",
                *(PREFIX, epoch, self._folder, len(wide), " and ".join(sorted(set(wide)))),
            )
        return jax.tree.map(lambda array, like: jnp.array(array.astype(like.dtype)), restored, abstract)

    @contextlib.contextmanager
    def _reading(self, epoch: int) -> Iterator[None]:
        """Around what Orbax reads: whatever it raises is damage only if that can be proven."""
        hook = sys.unraisablehook
        sys.unraisablehook = functools.partial(_pass_on, hook)
        try:
            yield
        except InputError:
            raise
        except Exception as error:
            if is_disk_full(error):
                raise
            time.sleep(_END_OF_READS)
            folder = self._folder / f"{PREFIX}_{epoch}"
            proof = find_damage(folder)
            raise (self._damaged(epoch, proof) if proof else unreadable(folder, error)) from error
        finally:
            sys.unraisablehook = hook

    def _damaged(self, epoch: int, why: str) -> InputError:
        return corrupt_file_error(self._folder / f"{PREFIX}_{epoch}", fix_of(self._folder, epoch), why)

    def _check_rank(self, epoch: int) -> None:
        """What Orbax chooses the best checkpoint by must be what the checkpoint says of itself."""
        path = self._folder / f"{PREFIX}_{epoch}" / "metrics" / "metrics"
        try:
            noted = json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError, RecursionError) as error:
            raise self._damaged(epoch, f"metrics/metrics: {error}") from None
        except OSError as error:
            raise unreadable(path, error) from error
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
        here = {_canonical(name): _kind(leaf) for name, leaf in _named_leaves(stored)}
        want = {_canonical(name): _kind(leaf) for name, leaf in _named_leaves(abstract)}
        for name in [*want, *here]:
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
    """Optimizer states come back from disk as dicts and lists: `.count`, `['count']` and `[0]`, `['0']` are one name."""
    return "/".join(part for part in name.replace("[", ".").replace("]", "").replace("'", "").split(".") if part)


def _kind(leaf: Any) -> tuple[tuple[int, ...], str]:
    """Shape, and the kind of number whatever its width; empty for floats, which nearly all are."""
    kind = np.dtype(leaf.dtype).kind
    return tuple(leaf.shape), {"f": "", "V": "", "i": " of whole numbers", "u": " of whole numbers from 0 up"}.get(
        kind, f" of {leaf.dtype}"
    )


def _shape(kind: tuple[tuple[int, ...], str] | None) -> str:
    return "absent" if kind is None else f"{list(kind[0])}{kind[1]}"
