"""Measure the peak rates of this machine: the floor under a program with a known number of operations or bytes.

    python -m benchmarks.machine

Best of several tries, because other programs can only make it slower.
"""

import time

import jax
import jax.numpy as jnp


def matmul_peak(dtype: str = "float32", *, size: int = 2048, tries: int = 12) -> float:
    """Return the floating-point operations per second of a square matrix product in JAX (multiply and add count as two)."""
    a = jnp.ones((size, size), dtype)
    multiply = jax.jit(lambda a: a @ a)
    return 2 * size**3 / _best(lambda: multiply(a), tries)


def memory_bandwidth(*, megabytes: int = 256, tries: int = 12) -> float:
    """Return the bytes per second, read and written, of x + y over arrays far larger than any cache."""
    count = megabytes * 2**20 // 4
    x, y = jnp.ones(count), jnp.ones(count)
    add = jax.jit(lambda x, y: x + y, donate_argnums=())
    return 3 * 4 * count / _best(lambda: add(x, y), tries)


def _best(call, tries: int) -> float:
    jax.block_until_ready(call())
    best = float("inf")
    for _ in range(tries):
        started = time.perf_counter()
        jax.block_until_ready(call())
        best = min(best, time.perf_counter() - started)
    return best


if __name__ == "__main__":
    print(f"{jax.devices()[0].device_kind}")
    for dtype in ("float32", "bfloat16"):
        print(f"matrix product, {dtype}: {matmul_peak(dtype) / 1e9:,.0f} GFLOP/s")
    print(f"memory: {memory_bandwidth() / 1e9:,.1f} GB/s")
