import json
import logging
import subprocess
import sys

import jax
import numpy as np
import pytest
from load_checkpoint import load_image, load_pair, load_text
from PIL import Image
from tiny_checkpoints import END, clip_config, clip_params, write_clip
from transformers import CLIPConfig, FlaxCLIPModel

from posterfusion_jax.encoders.hf_compat import default_promotion
from posterfusion_jax.encoders.preprocess import resize_poster
from posterfusion_jax.errors import InputError

TEXTS = ["the night", "a longer tagline that does not fit", "", "x"]


def run(tower, *inputs, level="pooled"):
    return jax.tree.map(np.asarray, jax.jit(tower.forward, static_argnames="level")(tower.params, *inputs, level=level))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def towers(clip_folder):
    return load_pair(clip_folder)


@pytest.mark.parametrize(("form", "eos_token_id"), [("pytorch", 2), ("msgpack", END)])
def test_features_equal_transformers_own(tmp_path, images, form, eos_token_id):
    folder = write_clip(tmp_path, form=form, eos_token_id=eos_token_id)
    image, text = load_pair(folder)
    pixels = ((images / 255 - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4]).astype(np.float32).transpose(0, 3, 1, 2)
    tokens = text.tokenize(TEXTS)
    with default_promotion():
        reference = FlaxCLIPModel(CLIPConfig(**clip_config(eos_token_id=eos_token_id)), _do_init=False)
        params = clip_params()
        seen = reference.get_image_features(pixels, params=params)
        read = reference.get_text_features(tokens.input_ids[:, 0], tokens.attention_mask[:, 0], params=params)
    np.testing.assert_allclose(run(image, images).values, seen, atol=2e-5)
    np.testing.assert_allclose(run(text, *tokens[:2]).values, read, atol=2e-5)


def test_class_token_equals_pooled_embedding(towers, images):
    image, _ = towers
    pooled, tokens = run(image, images), run(image, images, level="tokens")
    assert tokens.values.shape == (3, 1 + 16, 24)
    assert tokens.mask.shape == (3, 17)
    assert tokens.mask.all()
    assert pooled.mask.all()
    np.testing.assert_allclose(tokens.values[:, 0], pooled.values, atol=1e-5)


def test_end_token_equals_pooled_embedding_and_closes_the_mask(towers):
    _, text = towers
    batch = text.tokenize(TEXTS)
    pooled, tokens = run(text, *batch[:2]), run(text, *batch[:2], level="tokens")
    ends = (batch.input_ids[:, 0] == END).argmax(axis=1)
    assert ends.tolist() == [9, 19, 1, 2]  # 8 letters and two marks; cut to 20; marks only; one letter
    np.testing.assert_array_equal(tokens.mask.sum(axis=1), ends + 1)
    np.testing.assert_allclose(tokens.values[np.arange(4), ends], pooled.values, atol=1e-5)
    assert (tokens.values[~tokens.mask] == 0).all()
    assert batch.truncated.tolist() == [False, True, False, False]


def test_padding_does_not_matter(towers):
    _, text = towers
    ids, mask, _ = text.tokenize(["the night", "dawn"])
    short = run(text, ids[:, :, :12], mask[:, :, :12], level="tokens")
    long = run(text, ids, mask, level="tokens")
    np.testing.assert_allclose(short.values, long.values[:, :12], atol=1e-5)
    assert not long.mask[:, 12:].any()


def test_jit_changes_nothing(towers, images):
    image, text = towers
    np.testing.assert_allclose(
        run(image, images, level="tokens").values, image.forward(image.params, images, level="tokens").values, atol=1e-5
    )
    batch = text.tokenize(TEXTS)[:2]
    np.testing.assert_allclose(run(text, *batch).values, text.forward(text.params, *batch, level="pooled").values, atol=1e-5)


