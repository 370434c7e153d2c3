"""Seeds trained side by side end as each would end alone, whatever becomes of the others, and also after a kill."""

import contextlib
import signal

import jax
import numpy as np
import pytest
from small_training import Setting, make_outputs

from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.errors import InputError
from posterfusion_jax.models.gmu import Gmu
from posterfusion_jax.train import multi_seed as seeds_lib
from posterfusion_jax.train.metric_writer import read_history
from posterfusion_jax.train.multi_seed import train_seeds

SEEDS = (0, 3, 7)


def run_seeds(folder, seeds=SEEDS, head=None, *, max_epochs=25, patience=2):
    setting = Setting(head=head, max_epochs=max_epochs, patience=patience, monitor="f1_macro")
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(contextlib.closing(Checkpoints(folder / f"{s}" / "checkpoints"))) for s in seeds]
        group = stack.enter_context(contextlib.closing(Checkpoints(folder / "group")))
        outputs = {s: make_outputs(folder / f"{s}", own) for s, own in zip(seeds, opened, strict=True)}
        return train_seeds(setting.trainer, outputs, group)


def read(folder, head=None):
    state, meta, best = Setting(head=head).read(folder)
    history = [{name: value for name, value in entry.items() if name != "seconds"} for entry in read_history(folder / "logs")]
    return state, meta, best, history


@pytest.mark.parametrize(
    ("head", "epochs", "atol"),
    # Batch norm and Adam make much of rounding where a gradient is almost zero: one epoch only, and loosely.
    [
        pytest.param(None, 25, 5e-5, id="concatenation", marks=pytest.mark.slow),
        pytest.param(Gmu(labels=13, width=8, dropout=0.3), 1, 1e-3, id="gmu"),
    ],
)
def test_equal_to_separate_runs(tmp_path, head, epochs, atol):
    ended = run_seeds(tmp_path / "together", head=head, max_epochs=epochs)
    last_epochs = set()
    for seed in SEEDS:
        alone, together = tmp_path / "alone" / f"{seed}", tmp_path / "together" / f"{seed}"
        outcome = Setting(seed=seed, head=head).run(alone, max_epochs=epochs, patience=2, monitor="f1_macro")
        state, meta, best, history = read(together, head)
        wanted_state, wanted_meta, wanted_best, wanted_history = read(alone, head)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=atol), state, wanted_state)
        assert best == wanted_best == ended[seed].best_epoch
        assert meta["epoch"] == wanted_meta["epoch"] == outcome.epochs
        assert meta["stopping"]["waited"] == wanted_meta["stopping"]["waited"]
        for ours, theirs in zip(history, wanted_history, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-4)
        last_epochs.add(outcome.epochs)
    assert len(last_epochs) > 1 or epochs < 25  # they stop apart, and the smaller program goes on rightly


@pytest.mark.slow
def test_the_best_checkpoint_holds_the_best_epochs_weights(tmp_path):
    run_seeds(tmp_path)
    for seed in SEEDS:
        setting = Setting(seed=seed)
        checkpoints = Checkpoints(tmp_path / f"{seed}" / "checkpoints")
        assert checkpoints.best < checkpoints.latest
        state = checkpoints.read_state(checkpoints.best, setting.init_state())
        meta = checkpoints.read_meta(checkpoints.best)
        checkpoints.close()
        scored = setting.trainer.scorer.score(state.params, setting.trainer.validation)
        assert scored.loss == pytest.approx(meta["validation"]["validation_loss"], rel=1e-5)
        assert (meta["epoch"], meta["stopping"]["waited"]) == (meta["stopping"]["best_epoch"], 0)


@pytest.mark.slow
def test_killed_it_goes_on_to_the_same_end(tmp_path, monkeypatch):
    run_seeds(tmp_path / "unbroken")
    monkeypatch.setattr(seeds_lib, "SAVE_SECONDS", 0.0)  # saved after each epoch
    take_over, calls = seeds_lib._select_improved, []

    def killed(*args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return take_over(*args)

    monkeypatch.setattr(seeds_lib, "_select_improved", killed)
    with pytest.raises(KeyboardInterrupt):
        run_seeds(tmp_path / "broken")
    epochs = []
    monkeypatch.setattr(seeds_lib, "_select_improved", lambda *args: epochs.append(None) or take_over(*args))
    run_seeds(tmp_path / "broken")
    whole = max(len(read_history(tmp_path / "unbroken" / f"{seed}" / "logs")) for seed in SEEDS)
    assert len(epochs) == whole - 2  # two were saved; starting again would end the same, too
    for seed in SEEDS:
        state, meta, best, history = read(tmp_path / "broken" / f"{seed}")
        wanted_state, wanted_meta, wanted_best, wanted_history = read(tmp_path / "unbroken" / f"{seed}")
        jax.tree.map(np.testing.assert_array_equal, state, wanted_state)
        assert (meta, best, history) == (wanted_meta, wanted_best, wanted_history)


@pytest.mark.slow
def test_asked_to_stop_it_saves_the_epoch_and_goes_on_to_the_same_end(tmp_path, monkeypatch):
    run_seeds(tmp_path / "unbroken")
    take_over, calls = seeds_lib._select_improved, []

    def stopped(*args):
        calls.append(args)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return take_over(*args)

    monkeypatch.setattr(seeds_lib, "_select_improved", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_seeds(tmp_path / "broken")
    run_seeds(tmp_path / "broken")
    whole = max(len(read_history(tmp_path / "unbroken" / f"{seed}" / "logs")) for seed in SEEDS)
    assert len(calls) == whole  # none was trained twice
    for seed in SEEDS:
        of_both = [read(tmp_path / name / f"{seed}") for name in ("unbroken", "broken")]
        jax.tree.map(np.testing.assert_array_equal, of_both[0][0], of_both[1][0])
        assert of_both[0][1:] == of_both[1][1:]


def test_a_seed_whose_loss_breaks_is_named(tmp_path, monkeypatch):
    class BreakingPass(seeds_lib.OnDeviceEpochRunner):
        def __call__(self, state, epoch):
            state, losses = super().__call__(state, epoch)
            losses = losses.copy()
            losses[1] = np.nan
            return state, losses

    monkeypatch.setattr(seeds_lib, "OnDeviceEpochRunner", BreakingPass)
    with pytest.raises(InputError, match=r"seed 3: the training loss in epoch 1 became nan"):
        run_seeds(tmp_path)
