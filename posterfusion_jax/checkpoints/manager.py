"""Orbax checkpoints: the latest epoch (to resume from) and the best one (to use).

A checkpoint is the state (parameters, optimizer) and `meta`, JSON that makes it usable without the config file: the config
itself, the encoders' passports, feature widths, thresholds, calibration, and the state of early stopping. `meta` also has a
checksum of every array and of itself, compared when the checkpoint is read; the checksums of its files (`checkpoints.files`)
prove damage that makes it unreadable.
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

_END_OF_READS = 0.2  # seconds to wait for parallel reads to end after one has failed


class Checkpoints:
    """Save and read the checkpoints of one run, by epoch. The best has the lowest rank, the earliest among ties."""

    def __init__(self, folder: pathlib.Path):
        self._folder, self._saving = folder.absolute(), 0
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        self._plain_folder = plain_path(self._folder)  # Orbax interprets some characters as patterns
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
        """Save in the background, atomically.

        Args:
          epoch: number of the epoch.
          state: tree of arrays.
          meta: JSON-serializable.
          rank: the best checkpoint has the lowest.
        """
        about = {"format": FORMAT, **meta, "rank": rank, "arrays": _checksums(state)}
        items = ocp.args.Composite(state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(with_checksum(about)))
        self.wait()  # so that `_list_files` runs for the epoch that is being saved
        self._saving = epoch
        self._manager.save(epoch, args=items, metrics={"rank": rank, "epoch": epoch})

    def _list_files(self) -> None:
        list_files(self._folder, self._saving)

    def wait(self) -> None:
        """Wait until everything saved is on disk."""
        self._manager.wait_until_finished()

    @property
    def latest(self) -> int | None:
        """Return the newest epoch saved, or None."""
        return self._manager.latest_step()

    @property
    def best(self) -> int | None:
        """Return the best epoch saved, or None."""
        return self._manager.best_step()

    def read_meta(self, epoch: int) -> dict[str, Any]:
        """Return the JSON part of a checkpoint; raises as `checkpoints.meta.read_meta`."""
        return read_meta(self._folder, epoch)

    def read_state(self, epoch: int, like: Any) -> Any:
        """Read the arrays of a checkpoint, independent of the devices they were saved from.

        Args:
          epoch: a saved epoch.
          like: the same tree with anything that has shape and dtype at its leaves. Numbers saved in another width (under
            JAX_ENABLE_X64 by an earlier version) are rounded to its dtypes.

        Raises:
          InputError: the checkpoint is damaged or unreadable, or its arrays differ from `like`; names the first difference.
        """
        return self._read(epoch, _shapes_of(like), partial=False)

    def read_params(self, epoch: int, like: Any) -> Any:
        """Read the parameters of a checkpoint without the optimizer's state, which is twice as large.

        Arguments and errors are those of `read_state`, with `like` for the parameters alone.
        """
        return self._read(epoch, {"params": _shapes_of(like)}, partial=True)["params"]

    def _read(self, epoch: int, abstract: Any, *, partial: bool) -> Any:
        folder: Any = self._plain_folder / f"{PREFIX}_{epoch}" / "state"  # Orbax's annotations want a path class of their own
        handler = ocp.PyTreeCheckpointHandler()
        with self._reading(epoch):
            stored: Any = handler.metadata(folder).tree
            stored = {name: stored[name] for name in abstract} if partial else stored
        self._check_fits(epoch, stored, abstract)
        # NumPy arrays keep the saved types and need none of the devices that they were saved from.
        as_saved = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), abstract)
        args = ocp.args.PyTreeRestore(abstract, restore_args=as_saved, partial_restore=partial)
        with self._reading(epoch):
            restored = handler.restore(folder, args=args)
        self._check_arrays(epoch, restored)
        return self._narrowed(epoch, restored, abstract)

    def _narrowed(self, epoch: int, restored: Any, abstract: Any) -> Any:
        """Return the arrays in the dtypes of `abstract`, each a copy that may be donated."""
        pairs = zip(jax.tree.leaves(restored), jax.tree.leaves(abstract), strict=True)
        wide = [str(array.dtype) for array, like in pairs if array.dtype != like.dtype]
        if wide:
            logging.warning(
                "%s_%d in %s has %d arrays of %s, made under JAX_ENABLE_X64; they are rounded to 32 bits.",
                *(PREFIX, epoch, self._folder, len(wide), " and ".join(sorted(set(wide)))),
            )
        return jax.tree.map(lambda array, like: jnp.array(array.astype(like.dtype)), restored, abstract)

    @contextlib.contextmanager
    def _reading(self, epoch: int) -> Iterator[None]:
        """Wrap reads by Orbax: report an error as damage only with proof, else as unreadable."""
        hook = sys.unraisablehook
        sys.unraisablehook = functools.partial(_report_unraisable, hook)
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
        """Raise InputError unless the rank by which Orbax chooses the best is the rank in the checkpoint's meta."""
        path = self._folder / f"{PREFIX}_{epoch}" / "metrics" / "metrics"
        try:
            noted = json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError, RecursionError) as error:
            raise self._damaged(epoch, f"metrics/metrics: {error}") from None
        except OSError as error:
            raise unreadable(path, error) from error
        rank = self.read_meta(epoch).get("rank", noted.get("rank"))  # absent in meta of earlier versions
        if noted != {"rank": rank, "epoch": epoch}:
            raise self._damaged(epoch, f"metrics/metrics is {noted}, but its rank was {rank}")

    def _check_arrays(self, epoch: int, tree: Any) -> None:
        expected = self.read_meta(epoch).get("arrays")
        if expected is None:  # absent in meta of earlier versions
            return
        for name, found in _checksums(tree).items():
            if found != expected.get(name):
                raise self._damaged(epoch, f"the checksum of {name} does not match its numbers")

    def _check_fits(self, epoch: int, stored: Any, abstract: Any) -> None:
        here = {_canonical(name): _kind(leaf) for name, leaf in _named_leaves(stored)}
        want = {_canonical(name): _kind(leaf) for name, leaf in _named_leaves(abstract)}
        for name in [*want, *here]:
            if here.get(name) != want.get(name):
                raise InputError(
                    f"{self._folder}/epoch_{epoch} does not fit the config: {name} is {_shape(here.get(name))} there, "
                    f"the config makes it {_shape(want.get(name))}. Use the config that the run was started with; "
                    "a training started by another version of this package cannot resume: train again in another workdir."
                )

    def close(self) -> None:
        """Wait for pending writes and release the folder."""
        self._manager.close()


