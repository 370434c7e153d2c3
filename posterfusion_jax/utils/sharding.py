"""Data parallelism over whatever devices there are, and reading ahead of them."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec


class DataParallel:
    """Splits batches over all devices of this process and keeps one copy of the parameters on each."""

    def __init__(self) -> None:
        mesh = Mesh(np.asarray(jax.devices()), ("data",))
        self.devices = mesh.size
        self._split = NamedSharding(mesh, PartitionSpec("data"))
        self._split_second = NamedSharding(mesh, PartitionSpec(None, "data"))
        self._copy = NamedSharding(mesh, PartitionSpec())

    def round_up(self, rows: int) -> int:
        """To the next multiple of the number of devices."""
        return -(-rows // self.devices) * self.devices

    def shard_batch(self, batch: Any) -> Any:
        """Arrays [b, ...] onto the devices, b / devices rows on each; where b does not divide, a copy on each."""
        whole = all(np.shape(a)[0] % self.devices == 0 for a in jax.tree.leaves(batch))
        return jax.device_put(batch, self._split if whole else self._copy)

    def put_batches(self, batches: Any) -> Any:
        """The same for arrays [n, b, ...] of several batches."""
        whole = all(np.shape(a)[1] % self.devices == 0 for a in jax.tree.leaves(batches))
        return jax.device_put(batches, self._split_second if whole else self._copy)

    def split(self, batch: Any) -> Any:
        """The same inside a compiled program."""
        whole = self.devices > 1 and all(a.shape[0] % self.devices == 0 for a in jax.tree.leaves(batch))
        return jax.lax.with_sharding_constraint(batch, self._split) if whole else batch

    def replicate(self, params: Any) -> Any:
        """A copy on each device."""
        return jax.device_put(params, self._copy)


def prefetch(load: Callable[[int], Any], start: int, stop: int, *, threads: int) -> Iterator[Any]:
    """Yields load(start), ..., load(stop - 1) in order, computed ahead in threads (grain); a single one here.

    `load` must be a pure function of its argument, so that a stream entered at any step is the same stream.
    """
    if stop - start == 1:
        yield load(start)
        return
    import grain  # here, because importing it takes a fifth of a second, and predicting one poster does without

    steps = grain.MapDataset.range(start, stop).map(load)
    yield from steps.to_iter_dataset(grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads))
