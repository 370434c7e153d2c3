import json
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from load_checkpoint import load_image, load_pair, load_text
from PIL import Image
from safetensors.numpy import load_file, save_file
from tiny_blip import MARKS, MEAN, STD, write_blip
from transformers import BlipImageProcessor

from posterfusion_jax.encoders.finetune import trainable
from posterfusion_jax.encoders.preprocess import normalize, resize_poster
from posterfusion_jax.errors import InputError

LAYOUTS = ("BlipModel", "BlipForImageTextRetrieval")
TEXTS = ["the night", "a longer tagline that does not fit", "", "x"]
BEGIN, END = MARKS.index("[CLS]"), MARKS.index("[SEP]")


def run(tower, *inputs, level="pooled"):
    return jax.tree.map(np.asarray, jax.jit(tower.forward, static_argnames="level")(tower.params, *inputs, level=level))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module", params=LAYOUTS)
def loaded(request, tmp_path_factory):
    return request.param, load_pair(write_blip(tmp_path_factory.mktemp("blip"), layout=request.param))


@pytest.fixture(scope="module")
def towers(loaded):
    return loaded[1]


@pytest.fixture
def folder(tmp_path):
    return write_blip(tmp_path / "blip")


def paths(tower):
    return set(traverse_util.flatten_dict(tower.params, sep="/"))


def test_features_equal_pytorchs(loaded, images):
    """The first values that the two classes of transformers 4.57.6 give in PyTorch 2.13 on these weights and inputs; parity at
    length is in tests/parity."""
    layout, (image, text) = loaded
    seen, read = {
        "BlipModel": ([2.195333, -0.164304, -2.855053, 2.358433], [-0.244019, -0.015861, 0.260222, -0.423870]),
        "BlipForImageTextRetrieval": (
            [-0.413372, -0.252630, -0.151599, -1.298930],
            [-0.294186, -1.066868, -0.013283, -1.270395],
        ),
    }[layout]
    ids, mask = np.array([[[2, 5, 32, 33, 3, 0]]], np.int32), np.array([[[1, 1, 1, 1, 1, 0]]], np.int32)
    np.testing.assert_allclose(run(image, images).values[0, :4], seen, atol=1e-5)
    np.testing.assert_allclose(run(text, ids, mask).values[0, :4], read, atol=1e-5)


def test_shapes_masks_and_class_tokens(loaded, images):
    layout, (image, text) = loaded
    width = {"BlipModel": 24, "BlipForImageTextRetrieval": 20}[layout]
    assert (image.width, text.width, image.image_size, text.max_tokens) == (width, width, 32, 24)
    pooled, tokens = run(image, images), run(image, images, level="tokens")
    assert (pooled.values.shape, tokens.values.shape) == ((3, width), (3, 1 + 16, width))
    assert pooled.mask.all()
    assert tokens.mask.shape == (3, 17)
    assert tokens.mask.all()
    np.testing.assert_allclose(tokens.values[:, 0], pooled.values, atol=1e-5)

    ids, mask, truncated = text.tokenize(TEXTS)
    assert truncated.tolist() == [False, True, False, False]
    pooled, tokens = run(text, ids, mask), run(text, ids, mask, level="tokens")
    assert (pooled.values.shape, tokens.values.shape) == ((4, width), (4, 24, width))
    np.testing.assert_array_equal(tokens.mask, mask[:, 0] == 1)
    np.testing.assert_allclose(tokens.values[:, 0], pooled.values, atol=1e-5)
    assert (tokens.values[~tokens.mask] == 0).all()


def test_jit_changes_nothing(towers, images):
    image, text = towers
    direct = image.forward(image.params, images, level="tokens").values
    np.testing.assert_allclose(run(image, images, level="tokens").values, direct, atol=1e-5)
    batch = text.tokenize(TEXTS)[:2]
    np.testing.assert_allclose(run(text, *batch).values, text.forward(text.params, *batch, level="pooled").values, atol=1e-5)


def test_gradients_are_finite_and_reach_every_weight(towers, images):
    image, text = towers
    for tower, inputs in ((image, (images,)), (text, text.tokenize(TEXTS)[:2])):

        def loss(params, tower=tower, inputs=inputs):
            return jnp.square(tower.forward(params, *inputs, level="pooled").values).sum()

        for path, leaf in traverse_util.flatten_dict(jax.jit(jax.grad(loss))(tower.params), sep="/").items():
            assert np.isfinite(leaf).all(), path
            # A softmax does not change when all its keys move by the same vector.
            assert np.abs(leaf).max() > 1e-5 or path.endswith("key/bias"), path


def test_padding_does_not_matter(towers):
    _, text = towers
    ids, mask, _ = text.tokenize(["the night", "dawn"])
    for level in ("pooled", "tokens"):
        long, short = run(text, ids, mask, level=level).values, run(text, ids[..., :12], mask[..., :12], level=level).values
        np.testing.assert_allclose(long[:, :12] if level == "tokens" else long, short, atol=1e-5)


