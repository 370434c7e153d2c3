"""Folders as transformers 4 and 5, older versions and other programs save them: read, or refused with what is there."""

import json

import numpy as np
import pytest
from load_checkpoint import load_image, load_pair, load_text
from safetensors.numpy import load_file, save_file
from tiny_blip import write_blip
from tiny_checkpoints import clip_params, write_bert, write_clip, write_weights

from posterfusion_jax.encoders.tokenizer import load_tokenizer
from posterfusion_jax.errors import InputError

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 605157884\n"
TEXTS = ["The Night's 2nd hunter", "é", ""]


def read(folder, name):
    return json.loads((folder / name).read_text())


def change(folder, name, **values):
    (folder / name).write_text(json.dumps(read(folder, name) | values))


def save_as_5(folder, **settings):
    """The folder as transformers 5.24 saves it: processor_config.json, tokenizer.json and other keys in its settings."""
    load_tokenizer(folder).backend_tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "processor_config.json").write_text(
        json.dumps({"image_processor": read(folder, "preprocessor_config.json"), "processor_class": "CLIPProcessor"})
    )
    for name in ("preprocessor_config.json", "vocab.json", "merges.txt", "vocab.txt"):
        (folder / name).unlink(missing_ok=True)
    change(folder, "tokenizer_config.json", backend="tokenizers", is_local=True, local_files_only=False, **settings)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A CLIP of transformers 4's files, its towers and its token ids."""
    folder = write_clip(tmp_path_factory.mktemp("clip4"))
    towers = load_pair(folder)
    return towers, towers[1].tokenize(TEXTS).input_ids


def assert_same(found, clip):
    (image, text), ids = clip
    assert found[0].passport["weights_sha256"] == image.passport["weights_sha256"]
    assert found[0].passport["mean"] == image.passport["mean"] == [0.5, 0.4, 0.3]
    assert found[1].passport["weights_sha256"] == text.passport["weights_sha256"]
    np.testing.assert_array_equal(found[1].tokenize(TEXTS).input_ids, ids)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"tokenizer_class": "TokenizersBackend"},
        {"tokenizer_class": "TokenizersBackend", "extra_special_tokens": []},
        {"extra_special_tokens": ["<|endoftext|>"], "model_specific_special_tokens": {}},
        {"extra_special_tokens": {}},
        {"tokenizer_class": "SomeLaterTokenizer", "auto_map": {"AutoTokenizer": ["code.Later", None]}},
        {"tokenizer_class": None},
    ],
)
def test_a_clip_folder_of_transformers_5(tmp_path, clip, settings):
    folder = save_as_5(write_clip(tmp_path), **settings)
    change(folder, "config.json", dtype="float32", transformers_version="5.24.0", rope_parameters={"x": 1})
    assert_same(load_pair(folder), clip)


def test_tokenizer_files_of_both_generations(tmp_path, clip):
    folder = write_clip(tmp_path)
    load_tokenizer(folder).backend_tokenizer.save(str(folder / "tokenizer.json"))
    assert_same(load_pair(folder), clip)  # both
    (folder / "tokenizer_config.json").unlink()
    assert_same(load_pair(folder), clip)  # the class comes from config.json
    kept = (folder / "tokenizer.json").read_bytes()
    (folder / "tokenizer.json").unlink()
    assert_same(load_pair(folder), clip)  # vocab.json and merges.txt alone
    (folder / "vocab.json").unlink()
    (folder / "merges.txt").unlink()
    (folder / "tokenizer.json").write_bytes(kept)
    assert_same(load_pair(folder), clip)  # tokenizer.json alone


