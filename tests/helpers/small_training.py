"""A small training on random features, as a stage would set it up; shared by the tests of one seed and of many."""

import numpy as np
from ml_collections import ConfigDict

from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.evaluation.scoring import score_split
from posterfusion_jax.losses.asymmetric import make_loss
from posterfusion_jax.models.baselines import Concatenation
from posterfusion_jax.models.classifier import on_features
from posterfusion_jax.train.early_stopping import EarlyStopping
from posterfusion_jax.train.epoch_runner import OnDeviceEpochRunner, StreamingEpochRunner
from posterfusion_jax.train.loop import train
from posterfusion_jax.train.metric_writer import Writers
from posterfusion_jax.train.partial_epoch import PartialEpoch
from posterfusion_jax.train.step import init_state, make_optimizer, make_score_step
from posterfusion_jax.utils.sharding import DataParallel

TRAIN = ConfigDict(
    {"learning_rate": 1e-2, "encoder_learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0.0}
    | {"schedule": "constant", "max_epochs": 10}
)


class MemorySource:
    """Rows of random features, with labels that depend on them."""

    def __init__(self, rows: int, seed: int):
        rng = np.random.default_rng(seed)
        self.image = rng.normal(size=(rows, 6)).astype(np.float32)
        self.labels = (self.image @ np.random.default_rng(0).normal(size=(6, 13)) > 1).astype(np.uint8)
        self.poster_ids = self.film_ids = [f"tt{i:07d}" for i in range(rows)]

    def load(self, rows):
        ones = np.ones(len(rows), bool)
        return {"image": self.image[rows], "image_mask": ones, "text": self.image[rows], "text_mask": ones}


class Setting:
    """A small classifier with its data, as a stage would set it up."""

    def __init__(self, seed=0, head=None):
        head = head or Concatenation(ffn=(16,), dropout=0.2)
        self.classifier = on_features(head, image_width=6, text_width=6, level="pooled")
        self.optimizer = make_optimizer(TRAIN, self.classifier.groups, steps_per_epoch=7)
        self.loss = make_loss("asl")
        self.score_step = make_score_step(self.classifier, self.loss)
        self.source, self.validation = MemorySource(50, seed=1), MemorySource(21, seed=2)
        self.seed = seed

    def init_state(self):
        return init_state(self.classifier, self.optimizer, seed=self.seed)

    def validate(self, params):
        return score_split(self.score_step, params, self.validation, DataParallel(), batch_size=8, threads=1)

    def resident(self):
        of = (self.classifier, self.optimizer, self.loss, self.source, DataParallel())
        return OnDeviceEpochRunner(*of, seeds=self.seed, batch_size=8)

    def streamed(self):
        of = (self.classifier, self.optimizer, self.loss, self.source, DataParallel())
        return StreamingEpochRunner(*of, seed=self.seed, batch_size=8, max_epochs=30, threads=1, steps_per_call=1)

    def run(self, folder, *, max_epochs, patience=50, one_pass=None, monitor="loss"):
        checkpoints = Checkpoints(folder / "checkpoints")
        latest = checkpoints.latest
        state = self.init_state()
        stopping = None
        if latest is not None:
            state = checkpoints.read_state(latest, state)
            stopping = EarlyStopping(**checkpoints.read_meta(latest)["stopping"])
        try:
            return train(
                DataParallel().replicate(state),
                one_pass or self.resident(),
                self.validate,
                self.validation.labels,
                checkpoints,
                PartialEpoch(folder / "unfinished"),
                Writers(folder / "logs", resumed_epoch=latest or 0),
                max_epochs=max_epochs,
                patience=patience,
                monitor=monitor,
                meta={"config": {}},
                start_epoch=latest or 0,
                stopping=stopping,
            )
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
