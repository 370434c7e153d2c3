"""Stage "train": checkpoints from dataset and model."""

from typing import Any

from posterfusion_jax.config.choices import ZERO_SHOT
from posterfusion_jax.config.run import Run
from posterfusion_jax.genres import check_number
from posterfusion_jax.pipeline.assemble import assemble
from posterfusion_jax.pipeline.checkpoint_meta import check_run
from posterfusion_jax.pipeline.classifier import open_checkpoints
from posterfusion_jax.pipeline.encoders import check_encoders
from posterfusion_jax.pipeline.splits import open_training_dataset
from posterfusion_jax.pipeline.trainer import make_outputs, make_trainer, print_size
from posterfusion_jax.pipeline.zero_shot import save_zero_shot
from posterfusion_jax.train.early_stopping import is_finished
from posterfusion_jax.train.epoch_runner import make_epoch_runner
from posterfusion_jax.train.loop import find_start, train
from posterfusion_jax.utils.console import print_message
from posterfusion_jax.utils.rng import with_threefry


@with_threefry
def train_model(run: Run) -> None:
    """Train or resume until early stopping or the last epoch; zero-shot CLIP is only assembled."""
    dataset = open_training_dataset(run)
    check_number(dataset.genres, place=f"the dataset {dataset.dir}")
    with open_checkpoints(run) as checkpoints:
        saved = None if checkpoints.latest is None else checkpoints.read_meta(checkpoints.latest)
        if saved is not None:
            check_run(run, dataset, saved)
            if _is_up_to_date(run, saved):
                return
        if run.config.model.name == ZERO_SHOT:
            save_zero_shot(run, dataset, checkpoints)
            return

        model = assemble(run, dataset, None)
        if saved is not None:
            check_encoders(model.encoders, saved["encoders"])
        trainer = make_trainer(model)
        start = find_start(trainer, checkpoints, seed=run.config.seed)
        if start.epoch:
            print_message(f"training: resuming after epoch {start.epoch}")
        print_size(model.classifier)

        runner = make_epoch_runner(trainer, run.config.seed)
        outcome = train(trainer, runner, make_outputs(run, dataset, model.encoders, checkpoints), start)
    ending = "stopped early" if outcome.early else "ran to the last epoch"
    print_message(f"training: {ending} after {outcome.epochs} epochs, best epoch {outcome.stopping.best_epoch}")


def _is_up_to_date(run: Run, saved: dict[str, Any]) -> bool:
    """Return whether the run with this `meta` in its latest checkpoint needs no more training, and print that."""
    if run.config.model.name == ZERO_SHOT:
        print_message("training: none for zero_shot; embedded prompts are up to date")
        return True
    if is_finished(saved, max_epochs=run.config.train.max_epochs, patience=run.config.train.patience):
        best = saved["stopping"]["best_epoch"]
        print_message(f"training: up to date, finished after {saved['epoch']} epochs, best epoch {best}")
        return True
    return False