@pytest.mark.parametrize(
    "settings",
    [
        {"crop_size": 32, "size": 32, "feature_extractor_type": "CLIPFeatureExtractor"},
        {"crop_size": {"height": 32, "width": 32}, "size": {"shortest_edge": 224}, "resample": "bicubic"},
        {"crop_size": [32, 32], "resample": "PILImageResampling.BICUBIC", "do_rescale": None, "rescale_factor": 1 / 255},
        {"crop_size": {"shortest_edge": 32}, "image_processor_type": "CLIPImageProcessorFast"},
        {"crop_size": None},
    ],
)
def test_sizes_in_every_form(tmp_path, clip, settings):
    folder = write_clip(tmp_path)
    change(folder, "preprocessor_config.json", **settings)
    assert_same(load_pair(folder), clip)
    assert_same(load_pair(save_as_5(folder)), clip)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop_size": {"height": 32, "width": 48}}, r"asks for crop_size \[32, 48\]"),
        ({"crop_size": 64}, r"asks for crop_size \[64, 64\].*it needs \[32, 32\]"),
        ({"resample": "lanczos"}, "asks for resample lanczos"),
        ({"do_rescale": False}, "asks for do_rescale False"),
        ({"image_mean": 0.5}, "has image_mean 0.5; it must be three numbers"),
        ({"rescale_factor": "x"}, "asks for rescale_factor x"),
    ],
)
def test_preprocessing_that_is_not_done_is_refused_in_both_files(tmp_path, settings, message):
    folder = write_clip(tmp_path)
    change(folder, "preprocessor_config.json", **settings)
    with pytest.raises(InputError, match=message):
        load_image(folder)
    with pytest.raises(InputError, match=message):
        load_image(save_as_5(folder))


def test_missing_and_contradictory_preprocessing(tmp_path):
    folder = write_clip(tmp_path)
    change(folder, "preprocessor_config.json")
    (folder / "processor_config.json").write_text('{"processor_class": "CLIPProcessor"}')  # as transformers 4 saves it
    load_image(folder)
    (folder / "processor_config.json").write_text('{"image_processor": {"image_mean": [0, 0, 0]}}')
    with pytest.raises(InputError, match=r"differ: image_mean is \[0.5, 0.4, 0.3\] and \[0, 0, 0\]"):
        load_image(folder)
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text('{"image_processor": null}')
    with pytest.raises(
        InputError, match=r"has no preprocessor_config.json and no processor_config.json .*found there: config.json, merges.txt"
    ):
        load_image(folder)
    (folder / "processor_config.json").write_text("[]")
    with pytest.raises(InputError, match=r"processor_config.json is no JSON object"):
        load_image(folder)


def test_blip_and_bert_folders_of_transformers_5(tmp_path, bert_folder):
    old = write_blip(tmp_path / "blip4")
    new = save_as_5(write_blip(tmp_path / "blip5"), tokenizer_class="TokenizersBackend")
    for (_, text), (image, other) in [(load_pair(old), load_pair(new))]:
        assert image.passport["mean"] == [0.5, 0.4, 0.3]
        np.testing.assert_array_equal(text.tokenize(["ab c"]).input_ids, other.tokenize(["ab c"]).input_ids)
    (tmp_path / "bert5").mkdir()
    folder = write_bert(tmp_path / "bert5")
    (folder / "preprocessor_config.json").write_text("{}")
    save_as_5(folder, tokenizer_class="TokenizersBackend", extra_special_tokens=["[MASK]"])
    (folder / "modules.json").write_text("[]")  # as sentence-transformers saves it
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    ids = [load_text(place).tokenize(["ab c"]).input_ids for place in (folder, bert_folder)]
    np.testing.assert_array_equal(*ids)


def test_another_pooling_of_sentence_transformers_is_logged(tmp_path, caplog):
    folder = write_bert(tmp_path)
    (folder / "1_Pooling").mkdir()
    pooling = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    load_text(folder)
    assert "pools by pooling_mode_cls_token" in caplog.text


@pytest.mark.parametrize("has_prefix", [True, False])
@pytest.mark.parametrize("kind", ["clip_vision_model", "clip_text_model"])
def test_one_tower_saved_alone(tmp_path, clip, kind, has_prefix):
    part, projection, tower = {
        "clip_vision_model": ("vision_model", "visual_projection", "image"),
        "clip_text_model": ("text_model", "text_projection", "text"),
    }[kind]
    folder = write_clip(tmp_path)
    config = read(folder, "config.json")
    half = {**config[part.replace("_model", "_config")], "model_type": kind, "projection_dim": 24}
    (folder / "config.json").write_text(json.dumps(half))
    write_weights(folder, {name: clip_params()[name] for name in (part, projection)}, form="pytorch")
    if not has_prefix:
        arrays = {name.removeprefix(f"{part}."): array for name, array in load_file(folder / "model.safetensors").items()}
        save_file(arrays, folder / "model.safetensors")
    load = load_image if tower == "image" else load_text
    found = load(folder)
    assert found.passport["weights_sha256"] == clip[0][tower == "text"].passport["weights_sha256"]
    other = "text" if tower == "image" else "image"
    with pytest.raises(
        InputError, match=rf"encoders.{other}: .* is a '{kind}' model, which has the {tower} tower of a CLIP alone"
    ):
        load_pair(folder)
    arrays = {name: array for name, array in load_file(folder / "model.safetensors").items() if projection not in name}
    save_file(arrays, folder / "model.safetensors")  # CLIPVisionModel without its projection
    with pytest.raises(InputError, match=rf"lacks 1 of the {tower} tower's .*{projection}/kernel.*allow_random"):
        load(folder)


