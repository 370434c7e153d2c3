"""The asymmetric loss: golden values, limits, derivatives at the extremes, bad arguments."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from posterfusion_jax import losses
from posterfusion_jax.errors import InputError
from posterfusion_jax.losses.asymmetric import asymmetric_loss, make_loss
from posterfusion_jax.losses.presets import LOSS_PRESETS, loss_parameters

# label, logit, loss(3,4,.2), its derivative, the derivative under stop_gradient, loss(1,4,.05). Computed once in float64
# with the reference code of Ridnik et al., divided by the number of elements.
GOLDEN = np.array(
    [
        (1, -4, 3.8052123428, -1.1352970573, -0.9299730129, 3.9458786397),
        (1, -2, 1.4533840389, -1.1216139319, -0.6018710591, 1.8733919772),
        (1, -1, 0.5131068443, -0.6996202688, -0.2856332168, 0.9600712226),
        (1, 0, 0.0866433976, -0.1924650964, -0.0625000000, 0.3465735903),
        (1, 1, 0.0060936902, -0.0185960883, -0.0052315549, 0.0842490435),
        (1, 2, 0.0002149900, -0.0007699928, -0.0002019052, 0.0151301898),
        (0, -1, 0.0000016137, 0.0000231785, 0.0000047704, 0.0005677975),
        (0, 0, 0.0028890670, 0.0125230806, 0.0028928571, 0.0245150535),
        (0, 1, 0.0602316447, 0.1225447167, 0.0333473243, 0.2458602247),
        (0, 2, 0.2453067806, 0.2219852369, 0.0706588623, 0.8464149507),
        (0, 4, 0.5697046717, 0.0817728319, 0.0303030171, 2.0285764505),
    ]
)
EXTREMES = (-100.0, -30.0, -1.3862944, 0.0, 30.0, 100.0)  # the third is the kink of margin 0.2: sigmoid(x) = 0.2
SHAPES = [*LOSS_PRESETS.values(), (1.5, 2.5, 0.2), (1.5, 1.5, 0.0), (2.0, 1.0, 0.05)]


def derivative(loss):
    """The derivative of each element's loss in its logit."""
    return jax.jit(jax.vmap(jax.grad(loss)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_golden_values_and_gradients(dtype):
    with jax.enable_x64(dtype == "float64"):
        labels, logits = jnp.asarray(GOLDEN[:, 0], dtype), jnp.asarray(GOLDEN[:, 1], dtype)
        paper, stopped, default = make_loss("asl"), make_loss("asl", stop_gradient=True), make_loss("asl_default")
        tolerance = {"rtol": 0, "atol": 6e-11} if dtype == "float64" else {"rtol": 2e-5, "atol": 1e-8}
        for found, column in (
            (jax.jit(paper)(logits, labels), 2),
            (derivative(paper)(logits, labels), 3),
            (derivative(stopped)(logits, labels), 4),
            (jax.jit(default)(logits, labels), 5),
        ):
            assert found.dtype == dtype
            np.testing.assert_allclose(found, GOLDEN[:, column], **tolerance)


def test_absent_genres_below_the_margin_cost_nothing():
    logits = jnp.asarray([-2.0, -3.0, -10.0, -100.0])
    absent = jnp.zeros(4)
    assert (make_loss("asl")(logits, absent) == 0).all()
    assert (derivative(make_loss("asl"))(logits, absent) == 0).all()


def test_without_focus_and_margin_it_is_binary_cross_entropy():
    logits = jnp.linspace(-50, 50, 101)
    for label in (0.0, 0.3, 1.0):  # a soft label too
        labels = jnp.full_like(logits, label)
        np.testing.assert_allclose(
            make_loss("bce")(logits, labels), optax.sigmoid_binary_cross_entropy(logits, labels), rtol=1e-6, atol=1e-12
        )


def test_focal_preset_is_the_focal_loss():
    logits = jnp.linspace(-8, 8, 33)
    for label in (0.0, 1.0):
        labels = jnp.full_like(logits, label)
        expected = optax.sigmoid_focal_loss(logits, labels, alpha=None, gamma=2.0)
        np.testing.assert_allclose(make_loss("focal")(logits, labels), expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("stop_gradient", [False, True])
@pytest.mark.parametrize("parameters", SHAPES, ids=str)
def test_value_gradient_and_hessian_are_finite_at_the_extremes(parameters, stop_gradient):
    gamma_pos, gamma_neg, margin = parameters

    def value(logit, label):
        return asymmetric_loss(
            logit, label, gamma_pos=gamma_pos, gamma_neg=gamma_neg, margin=margin, stop_gradient=stop_gradient
        )

    @jax.jit
    @jax.vmap
    def derivatives(logit, label):
        return value(logit, label), jax.grad(value)(logit, label), jax.grad(jax.grad(value))(logit, label)

    values, gradients, hessians = derivatives(np.float32(EXTREMES * 2), np.float32([0] * 6 + [1] * 6))
    assert np.isfinite(values).all()
    assert np.isfinite(gradients).all()
    assert np.isfinite(hessians).all()
    assert (np.asarray(values) >= 0).all()


@pytest.mark.parametrize("gamma", [1.5, 2.5])
def test_fractional_exponent_has_the_gradient_of_the_formula(gamma):
    def plain(x):  # the formula as printed, for an absent genre
        p_m = jax.nn.sigmoid(x) - 0.2
        return -(p_m**gamma) * jnp.log(1 - p_m)

    logits = jnp.asarray([-1.0, 0.0, 2.0])
    found = derivative(make_loss("asl", gamma_neg=gamma))(logits, jnp.zeros(3))
    np.testing.assert_allclose(found, jax.vmap(jax.grad(plain))(logits), rtol=1e-5)


def test_jit_changes_nothing_and_shapes_are_kept():
    rng = np.random.default_rng(0)
    logits = jnp.asarray(4 * rng.normal(size=(4, 13)), jnp.float32)
    labels = jnp.asarray(rng.uniform(size=(4, 13)) < 0.2, jnp.uint8)
    loss = make_loss("asl")
    assert loss(logits, labels).shape == (4, 13)
    np.testing.assert_allclose(jax.jit(loss)(logits, labels), loss(logits, labels), rtol=1e-5, atol=1e-9)


def test_stop_gradient_leaves_the_value():
    logits, labels = jnp.linspace(-4, 4, 9), jnp.ones(9)
    assert (make_loss("asl", stop_gradient=True)(logits, labels) == make_loss("asl")(logits, labels)).all()


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_logits_are_computed_in_float32(dtype):
    logits = jnp.asarray([-1.0, 2.0, -4.0]).astype(dtype)  # exact in either type
    labels = jnp.asarray([False, True, True])
    found = make_loss("asl")(logits, labels)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, [0.0000016137, 0.0002149900, 3.8052123428], rtol=2e-5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gamma_pos", 0.5),
        ("gamma_neg", 0.99),
        ("gamma_pos", -1.0),
        ("gamma_neg", float("nan")),
        ("gamma_pos", float("inf")),
        ("margin", -0.1),
        ("margin", 1.0),
        ("margin", 1e-9),
        ("margin", float("nan")),
    ],
)
def test_bad_parameters_are_named(name, value):
    with pytest.raises(InputError, match=rf"{name}={value}"):
        make_loss("asl", **{name: value})
    arguments = {**LOSS_PRESETS["asl"]._asdict(), name: value}
    with pytest.raises(InputError, match=name):
        asymmetric_loss(jnp.zeros(3), jnp.zeros(3), **arguments)


def test_unknown_preset_names_the_known_ones():
    with pytest.raises(InputError, match=r"'hinge'.*asl, asl_default, bce, focal"):
        make_loss("hinge")


def test_overrides_reach_the_loss():
    assert loss_parameters("asl", margin=0.0) == (3.0, 4.0, 0.0)
    logits, labels = jnp.linspace(-4, 4, 9), jnp.zeros(9)
    overridden = make_loss("asl", gamma_pos=1, gamma_neg=4, margin=0.05)
    assert (overridden(logits, labels) == make_loss("asl_default")(logits, labels)).all()


@pytest.mark.usefixtures("unchecked_shapes")
def test_bad_arrays():
    loss = make_loss("asl")
    with pytest.raises(ValueError, match="int32"):
        loss(jnp.zeros(3, jnp.int32), jnp.zeros(3))
    with pytest.raises(ValueError, match=r"\(13,\).*\(2, 13\)"):
        loss(jnp.zeros((2, 13)), jnp.zeros(13))


def test_package_exports_load_on_first_use():
    names = {name: getattr(losses, name) for name in losses.__all__}
    assert names["asymmetric_loss"] is asymmetric_loss
    assert names["make_loss"] is make_loss
    assert names["LOSS_PRESETS"] is LOSS_PRESETS
    assert set(names) <= set(dir(losses))
    with pytest.raises(AttributeError, match="focal_loss"):
        losses.focal_loss  # noqa: B018
    code = "import sys; from posterfusion_jax.losses import LOSS_PRESETS; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
