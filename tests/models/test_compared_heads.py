"""The heads that the paper compares with, each against its equations written out in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from posterfusion_jax.config import defaults
from posterfusion_jax.config.registries import HEADS
from posterfusion_jax.errors import InputError
from posterfusion_jax.models.baselines import Addition, LinearProbe
from posterfusion_jax.models.centralnet import CentralNet
from posterfusion_jax.models.gmu import Gmu
from posterfusion_jax.models.inputs import HeadInputs
from posterfusion_jax.models.registry import make_head

B, D_I, D_T, H = 6, 5, 4, 3
EPSILON = 1e-5  # of flax's batch norm


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    image, text = (jnp.asarray(rng.normal(size=(B, d)), jnp.float32) for d in (D_I, D_T))
    text_mask = jnp.arange(B) != 2  # poster 2 has no text
    return HeadInputs(image, jnp.ones(B, bool), text, text_mask)


def random_variables(head, inputs):
    """Variables of which none is 0 or 1, so that each one shows in the result."""
    variables = jax.eval_shape(head.init, jax.random.key(0), inputs)
    rng = np.random.default_rng(1)

    def draw(path, leaf):
        positive = "var" in jax.tree_util.keystr(path)
        return jnp.asarray(rng.uniform(0.5, 2, leaf.shape) if positive else rng.normal(size=leaf.shape), jnp.float32)

    return jax.tree_util.tree_map_with_path(draw, {k: v for k, v in variables.items() if k in ("params", "batch_stats")})


class Layers:
    """The layers of a head by their names, in NumPy."""

    def __init__(self, variables):
        self.params, self.statistics = (jax.tree.map(np.asarray, variables[k]) for k in ("params", "batch_stats"))

    def dense(self, name, x):
        layer = self.params[name]
        return x @ layer["kernel"] + layer.get("bias", 0)

    def norm(self, name, x):
        layer, running = self.params[name]["norm"], self.statistics[name]["norm"]
        return (x - running["mean"]) / np.sqrt(running["var"] + EPSILON) * layer["scale"] + layer["bias"]

    def features(self, inputs):
        text = np.where(np.asarray(inputs.text_mask)[:, None], inputs.text, self.params["text"]["no_text"])
        return np.asarray(inputs.image), text


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def maxout(x):
    return np.maximum(x[:, 0::2], x[:, 1::2])


@pytest.mark.parametrize("gate_input", ["projections", "raw"])
def test_gmu_is_its_equations(inputs, gate_input):
    head = Gmu(labels=13, width=H, gate_input=gate_input)
    variables = random_variables(head, inputs)
    layers = Layers(variables)
    image, text = layers.features(inputs)
    x_v, x_t = layers.norm("norm_image", image), layers.norm("norm_text", text)
    h_v, h_t = layers.dense("project_image", x_v), layers.dense("project_text", x_t)
    seen = (h_v, h_t) if gate_input == "projections" else (x_v, x_t)
    z = sigmoid(layers.dense("gate", np.concatenate(seen, axis=1)))
    h = z * np.tanh(h_v) + (1 - z) * np.tanh(h_t)
    h = maxout(layers.dense("maxout_1", layers.norm("norm_1", h)))
    h = maxout(layers.dense("maxout_2", layers.norm("norm_2", h)))
    expected = layers.dense("logits", layers.norm("norm_logits", h))
    logits, sown = head.apply(variables, inputs, mutable=["gates"])
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    np.testing.assert_allclose(sown["gates"]["image_gate"][0], z.mean(axis=1), atol=1e-5)
    for name in ("project_image", "project_text", "gate"):
        assert "bias" not in layers.params[name]


def test_centralnet_is_its_equations(inputs):
    head = CentralNet(labels=13, width=H)
    variables = random_variables(head, inputs)
    layers = Layers(variables)
    hidden, logits = {}, {}
    for modality, feature in zip(("image", "text"), layers.features(inputs), strict=True):
        first = np.maximum(layers.dense(f"{modality}_0", layers.norm(f"{modality}_norm_0", feature)), 0)
        second = np.maximum(layers.dense(f"{modality}_1", layers.norm(f"{modality}_norm_1", first)), 0)
        hidden[modality] = first, second
        logits[modality] = layers.dense(f"{modality}_logits", layers.norm(f"{modality}_norm_2", second))
    a = {name.removeprefix("weight_"): value for name, value in layers.params.items() if name.startswith("weight_")}
    s_0 = a["level_0_image"] * hidden["image"][0] + a["level_0_text"] * hidden["text"][0]  # h^C_0 = 0
    h_1 = np.maximum(layers.dense("central_0", s_0), 0)
    s_1 = a["level_1_central"] * h_1 + a["level_1_image"] * hidden["image"][1] + a["level_1_text"] * hidden["text"][1]
    h_2 = np.maximum(layers.dense("central_1", s_1), 0)
    expected = a["logits_central"] * layers.dense("central_logits", h_2)
    expected += a["logits_image"] * logits["image"] + a["logits_text"] * logits["text"]
    found, sown = head.apply(variables, inputs, mutable=["gates", "auxiliary"])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    for modality in ("image", "text"):
        np.testing.assert_allclose(sown["auxiliary"][f"{modality}_answer"][0], logits[modality], atol=1e-4)
    assert {name: float(value[0]) for name, value in sown["gates"].items()} == {name: float(value) for name, value in a.items()}


def test_centralnets_weights_start_as_a_mean(inputs):
    params = CentralNet(labels=13, width=H).init(jax.random.key(0), inputs)["params"]
    starts = {name: float(value) for name, value in params.items() if name.startswith("weight_")}
    assert len(starts) == 8
    for name, value in starts.items():
        assert value == pytest.approx(1 / 2 if "level_0" in name else 1 / 3)


@pytest.mark.parametrize("head", [Gmu(labels=13, width=H), CentralNet(labels=13, width=H)], ids=["gmu", "centralnet"])
def test_rows_that_fill_up_change_no_batch_statistics(inputs, head):
    variables = head.init(jax.random.key(0), inputs)
    rest = {"train": True, "rngs": {"dropout": jax.random.key(1)}, "mutable": ["batch_stats", "auxiliary"]}
    _, short = head.apply(variables, inputs._replace(real=jnp.ones(B, bool)), **rest)

    def fill(array, by):
        return jnp.concatenate([array, jnp.broadcast_to(by * array[:1], (2, *array.shape[1:]))])

    image, text, text_mask = fill(inputs.image, 50.0), fill(inputs.text, 50.0), fill(inputs.text_mask, True)
    filled = HeadInputs(image, jnp.ones(B + 2, bool), text, text_mask, real=jnp.arange(B + 2) < B)
    _, long = head.apply(variables, filled, **rest)
    first = ("norm_image", "norm_text") if isinstance(head, Gmu) else ("image_norm_0", "text_norm_0")
    for name in first:  # deeper ones see other dropout
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), short["batch_stats"][name], long["batch_stats"][name]
        )


def test_addition_brings_both_features_to_one_width(inputs):
    head = Addition(labels=13, ffn=(8,), align=7)
    variables = head.init(jax.random.key(0), inputs)
    assert variables["params"]["align_image"]["kernel"].shape == (D_I, 7)
    assert variables["params"]["align_text"]["kernel"].shape == (D_T, 7)
    assert head.apply(variables, inputs).shape == (B, 13)


def test_linear_probe_reads_the_text_only_if_told(inputs):
    other = inputs._replace(text=inputs.text + 1)
    for use_text in (True, False):
        head = LinearProbe(labels=13, use_text=use_text)
        variables = jax.tree.map(jnp.ones_like, head.init(jax.random.key(0), inputs))
        same = np.allclose(head.apply(variables, inputs), head.apply(variables, other))
        assert same is not use_text


def settings(**changes) -> ConfigDict:
    model = defaults.get_config().model
    model.dim, model.heads, model.ffn = 8, 2, (8,)
    for name, value in changes.items():
        model[name] = value
    return model


@pytest.mark.slow
@pytest.mark.parametrize("name", HEADS.names)
def test_every_head_is_made_from_the_config_and_has_a_gradient(name, inputs):
    head = make_head(settings(name=name, align=8), labels=13, image_width=D_I, text_width=D_T)
    variables = head.init(jax.random.key(0), inputs)

    def loss(params):
        logits, _ = head.apply(
            {**variables, "params": params},
            inputs,
            train=True,
            rngs={"dropout": jax.random.key(0)},
            mutable=["batch_stats", "auxiliary"],
        )
        return jnp.square(logits - 1).sum()

    gradients = jax.grad(loss)(variables["params"])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    assert any(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradients))


@pytest.mark.parametrize("name", ["text_only", "addition", "concatenation", "gmu", "centralnet"])
def test_the_lstm_reads_the_order_of_the_words(name, inputs):
    tokens = jnp.asarray(np.random.default_rng(3).normal(size=(B, 5, D_T)), jnp.float32)
    mask = jnp.broadcast_to(jnp.arange(B)[:, None] != 2, (B, 5))
    forwards, backwards = (inputs._replace(text=text, text_mask=mask) for text in (tokens, tokens[:, ::-1]))
    for lstm, order_matters in ((6, True), (0, False)):
        head = make_head(settings(name=name, text_lstm=lstm, align=8), labels=13, image_width=D_I, text_width=D_T)
        variables = head.init(jax.random.key(0), inputs)
        a, b = (np.asarray(head.apply(variables, one)) for one in (forwards, backwards))
        assert np.allclose(a, b, atol=1e-5) is not order_matters
        np.testing.assert_allclose(a[2], b[2], atol=1e-5)  # no text, no order


def test_addition_of_unequal_widths_is_refused():
    with pytest.raises(InputError, match=r"5 and 4 wide.*model.align=512"):
        make_head(settings(name="addition"), labels=13, image_width=5, text_width=4)
    make_head(settings(name="addition", text_lstm=5), labels=13, image_width=5, text_width=4)  # the LSTM's state has the width
