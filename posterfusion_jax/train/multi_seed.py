"""Training of several seeds of one run in parallel: stacked parameters and optimizer states in one compiled program.

Each seed is trained as `loop.train` would train it alone, up to rounding: the same initialization, batches, dropout, early
stopping and checkpoints. Only for cached features, which are on the device as a whole.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.scoring import Scores
from posterfusion_jax.input_pipeline.batch_order import evaluation_batch, steps_per_epoch
from posterfusion_jax.input_pipeline.sources import BatchSource
from posterfusion_jax.models.classifier import Classifier
from posterfusion_jax.train.early_stopping import EarlyStopping, Record, summarize_epoch
from posterfusion_jax.train.epoch_runner import OnDeviceEpochRunner
from posterfusion_jax.train.metric_writer import Writers
from posterfusion_jax.train.step import Loss, TrainState, init_state, make_score_step
from posterfusion_jax.utils.progress import progress_bar
from posterfusion_jax.utils.sharding import DataParallel
from posterfusion_jax.utils.signals import defer_interrupts

SAVE_SECONDS = 120.0  # between two checkpoints of the whole group, from which a killed training resumes


class SeedRun(NamedTuple):
    """Hold one seed and the outputs of its run, the same as those of `loop.train`; `meta` is that of its checkpoints."""

    seed: int
    checkpoints: Checkpoints
    writers: Callable[[int], Writers]  # resumed epoch -> logs
    meta: dict[str, Any]


class _Seed:
    """Hold the host-side state of a seed that is training."""

    def __init__(self, member: SeedRun, stopping: EarlyStopping, best: Record | None, epoch: int):
        self.member, self.stopping, self.best = member, stopping, best
        self.writers = member.writers(epoch)


def train_seeds(
    classifier: Classifier,
    optimizer: optax.GradientTransformation,
    loss: Loss,
    source: BatchSource,
    validation: BatchSource,
    members: Sequence[SeedRun],
    group: Checkpoints,
    *,
    batch_size: int,
    eval_batch_size: int,
    max_epochs: int,
    patience: int,
    monitor: str,
) -> dict[int, EarlyStopping]:
    """Train all members from the start, or resume them from `group`.

    Args:
      classifier: the model, on cached features.
      optimizer: see `make_optimizer`.
      loss: loss per element.
      source: the training split.
      validation: the validation split.
      members: runs of one config that differ in the seed only.
      group: checkpoints of all seeds together, saved every `SAVE_SECONDS`; existing ones must be of the same run and have all
        members.
      batch_size: rows per step.
      eval_batch_size: rows per batch of the validation.
      max_epochs: number of the last epoch.
      patience: epochs without improvement before early stopping.
      monitor: "loss" or "f1_macro" of the validation split.

    Returns:
      Final early stopping, by seed. The checkpoints of a seed (its best epoch and its last) are written when it is finished.

    Raises:
      InputError: a loss is no longer finite.
      KeyboardInterrupt: after Ctrl-C or SIGTERM, when the current epoch is done and saved in `group`.
    """
    parallel = DataParallel()
    scores_of = _make_scorer(classifier, loss, validation, parallel, batch_size=eval_batch_size)
    epoch, seeds, states, best = _start(classifier, optimizer, members, group)
    numbers = [seed.member.seed for seed in seeds]
    one_pass = OnDeviceEpochRunner(classifier, optimizer, loss, source, parallel, seeds=numbers, batch_size=batch_size)
    steps = one_pass.steps
    states, best = parallel.shard_batch(states), parallel.shard_batch(best)
    active = np.arange(len(seeds))  # rows of `states` whose seeds are not finished
    ended: dict[int, EarlyStopping] = {}
    saved_at = time.monotonic()
    progress = {"total": max_epochs * steps, "initial": epoch * steps, "desc": f"train {len(seeds)} seeds", "unit": "step"}
    with defer_interrupts() as stop_requested, progress_bar(**progress) as bar:
        while len(active) and not stop_requested():
            epoch += 1
            started = time.monotonic()

            # -- one epoch of training, each seed with its own batch order
            states, losses = one_pass(states, epoch, bar.update)

            # -- validation and summary, for each seed
            scored = scores_of(states.params)
            seconds = time.monotonic() - started
            improved = np.zeros(len(seeds), bool)
            for i in active:
                seed = seeds[i]
                try:
                    record = summarize_epoch(
                        epoch, seed.stopping, losses[i], scored[i], validation.labels, monitor=monitor, seconds=seconds
                    )
                except InputError as error:
                    raise InputError(f"seed {seed.member.seed}: {error}") from None
                seed.stopping = record.stopping
                seed.writers.write(epoch, record.values)
                improved[i] = record.stopping.waited == 0
                if improved[i]:
                    seed.best = record
                if record.stopping.waited >= patience or epoch == max_epochs:
                    ended[seed.member.seed] = record.stopping
                    final = jax.tree.map(lambda array, i=i: np.asarray(array[i]), states)
                    best_state = final if improved[i] else jax.tree.map(lambda array, i=i: np.asarray(array[i]), best)
                    _write(seed, record, final, best_state)
            best = _select_improved(best, states, improved)

            # -- remove finished seeds
            active = np.array([i for i in active if seeds[i].member.seed not in ended], int)
            mean_best = abs(np.mean([seed.stopping.best_rank for seed in seeds]))  # the rank is minus F1, or the loss
            bar.set_postfix({"epoch": epoch, "training": len(active), f"best_{monitor}": f"{mean_best:.4f}"})
            if 0 < len(active) <= len(seeds) // 2:  # a smaller program saves more than the seconds it takes to compile
                states, best = (jax.tree.map(lambda array, rows=active: array[rows], tree) for tree in (states, best))
                states, best = parallel.shard_batch(states), parallel.shard_batch(best)
                seeds, active = [seeds[i] for i in active], np.arange(len(active))
                one_pass.seeds = [seed.member.seed for seed in seeds]
            if len(active) and (stop_requested() or time.monotonic() - saved_at > SAVE_SECONDS):
                _save_group(group, epoch, seeds, states, best)
                saved_at = time.monotonic()
        group.wait()
    return ended


def _make_scorer(
    classifier: Classifier, loss: Loss, source: BatchSource, parallel: DataParallel, *, batch_size: int
) -> Callable[[Any], list[Scores]]:
    """Return a function from stacked parameters to the scores of each seed on the whole of `source`."""
    n = len(source.labels)
    score = jax.jit(jax.vmap(make_score_step(classifier, loss), in_axes=(0, None, None)))
    batches = []
    for k in range(steps_per_epoch(n, batch_size)):
        rows, real = evaluation_batch(k, rows=n, batch_size=batch_size)
        batches.append((*parallel.replicate((source.load(rows), source.labels[rows])), int(real.sum())))

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
    classifier: Classifier, optimizer: optax.GradientTransformation, members: Sequence[SeedRun], group: Checkpoints
) -> tuple[int, list[_Seed], TrainState, TrainState]:
    """Return epoch, seeds, states and best states to start from: those in `group`, if there are any."""
    wanted = [member.seed for member in members]
    fresh = [init_state(classifier, optimizer, seed=seed) for seed in wanted]
    states = jax.tree.map(lambda *arrays: jnp.stack(arrays), *fresh)
    latest = group.latest
    if latest is None:
        return 0, [_Seed(member, EarlyStopping(), None, 0) for member in members], states, jax.tree.map(jnp.array, states)
    meta = group.read_meta(latest)
    rows = np.array([meta["seeds"].index(seed) for seed in wanted])
    like = jax.tree.map(lambda array: jax.ShapeDtypeStruct((len(meta["seeds"]), *array.shape[1:]), array.dtype), states)
    saved = group.read_state(latest, {"states": like, "best": like})
    states, best = (jax.tree.map(lambda array: jnp.asarray(array[rows]), saved[name]) for name in ("states", "best"))
    seeds = []
    for member, row in zip(members, rows, strict=True):
        best_record = Record(**{**meta["best"][row], "stopping": EarlyStopping(**meta["best"][row]["stopping"])})
        seeds.append(_Seed(member, EarlyStopping(**meta["stopping"][row]), best_record, latest))
    return latest, seeds, states, best


def _save_group(group: Checkpoints, epoch: int, seeds: list[_Seed], states: TrainState, best: TrainState) -> None:
    def as_json(record: Record | None) -> dict[str, Any]:
        assert record is not None, "the first epoch is always an improvement"
        return {**record._asdict(), "stopping": record.stopping._asdict()}

    meta = {
        **seeds[0].member.meta,
        "epoch": epoch,
        "seeds": [seed.member.seed for seed in seeds],
        "stopping": [seed.stopping._asdict() for seed in seeds],
        "best": [as_json(seed.best) for seed in seeds],
    }
    group.save(epoch, {"states": states, "best": best}, meta, rank=-epoch)  # the latest is the one to keep


def _write(seed: _Seed, last: Record, state: TrainState, best_state: TrainState) -> None:
    """Write the checkpoints that a run of this seed alone would have: its best epoch and its last."""
    assert seed.best is not None
    for record, array in ((seed.best, best_state), (last, state)):
        if record is seed.best or record.meta["epoch"] != seed.best.meta["epoch"]:
            seed.member.checkpoints.save(record.meta["epoch"], array, {**seed.member.meta, **record.meta}, rank=record.rank)
    seed.member.checkpoints.wait()
    seed.writers.close()
