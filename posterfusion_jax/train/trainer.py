"""Trainer: all that a training needs except its seed and its files, for one seed or several."""

import dataclasses
from collections.abc import Sequence

import optax

from posterfusion_jax.config.sections import TrainConfig
from posterfusion_jax.evaluation.scoring import Scorer
from posterfusion_jax.input_pipeline.batch_order import steps_per_epoch
from posterfusion_jax.input_pipeline.sources import BatchSource
from posterfusion_jax.losses.asymmetric import Loss
from posterfusion_jax.models.classifier import Classifier
from posterfusion_jax.train.step import make_optimizer
from posterfusion_jax.utils.sharding import DataParallel


@dataclasses.dataclass(frozen=True, eq=False)
class Trainer:
    """Hold model, loss, data and options of a training.

    Attributes:
      classifier: the model.
      loss: loss per element.
      source: the training split.
      validation: the validation split.
      options: the config's section `train`.
      genres: names of the labels; None: the paper's, where there are thirteen.
      parallel: the devices.
      steps: number of steps of an epoch.
      optimizer: for a training of `options.max_epochs` epochs.
      scorer: scores the validation split.
    """

    classifier: Classifier
    loss: Loss
    source: BatchSource
    validation: BatchSource
    options: TrainConfig
    genres: Sequence[str] | None = None
    parallel: DataParallel = dataclasses.field(default_factory=DataParallel)
    steps: int = dataclasses.field(init=False)
    optimizer: optax.GradientTransformation = dataclasses.field(init=False)
    scorer: Scorer = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        options = self.options
        steps = steps_per_epoch(len(self.source.labels), options.batch_size)
        batches = {"batch_size": options.eval_batch_size, "threads": options.loader_threads}
        derived = {
            "steps": steps,
            "optimizer": make_optimizer(options, self.classifier.groups, steps_per_epoch=steps),
            "scorer": Scorer(self.classifier, self.loss, self.parallel, **batches),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)
