"""JAX_ENABLE_X64 changes nothing: no value becomes 64 bits wide, and a run leaves the same bytes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from small_training import Setting
from traced_types import WIDE, wide_values

from configs import base
from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.checkpoints.meta import read_latest_meta
from posterfusion_jax.config.registries import HEADS
from posterfusion_jax.encoders.augment import drop_tokens, flip_and_shift
from posterfusion_jax.encoders.cnn import _import_keras
from posterfusion_jax.encoders.load import load_towers
from posterfusion_jax.encoders.options import EncoderOptions
from posterfusion_jax.evaluation.results import read_scores
from posterfusion_jax.evaluation.scoring import make_score_step
from posterfusion_jax.losses.asymmetric import make_loss
from posterfusion_jax.models.classifier import FineTuning, on_features, on_posters
from posterfusion_jax.models.dropout import Dropout
from posterfusion_jax.models.registry import make_head
from posterfusion_jax.pipeline.build import build
from posterfusion_jax.pipeline.evaluate import evaluate
from posterfusion_jax.pipeline.features import extract_features
from posterfusion_jax.pipeline.ocr import read_words
from posterfusion_jax.pipeline.predict import predict
from posterfusion_jax.pipeline.train import train_model
from posterfusion_jax.train.epoch_runner import OnDeviceEpochRunner
from posterfusion_jax.train.multi_seed import _select_improved
from posterfusion_jax.train.step import init_state, make_optimizer, make_train_step
from posterfusion_jax.utils.rng import key_for

WIDTH = 16


def batch(level, rows=4):
    tokens = () if level == "pooled" else (5,)
    values, mask = np.ones((rows, *tokens, WIDTH), np.float32), np.ones((rows, *tokens), bool)
    return {"image": values, "image_mask": mask, "text": values, "text_mask": mask}


def classifier_of(head, level, **changes):
    model = base.get_config().model
    model.name, model.dim, model.heads, model.ffn, model.dropout = head, WIDTH, 2, (16, 8), 0.3
    for field, value in changes.items():
        model[field] = value
    made = make_head(model, labels=13, image_width=WIDTH, text_width=WIDTH)
    return on_features(made, image_width=WIDTH, text_width=WIDTH, level=level)


def optimizer_of(classifier, **changes):
    train = base.get_config().train
    for field, value in changes.items():
        train[field] = value
    return make_optimizer(train, classifier.groups, steps_per_epoch=7)


CASES = [
    *((head, "pooled", {}) for head in HEADS.names),
    *((head, "tokens", {"text_lstm": 8}) for head in ("addition", "concatenation", "gmu", "centralnet", "text_only")),
    *(("fusion", "tokens", {"token_fusion": how, "block_mlp": True}) for how in ("add_pooled_text", "concat", "pool_add")),
    ("fusion", "tokens", {"cross_attention": "as_printed", "pooling": "cls", "out_projection": True}),
    ("addition", "pooled", {"align": 8}),
]


@pytest.mark.parametrize(("head", "level", "changes"), CASES)
def test_no_head_computes_in_64_bits(head, level, changes):
    if changes.get("align") == 0 and level == "pooled":
        pytest.skip("widths are equal")
    changes = {"align": 8, **changes} if changes.get("text_lstm") else changes
    classifier = classifier_of(head, level, **changes)
    params, labels, real = classifier.init(key_for(0, "parameters")), np.ones((4, 13), np.uint8), np.ones(4, np.float32)
    of = params, batch(level)
    found = wide_values(lambda: classifier.init(key_for(0, "parameters")))
    found |= wide_values(classifier.forward, *of) | wide_values(classifier.gates, *of) | wide_values(classifier.attention, *of)
    found |= wide_values(classifier.train_forward, *of, real > 0, jax.random.key(0))
    found |= wide_values(make_score_step(classifier, make_loss("asl", gamma_neg=2.5)), *of, labels)
    optimizer = optimizer_of(classifier)
    found |= wide_values(lambda: init_state(classifier, optimizer, seed=1))
    state = init_state(classifier, optimizer, seed=1)
    step = make_train_step(classifier, optimizer, make_loss("asl", stop_gradient=True))
    found |= wide_values(lambda *args: step(*args, seed=1), state, batch(level), labels, real)
    assert found == set()


@pytest.mark.parametrize("preset", ["asl", "asl_default", "bce", "focal"])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_no_optimizer_computes_in_64_bits(preset, schedule):
    classifier = classifier_of("linear_probe", "pooled")
    optimizer = optimizer_of(classifier, schedule=schedule, weight_decay=0.1)
    state = init_state(classifier, optimizer, seed=1)
    step = make_train_step(classifier, optimizer, make_loss(preset))
    args = state, batch("pooled"), np.ones((4, 13), np.uint8), np.ones(4, np.float32)
    assert wide_values(lambda *args: step(*args, seed=1), *args) == set()
    with jax.enable_x64(True):
        wide = init_state(classifier, optimizer, seed=1)
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(wide)} == {"float32", "int32"}


def test_no_pass_computes_in_64_bits():
    setting = Setting()
    state, passed, streamed = setting.init_state(), setting.resident(), setting.streamed()
    rows, real = passed._order(0, 0)
    losses, edges = jnp.zeros(7, jnp.float32), (np.int32(0), np.int32(7))
    found = wide_values(passed._run, state, losses, jnp.asarray(0, jnp.int32), rows, real, passed._data, *edges)
    batches = jax.tree.map(lambda array: array[None], streamed._load(0))
    found |= wide_values(streamed._run, state, batches, np.int32(1))

    many = OnDeviceEpochRunner(setting.trainer, [0, 1])
    rows, real = many._order(0, [0, 1])
    states, losses = jax.tree.map(lambda a: jnp.stack([a, a]), (state, losses))
    together = jax.vmap(many._run, in_axes=(0, 0, 0, 0, None, None, None, None))
    found |= wide_values(together, states, losses, jnp.asarray([0, 1], jnp.int32), rows, real, many._data, *edges)
    found |= wide_values(_select_improved, states, states, np.ones(2, bool))
    source = setting.trainer.source
    score = jax.vmap(make_score_step(setting.trainer.classifier, setting.trainer.loss), in_axes=(0, None, None))
    found |= wide_values(score, states.params, source.load(np.arange(4)), source.labels[:4])
    assert found == set()


def check_towers(image, text, *, dtype="float32", long_text="truncate", allow_random=()):
    options = EncoderOptions(dtype=dtype, long_text=long_text, max_chunks=2, allow_random=allow_random)
    with jax.enable_x64(True):
        towers = load_towers(image, text, options)
    image_tower, text_tower = towers
    assert not {str(leaf.dtype) for tower in towers for leaf in jax.tree.leaves(tower.params)} & set(WIDE)
    tokens = text_tower.tokenize(["abc def", "x"])
    pictures = np.zeros((2, image_tower.image_size, image_tower.image_size, 3), np.uint8)
    for level in ("pooled", "tokens"):
        if long_text == "chunk_mean" and level == "tokens":
            continue
        found = wide_values(lambda p, x, level=level: image_tower.forward(p, x, level=level), image_tower.params, pictures)
        of = text_tower.params, tokens.input_ids, tokens.attention_mask
        found |= wide_values(lambda p, *x, level=level: text_tower.forward(p, *x, level=level), *of)
        assert found == set(), level
    return towers


@pytest.mark.parametrize("long_text", ["truncate", "chunk_mean", "chunk_tokens"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_no_clip_or_bert_computes_in_64_bits(clip_folder, bert_folder, dtype, long_text):
    check_towers(str(clip_folder), str(clip_folder), dtype=dtype, long_text=long_text)
    check_towers(str(clip_folder), str(bert_folder), dtype=dtype, long_text=long_text)


def test_no_blip_computes_in_64_bits(tmp_path):
    from tiny_blip import write_blip

    for layout in ("BlipModel", "BlipForImageTextRetrieval"):
        folder = str(write_blip(tmp_path / layout, layout=layout))
        check_towers(folder, folder)


def test_no_cnn_or_word2vec_computes_in_64_bits(tmp_path):
    pytest.importorskip("h5py")  # comes with Keras
    _import_keras()
    words = {"abc": [1.0, 2.0], "x": [3.0, 4.0]}
    rows = b"".join(word.encode() + b" " + np.array(vector, "<f4").tobytes() for word, vector in words.items())
    (tmp_path / "v.bin").write_bytes(b"2 2\n" + rows)
    check_towers("keras:MobileNetV2", f"word2vec:{tmp_path / 'v.bin'}", allow_random=("image",))


def test_no_training_of_encoders_computes_in_64_bits(clip_folder):
    image, text = check_towers(str(clip_folder), str(clip_folder))
    model = base.get_config().model
    model.dim, model.heads, model.ffn, model.smsam_layers = WIDTH, 2, (8,), 1
    head = make_head(model, labels=13, image_width=image.width, text_width=text.width)
    tuning = FineTuning("all", ("image", "text"), augment_shift=2, augment_drop_tokens=0.1)
    classifier = on_posters(head, image, text, level="tokens", image_grid=2, tuning=tuning)
    optimizer = optimizer_of(classifier, schedule="cosine")
    found = wide_values(lambda: init_state(classifier, optimizer, seed=0))
    tokens = text.tokenize(["abc", "x"])
    inputs = {"input_ids": tokens.input_ids, "attention_mask": tokens.attention_mask, "use_text": np.ones(2, bool)}
    inputs["images"] = np.zeros((2, image.image_size, image.image_size, 3), np.uint8)
    step, state = make_train_step(classifier, optimizer, make_loss("asl")), init_state(classifier, optimizer, seed=0)
    args = state, inputs, np.ones((2, 13), np.uint8), np.ones(2, np.float32)
    found |= wide_values(lambda *args: step(*args, seed=1), *args)
    assert found == set()


def test_random_numbers_are_the_same():
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)

    def draw():
        key = key_for(7, "dropout", 3)
        dropped = Dropout(0.4, deterministic=False).apply({}, jnp.ones((5, 6), jnp.float32), rngs={"dropout": key})
        mask = drop_tokens(key, jnp.ones((2, 1, 9), jnp.int32), share=0.3)
        return jax.random.key_data(key), dropped, mask, flip_and_shift(key, images, shift=3)

    narrow = draw()
    with jax.enable_x64(True):
        wide = draw()
    for a, b in zip(narrow, wide, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_keys_and_dropout_are_those_of_jax_and_flax():
    key = jax.random.fold_in(jax.random.key(5), 0)
    ours = key_for(5, "anything")
    assert ours.dtype == key.dtype
    values = jnp.arange(40, dtype=jnp.float32).reshape(5, 8)

    class Of(nn.Module):
        kind: type

        @nn.compact
        def __call__(self, x):
            return self.kind(0.25, deterministic=False)(self.kind(0.25, deterministic=False)(x))

    two = [Of(kind).apply({}, values, rngs={"dropout": key}) for kind in (nn.Dropout, Dropout)]
    np.testing.assert_array_equal(*two)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, posters_dir, clip_folder, tiny_run):
    """What a tiny run leaves, without and with JAX_ENABLE_X64."""
    found = []
    for wide in (False, True):
        run = tiny_run(
            tmp_path_factory.mktemp("x64"),
            posters_dir,
            clip_folder,
            ocr__engine="none",
            train__max_epochs=2,
            model__dropout=0.2,
        )
        jax.config.update("jax_enable_x64", wide)
        try:
            for stage in (read_words, build, extract_features, train_model, evaluate):
                stage(run)
            files = sorted(str(path) for path in (posters_dir / "images").glob("*.jpg"))[:3]
            predictions = list(predict(run, files))
        finally:
            jax.config.update("jax_enable_x64", False)
        found.append((run, predictions))
    return found


@pytest.mark.slow
def test_a_run_leaves_the_same_bytes(runs):
    (narrow, predicted), (wide, predicted_wide) = runs
    arrays = sorted(path.relative_to(narrow.paths.features) for path in narrow.paths.features.rglob("*.npy"))
    assert len(arrays) >= 3
    for name in arrays:
        assert (narrow.paths.features / name).read_bytes() == (wide.paths.features / name).read_bytes(), name
    metas = [read_latest_meta(run.paths.checkpoints) for run in (narrow, wide)]
    assert metas[0]["arrays"] == metas[1]["arrays"]
    scores = [read_scores(run.paths.results, "test") for run in (narrow, wide)]
    np.testing.assert_array_equal(scores[0]["scores"], scores[1]["scores"])
    assert [prediction.scores for prediction in predicted] == [prediction.scores for prediction in predicted_wide]


@pytest.mark.slow
def test_a_run_is_read_under_the_other_setting(runs, posters_dir):
    files = sorted(str(path) for path in (posters_dir / "images").glob("*.jpg"))[:3]
    (narrow, expected), (wide, _) = runs
    assert [prediction.scores for prediction in predict(wide, files)] == [prediction.scores for prediction in expected]
    jax.config.update("jax_enable_x64", True)
    try:
        assert [prediction.scores for prediction in predict(narrow, files)] == [prediction.scores for prediction in expected]
    finally:
        jax.config.update("jax_enable_x64", False)


def test_a_checkpoint_with_wide_numbers_is_rounded(tmp_path, caplog):
    with jax.enable_x64(True):  # as versions before this one left it
        state = {"params": {"no_text": jnp.full(4, 0.1), "kernel": jnp.ones((2, 4), jnp.float32)}, "step": jnp.asarray(3)}
        assert {str(leaf.dtype) for leaf in jax.tree.leaves(state)} == {"float64", "float32", "int64"}
        checkpoints = Checkpoints(tmp_path)
        checkpoints.save(1, state, {}, rank=0.0)
        checkpoints.close()
    like = {"params": {"no_text": jnp.zeros(4), "kernel": jnp.zeros((2, 4))}, "step": jnp.zeros((), jnp.int32)}
    checkpoints = Checkpoints(tmp_path)
    read, params = checkpoints.read_state(1, like), checkpoints.read_params(1, like["params"])
    checkpoints.close()
    assert {str(leaf.dtype) for leaf in jax.tree.leaves((read, params))} == {"float32", "int32"}
    np.testing.assert_array_equal(params["no_text"], np.full(4, 0.1, np.float32))
    assert int(read["step"]) == 3
    assert "JAX_ENABLE_X64" in caplog.text