def touch(*names):
    def make(folder):
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"x")

    return make


def below(*places):
    def make(folder):
        for place in places:
            write_clip(folder / place)

    return make


def hub_cache(folder):
    below("snapshots/aaa", "snapshots/bbb")(folder)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("bbb\n")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (touch(), "has no config.json; .*the folder is empty"),
        (touch("README.md", "vocab.json"), "has no config.json; .*found there: README.md, vocab.json"),
        (touch("open_clip_config.json", "open_clip_pytorch_model.bin"), "files are those of open_clip"),
        (touch("onnx/x", "model.onnx"), "an ONNX export, which is not read"),
        (touch("model.keras"), "weights of Keras or TensorFlow, which are not read"),
        (below("clip"), "holds checkpoints in folders below it; name one of them: .*/clip"),
        (below("0_Transformer"), "name one of them: .*/0_Transformer"),
        (hub_cache, "name one of them: .*/snapshots/bbb, .*/snapshots/aaa"),
        (below("models--openai--clip/snapshots/ccc"), "name one of them: .*/models--openai--clip/snapshots/ccc"),
    ],
)
def test_what_is_no_checkpoint_is_refused_with_what_it_is(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(InputError, match=message):
        load_pair(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["config.json", "model.safetensors", "preprocessor_config.json", "vocab.json", "merges.txt", "tokenizer_config.json"],
)
def test_git_lfs_pointers_are_named(tmp_path, name):
    folder = write_clip(tmp_path)
    (folder / name).write_bytes(POINTER)
    with pytest.raises(InputError, match=rf"encoders.*{name} is a Git LFS pointer.*git lfs pull"):
        load_pair(folder)


def test_shards_that_are_absent_or_pointers(tmp_path):
    folder = write_blip(tmp_path, shards=2)
    (folder / "model-00002-of-00002.safetensors").write_bytes(POINTER)
    with pytest.raises(InputError, match=r"model-00002-of-00002.safetensors is a Git LFS pointer"):
        load_pair(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(InputError, match=r"names model-00002-of-00002.safetensors, which is not there"):
        load_pair(folder)


def test_other_weights_and_files_are_named(tmp_path):
    folder = write_clip(tmp_path)
    (folder / "model.safetensors").rename(folder / "open_clip_model.safetensors")
    with pytest.raises(InputError, match=r"has no weights; needed: model.safetensors .*open_clip"):
        load_pair(folder)
    (folder / "open_clip_model.safetensors").rename(folder / "tf_model.h5")
    with pytest.raises(InputError, match=r"has no weights.*Keras or TensorFlow"):
        load_pair(folder)
    with pytest.raises(InputError, match=r"tf_model.h5' is a file; give the folder.*keras:NAME"):
        load_pair(folder / "tf_model.h5")
    (folder / "tf_model.h5").unlink()
    with pytest.raises(InputError, match=r"has no weights.*found there: config.json, merges.txt"):
        load_pair(folder)


@pytest.mark.parametrize("content", ["[]", "null", '{"model_type": "clip", "vision_config": 1}', '{"model_type": ["clip"]}'])
def test_a_config_of_the_wrong_kind(tmp_path, content):
    folder = write_clip(tmp_path)
    (folder / "config.json").write_text(content)
    with pytest.raises(InputError, match=r"config.json|is a model of the type \['clip'\]"):
        load_pair(folder)


def test_a_tokenizer_that_is_absent_is_named_with_what_is_there(tmp_path):
    folder = write_clip(tmp_path)
    (folder / "merges.txt").unlink()
    with pytest.raises(InputError, match=r"needed: tokenizer.json, or vocab.json with merges.txt.*found there: .*vocab.json"):
        load_tokenizer(folder)
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="has no tokenizer that can be loaded"):
        load_tokenizer(folder)
