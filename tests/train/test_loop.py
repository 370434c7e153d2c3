"""The loop: early stopping, exact resumption, loud stop when the loss is no longer finite."""

import dataclasses
import json
import math
import shutil
import signal

import jax
import numpy as np
import pytest
from small_training import Setting

from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.scoring import Scorer
from posterfusion_jax.train.early_stopping import is_finished
from posterfusion_jax.train.metric_writer import Writers, read_history
from posterfusion_jax.utils.sharding import DataParallel


@pytest.fixture(scope="module")
def setting():
    return Setting()


@pytest.mark.parametrize("kind", [Setting.resident, Setting.streamed])
def test_resumed_run_equals_unbroken_run_bit_for_bit(setting, tmp_path, kind):
    setting.run(tmp_path / "unbroken", max_epochs=6, run_epoch=kind(setting))
    for epochs in (2, 3, 6):  # three starts, each from the checkpoint of the one before
        setting.run(tmp_path / "broken", max_epochs=epochs, run_epoch=kind(setting))
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


class Stopped:
    """A pass that is asked to stop, `times` times, when `steps` are done, counted from its first."""

    def __init__(self, run_epoch, steps, times=1):
        self._run_epoch, self._left, self._times = run_epoch, steps, times

    def __call__(self, state, epoch):
        def count(steps):
            epoch.advance(steps)
            self._left -= steps
            if self._left <= 0:
                for _ in range(self._times):
                    signal.raise_signal(signal.SIGINT)

        return self._run_epoch(state, dataclasses.replace(epoch, advance=count))


@pytest.mark.parametrize("kind", [Setting.resident, Setting.streamed])
def test_asked_to_stop_in_an_epoch_it_goes_on_in_it_to_the_same_end(setting, tmp_path, kind, capsys):
    setting.run(tmp_path / "unbroken", max_epochs=4, run_epoch=kind(setting))
    for steps in (3, 1, 2, 8, 14):  # of 7 an epoch: in the first three times, in the second, and at the end of the last
        with pytest.raises(KeyboardInterrupt):
            setting.run(tmp_path / "broken", max_epochs=4, run_epoch=Stopped(kind(setting), steps))
    assert [line for line in capsys.readouterr().err.splitlines() if "saved" in line] == [
        f"training: partial epoch {epoch} saved after {steps} steps"
        for epoch, steps in ((1, 3), (1, 4), (1, 6), (2, 7), (4, 7))
    ]
    setting.run(tmp_path / "broken", max_epochs=4, run_epoch=kind(setting))
    assert "training: resuming epoch 4 after 7 of its steps" in capsys.readouterr().out
    (a, meta_a, best_a), (b, meta_b, best_b) = (setting.read(tmp_path / name) for name in ("unbroken", "broken"))
    jax.tree.map(np.testing.assert_array_equal, a, b)
    assert (meta_a, best_a) == (meta_b, best_b)
    histories = [read_history(tmp_path / name / "logs") for name in ("unbroken", "broken")]
    for history in histories:
        for entry in history:
            entry.pop("seconds")
    assert histories[0] == histories[1]
    assert not (tmp_path / "broken" / "unfinished").exists()


def test_asked_twice_it_stops_at_once_and_begins_the_epoch_again(setting, tmp_path):
    setting.run(tmp_path / "unbroken", max_epochs=3)
    setting.run(tmp_path / "broken", max_epochs=1)
    with pytest.raises(KeyboardInterrupt):
        setting.run(tmp_path / "broken", max_epochs=3, run_epoch=Stopped(setting.resident(), 3, times=2))
    assert not (tmp_path / "broken" / "unfinished").exists()
    setting.run(tmp_path / "broken", max_epochs=3)
    jax.tree.map(np.testing.assert_array_equal, *(setting.read(tmp_path / name)[0] for name in ("unbroken", "broken")))


def test_asked_to_stop_while_it_validates_the_epoch_is_kept(setting, tmp_path, monkeypatch):
    setting.run(tmp_path / "unbroken", max_epochs=2)
    with monkeypatch.context() as patch:
        patch.setattr(Scorer, "score", lambda *_: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            setting.run(tmp_path / "broken", max_epochs=2)
    assert [path.name for path in (tmp_path / "broken" / "unfinished").iterdir()] == ["7"]
    setting.run(tmp_path / "broken", max_epochs=2)
    jax.tree.map(np.testing.assert_array_equal, *(setting.read(tmp_path / name)[0] for name in ("unbroken", "broken")))


def test_what_is_kept_of_another_epoch_is_out_of_date(setting, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        setting.run(tmp_path, max_epochs=3, run_epoch=Stopped(setting.resident(), 3))
    shutil.copytree(tmp_path / "unfinished", tmp_path / "copy")
    setting.run(tmp_path, max_epochs=2)
    shutil.copytree(tmp_path / "copy", tmp_path / "unfinished")
    setting.run(tmp_path, max_epochs=3)
    assert [entry["epoch"] for entry in read_history(tmp_path / "logs")] == [1, 2, 3]
    assert not (tmp_path / "unfinished").exists()


def test_learns_and_the_best_epoch_is_the_one_with_the_lowest_validation_loss(setting, tmp_path):
    outcome = setting.run(tmp_path, max_epochs=12)
    history = read_history(tmp_path / "logs")
    assert history[-1]["train_loss"] < 0.7 * history[0]["train_loss"]
    losses = [entry["validation_loss"] for entry in history]
    assert outcome.stopping.best_epoch == 1 + int(np.argmin(losses)) == setting.read(tmp_path)[2]


def test_stops_after_patience_epochs_without_improvement(setting, tmp_path):
    def no_learning(state, epoch):
        return state.replace(step=state.step + 7), np.ones(7, np.float32)

    outcome = setting.run(tmp_path, max_epochs=30, patience=3, run_epoch=no_learning)
    assert outcome.epochs == 4  # the first is the best, then three equal ones
    assert outcome.early
    _, meta, best = setting.read(tmp_path)
    assert best == outcome.stopping.best_epoch == 1
    assert is_finished(meta, max_epochs=30, patience=3)
    assert not is_finished(meta, max_epochs=30, patience=4)
    assert is_finished(meta, max_epochs=4, patience=4)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_loss_that_is_not_finite_stops_loudly_and_keeps_earlier_checkpoints(setting, tmp_path, bad):
    run_epoch = setting.resident()

    def breaks_in_epoch_2(state, epoch):
        new, losses = run_epoch(state, epoch)
        return new, np.where(np.arange(7) == 2, np.float32(bad), losses) if epoch.number == 2 else losses

    with pytest.raises(InputError, match=r"training loss in epoch 2 became (nan|inf) \(value 3 of 7\).*learning_rate"):
        setting.run(tmp_path, max_epochs=5, run_epoch=breaks_in_epoch_2)
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
    trainer = setting.trainer
    params = trainer.classifier.init(jax.random.key(0))
    scorers = (
        Scorer(trainer.classifier, trainer.loss, DataParallel(), batch_size=size, threads=threads)
        for size, threads in ((21, 1), (8, 2))
    )
    whole, parts = (scorer.score(params, trainer.validation) for scorer in scorers)
    assert whole.scores.shape == (21, 13)
    np.testing.assert_allclose(whole.scores, parts.scores, atol=1e-6)
    np.testing.assert_allclose(whole.loss, parts.loss, rtol=1e-6)
