"""Epoch runners: features on the device with one compiled loop, or streamed batches with a short loop per call.

Both use the batches of `batch_order.training_batch`, so they differ in rounding at most.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax

from posterfusion_jax.input_pipeline.batch_order import steps_per_epoch, training_batch
from posterfusion_jax.input_pipeline.sources import BatchSource
from posterfusion_jax.models.classifier import Classifier
from posterfusion_jax.train.step import Loss, TrainState, make_train_step
from posterfusion_jax.utils.prefetch import prefetch
from posterfusion_jax.utils.sharding import DataParallel

STEPS_PER_CALL = 4  # for streamed batches: steps of one call share their temporary arrays
_CALLS = 10  # calls of the compiled loop per pass; between them progress is shown and Ctrl-C is checked
_NO_LOSSES = np.zeros(0, np.float32)


class EpochRunner(Protocol):
    """Run epochs of training.

    Attributes:
      steps: steps of one pass.
    """

    steps: int

    def __call__(
        self,
        state: TrainState,
        epoch: int,
        advance: Callable[[int], Any],
        *,
        done: np.ndarray = _NO_LOSSES,
        stop_requested: Callable[[], bool] = lambda: False,
    ) -> tuple[TrainState, np.ndarray]:
        """Train one epoch, or the rest of a partial one.

        Args:
          state: the state before; its buffers are donated.
          epoch: number of the epoch, from 1; each call has the next one.
          advance: called repeatedly with the number of further steps that are done.
          done: losses of the finished steps of a partial epoch, float32 [n].
          stop_requested: polled between calls of the compiled loop; True stops early.

        Returns:
          The state afterwards, and the losses before each step, float32 [steps]; fewer after a stop.
        """
        ...


def split_bytes(source: BatchSource) -> int:
    """Return the bytes of all rows of a split."""
    return len(source.labels) * sum(array.nbytes for array in source.load(np.arange(1)).values())


class StreamingEpochRunner:
    """Run epochs on batches that are prefetched in threads; a few steps are a loop in one compiled program."""

    def __init__(
        self,
        classifier: Classifier,
        optimizer: optax.GradientTransformation,
        loss: Loss,
        source: BatchSource,
        parallel: DataParallel,
        *,
        seed: int,
        batch_size: int,
        max_epochs: int,
        threads: int,
        steps_per_call: int = STEPS_PER_CALL,
    ):
        """Prepare the compiled program; batches are loaded from the first call on.

        Args:
          classifier: the model.
          optimizer: see `make_optimizer`.
          loss: loss per element.
          source: the training split.
          parallel: the devices.
          seed: seed of batch order and dropout.
          batch_size: rows per step.
          max_epochs: maximum number of passes.
          threads: number of threads that load batches.
          steps_per_call: batches held and trained on per call; between two calls Ctrl-C is checked.
        """
        self.steps = steps_per_epoch(len(source.labels), batch_size)
        self._parallel, self._stop, self._threads = parallel, max_epochs * self.steps, threads
        self._batches: Iterator[Any] | None = None
        self._steps_per_call = steps_per_call
        one = make_train_step(classifier, optimizer, loss)

        def run(state: TrainState, batches: Any, count: jax.Array) -> tuple[TrainState, jax.Array]:
            def step(k: jax.Array, carry: tuple[TrainState, jax.Array]) -> tuple[TrainState, jax.Array]:
                state, losses = carry
                batch = jax.tree.map(lambda array: array[k], batches)
                state, loss = one(state, *parallel.constrain(batch), seed=seed)
                return state, losses.at[k].set(loss)

            return jax.lax.fori_loop(0, count, step, (state, jnp.zeros(steps_per_call, jnp.float32)))

        self._run = jax.jit(run, donate_argnums=0)

        def load(step: int) -> tuple[Any, np.ndarray, np.ndarray]:
            rows, real = training_batch(step, seed=seed, rows=len(source.labels), batch_size=batch_size)
            return source.load(rows), source.labels[rows], real

        self._load = load

    def __call__(
        self,
        state: TrainState,
        epoch: int,
        advance: Callable[[int], Any],
        *,
        done: np.ndarray = _NO_LOSSES,
        stop_requested: Callable[[], bool] = lambda: False,
    ) -> tuple[TrainState, np.ndarray]:
        """Train one epoch; see `EpochRunner`."""
        if self._batches is None:
            first = (epoch - 1) * self.steps + len(done)
            self._batches = prefetch(self._load, first, self._stop, threads=self._threads)
        ended, calls = len(done), [done]
        while ended < self.steps and not stop_requested():
            count = min(self._steps_per_call, self.steps - ended)
            loaded = [next(self._batches) for _ in range(count)]
            loaded += loaded[:1] * (self._steps_per_call - count)  # padding, never read
            batches = jax.tree.map(lambda *arrays: np.stack(arrays), *loaded)
            state, of_call = self._run(state, self._parallel.shard_batches(batches), np.int32(count))
            jax.block_until_ready(calls[-1])  # calls are asynchronous: without this, batches would accumulate in memory
            calls.append(of_call[:count])
            ended += count
            advance(count)
        return state, np.concatenate(jax.device_get(calls))


class OnDeviceEpochRunner:
    """Run epochs on a split that is on the device as a whole; the steps are a loop in one compiled program.

    With several seeds their states are stacked and train in the same program, each with its own batch order.
    """

    def __init__(
        self,
        classifier: Classifier,
        optimizer: optax.GradientTransformation,
        loss: Loss,
        source: BatchSource,
        parallel: DataParallel,
        *,
        seeds: int | Sequence[int],
        batch_size: int,
    ):
        """Put the split on the device.

        Args:
          classifier: the model.
          optimizer: see `make_optimizer`.
          loss: loss per element.
          source: the training split.
          parallel: the devices.
          seeds: seed of the state; a sequence for stacked states, in their order.
          batch_size: rows per step.
        """
        self.seeds = seeds
        self._rows, self._batch_size = len(source.labels), batch_size
        self.steps = steps_per_epoch(self._rows, batch_size)
        self._data = parallel.replicate((source.load(np.arange(self._rows)), source.labels))
        one = make_train_step(classifier, optimizer, loss)

        def run(state: TrainState, losses: Any, seed: Any, rows: Any, real: Any, data: Any, start: Any, stop: Any) -> Any:
            features, labels = data

            def step(k: jax.Array, carry: tuple[TrainState, jax.Array]) -> tuple[TrainState, jax.Array]:
                state, losses = carry
                batch = {name: array[rows[k]] for name, array in features.items()}, labels[rows[k]], real[k]
                if self._one_by_one:
                    batch = parallel.constrain(batch)
                state, loss = one(state, *batch, seed=seed)
                return state, losses.at[k].set(loss)

            return jax.lax.fori_loop(start, stop, step, (state, losses))

        many = jax.vmap(run, in_axes=(0, 0, 0, 0, None, None, None, None))
        # On a CPU one seed after another is faster: the state of one fits in its cache.
        self._one_by_one = isinstance(seeds, int) or jax.default_backend() == "cpu"
        self._run = jax.jit(run if self._one_by_one else many, donate_argnums=(0, 1))

    def __call__(
        self,
        state: TrainState,
        epoch: int,
        advance: Callable[[int], Any],
        *,
        done: np.ndarray = _NO_LOSSES,
        stop_requested: Callable[[], bool] = lambda: False,
    ) -> tuple[TrainState, np.ndarray]:
        """Train one epoch; see `EpochRunner`.

        With several seeds the losses are [seeds, steps], and neither `done` nor `stop_requested` may be given.
        """
        if isinstance(self.seeds, int) or not self._one_by_one:
            return self._epoch(state, self.seeds, epoch, advance, done, stop_requested)
        states, losses = [], []
        for k, seed in enumerate(self.seeds):
            of = jax.tree.map(lambda array, k=k: array[k], state)
            own, of_seed = self._epoch(of, seed, epoch, lambda _: None, done, stop_requested)
            states.append(own)
            losses.append(of_seed)
            advance(self.steps * (k + 1) // len(self.seeds) - self.steps * k // len(self.seeds))
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states), np.stack(losses)

    def _epoch(
        self,
        state: Any,
        seeds: int | Sequence[int],
        epoch: int,
        advance: Callable[[int], Any],
        done: np.ndarray,
        stop_requested: Callable[[], bool],
    ) -> tuple[Any, np.ndarray]:
        rows, real = self._order((epoch - 1) * self.steps, seeds)
        numbers = jnp.asarray(seeds, jnp.int32)
        edge, stops = len(done), np.linspace(0, self.steps, _CALLS + 1).astype(np.int32)
        losses = jnp.zeros(rows.shape[:-1], jnp.float32).at[..., :edge].set(done)
        for stop in np.unique(stops[stops > edge]):
            if stop_requested():
                break
            state, losses = self._run(state, losses, numbers, rows, real, self._data, np.int32(edge), stop)
            jax.block_until_ready(losses)
            advance(int(stop - edge))
            edge = stop
        return state, np.asarray(losses)[..., :edge]

    def _order(self, first: int, seeds: int | Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of a pass, int32 [steps, b] or [seeds, steps, b], and which are real, float32 [steps, b]."""
        if not isinstance(seeds, int):
            orders = [self._order(first, seed) for seed in seeds]
            return np.stack([rows for rows, _ in orders]), orders[0][1]
        batches = [
            training_batch(first + k, seed=seeds, rows=self._rows, batch_size=self._batch_size) for k in range(self.steps)
        ]
        return np.stack([rows for rows, _ in batches]).astype(np.int32), np.stack([real for _, real in batches])