def test_texts_are_read_both_ways(towers):
    """The configuration says is_decoder; under a causal mask the first token, which is pooled, would see no other."""
    _, text = towers
    values = run(text, *text.tokenize(["dawn", "dark"])[:2]).values
    assert np.abs(values[0] - values[1]).max() > 0.01


def test_a_row_without_text_is_masked_and_finite(towers):
    _, text = towers
    nothing = np.zeros((1, 1, 24), np.int32)
    features = run(text, nothing, nothing)
    assert not features.mask.any()
    assert (features.values == 0).all()


def test_bfloat16_is_close_and_comes_out_as_float32(folder, images):
    full, half = load_pair(folder), load_pair(folder, dtype="bfloat16")
    for a, b, inputs in ((full[0], half[0], (images,)), (full[1], half[1], full[1].tokenize(TEXTS)[:2])):
        reference, values = run(a, *inputs).values, run(b, *inputs).values
        assert values.dtype == np.float32
        assert not np.array_equal(values, reference)
        cosines = (values * reference).sum(1) / np.linalg.norm(values, axis=1) / np.linalg.norm(reference, axis=1)
        assert cosines.min() > 0.995


def test_chunks_of_a_long_text(folder):
    text = load_text(folder, long_text="chunk_tokens", max_chunks=2, max_text_tokens=10)
    ids, mask, _ = text.tokenize(["the night of the", "x"])
    features = run(text, ids, mask, level="tokens")
    assert features.values.shape == (2, 20, 24)
    np.testing.assert_array_equal(features.mask, mask.reshape(2, 20) == 1)
    assert (text.passport["max_tokens"], text.passport["max_chunks"]) == (10, 2)


def test_both_layouts_give_one_tree_of_names(tmp_path):
    (image, text), (other_image, other_text) = (load_pair(write_blip(tmp_path / name, layout=name)) for name in LAYOUTS)
    assert paths(other_image) - paths(image) == {"visual_projection/bias"}
    assert paths(image) <= paths(other_image)
    assert paths(text) - paths(other_text) == {"text_model/pooler/dense/kernel", "text_model/pooler/dense/bias"}
    assert paths(other_text) - paths(text) == {"text_projection/bias"}
    assert {path.split("/")[0] for path in paths(text) | paths(image)} == {
        *("vision_model", "visual_projection", "text_model", "text_projection")
    }


def test_layers_can_be_fine_tuned(towers):
    for tower, kind in zip(towers, ("vision_model/encoder/layers", "text_model/encoder/layer"), strict=True):
        marks = traverse_util.flatten_dict(trainable(tower.params, which="last_n", last_n=1), sep="/")
        assert all(marks[path] for path in marks if path.startswith(f"{kind}/1/"))
        assert not any(marks[path] for path in marks if path.startswith(f"{kind}/0/") or "embeddings" in path)
        assert all(marks[path] for path in marks if "projection/" in path and "encoder" not in path)


def test_preprocessing_is_blips_own(folder, images):
    """Squashed to a square, bicubic, by the checkpoint's mean and standard deviation."""
    tower = load_image(folder, resize="squash")
    poster = Image.fromarray(np.random.default_rng(1).integers(0, 256, (60, 40, 3), np.uint8))
    processor = BlipImageProcessor(size={"height": 32, "width": 32}, image_mean=MEAN, image_std=STD)
    expected = processor(poster, return_tensors="np")["pixel_values"].transpose(0, 2, 3, 1)
    pixels = normalize(resize_poster(poster, size=tower.image_size, how=tower.resize)[None], mean=tuple(MEAN), std=tuple(STD))
    np.testing.assert_allclose(pixels, expected, atol=1e-5)
    assert (tower.passport["mean"], tower.passport["std"]) == (MEAN, STD)


def test_texts_stand_between_berts_marks(tmp_path):
    """Also where the tokenizer names the decoder's mark as its begin mark."""
    marks = {"bos_token": "[DEC]", "additional_special_tokens": ["[ENC]"]}
    text = load_text(write_blip(tmp_path / "a", tokenizer=marks))
    ids, mask, _ = text.tokenize(["ab", ""])
    assert ids[0, 0, :5].tolist() == [BEGIN, 5, 5 + 26 + 1, END, 0]
    assert ids[1, 0, :3].tolist() == [BEGIN, END, 0]
    assert mask.sum(axis=2).tolist() == [[4], [2]]
    marks["additional_special_tokens"] = ["[ENC]", "[MORE]"]
    with pytest.raises(InputError, match="has 60 tokens, but the model has 59"):
        load_text(write_blip(tmp_path / "b", tokenizer=marks))


