"""The loop: early stopping, exact resumption, loud stop when the loss is no longer finite."""

import functools
import json
import math

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from posterfusion_jax.checkpoints import Checkpoints
from posterfusion_jax.errors import InputError
from posterfusion_jax.losses import make_loss
from posterfusion_jax.models.baselines import Concatenation
from posterfusion_jax.models.classifier import on_features
from posterfusion_jax.parallel import DataParallel
from posterfusion_jax.train.loop import EarlyStopping, is_finished, train
from posterfusion_jax.train.scoring import score_split
from posterfusion_jax.train.step import init_state, make_optimiser, make_score_step, make_train_step
from posterfusion_jax.train.writers import Writers, read_history

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

    def __init__(self, seed=0):
        self.classifier = on_features(Concatenation(ffn=(16,), dropout=0.2), image_width=6, text_width=6)
        self.optimiser = make_optimiser(TRAIN, self.classifier.groups, steps_per_epoch=7)
        self.loss = make_loss("asl")
        self.train_step = make_train_step(self.classifier, self.optimiser, self.loss, seed=seed)
        self.score_step = make_score_step(self.classifier, self.loss)
        self.source, self.validation = MemorySource(50, seed=1), MemorySource(21, seed=2)
        self.seed = seed

    def run(self, folder, *, max_epochs, patience=50, train_step=None, monitor="loss"):
        checkpoints = Checkpoints(folder / "checkpoints")
        latest = checkpoints.latest
        state = init_state(self.classifier, self.optimiser, seed=self.seed)
        stopping = None
        if latest is not None:
            state = checkpoints.read_state(latest, state)
            stopping = EarlyStopping(**checkpoints.read_meta(latest)["stopping"])
        parallel = DataParallel()
        validate = functools.partial(
            score_split, self.score_step, source=self.validation, parallel=parallel, batch_size=8, threads=1
        )
        try:
            return train(
                parallel.put_params(state),
                train_step or self.train_step,
                self.source,
                validate,
                self.validation.labels,
                checkpoints,
                Writers(folder / "logs", resumed_epoch=latest or 0),
                seed=self.seed,
                batch_size=8,
                max_epochs=max_epochs,
                patience=patience,
                monitor=monitor,
                threads=1,
                meta={"config": {}},
                start_epoch=latest or 0,
                stopping=stopping,
            )
        finally:
            checkpoints.close()

    def read(self, folder):
        checkpoints = Checkpoints(folder / "checkpoints")
        like = init_state(self.classifier, self.optimiser, seed=self.seed)
        state = checkpoints.read_state(checkpoints.latest, like)
        meta = checkpoints.read_meta(checkpoints.latest)
        best = checkpoints.best
        checkpoints.close()
        return state, meta, best


@pytest.fixture(scope="module")
def setting():
    return Setting()


def test_resumed_run_equals_unbroken_run_bit_for_bit(setting, tmp_path):
    setting.run(tmp_path / "unbroken", max_epochs=6)
    for epochs in (2, 3, 6):  # three starts, each from the checkpoint of the one before
        setting.run(tmp_path / "broken", max_epochs=epochs)
    (a, meta_a, best_a), (b, meta_b, best_b) = (setting.read(tmp_path / name) for name in ("unbroken", "broken"))
    jax.tree.map(np.testing.assert_array_equal, a, b)
    assert meta_a == meta_b
    assert best_a == best_b
    histories = [read_history(tmp_path / name / "logs") for name in ("unbroken", "broken")]
    for history in histories:
        for entry in history:
            entry.pop("seconds")
    assert histories[0] == histories[1]
    assert [entry["epoch"] for entry in histories[0]] == [1, 2, 3, 4, 5, 6]


def test_learns_and_the_best_epoch_is_the_one_with_the_lowest_validation_loss(setting, tmp_path):
    outcome = setting.run(tmp_path, max_epochs=12)
    history = read_history(tmp_path / "logs")
    assert history[-1]["train_loss"] < 0.7 * history[0]["train_loss"]
    losses = [entry["validation_loss"] for entry in history]
    assert outcome.stopping.best_epoch == 1 + int(np.argmin(losses)) == setting.read(tmp_path)[2]


def test_stops_after_patience_epochs_without_improvement(setting, tmp_path):
    def no_learning(state, batch, labels, real):
        return state.replace(step=state.step + 1), np.float32(1.0)

    outcome = setting.run(tmp_path, max_epochs=30, patience=3, train_step=no_learning)
    assert outcome.epochs == 4  # the first is the best, then three equal ones
    assert outcome.early
    _, meta, best = setting.read(tmp_path)
    assert best == outcome.stopping.best_epoch == 1
    assert is_finished(meta, max_epochs=30, patience=3)
    assert not is_finished(meta, max_epochs=30, patience=4)
    assert is_finished(meta, max_epochs=4, patience=4)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_loss_that_is_not_finite_stops_loudly_and_keeps_earlier_checkpoints(setting, tmp_path, bad):
    def breaks_in_epoch_2(state, batch, labels, real):
        new, loss = setting.train_step(state, batch, labels, real)
        return new, np.float32(bad) if int(new.step) == 10 else loss

    with pytest.raises(InputError, match=r"training loss in epoch 2 became (nan|inf) \(value 3 of 7\).*learning_rate"):
        setting.run(tmp_path, max_epochs=5, train_step=breaks_in_epoch_2)
    assert setting.read(tmp_path)[1]["epoch"] == 1


def test_monitoring_f1_takes_the_highest(setting, tmp_path):
    outcome = setting.run(tmp_path, max_epochs=6, monitor="f1_macro")
    f1 = [entry["validation_f1_macro"] for entry in read_history(tmp_path / "logs")]
    assert outcome.stopping.best_epoch == 1 + int(np.argmax(f1)) == setting.read(tmp_path)[2]


def test_log_lines_of_a_start_that_was_cut_off_are_dropped(tmp_path):
    writers = Writers(tmp_path, resumed_epoch=0)
    for epoch in (1, 2, 3):
        writers.write(epoch, {"loss": float(epoch)})
    writers.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 4, "lo')  # torn by a kill
    writers = Writers(tmp_path, resumed_epoch=2)
    writers.write(3, {"loss": 30.0})
    writers.close()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(entry["epoch"], entry["loss"]) for entry in lines] == [(1, 1.0), (2, 2.0), (3, 30.0)]
    assert list((tmp_path / "tensorboard").glob("events.out.tfevents.*"))


def test_evaluation_of_a_split_counts_every_row_once(setting):
    params = setting.classifier.init(jax.random.key(0))
    whole = score_split(setting.score_step, params, setting.validation, DataParallel(), batch_size=21, threads=1)
    parts = score_split(setting.score_step, params, setting.validation, DataParallel(), batch_size=8, threads=2)
    assert whole.scores.shape == (21, 13)
    np.testing.assert_allclose(whole.scores, parts.scores, atol=1e-6)
    np.testing.assert_allclose(whole.loss, parts.loss, rtol=1e-6)