def test_chunks(clip_folder, towers):
    tagline = "a longer tagline that does not fit"
    _, one = towers
    mean = load_text(clip_folder, long_text="chunk_mean", max_chunks=3)
    joined = load_text(clip_folder, long_text="chunk_tokens", max_chunks=3)
    batch = mean.tokenize([tagline, "dawn"])
    assert batch.input_ids.shape == (2, 3, 20)
    # 28 letters fill 18 + 10 places: the mean of two chunks encoded one at a time, and not of three.
    rows = batch.input_ids[0, :2, None], batch.attention_mask[0, :2, None]
    singly = run(one, *rows).values
    pooled = run(mean, *batch[:2])
    np.testing.assert_allclose(pooled.values[0], singly.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(pooled.values[1], run(one, *one.tokenize(["dawn"])[:2]).values[0], atol=1e-5)
    np.testing.assert_allclose(run(joined, *batch[:2]).values, pooled.values, atol=1e-6)
    tokens = run(joined, *batch[:2], level="tokens")
    assert tokens.values.shape == (2, 60, 24)
    np.testing.assert_array_equal(tokens.mask.sum(axis=1), [20 + 12, 6])
    np.testing.assert_allclose(tokens.values[0, 20:32], run(one, *rows, level="tokens").values[1, :12], atol=1e-5)
    with pytest.raises(InputError, match=r"chunk_mean.*features.level"):
        run(mean, *batch[:2], level="tokens")


def test_a_row_without_text_is_masked_and_finite(towers):
    _, text = towers
    nothing = np.zeros((1, 1, 20), np.int32)
    features = run(text, nothing, nothing)
    assert not features.mask.any()
    assert (features.values == 0).all()


def test_bfloat16_is_close_and_comes_out_as_float32(clip_folder, towers, images):
    image, text = load_pair(clip_folder, dtype="bfloat16")
    batch = text.tokenize(TEXTS)[:2]
    for half, full, inputs in ((image, towers[0], (images,)), (text, towers[1], batch)):
        values, reference = run(half, *inputs).values, run(full, *inputs).values
        assert values.dtype == np.float32
        assert not np.array_equal(values, reference)
        cosines = (values * reference).sum(1) / np.linalg.norm(values, axis=1) / np.linalg.norm(reference, axis=1)
        assert cosines.min() > 0.995
        assert half.passport["dtype"] == "bfloat16"


def test_an_image_only_checkpoint(tmp_path, caplog):
    folder = write_clip(tmp_path, drop=("text_model", "text_projection"))
    caplog.clear()
    with caplog.at_level(logging.INFO):
        image = load_image(folder)
    assert not image.passport["random"]
    assert set(image.params) == {"vision_model", "visual_projection"}
    assert not caplog.records
    with pytest.raises(InputError, match=r"encoders.text: .* lacks 37 of the text tower's 37 .*allow_random"):
        load_pair(folder)


def test_random_tower_only_where_allowed_and_said_loudly(tmp_path, caplog):
    folder = write_clip(tmp_path, drop=("text_projection",))
    with pytest.raises(InputError, match="lacks 1 of the text tower's 37"):
        load_pair(folder, allow_random=("image",))
    with caplog.at_level(logging.WARNING):
        _, text = load_pair(folder, allow_random=("text",), seed=3)
    assert "RANDOM" in caplog.text
    assert text.passport["random"] is True
    _, again = load_pair(folder, allow_random=("text",), seed=3)
    _, other = load_pair(folder, allow_random=("text",), seed=4)
    assert text.passport["weights_sha256"] == again.passport["weights_sha256"] != other.passport["weights_sha256"]


def test_passports(tmp_path, clip_folder, towers):
    for tower in towers:
        assert json.loads(json.dumps(tower.passport)) == tower.passport
        assert tower.passport["width"] == tower.width == 24
    assert towers[0].passport["mean"] == [0.5, 0.4, 0.3]
    assert towers[0].passport["activation"] == "quick_gelu"
    assert towers[1].passport["pooling"] == "largest id"
    other = load_pair(write_clip(tmp_path, form="msgpack"))
    for mine, theirs in zip(towers, other, strict=True):  # the file format is no property of the weights
        assert mine.passport["weights_sha256"] == theirs.passport["weights_sha256"]
    squashed = load_image(clip_folder, resize="squash")
    assert squashed.passport != towers[0].passport


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float16"}, "encoders.dtype: 'float16'; allowed: float32, bfloat16"),
        ({"resize": "stretch"}, "encoders.resize: 'stretch'; allowed: crop, squash, pad"),
        ({"allow_random": ("all",)}, "encoders.allow_random: 'all'"),
        ({"long_text": "summarise"}, "encoders.long_text is 'summarise'"),
        ({"max_chunks": 0}, "encoders.max_chunks is 0"),
        ({"max_text_tokens": 21}, "encoders.max_text_tokens is 21; .* takes 3 to 20"),
        ({"max_text_tokens": 2}, "encoders.max_text_tokens is 2"),
    ],
)
def test_bad_options(clip_folder, options, message):
    with pytest.raises(InputError, match=message):
        load_pair(clip_folder, **options)


