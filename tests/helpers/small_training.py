"""A small training on random features, as a stage would set it up; shared by the tests of one seed and of many."""

import dataclasses

import numpy as np

from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.config.sections import TrainConfig
from posterfusion_jax.input_pipeline.sources import BatchSource
from posterfusion_jax.losses.asymmetric import make_loss
from posterfusion_jax.models.baselines import Concatenation
from posterfusion_jax.models.classifier import on_features
from posterfusion_jax.train.epoch_runner import OnDeviceEpochRunner, StreamingEpochRunner
from posterfusion_jax.train.loop import find_start, train
from posterfusion_jax.train.outputs import Outputs
from posterfusion_jax.train.partial_epoch import PartialEpoch
from posterfusion_jax.train.step import init_state
from posterfusion_jax.train.trainer import Trainer

TRAIN = TrainConfig(
    learning_rate=1e-2,
    schedule="constant",
    beta1=0.9,
    beta2=0.999,
    epsilon=1e-8,
    weight_decay=0.0,
    batch_size=8,
    max_epochs=10,
    patience=50,
    monitor="loss",
    fine_tune="none",
    fine_tune_towers=(),
    fine_tune_layers=0,
    encoder_learning_rate=1e-3,
    augment_shift=0,
    augment_drop_tokens=0.0,
    resident_gib=1.0,
    loader_threads=1,
    eval_batch_size=8,
)


def memory_source(rows, seed, labels=13):
    """Rows of random features, with labels that depend on them."""
    weights = np.random.default_rng(0).normal(size=(6, labels))
    image = np.random.default_rng(seed).normal(size=(rows, 6)).astype(np.float32)
    found = (image @ weights > 1).astype(np.uint8)
    ids = [f"tt{i:07d}" for i in range(rows)]

    def load(rows):
        ones = np.ones(len(rows), bool)
        return {"image": image[rows], "image_mask": ones, "text": image[rows], "text_mask": ones}

    return BatchSource(ids, ids, found, load)


def make_outputs(folder, checkpoints):
    return Outputs(checkpoints, PartialEpoch(folder / "unfinished"), folder / "logs", {"config": {}})


class Setting:
    """A small classifier with its data, as a stage would set it up."""

    def __init__(self, seed=0, head=None, labels=13, **options):
        head = head or Concatenation(labels=labels, ffn=(16,), dropout=0.2)
        classifier = on_features(head, image_width=6, text_width=6, level="pooled")
        sources = memory_source(50, seed=1, labels=labels), memory_source(21, seed=2, labels=labels)
        self.trainer = Trainer(
            classifier,
            make_loss("asl"),
            *sources,
            dataclasses.replace(TRAIN, **options),
            genres=[f"label {k}" for k in range(labels)],
        )
        self.seed = seed

    def init_state(self):
        return init_state(self.trainer.classifier, self.trainer.optimizer, seed=self.seed)

    def resident(self):
        return OnDeviceEpochRunner(self.trainer, self.seed)

    def streamed(self):
        return StreamingEpochRunner(self.trainer, self.seed, steps_per_call=1)

    def run(self, folder, *, run_epoch=None, **options):
        trainer = dataclasses.replace(self.trainer, options=dataclasses.replace(self.trainer.options, **options))
        checkpoints = Checkpoints(folder / "checkpoints")
        try:
            start = find_start(trainer, checkpoints, seed=self.seed)
            return train(trainer, run_epoch or self.resident(), make_outputs(folder, checkpoints), start)
        finally:
            checkpoints.close()

    def read(self, folder):
        checkpoints = Checkpoints(folder / "checkpoints")
        like = self.init_state()
        state = checkpoints.read_state(checkpoints.latest, like)
        meta = checkpoints.read_meta(checkpoints.latest)
        best = checkpoints.best
        checkpoints.close()
        return state, meta, best
