"""Epoch runners: features on the device with one compiled loop, or streamed batches with a short loop per call.

Both use the batches of `batch_order.training_batch`, so they differ in rounding at most.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, Int32

from posterfusion_jax.input_pipeline.batch_order import training_batch
from posterfusion_jax.input_pipeline.sources import BatchSource
from posterfusion_jax.train.step import TrainState, make_train_step
from posterfusion_jax.train.trainer import Trainer
from posterfusion_jax.utils.prefetch import prefetch

STEPS_PER_CALL = 4  # for streamed batches: steps of one call share their temporary arrays
_CALLS = 10  # calls of the compiled loop per pass; between them progress is shown and Ctrl-C is checked


@dataclasses.dataclass(frozen=True)
class Epoch:
    """Describe an epoch to train, or the rest of a partial one.

    Attributes:
      number: number of the epoch, from 1; a runner is called with consecutive ones.
      advance: called repeatedly with the number of further steps that are done.
      done: losses of the finished steps of a partial epoch.
      stop_requested: polled between calls of the compiled loop; True stops early.
    """

    number: int
    advance: Callable[[int], Any] = lambda steps: None
    done: Float32[np.ndarray, " done"] = dataclasses.field(default_factory=lambda: np.zeros(0, np.float32))
    stop_requested: Callable[[], bool] = lambda: False


# Trains one epoch. The buffers of the state before are donated. Returns the state afterwards, and the losses before each step,
# float32 [steps], or [seeds, steps] of several seeds; fewer after a stop.
EpochRunner = Callable[[TrainState, Epoch], tuple[TrainState, np.ndarray]]


def make_epoch_runner(trainer: Trainer, seed: int) -> EpochRunner:
    """Return an on-device runner for features that fit train.resident_gib, else a streaming one."""
    encoders_train = trainer.options.fine_tune != "none"
    if not encoders_train and split_bytes(trainer.source) <= trainer.options.resident_gib * 2**30:
        return OnDeviceEpochRunner(trainer, seed)
    # A step of fine-tuned encoders takes long enough by itself.
    return StreamingEpochRunner(trainer, seed, steps_per_call=1 if encoders_train else STEPS_PER_CALL)


def split_bytes(source: BatchSource) -> int:
    """Return the bytes of all rows of a split."""
    return len(source.labels) * sum(array.nbytes for array in source.load(np.arange(1)).values())


class StreamingEpochRunner:
    """Run epochs on batches that are prefetched in threads; a few steps are a loop in one compiled program."""

    def __init__(self, trainer: Trainer, seed: int, *, steps_per_call: int = STEPS_PER_CALL):
        """Prepare the compiled program; batches are loaded from the first call on.

        Args:
          trainer: model, data and options.
          seed: seed of batch order and dropout.
          steps_per_call: batches held and trained on per call; between two calls Ctrl-C is checked.
        """
        self._trainer, self._seed, self._steps_per_call = trainer, seed, steps_per_call
        self._batches: Iterator[Any] | None = None
        one = make_train_step(trainer.classifier, trainer.optimizer, trainer.loss)
        constrain = trainer.parallel.constrain

        def run(state: TrainState, batches: Any, count: jax.Array) -> tuple[TrainState, jax.Array]:
            def step(k: jax.Array, carry: tuple[TrainState, jax.Array]) -> tuple[TrainState, jax.Array]:
                state, losses = carry
                batch = jax.tree.map(lambda array: array[k], batches)
                state, loss = one(state, *constrain(batch), seed=seed)
                return state, losses.at[k].set(loss)

            return jax.lax.fori_loop(0, count, step, (state, jnp.zeros(steps_per_call, jnp.float32)))

        self._run = jax.jit(run, donate_argnums=0)

    def __call__(self, state: TrainState, epoch: Epoch) -> tuple[TrainState, np.ndarray]:
        """Train one epoch; see `EpochRunner`."""
        steps = self._trainer.steps
        if self._batches is None:
            first, stop = (epoch.number - 1) * steps + len(epoch.done), self._trainer.options.max_epochs * steps
            self._batches = prefetch(self._load, first, stop, threads=self._trainer.options.loader_threads)
        ended, calls = len(epoch.done), [epoch.done]
        while ended < steps and not epoch.stop_requested():
            count = min(self._steps_per_call, steps - ended)
            loaded = [next(self._batches) for _ in range(count)]
            loaded += loaded[:1] * (self._steps_per_call - count)  # padding, never read
            batches = jax.tree.map(lambda *arrays: np.stack(arrays), *loaded)
            state, of_call = self._run(state, self._trainer.parallel.shard_batches(batches), np.int32(count))
            jax.block_until_ready(calls[-1])  # calls are asynchronous: without this, batches would accumulate in memory
            calls.append(of_call[:count])
            ended += count
            epoch.advance(count)
        return state, np.concatenate(jax.device_get(calls))

    def _load(self, step: int) -> tuple[Any, np.ndarray, np.ndarray]:
        source, batch_size = self._trainer.source, self._trainer.options.batch_size
        rows, real = training_batch(step, seed=self._seed, rows=len(source.labels), batch_size=batch_size)
        return source.load(rows), source.labels[rows], real


class OnDeviceEpochRunner:
    """Run epochs on a split that is on the device as a whole; the steps are a loop in one compiled program.

    With several seeds their states are stacked and train in the same program, each with its own batch order.
    """

    def __init__(self, trainer: Trainer, seeds: int | Sequence[int]):
        """Put the split on the device.

        Args:
          trainer: model, data and options.
          seeds: seed of the state; a sequence for stacked states, in their order.
        """
        self.seeds = seeds
        self._trainer, source, constrain = trainer, trainer.source, trainer.parallel.constrain
        self._data = trainer.parallel.replicate((source.load(np.arange(len(source.labels))), source.labels))
        one = make_train_step(trainer.classifier, trainer.optimizer, trainer.loss)

        def run(state: TrainState, losses: Any, seed: Any, rows: Any, real: Any, data: Any, start: Any, stop: Any) -> Any:
            features, labels = data

            def step(k: jax.Array, carry: tuple[TrainState, jax.Array]) -> tuple[TrainState, jax.Array]:
                state, losses = carry
                batch = {name: array[rows[k]] for name, array in features.items()}, labels[rows[k]], real[k]
                if self._one_by_one:
                    batch = constrain(batch)
                state, loss = one(state, *batch, seed=seed)
                return state, losses.at[k].set(loss)

            return jax.lax.fori_loop(start, stop, step, (state, losses))

        many = jax.vmap(run, in_axes=(0, 0, 0, 0, None, None, None, None))
        # On a CPU one seed after another is faster: the state of one fits in its cache.
        self._one_by_one = isinstance(seeds, int) or jax.default_backend() == "cpu"
        self._run = jax.jit(run if self._one_by_one else many, donate_argnums=(0, 1))

    def __call__(self, state: TrainState, epoch: Epoch) -> tuple[TrainState, np.ndarray]:
        """Train one epoch; see `EpochRunner`. Several seeds are trained whole epochs: they have no `done` and no stop."""
        if isinstance(self.seeds, int) or not self._one_by_one:
            return self._run_epoch(state, self.seeds, epoch)
        steps, states, losses = self._trainer.steps, [], []
        for k, seed in enumerate(self.seeds):
            of = jax.tree.map(lambda array, k=k: array[k], state)
            own, of_seed = self._run_epoch(of, seed, Epoch(epoch.number))
            states.append(own)
            losses.append(of_seed)
            epoch.advance(steps * (k + 1) // len(self.seeds) - steps * k // len(self.seeds))
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states), np.stack(losses)

    def _run_epoch(self, state: Any, seeds: int | Sequence[int], epoch: Epoch) -> tuple[Any, np.ndarray]:
        steps = self._trainer.steps
        rows, real = self._order((epoch.number - 1) * steps, seeds)
        numbers = jnp.asarray(seeds, jnp.int32)
        edge, stops = len(epoch.done), np.linspace(0, steps, _CALLS + 1).astype(np.int32)
        losses = jnp.zeros(rows.shape[:-1], jnp.float32).at[..., :edge].set(epoch.done)
        for stop in np.unique(stops[stops > edge]):
            if epoch.stop_requested():
                break
            state, losses = self._run(state, losses, numbers, rows, real, self._data, np.int32(edge), stop)
            jax.block_until_ready(losses)
            epoch.advance(int(stop - edge))
            edge = stop
        return state, np.asarray(losses)[..., :edge]

    def _order(
        self, first: int, seeds: int | Sequence[int]
    ) -> tuple[Int32[np.ndarray, "*seeds steps b"], Float32[np.ndarray, "steps b"]]:
        """Return the rows of an epoch, [steps, b] or [seeds, steps, b], and 1 where they are real."""
        if not isinstance(seeds, int):
            orders = [self._order(first, seed) for seed in seeds]
            return np.stack([rows for rows, _ in orders]), orders[0][1]
        size, count = self._trainer.options.batch_size, len(self._trainer.source.labels)
        batches = [training_batch(first + k, seed=seeds, rows=count, batch_size=size) for k in range(self._trainer.steps)]
        return np.stack([rows for rows, _ in batches]).astype(np.int32), np.stack([real for _, real in batches])
