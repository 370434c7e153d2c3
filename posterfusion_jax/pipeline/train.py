"""Stage "train": checkpoints from dataset and model."""

from typing import Any

import jax

from posterfusion_jax.config.choices import ZERO_SHOT
from posterfusion_jax.config.run import Run
from posterfusion_jax.models.classifier import Classifier
from posterfusion_jax.pipeline.assemble import assemble
from posterfusion_jax.pipeline.classifier import open_checkpoints
from posterfusion_jax.pipeline.encoders import check_encoders
from posterfusion_jax.pipeline.outputs import check_run, make_outputs
from posterfusion_jax.pipeline.splits import open_training_dataset
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
        trainer = model.make_trainer()
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


def print_size(classifier: Classifier) -> None:
    """Print the number of parameters by optimizer group, and the devices."""
    params = jax.eval_shape(lambda: classifier.init(jax.random.key(0)))
    groups = jax.tree.leaves(classifier.groups(params))
    sizes = [leaf.size for leaf in jax.tree.leaves(params)]
    names = {"head": "head", "encoder": "encoder", "frozen": "frozen", "unread": "without effect: attention to a single key"}
    counts = {name: sum(s for s, g in zip(sizes, groups, strict=True) if g == name) for name in names}
    parts = ", ".join(f"{count:,} {names[name]}" for name, count in counts.items() if count)
    print_message(f"training: {sum(sizes):,} parameters ({parts}) on {jax.device_count()} {jax.default_backend()} device(s)")
