"""Trainer of a run, and where its training is written."""

from typing import Any

import jax

from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.config.run import Run
from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset
from posterfusion_jax.models.classifier import Classifier
from posterfusion_jax.pipeline.assemble import RunComponents
from posterfusion_jax.pipeline.checkpoint_meta import check_run, make_meta
from posterfusion_jax.pipeline.encoders import check_encoders
from posterfusion_jax.train.outputs import Outputs
from posterfusion_jax.train.partial_epoch import PartialEpoch
from posterfusion_jax.train.trainer import Trainer
from posterfusion_jax.utils.console import print_message


def make_trainer(model: RunComponents) -> Trainer:
    """Return the trainer of the config's section `train`."""
    return Trainer(model.classifier, model.loss, model.split("train"), model.split("validation"), model.run.config.train)


def make_outputs(run: Run, dataset: PosterDataset, encoders: dict[str, Any], checkpoints: Checkpoints) -> Outputs:
    """Return the outputs of a run in its workdir; a partial epoch of another run is refused.

    Args:
      run: the run.
      dataset: its dataset.
      encoders: {"image": passport, "text": passport}.
      checkpoints: its checkpoints.
    """

    def check(meta: dict[str, Any]) -> None:
        check_run(run, dataset, meta)
        check_encoders(encoders, meta["encoders"])

    partial_epoch = PartialEpoch(run.paths.unfinished, check)
    return Outputs(checkpoints, partial_epoch, run.paths.logs, make_meta(run, dataset, encoders))


def print_size(classifier: Classifier) -> None:
    """Print the number of parameters by optimizer group, and the devices."""
    params = jax.eval_shape(lambda: classifier.init(jax.random.key(0)))
    groups = jax.tree.leaves(classifier.groups(params))
    sizes = [leaf.size for leaf in jax.tree.leaves(params)]
    names = {"head": "head", "encoder": "encoder", "frozen": "frozen", "unread": "without effect: attention to a single key"}
    counts = {name: sum(s for s, g in zip(sizes, groups, strict=True) if g == name) for name in names}
    parts = ", ".join(f"{count:,} {names[name]}" for name, count in counts.items() if count)
    print_message(f"training: {sum(sizes):,} parameters ({parts}) on {jax.device_count()} {jax.default_backend()} device(s)")
