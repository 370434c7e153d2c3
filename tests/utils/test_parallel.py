"""Batches over several devices, and reading ahead."""

import threading

import jax
import jax.numpy as jnp
import numpy as np

from posterfusion_jax.utils.prefetch import prefetch
from posterfusion_jax.utils.sharding import DataParallel


def test_batches_are_split_and_params_copied():
    parallel = DataParallel()
    assert parallel.devices == jax.device_count() == 2
    batch = parallel.shard_batch({"x": np.arange(8.0, dtype=np.float32).reshape(4, 2), "y": np.arange(4)})
    assert [shard.data.shape for shard in batch["x"].addressable_shards] == [(2, 2), (2, 2)]
    odd = parallel.shard_batch(np.arange(3))
    assert [shard.data.shape for shard in odd.addressable_shards] == [(3,), (3,)]
    params = parallel.replicate(jnp.ones((5, 2)))
    assert [shard.data.shape for shard in params.addressable_shards] == [(5, 2), (5, 2)]
    product = jax.jit(lambda x, w: x @ w.T)(batch["x"], params)
    np.testing.assert_allclose(product, np.arange(8.0).reshape(4, 2) @ np.ones((2, 5)))


def test_read_ahead_keeps_the_order_and_starts_anywhere():
    seen = set()

    def load(step):
        seen.add(threading.get_ident())
        return np.full(2, step)

    assert [int(x[0]) for x in prefetch(load, 5, 25, threads=2)] == list(range(5, 25))
    assert threading.get_ident() not in seen
    assert list(prefetch(load, 3, 3, threads=1)) == []
