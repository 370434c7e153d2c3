"""Data parallelism over all devices of this process."""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec


class DataParallel:
    """Split batches over all devices of this process and keep one copy of the parameters on each."""

    def __init__(self) -> None:
        mesh = Mesh(np.asarray(jax.devices()), ("data",))
        self.devices = mesh.size
        self._split_rows = NamedSharding(mesh, PartitionSpec("data"))
        self._split_second_axis = NamedSharding(mesh, PartitionSpec(None, "data"))
        self._replicated = NamedSharding(mesh, PartitionSpec())

    def round_up(self, rows: int) -> int:
        """Round `rows` up to a multiple of the number of devices."""
        return -(-rows // self.devices) * self.devices

    def shard_batch(self, batch: Any) -> Any:
        """Put arrays [b, ...] onto the devices, b / devices rows on each, or a copy on each where b does not divide."""
        divisible = all(np.shape(a)[0] % self.devices == 0 for a in jax.tree.leaves(batch))
        return jax.device_put(batch, self._split_rows if divisible else self._replicated)

    def shard_batches(self, batches: Any) -> Any:
        """Put arrays [n, b, ...] of n batches onto the devices, each batch as `shard_batch` does."""
        divisible = all(np.shape(a)[1] % self.devices == 0 for a in jax.tree.leaves(batches))
        return jax.device_put(batches, self._split_second_axis if divisible else self._replicated)

    def constrain(self, batch: Any) -> Any:
        """Split arrays [b, ...] over the devices inside a compiled program; return them unchanged where b does not divide."""
        divisible = self.devices > 1 and all(a.shape[0] % self.devices == 0 for a in jax.tree.leaves(batch))
        return jax.lax.with_sharding_constraint(batch, self._split_rows) if divisible else batch

    def replicate(self, params: Any) -> Any:
        """Put one copy of the parameters onto each device."""
        return jax.device_put(params, self._replicated)
