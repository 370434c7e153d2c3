"""Trainer: all that a training needs except its seed and its files, for one seed or several."""

import dataclasses
import functools

import jax
import optax

from posterfusion_jax.config.sections import TrainConfig
from posterfusion_jax.evaluation.scoring import Scorer, Scores
from posterfusion_jax.input_pipeline.batch_order import steps_per_epoch
from posterfusion_jax.input_pipeline.sources import BatchSource
from posterfusion_jax.losses.asymmetric import Loss
from posterfusion_jax.models.classifier import Classifier, Params
from posterfusion_jax.train.step import TrainState, TrainStep, init_state, make_optimizer, make_train_step
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
      parallel: the devices.
    """

    classifier: Classifier
    loss: Loss
    source: BatchSource
    validation: BatchSource
    options: TrainConfig
    parallel: DataParallel = dataclasses.field(default_factory=DataParallel)

    @property
    def steps(self) -> int:
        """Return the number of steps of an epoch."""
        return steps_per_epoch(len(self.source.labels), self.options.batch_size)

    @functools.cached_property
    def optimizer(self) -> optax.GradientTransformation:
        """Return the optimizer, for a training of `options.max_epochs` epochs."""
        return make_optimizer(self.options, self.classifier.groups, steps_per_epoch=self.steps)

    @functools.cached_property
    def scorer(self) -> Scorer:
        """Return the scorer of splits."""
        batch_size, threads = self.options.eval_batch_size, self.options.loader_threads
        return Scorer(self.classifier, self.loss, self.parallel, batch_size=batch_size, threads=threads)

    def init_state(self, seed: int | jax.Array) -> TrainState:
        """Return the state before the first step; its parameters depend on the seed alone."""
        return init_state(self.classifier, self.optimizer, seed=seed)

    def make_step(self) -> TrainStep:
        """Return the step as a pure function; see `make_train_step`."""
        return make_train_step(self.classifier, self.optimizer, self.loss)

    def validate(self, params: Params) -> Scores:
        """Return the scores of the validation split."""
        return self.scorer.score(params, self.validation)
