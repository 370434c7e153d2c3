"""The fusion model: its shapes, its masks, and that it is the paper's equations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterfusion_jax.models.fusion import PosterFusion
from posterfusion_jax.models.inputs import HeadInputs


def make_inputs(*, batch=3, image=(5, 24), text=(7, 16), seed=0) -> HeadInputs:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, text[0] + 1, batch) if len(text) == 2 else None
    return HeadInputs(
        image=jnp.asarray(rng.normal(size=(batch, *image)), jnp.float32),
        image_mask=jnp.ones((batch, *image[:-1]), bool),
        text=jnp.asarray(rng.normal(size=(batch, *text)), jnp.float32),
        text_mask=jnp.ones(batch, bool) if lengths is None else jnp.arange(text[0])[None] < jnp.asarray(lengths)[:, None],
    )


SMALL = {"labels": 13, "dim": 32, "heads": 4, "smsam_layers": 2, "ffn": (16, 8)}


def init(model, inputs, seed=0):
    return model.init(jax.random.key(seed), inputs)["params"]


def attention_weights(model, params, inputs):
    _, state = model.apply({"params": params}, inputs, mutable="intermediates")
    return jax.tree.leaves(state["intermediates"])


def test_pooled_attention_weights_are_all_one():
    # With one key the softmax is the constant 1: what the paper's printed shapes amount to.
    inputs = make_inputs(image=(24,), text=(16,))
    model = PosterFusion(**SMALL)
    weights = attention_weights(model, init(model, inputs), inputs)
    assert len(weights) == 4  # two of MCAM, two of SMSAM
    for w in weights:
        assert w.shape == (3, 4, 1, 1)
        np.testing.assert_array_equal(w, 1.0)


def test_token_attention_weights_differ_and_sum_to_one():
    inputs = make_inputs()
    model = PosterFusion(**SMALL)
    for w in attention_weights(model, init(model, inputs), inputs):
        np.testing.assert_allclose(w.sum(-1), 1.0, rtol=1e-5)
        assert float(w.std()) > 0


def test_pooled_equals_sequences_of_one_token():
    pooled = make_inputs(image=(24,), text=(16,))
    tokens = HeadInputs(pooled.image[:, None], pooled.image_mask[:, None], pooled.text[:, None], pooled.text_mask[:, None])
    model = PosterFusion(**SMALL)
    params = init(model, pooled)
    np.testing.assert_array_equal(model.apply({"params": params}, pooled), model.apply({"params": params}, tokens))


def test_matches_the_equations_written_out():
    """Eq. 2 to 7 for pooled features in plain NumPy: with one key, attention returns the values."""
    inputs = make_inputs(image=(24,), text=(16,))
    model = PosterFusion(**SMALL)
    p = jax.tree.map(lambda a: np.asarray(a, np.float64), init(model, inputs, seed=3))

    def norm(x, q):
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * q["scale"] + q["bias"]

    def dense(x, q):
        return x @ q["kernel"] + q["bias"]

    f_va = dense(norm(np.asarray(inputs.image, np.float64), p["norm_image"]), p["project_image"])
    f_ta = dense(norm(np.asarray(inputs.text, np.float64), p["norm_text"]), p["project_text"])
    zf_v = norm(f_ta @ p["mcam_image"]["value"]["kernel"] + f_va, p["norm_mcam_image"])  # image queries read the text's values
    zf_t = norm(f_va @ p["mcam_text"]["value"]["kernel"] + f_ta, p["norm_mcam_text"])
    z = norm(zf_v + zf_t, p["norm_fused"])
    for block in ("smsam_1", "smsam_2"):
        z = norm(z, p[block]["norm"]) @ p[block]["attention"]["value"]["kernel"] + z
    y = norm(z, p["norm_smsam"])
    for layer in ("Dense_0", "Dense_1"):
        y = np.maximum(dense(y, p["ffn"][layer]), 0)
    expected = dense(y, p["ffn"]["logits"])
    actual = model.apply({"params": jax.tree.map(jnp.float32, p)}, inputs)
    np.testing.assert_allclose(actual, expected, atol=2e-5)


def test_as_printed_attends_within_a_modality():
    inputs = make_inputs()
    other_text = inputs._replace(text=inputs.text + jnp.arange(16.0)[None, None])
    for how, image_weights_change in (("cross", True), ("as_printed", False)):
        model = PosterFusion(**SMALL, cross_attention=how)
        params = init(model, inputs)

        def weights(x, model=model, params=params):
            return model.apply({"params": params}, x, mutable="intermediates")[1]["intermediates"]["mcam_image"]["attention"][0]

        changed = not np.allclose(weights(inputs), weights(other_text))
        assert changed is image_weights_change


@pytest.mark.parametrize("token_fusion", ["add_pooled_text", "concat", "pool_add"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_padding_does_not_change_the_logits(token_fusion, pooling):
    inputs = make_inputs()
    padded = inputs._replace(
        text=jnp.pad(inputs.text, ((0, 0), (0, 4), (0, 0)), constant_values=99.0),
        text_mask=jnp.pad(inputs.text_mask, ((0, 0), (0, 4))),
        image=jnp.pad(inputs.image, ((0, 0), (0, 2), (0, 0)), constant_values=-99.0),
        image_mask=jnp.pad(inputs.image_mask, ((0, 0), (0, 2))),
    )
    model = PosterFusion(**SMALL, token_fusion=token_fusion, pooling=pooling)
    params = init(model, inputs)
    np.testing.assert_allclose(model.apply({"params": params}, inputs), model.apply({"params": params}, padded), atol=1e-5)


def test_poster_without_text_uses_the_learned_vector_and_ignores_the_junk():
    inputs = make_inputs()
    bare = inputs._replace(text_mask=inputs.text_mask.at[1].set(False))
    junk = bare._replace(text=bare.text.at[1].set(1e3))
    model = PosterFusion(**SMALL)
    params = init(model, inputs)
    out = model.apply({"params": params}, bare)
    np.testing.assert_array_equal(out, model.apply({"params": params}, junk))
    assert np.isfinite(out).all()
    moved = {**params, "no_text": params["no_text"] + 1.0}
    changed = np.abs(model.apply({"params": moved}, bare) - out).max(axis=1) > 1e-6
    assert changed.tolist() == [False, True, False]


@pytest.mark.parametrize(
    "change",
    [{"mcam": False}, {"smsam_layers": 0}, {"smsam_layers": 1}, {"out_projection": True}, {"block_mlp": True}],
)
def test_ablations_change_the_parameters(change):
    inputs = make_inputs(image=(24,), text=(16,))
    names = set(init(PosterFusion(**SMALL), inputs))
    count = lambda params: sum(a.size for a in jax.tree.leaves(params))  # noqa: E731
    params = init(PosterFusion(**(SMALL | change)), inputs)
    if change == {"mcam": False}:
        gone = {"mcam_image", "mcam_text", "norm_mcam_image", "norm_mcam_text"}
    elif change == {"smsam_layers": 0}:
        gone = {"smsam_1", "smsam_2", "norm_smsam"}
    else:
        gone = {"smsam_2"} if "smsam_layers" in change else set()
    assert names - set(params) == gone
    full = count(init(PosterFusion(**SMALL), inputs))
    assert (count(params) < full) if gone else (count(params) > full)


@pytest.mark.slow
def test_paper_size():
    # Widths 512: alignment 2 (1,024 + 512*512 + 512), MCAM 6*512^2 + norms, SMSAM 12*512^2 + norms, FFN 512-512-128-13.
    inputs = make_inputs(batch=1, image=(512,), text=(512,))
    params = jax.eval_shape(lambda: init(PosterFusion(labels=13), inputs))
    attention = 18 * 512**2
    alignment = 2 * (1024 + 512 * 512 + 512) + 512  # and the "no text" vector
    norms = (2 + 1 + 4 + 1) * 1024
    ffn = 513 * 512 + 513 * 128 + 129 * 13
    assert sum(a.size for a in jax.tree.leaves(params)) == attention + alignment + norms + ffn == 5_584_653


def test_jit_equals_no_jit_and_gradients_are_finite_at_extremes():
    inputs = make_inputs()
    model = PosterFusion(**SMALL)
    params = init(model, inputs)
    forward = lambda p, x: model.apply({"params": p}, x)  # noqa: E731
    np.testing.assert_allclose(jax.jit(forward)(params, inputs), forward(params, inputs), atol=1e-5)
    huge = inputs._replace(image=inputs.image * 1e4, text=inputs.text * 1e-6)
    gradients = jax.grad(lambda p: forward(p, huge).sum())(params)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradients))


def test_rows_are_independent():
    inputs = make_inputs(batch=6)
    model = PosterFusion(**SMALL)
    params = init(model, inputs)
    order = jnp.asarray([3, 1, 5, 0, 4, 2])
    permuted = jax.tree.map(lambda a: a[order], inputs)
    np.testing.assert_allclose(
        model.apply({"params": params}, permuted), model.apply({"params": params}, inputs)[order], atol=1e-5
    )


def test_dropout_only_in_training():
    inputs = make_inputs()
    model = PosterFusion(**SMALL, dropout=0.5)
    params = init(model, inputs)
    still = model.apply({"params": params}, inputs)
    np.testing.assert_array_equal(still, model.apply({"params": params}, inputs))
    moving = model.apply({"params": params}, inputs, train=True, rngs={"dropout": jax.random.key(1)})
    assert not np.allclose(still, moving)


def test_query_and_key_weights_are_dead_with_pooled_features():
    inputs = make_inputs(image=(24,), text=(16,))
    model = PosterFusion(**SMALL)
    params = init(model, inputs)
    gradients = jax.grad(lambda p: (model.apply({"params": p}, inputs) ** 2).sum())(params)
    for path, g in jax.tree_util.tree_leaves_with_path(gradients):
        names = {getattr(k, "key", None) for k in path}
        if names & {"query", "key"}:
            np.testing.assert_array_equal(g, 0.0)
