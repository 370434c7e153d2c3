"""Training loop: epochs, validation after each, early stopping, checkpoints, exact resumption.

Ctrl-C or SIGTERM within an epoch saves the finished steps.
"""

import time
from typing import NamedTuple

import numpy as np

from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.train.early_stopping import EarlyStopping, summarize_epoch
from posterfusion_jax.train.epoch_runner import Epoch, EpochRunner
from posterfusion_jax.train.metric_writer import Writers
from posterfusion_jax.train.outputs import Outputs
from posterfusion_jax.train.step import TrainState, init_state
from posterfusion_jax.train.trainer import Trainer
from posterfusion_jax.utils.progress import progress_bar
from posterfusion_jax.utils.signals import defer_interrupts


class Start(NamedTuple):
    """Hold the point from which a training continues: the state and early stopping after `epoch` finished epochs."""

    epoch: int
    state: TrainState
    stopping: EarlyStopping


class Outcome(NamedTuple):
    """Hold how a training ended; `epochs` includes those before a resumption, `early` marks early stopping."""

    epochs: int
    stopping: EarlyStopping
    early: bool


def find_start(trainer: Trainer, checkpoints: Checkpoints, *, seed: int) -> Start:
    """Return the start from the latest checkpoint, or from the initial state without one.

    Raises:
      InputError: the checkpoint is damaged, or does not fit the model.
    """
    state, latest = init_state(trainer.classifier, trainer.optimizer, seed=seed), checkpoints.latest
    if latest is None:
        return Start(0, state, EarlyStopping())
    state = checkpoints.read_state(latest, state)
    return Start(latest, state, EarlyStopping(**checkpoints.read_meta(latest)["stopping"]))


def train(trainer: Trainer, run_epoch: EpochRunner, outputs: Outputs, start: Start) -> Outcome:
    """Train until early stopping or the last epoch.

    Args:
      trainer: model, data and options.
      run_epoch: runs one epoch over the training split.
      outputs: written to after each epoch; an interrupted epoch is saved, and its finished steps are restored.
      start: see `find_start`.

    Raises:
      InputError: the loss is no longer finite.
      KeyboardInterrupt: after Ctrl-C or SIGTERM, when the finished steps are saved.
    """
    options, steps = trainer.options, trainer.steps
    writers = Writers(outputs.logs, resumed_epoch=start.epoch)
    epoch, stopping = start.epoch, start.stopping
    state, losses = outputs.partial_epoch.restore(epoch + 1, trainer.parallel.replicate(start.state))
    initial = epoch * steps + len(losses)
    with progress_bar(total=options.max_epochs * steps, initial=initial, desc="train", unit="step") as bar:
        while epoch < options.max_epochs and stopping.waited < options.patience:
            epoch += 1
            started = time.monotonic()
            try:
                # -- one epoch of training
                with defer_interrupts() as stop_requested:
                    state, losses = run_epoch(state, Epoch(epoch, bar.update, losses, stop_requested))

                # -- validation and summary
                scored = trainer.scorer.score(state.params, trainer.validation)
                record = summarize_epoch(
                    epoch,
                    stopping,
                    losses,
                    scored,
                    trainer.validation.labels,
                    genres=trainer.genres,
                    monitor=options.monitor,
                    seconds=time.monotonic() - started,
                )
            except KeyboardInterrupt:
                outputs.checkpoints.wait()
                outputs.partial_epoch.save(epoch, state, losses, outputs.meta)
                raise
            with defer_interrupts():
                writers.write(epoch, record.values)
                outputs.checkpoints.save(epoch, state, {**outputs.meta, **record.meta}, rank=record.rank)
            stopping, losses = record.stopping, np.zeros(0, np.float32)
            bar.set_postfix(
                epoch=epoch,
                loss=f"{record.values['train_loss']:.4f}",
                val_f1=f"{record.values['validation_f1_macro']:.3f}",
                waited=stopping.waited,
            )
    outputs.checkpoints.wait()
    outputs.partial_epoch.clear()
    writers.close()
    return Outcome(epoch, stopping, early=epoch < options.max_epochs)
