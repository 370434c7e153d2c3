"""Training of several seeds of one run in parallel: stacked parameters and optimizer states in one compiled program.

Each seed is trained as `loop.train` would train it alone, up to rounding: the same initialization, batches, dropout, early
stopping and checkpoints. Only for cached features, which are on the device as a whole.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.scoring import Scores, make_score_step
from posterfusion_jax.input_pipeline.batch_order import evaluation_batch, steps_per_epoch
from posterfusion_jax.train.early_stopping import EarlyStopping, Record, summarize_epoch
from posterfusion_jax.train.epoch_runner import Epoch, OnDeviceEpochRunner
from posterfusion_jax.train.metric_writer import Writers
from posterfusion_jax.train.outputs import Outputs
from posterfusion_jax.train.step import TrainState, init_state
from posterfusion_jax.train.trainer import Trainer
from posterfusion_jax.utils.progress import progress_bar
from posterfusion_jax.utils.signals import defer_interrupts

SAVE_SECONDS = 120.0  # between two checkpoints of the whole group, from which a killed training resumes


class _Seed:
    """Hold the host-side state of a seed that is training."""

    def __init__(self, seed: int, outputs: Outputs, stopping: EarlyStopping, best: Record | None, epoch: int):
        self.seed, self.outputs, self.stopping, self.best = seed, outputs, stopping, best
        self.writers = Writers(outputs.logs, resumed_epoch=epoch)


def train_seeds(trainer: Trainer, outputs: Mapping[int, Outputs], group: Checkpoints) -> dict[int, EarlyStopping]:
    """Train all seeds from the start, or resume them from `group`.

    Args:
      trainer: model, data and options, on cached features.
      outputs: outputs by seed, the same as those of `loop.train`; there are no partial epochs.
      group: checkpoints of all seeds together, saved every `SAVE_SECONDS`; existing ones must be of the same run and have all
        seeds.

    Returns:
      Final early stopping, by seed. The checkpoints of a seed (its best epoch and its last) are written when it is finished.

    Raises:
      InputError: a loss is no longer finite.
      KeyboardInterrupt: after Ctrl-C or SIGTERM, when the current epoch is done and saved in `group`.
    """
    options, parallel, steps = trainer.options, trainer.parallel, trainer.steps
    scores_of = _make_scorer(trainer)
    epoch, seeds, states, best = _start(trainer, outputs, group)
    runner = OnDeviceEpochRunner(trainer, [seed.seed for seed in seeds])
    states, best = parallel.shard_batch(states), parallel.shard_batch(best)
    active = np.arange(len(seeds))  # rows of `states` whose seeds are not finished
    ended: dict[int, EarlyStopping] = {}
    saved_at = time.monotonic()
    total = options.max_epochs * steps
    progress = {"total": total, "initial": epoch * steps, "desc": f"train {len(seeds)} seeds", "unit": "step"}
    with defer_interrupts() as stop_requested, progress_bar(**progress) as bar:
        while len(active) and not stop_requested():
            epoch += 1
            started = time.monotonic()

            # -- one epoch of training, each seed with its own batch order
            states, losses = runner(states, Epoch(epoch, bar.update))

            # -- validation and summary, for each seed
            scored = scores_of(states.params)
            seconds = time.monotonic() - started
            improved = np.zeros(len(seeds), bool)
            for i in active:
                seed = seeds[i]
                try:
                    record = summarize_epoch(
                        epoch,
                        seed.stopping,
                        losses[i],
                        scored[i],
                        trainer.validation.labels,
                        genres=trainer.genres,
                        monitor=options.monitor,
                        seconds=seconds,
                    )
                except InputError as error:
                    raise InputError(f"seed {seed.seed}: {error}") from None
                seed.stopping = record.stopping
                seed.writers.write(epoch, record.values)
                improved[i] = record.stopping.waited == 0
                if improved[i]:
                    seed.best = record
                if record.stopping.waited >= options.patience or epoch == options.max_epochs:
                    ended[seed.seed] = record.stopping
                    final = jax.tree.map(lambda array, i=i: np.asarray(array[i]), states)
                    best_state = final if improved[i] else jax.tree.map(lambda array, i=i: np.asarray(array[i]), best)
                    _write(seed, record, final, best_state)
            best = _select_improved(best, states, improved)

            # -- remove finished seeds
            active = np.array([i for i in active if seeds[i].seed not in ended], int)
            mean_best = abs(np.mean([seed.stopping.best_rank for seed in seeds]))  # the rank is minus F1, or the loss
            bar.set_postfix({"epoch": epoch, "training": len(active), f"best_{options.monitor}": f"{mean_best:.4f}"})
            if 0 < len(active) <= len(seeds) // 2:  # a smaller program saves more than the seconds it takes to compile
                states, best = (jax.tree.map(lambda array, rows=active: array[rows], tree) for tree in (states, best))
                states, best = parallel.shard_batch(states), parallel.shard_batch(best)
                seeds, active = [seeds[i] for i in active], np.arange(len(active))
                runner.seeds = [seed.seed for seed in seeds]
            if len(active) and (stop_requested() or time.monotonic() - saved_at > SAVE_SECONDS):
                _save_group(group, epoch, seeds, states, best)
                saved_at = time.monotonic()
        group.wait()
    return ended


def _make_scorer(trainer: Trainer) -> Callable[[Any], list[Scores]]:
    """Return a function from stacked parameters to the scores of each seed on the whole of the validation split."""
    source, batch_size = trainer.validation, trainer.options.eval_batch_size
    n = len(source.labels)
    score = jax.jit(jax.vmap(make_score_step(trainer.classifier, trainer.loss), in_axes=(0, None, None)))
    batches = []
    for k in range(steps_per_epoch(n, batch_size)):
        rows, real = evaluation_batch(k, rows=n, batch_size=batch_size)
        batches.append((*trainer.parallel.replicate((source.load(rows), source.labels[rows])), int(real.sum())))

    def scores_of(params: Any) -> list[Scores]:
        scores, losses = [], []
        for batch, labels, count in batches:
            score_of, loss_of = score(params, batch, labels)
            scores.append(np.asarray(score_of)[:, :count])
            losses.append(np.asarray(loss_of, np.float64)[:, :count])
        means = np.concatenate(losses, axis=1).mean(axis=1)
        return [Scores(*pair) for pair in zip(np.concatenate(scores, axis=1), means.tolist(), strict=True)]

    return scores_of


@jax.jit
def _select_improved(best: TrainState, states: TrainState, improved: jax.Array) -> TrainState:
    """Return the new states where `improved` [s], the best ones elsewhere."""

    def choose(old: jax.Array, new: jax.Array) -> jax.Array:
        return jnp.where(improved.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return jax.tree.map(choose, best, states)


def _start(
    trainer: Trainer, outputs: Mapping[int, Outputs], group: Checkpoints
) -> tuple[int, list[_Seed], TrainState, TrainState]:
    """Return epoch, seeds, states and best states to start from: those in `group`, if there are any."""
    fresh = [init_state(trainer.classifier, trainer.optimizer, seed=seed) for seed in outputs]
    states = jax.tree.map(lambda *arrays: jnp.stack(arrays), *fresh)
    latest = group.latest
    if latest is None:
        seeds = [_Seed(seed, own, EarlyStopping(), None, 0) for seed, own in outputs.items()]
        return 0, seeds, states, jax.tree.map(jnp.array, states)
    meta = group.read_meta(latest)
    rows = np.array([meta["seeds"].index(seed) for seed in outputs])
    like = jax.tree.map(lambda array: jax.ShapeDtypeStruct((len(meta["seeds"]), *array.shape[1:]), array.dtype), states)
    saved = group.read_state(latest, {"states": like, "best": like})
    states, best = (jax.tree.map(lambda array: jnp.asarray(array[rows]), saved[name]) for name in ("states", "best"))
    seeds = []
    for (seed, own), row in zip(outputs.items(), rows, strict=True):
        best_record = Record(**{**meta["best"][row], "stopping": EarlyStopping(**meta["best"][row]["stopping"])})
        seeds.append(_Seed(seed, own, EarlyStopping(**meta["stopping"][row]), best_record, latest))
    return latest, seeds, states, best


def _save_group(group: Checkpoints, epoch: int, seeds: Sequence[_Seed], states: TrainState, best: TrainState) -> None:
    def as_json(record: Record | None) -> dict[str, Any]:
        assert record is not None, "the first epoch is always an improvement"
        return {**record._asdict(), "stopping": record.stopping._asdict()}

    meta = {
        **seeds[0].outputs.meta,
        "epoch": epoch,
        "seeds": [seed.seed for seed in seeds],
        "stopping": [seed.stopping._asdict() for seed in seeds],
        "best": [as_json(seed.best) for seed in seeds],
    }
    group.save(epoch, {"states": states, "best": best}, meta, rank=-epoch)  # the latest is the one to keep


def _write(seed: _Seed, last: Record, state: TrainState, best_state: TrainState) -> None:
    """Write the checkpoints that a run of this seed alone would have: its best epoch and its last."""
    assert seed.best is not None
    checkpoints, meta = seed.outputs.checkpoints, seed.outputs.meta
    for record, array in ((seed.best, best_state), (last, state)):
        if record is seed.best or record.meta["epoch"] != seed.best.meta["epoch"]:
            checkpoints.save(record.meta["epoch"], array, {**meta, **record.meta}, rank=record.rank)
    checkpoints.wait()
    seed.writers.close()