def _report_unraisable(hook: Callable[[Any], Any], unraisable: Any) -> None:
    """Call the hook, except for TensorStore's "Event loop is closed" of each other read after one has failed."""
    if str(unraisable.exc_value) != "Event loop is closed":
        hook(unraisable)


def _order(metrics: dict[str, float]) -> Any:
    """Return the sort key of checkpoints, lowest is best: rank, then epoch, as in `train.early_stopping.EarlyStopping`."""
    return metrics["rank"], metrics["epoch"]


def _checksums(tree: Any) -> dict[str, str]:
    return {_canonical(name): checksum(np.ascontiguousarray(leaf).data.cast("B")) for name, leaf in _named_leaves(tree)}


def _shapes_of(tree: Any) -> Any:
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), tree)


def _named_leaves(tree: Any) -> list[tuple[str, Any]]:
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]


def _canonical(name: str) -> str:
    """Return a name that is equal for `.count` and `['count']`, `[0]` and `['0']`: restored states are dicts and lists."""
    return "/".join(part for part in name.replace("[", ".").replace("]", "").replace("'", "").split(".") if part)


def _kind(leaf: Any) -> tuple[tuple[int, ...], str]:
    """Return shape and kind of number without its width; the kind of floats, the usual case, is empty."""
    kind = np.dtype(leaf.dtype).kind
    return tuple(leaf.shape), {"f": "", "V": "", "i": " of whole numbers", "u": " of whole numbers from 0 up"}.get(
        kind, f" of {leaf.dtype}"
    )


def _shape(kind: tuple[tuple[int, ...], str] | None) -> str:
    return "absent" if kind is None else f"{list(kind[0])}{kind[1]}"