def test_one_tower_needs_only_its_own_weights(tmp_path):
    folder = write_blip(tmp_path, drop=("text_",))
    image = load_image(folder)
    assert {path.split("/")[0] for path in paths(image)} == {"vision_model", "visual_projection"}
    with pytest.raises(
        InputError, match=r"encoders\.text: .* lacks the text projection \(text_projection or text_proj\).*coco"
    ):
        load_pair(folder)


def test_shards_hold_the_same_weights(tmp_path):
    one, many = load_pair(write_blip(tmp_path / "1")), load_pair(write_blip(tmp_path / "3", shards=3))
    for a, b in zip(one, many, strict=True):
        assert a.passport["weights_sha256"] == b.passport["weights_sha256"]


def test_missing_weights(tmp_path):
    names = {"BlipModel": "text_model.pooler.dense.weight", "BlipForImageTextRetrieval": "text_encoder.encoder.layer.1.output"}
    for layout, name in names.items():
        folder = write_blip(tmp_path / layout, layout=layout, drop=(name,))
        with pytest.raises(InputError, match=rf"encoders\.text: .* lacks \d of the text tower's \d+ .*such as {name[:20]}"):
            load_pair(folder)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").touch()
    with pytest.raises(InputError, match=r"has no weights.*pytorch_model\.bin is a Python pickle"):
        load_pair(folder)


@pytest.mark.parametrize(("kept", "kind"), [((), "captioning"), (("text_encoder",), "question-answering")])
def test_models_that_write_texts(tmp_path, kept, kind):
    folder = write_blip(tmp_path, layout="BlipForImageTextRetrieval")
    arrays = load_file(folder / "model.safetensors")
    decoder = {f"text_decoder.bert.{n.partition('.')[2]}": array for n, array in arrays.items() if n.startswith("text_encoder")}
    encoders = {name: array for name, array in arrays.items() if name.startswith(("vision_model", *kept))}
    save_file(encoders | decoder, folder / "model.safetensors")
    for tower in ("text", "image"):
        with pytest.raises(
            InputError, match=rf"encoders\.{tower}: .*a {kind} model.*text_decoder.*Salesforce/blip-itm-base-coco"
        ):
            {"image": load_image, "text": load_text}[tower](folder)


def test_bad_options_and_sources(folder):
    for options, message in (
        ({"dtype": "half"}, r"encoders\.dtype: 'half'; allowed"),
        ({"resize": "stretch"}, r"encoders\.resize: 'stretch'; allowed"),
        ({"max_text_tokens": 25}, r"encoders\.max_text_tokens is 25; .* takes 3 to 24"),
        ({"long_text": "drop"}, r"encoders\.long_text is 'drop'"),
    ):
        with pytest.raises(InputError, match=message):
            load_pair(folder, **options)
    with pytest.raises(InputError, match=r"encoders\.text is 'no_such_user/blip'.*cannot be reached"):
        load_text("no_such_user/blip")


def test_preprocessing_that_is_not_done_here(folder):
    for spec, message in (
        ({"size": 48}, r"size \[48, 48\].*needs \[32, 32\]"),
        ({"size": {"shortest_edge": 32}}, r"size \[None, None\]"),
        ({"resample": 2}, "resample 2"),
        ({"do_rescale": False}, "do_rescale False"),
    ):
        (folder / "preprocessor_config.json").write_text(json.dumps(spec))
        with pytest.raises(InputError, match=rf"preprocessor_config\.json of .* asks for {message}"):
            load_pair(folder)


def test_configurations_that_would_give_other_features(tmp_path, caplog):
    for text, message in (
        ({"hidden_act": "mish"}, "hidden_act 'mish'; this project computes gelu"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type 'relative_key'"),
    ):
        with pytest.raises(InputError, match=message):
            load_pair(write_blip(tmp_path, text=text))
    eight = {"hidden_size": 768, "num_attention_heads": 8}
    with pytest.raises(InputError, match="num_attention_heads 8, but Salesforce's weights were trained with 12"):
        load_pair(write_blip(tmp_path, text=eight, _name_or_path="Salesforce/blip-itm-base-coco"))
    with caplog.at_level(logging.WARNING), pytest.raises(InputError, match="has shape"):
        load_pair(write_blip(tmp_path, text=eight))
    assert "num_attention_heads is 8" in caplog.text


def test_passports(loaded):
    layout, (image, text) = loaded
    for tower, name, activation in ((image, "image", "quick_gelu"), (text, "text", "gelu")):
        passport = tower.passport
        assert json.loads(json.dumps(passport)) == passport
        assert (passport["family"], passport["tower"], passport["layout"]) == ("blip", name, layout)
        assert (passport["activation"], passport["width"]) == (activation, tower.width)
        assert passport["source"] == tower.name
        assert passport["random"] is False
    pooling = ("class token, normed twice", "class token, dense, tanh") if layout == "BlipModel" else ("class token",) * 2
    assert (image.passport["pooling"], text.passport["pooling"]) == pooling
