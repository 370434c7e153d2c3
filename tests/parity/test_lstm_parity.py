"""Our LSTM against torch.nn.LSTM with the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterfusion_jax.models.lstm import LstmEncoder


def to_flax(lstm):
    """PyTorch stacks the gates i, f, g, o along the first axis and has two biases, whose sum counts."""
    kernels = {"i": lstm.weight_ih_l0, "h": lstm.weight_hh_l0}
    split = {side: dict(zip("ifgo", np.split(w.detach().numpy(), 4), strict=True)) for side, w in kernels.items()}
    biases = dict(zip("ifgo", np.split((lstm.bias_ih_l0 + lstm.bias_hh_l0).detach().numpy(), 4), strict=True))
    inputs = {f"i{gate}": {"kernel": jnp.asarray(kernel.T)} for gate, kernel in split["i"].items()}
    states = {f"h{g}": {"kernel": jnp.asarray(kernel.T), "bias": jnp.asarray(biases[g])} for g, kernel in split["h"].items()}
    return {"cell": inputs | states}


def test_last_states(record_property):
    torch = pytest.importorskip("torch", reason="parity with PyTorch needs torch (CPU is enough)")
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(300, 256, batch_first=True)
    for weights in lstm.parameters():
        torch.nn.init.normal_(weights, std=0.1)
    lengths = [40, 17, 1, 25]
    values = np.random.default_rng(0).normal(size=(4, 40, 300)).astype(np.float32)
    mask = np.arange(40)[None] < np.asarray(lengths)[:, None]
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.tensor(values), lengths, batch_first=True, enforce_sorted=False)
    with torch.no_grad():
        _, (expected, _) = lstm(packed)
    found = jax.jit(LstmEncoder(256).apply)({"params": to_flax(lstm)}, values, mask)
    largest = float(np.abs(np.asarray(found) - expected[0].numpy()).max())
    record_property("largest_difference", largest)
    print(f"largest difference {largest:.2e}, states up to {np.abs(expected.numpy()).max():.2f}")
    assert largest < 2e-5