def test_openai_weights_need_quick_gelu(tmp_path):
    folder = write_clip(tmp_path, hidden_act="gelu", _name_or_path="openai/clip-vit-base-patch32")
    with pytest.raises(InputError, match=r"openai/clip-vit-base-patch32 has hidden_act 'gelu'.*quick_gelu"):
        load_pair(folder)
    image, _ = load_pair(write_clip(tmp_path / "laion", hidden_act="gelu"))  # others may
    assert image.passport["activation"] == "gelu"


def test_other_models_and_mismatched_files(tmp_path, bert_folder):
    with pytest.raises(InputError, match=r"encoders.image='.*' is a model of the type 'bert'; image towers are read from CLIP"):
        load_pair(bert_folder)
    with pytest.raises(InputError, match=r"tokenizer .* ends texts with id 513 .* model pools at id 100"):
        load_pair(write_clip(tmp_path, eos_token_id=100))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"crop_size": 64}))
    with pytest.raises(InputError, match=r"asks for crop_size \[64, 64\].*needs \[32, 32\]"):
        load_image(tmp_path)
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(InputError, match=r"has no preprocessor_config.json"):
        load_image(tmp_path)


def test_torch_is_not_imported_even_where_it_is_installed(tmp_path):
    for name in ("torch", "tensorflow"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('imported')")
        (tmp_path / f"{name}-2.99.0.dist-info").mkdir()
        (tmp_path / f"{name}-2.99.0.dist-info" / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.99.0\n"
        )
    program = (
        f"import sys; sys.path.append({str(tmp_path)!r}); import posterfusion_jax.encoders.clip, posterfusion_jax.encoders.bert"
    )
    program += "; print([m for m in ('torch', 'tensorflow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


@pytest.mark.real
def test_real_image_tower_knows_posters_of_one_film(weights_dir, shared_dir):
    image = load_image(weights_dir / "clip-vit-b16")
    films = {}
    for path in sorted((shared_dir / "posters" / "images").glob("*.jpg")):
        films.setdefault(path.stem.partition("_")[0], []).append(path)
    pairs = [paths[:2] for paths in films.values() if len(paths) > 1][:4]
    pixels = [resize_poster(Image.open(path).convert("RGB"), size=224, how="crop") for pair in pairs for path in pair]
    values = run(image, np.stack(pixels)).values
    values = values / np.linalg.norm(values, axis=1, keepdims=True)
    cosines = values @ values.T
    siblings = cosines[np.arange(0, 8, 2), np.arange(1, 8, 2)]
    strangers = cosines[np.add.outer(np.arange(8) // 2, -(np.arange(8) // 2)) != 0]
    assert siblings.mean() > 0.7  # 0.73-0.88 inside a film, about 0.5 between films
    assert 0.3 < strangers.mean() < 0.65
