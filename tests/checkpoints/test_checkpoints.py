"""Checkpoints: latest and best are kept, what does not fit is refused by name, and later changes do not reach the disk."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.checkpoints.meta import FORMAT, read_latest_meta
from posterfusion_jax.errors import InputError


def make_state(value=1.0, width=4):
    return {"params": {"dense": {"kernel": jnp.full((3, width), value)}}, "step": jnp.asarray(7, jnp.int32)}


def test_keeps_the_latest_and_the_best(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for epoch, rank in enumerate([3.0, 1.0, 2.0, 4.0], start=1):
        checkpoints.save(epoch, make_state(float(epoch)), {"epoch": epoch, "x": [1, None, 0.25]}, rank=rank)
    checkpoints.close()
    again = Checkpoints(tmp_path)
    assert (again.latest, again.best) == (4, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch_2", "epoch_4"]
    meta = again.read_meta(2)
    assert (meta["format"], meta["epoch"], meta["x"], meta["rank"]) == (FORMAT, 2, [1, None, 0.25], 1.0)
    state = again.read_state(2, make_state())
    np.testing.assert_array_equal(state["params"]["dense"]["kernel"], np.full((3, 4), 2.0))
    again.close()


def test_of_equal_ranks_the_earliest_is_best(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for epoch, rank in enumerate([2.0, 1.0, 1.0, 3.0], start=1):
        checkpoints.save(epoch, make_state(float(epoch)), {}, rank=rank)
    checkpoints.wait()
    assert (checkpoints.latest, checkpoints.best) == (4, 2)
    checkpoints.close()


def test_state_that_does_not_fit_is_refused_with_the_name_and_both_shapes(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, make_state(), {}, rank=0.0)
    checkpoints.wait()
    with pytest.raises(InputError, match=r"params/dense/kernel is \[3, 4\] there, the config makes it \[3, 5\]"):
        checkpoints.read_state(1, make_state(width=5))
    more = make_state() | {"extra": jnp.zeros(2)}
    with pytest.raises(InputError, match=r"extra is absent there, the config makes it \[2\]"):
        checkpoints.read_state(1, more)
    checkpoints.close()


def test_donated_buffers_do_not_change_what_is_saved(tmp_path):
    # Saving goes on in the background while the next step writes into the buffers that were given away.
    step = jax.jit(lambda state: jax.tree.map(lambda a: a + jnp.ones_like(a), state), donate_argnums=0)
    state = {"w": jnp.zeros((2000, 1000))}
    checkpoints = Checkpoints(tmp_path)
    for epoch in (1, 2, 3):
        state = step(state)
        checkpoints.save(epoch, state, {}, rank=-epoch)
        for _ in range(3):
            state = step(state)
    checkpoints.wait()
    np.testing.assert_array_equal(checkpoints.read_state(3, {"w": state["w"]})["w"], np.full((2000, 1000), 9.0))
    checkpoints.close()


def test_nothing_saved_is_none(tmp_path):
    checkpoints = Checkpoints(tmp_path / "new")
    assert checkpoints.latest is None
    assert checkpoints.best is None
    checkpoints.close()


def test_other_format_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("posterfusion_jax.checkpoints.manager.FORMAT", 99)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, make_state(), {}, rank=0.0)
    checkpoints.wait()
    monkeypatch.undo()
    with pytest.raises(InputError, match=f"checkpoint format 99, this version reads {FORMAT}"):
        checkpoints.read_meta(1)
    with pytest.raises(InputError, match=f"checkpoint format 99, this version reads {FORMAT}"):
        read_latest_meta(tmp_path)
    checkpoints.close()
