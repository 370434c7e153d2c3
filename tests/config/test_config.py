"""Every config file resolves, builds and traces; what is not allowed is refused with the field, the value and the fix."""

import ast
import functools
import importlib
import json
import pathlib

import jax
import jax.numpy as jnp
import pytest

from posterfusion_jax.config import defaults
from posterfusion_jax.config.run import check_same_run, complete, flatten, from_json, resolve, to_json
from posterfusion_jax.config.run import load as load_file
from posterfusion_jax.configs import tables
from posterfusion_jax.encoders.clip import scratch_clip
from posterfusion_jax.encoders.options import EncoderOptions
from posterfusion_jax.encoders.tokenizer import train_tokenizer
from posterfusion_jax.errors import InputError
from posterfusion_jax.losses.asymmetric import make_loss
from posterfusion_jax.models.classifier import FineTuning, on_features, on_posters
from posterfusion_jax.models.registry import make_head
from posterfusion_jax.train.step import init_state, make_optimizer, make_train_step

FILES = sorted(path.stem for path in (pathlib.Path(__file__).parents[2] / "configs").glob("*.py"))
CONFIGS = [name for name in FILES if name != "tables"] + [f"tables:{system}" for system in tables.SYSTEMS]
WIDTHS = {
    **{"openai/clip-vit-base-patch32": 512, "weights/clip-vit-b16": 512, "weights/minilm": 384},
    **{"Salesforce/blip-itm-base-coco": 256, tables.SOURCES["word2vec"]: 300},
    **{"keras:MobileNetV2": 1280, "keras:VGG19": 512, "keras:InceptionV3": 2048, "keras:ResNet50V2": 2048},
    **{"keras:DenseNet121": 1024, "keras:EfficientNetV2B2": 1408},
}
BATCH = 4


def load(name):
    file, _, system = name.partition(":")
    config = importlib.import_module(f"posterfusion_jax.configs.{file}").get_config(*([system] if system else []))
    if config.data.source == "folder":
        config.data.posters_dir = "posters"
    return config


def features_of(run):
    image, text = WIDTHS[run.config.encoders.image], WIDTHS[run.config.encoders.text]
    tokens = run.config.features.level == "tokens"
    grid = run.config.features.image_grid or 7
    l_i, l_t = ((1 + grid**2,), (40,)) if tokens else ((), ())
    batch = {
        "image": jnp.zeros((BATCH, *l_i, image)),
        "image_mask": jnp.ones((BATCH, *l_i), bool),
        "text": jnp.zeros((BATCH, *l_t, text)),
        "text_mask": jnp.ones((BATCH, *l_t), bool),
    }
    head = make_head(run.config.model, labels=13, image_width=image, text_width=text)
    return on_features(head, image_width=image, text_width=text, level=run.config.features.level), batch


def posters_of(run, folder):
    scratch = run.config.encoders.scratch
    max_tokens = run.config.encoders.max_text_tokens
    tokenizer = train_tokenizer(["some words here"], folder, vocab_size=scratch.vocabulary, max_tokens=max_tokens)
    image, text = scratch_clip(scratch, tokenizer, EncoderOptions(max_text_tokens=max_tokens))
    tokens = text.tokenize(["a"] * BATCH)
    batch = {
        "images": jnp.zeros((BATCH, image.image_size, image.image_size, 3), jnp.uint8),
        "input_ids": tokens.input_ids,
        "attention_mask": tokens.attention_mask,
        "use_text": jnp.ones(BATCH, bool),
    }
    head = make_head(run.config.model, labels=13, image_width=image.width, text_width=text.width)
    options = {"level": run.config.features.level, "image_grid": run.config.features.image_grid}
    return on_posters(head, image, text, **options, tuning=FineTuning("all", ("image", "text"))), batch


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_resolves_builds_and_traces(name, tmp_path):
    run = resolve(load(name), tmp_path)
    classifier, batch = posters_of(run, tmp_path) if run.live else features_of(run)
    optimizer = make_optimizer(run.config.train, classifier.groups, steps_per_epoch=10)
    loss = make_loss(run.config.loss.preset)
    state = jax.eval_shape(lambda: init_state(classifier, optimizer, seed=0))
    step = jax.jit(functools.partial(make_train_step(classifier, optimizer, loss), seed=0))
    after, value = jax.eval_shape(step, state, batch, jnp.zeros((BATCH, 13), jnp.uint8), jnp.ones(BATCH))
    assert value.shape == ()
    assert jax.tree.structure(after) == jax.tree.structure(state)


def test_every_row_of_the_papers_tables_has_a_system():
    printed = json.loads((pathlib.Path(__file__).parents[2] / "data" / "paper_tables.json").read_text())
    for table in ("table_i", "table_ii", "table_iii"):
        assert list(tables.TABLES[table]) == list(printed[table])
    assert {system for rows in tables.TABLES.values() for system in rows.values()} == set(tables.SYSTEMS)


def test_system_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"no system 'gum'; there are .*gmu"):
        tables.get_config("gum")


def test_config_from_its_file_and_what_is_wrong_with_it():
    folder = pathlib.Path(tables.__file__).parent
    config = load_file(f"{folder}/tables.py:gmu", ["--config.train.batch_size=8"])
    assert (config.model.name, config.train.batch_size) == ("gmu", 8)
    for file, override, message in (
        (f"{folder}/papr.py", "--config.seed=1", "papr.py"),
        (f"{folder}/tables.py:gum", "--config.seed=1", "no system 'gum'"),
        (f"{folder}/paper.py", "--config.train.batch_sise=8", "batch_size"),
        (f"{folder}/paper.py", "--train.batch_size=8", "train.batch_size"),
        (f"{folder}/paper.py", "train.batch_size=8", "not of the form"),
    ):
        with pytest.raises(InputError, match=message):
            load_file(file, [override])


def test_paper_is_the_letter_of_the_paper():
    flat = flatten(load("paper").to_dict())
    expected = {
        "features.level": "pooled",
        "model.smsam_layers": 4,
        "model.ffn": (512, 128),
        "model.out_projection": False,
        "model.block_mlp": False,
        "loss.preset": "asl",
        "train.learning_rate": 1e-4,
        "train.beta1": 0.9,
        "train.beta2": 0.999,
        "train.epsilon": 1e-8,
        "train.batch_size": 32,
        "train.max_epochs": 100,
        "train.patience": 10,
        "data.split_fractions": (0.8, 0.1, 0.1),
        "evaluate.threshold": 0.5,
        "train.fine_tune": "none",
    }
    assert {field: flat[field] for field in expected} == expected
    assert flatten(load("tokens").to_dict())["features.level"] == "tokens"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "data.split_by",
            "films",
            "'films' is not one of film, group, poster, file, year, column. Did you mean 'film'",
        ),
        ("model.name", "fuson", "Did you mean 'fusion'"),
        ("ocr.engine", "gogle", "ocr.engine='gogle' is not a known OCR engine"),
        ("ocr.prefer", ("rapidocr@3.10.0", "rapidoc"), r"ocr.prefer has 'rapidoc'; allowed are rapidocr.*mean 'rapidocr'"),
        ("ocr.prefer", ("none",), "ocr.prefer has 'none'"),
        ("model.dim", 100, "model.dim=100 must be a multiple of model.heads=8"),
        ("train.batch_size", 0, "train.batch_size=0 must be at least 1"),
        ("train.learning_rate", 0.0, "must be above 0"),
        ("model.dropout", 1.0, r"must lie in \[0, 1\)"),
        ("evaluate.threshold", 1.5, "strictly between 0 and 1"),
        ("data.split_fractions", (0.8, 0.1, 0.2), "add up to 1"),
        ("data.posters_dir", "", "--config.data.posters_dir=DIR"),
        ("data.split_by", "file", "needs data.split_file"),
        ("encoders.image", "scratch", "must both be 'scratch'"),
        ("encoders.allow_random", ("txt",), "encoders.allow_random has 'txt'; allowed are image, text. Did you mean 'text'"),
        ("evaluate.splits", ("dev",), "evaluate.splits has 'dev'"),
        ("encoders.long_text", "chunk_tokens", "needs features.level='tokens'"),
        ("model.text_lstm", 256, "set features.level='tokens'"),
        ("model.gmu_gate", "row", r"Did you mean 'raw'\?"),
        ("train.augment_drop_tokens", 0.5, "reads cached features"),
        ("data.text_rules.order", "boxs", r"data.text_rules.order='boxs': allowed are engine, boxes"),
        ("data.text_rules.min_confidence", 60.0, r"data.text_rules.min_confidence=60.0 is not a fraction"),
        ("data.text_rules.credits_max_height", -0.5, "Give a number from 0 to 1"),
        ("data.text_rules.credits_min_lines", 0, "data.text_rules.credits_min_lines=0 must be at least 1"),
    ],
)
def test_what_is_not_allowed_is_named(field, value, message, tmp_path):
    config = load("paper")
    config.update_from_flattened_dict({field: value})
    with pytest.raises(InputError, match=message):
        resolve(config, tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train.fine_tune": "all"}, "trains nothing, but train.fine_tune='all'"),
        ({"encoders.text": "weights/minilm"}, r"encoders.text='weights/minilm' must be the same .* one CLIP"),
        ({"features.level": "tokens"}, "set features.level='pooled'"),
        ({"model.zero_shot_prompts": ()}, "at least one template"),
        ({"model.zero_shot_prompts": ("a {genre} film", "a {gerne} film")}, r"\{genre\} in each of them"),
        ({"model.zero_shot_neutral": ()}, "at least one prompt"),
        ({"model.zero_shot_neutral": ("a {genre} film",)}, r"none empty or with \{genre\}"),
        ({"model.zero_shot_neutral": (" ",)}, "none empty"),
    ],
)
def test_what_zero_shot_does_not_allow_is_named(changes, message, tmp_path):
    config = load("tables:zero_shot")
    resolve(config, tmp_path)
    config.update_from_flattened_dict(changes)
    with pytest.raises(InputError, match=message):
        resolve(config, tmp_path)


def test_prompts_can_be_given_on_the_command_line():
    file = f"{pathlib.Path(tables.__file__).parent}/tables.py:zero_shot"
    for given in ("('a {genre} poster',)", "('a {genre} poster', 'one of {genre}')"):
        config = load_file(file, [f"--config.model.zero_shot_prompts={given}"])
        assert config.model.zero_shot_prompts == ast.literal_eval(given)


def test_frozen_scratch_encoders_are_refused(tmp_path):
    config = load("quickstart")
    config.train.fine_tune = "none"
    with pytest.raises(InputError, match="random weights"):
        resolve(config, tmp_path)


def test_misspelt_field_in_a_config_file_names_the_nearest():
    with pytest.raises(AttributeError, match='Did you mean "learning_rate"'):
        defaults.get_config().train.lerning_rate = 1.0


def test_resolved_config_cannot_be_changed(tmp_path):
    run = resolve(load("paper"), tmp_path)
    with pytest.raises(AttributeError):
        run.config.seed = 3


def test_json_round_trip():
    config = load("quickstart")
    assert from_json(to_json(config)).to_dict() == config.to_dict()


def test_what_may_differ_between_starts_of_one_run(tmp_path):
    a, b = load("paper"), load("paper")
    b.data.posters_dir = "elsewhere"
    b.train.max_epochs = 200
    b.ocr.engine = "none"
    check_same_run(to_json(a), to_json(b), tmp_path)
    b.train.batch_size = 64
    with pytest.raises(InputError, match=r"train.batch_size: 64 there, 32 now"):
        check_same_run(to_json(a), to_json(b), tmp_path)


def test_a_checkpoint_of_before_a_field_existed_had_its_default(tmp_path):
    now = load("paper")
    saved = to_json(now)
    del saved["train"]["weight_decay"], saved["evaluate"]
    assert complete(saved, to_json(defaults.get_config())) == {
        **to_json(now),
        "evaluate": to_json(defaults.get_config())["evaluate"],
    }
    check_same_run(to_json(now), saved, tmp_path)
    now.train.weight_decay = 0.1
    with pytest.raises(InputError, match=r"train.weight_decay: 0.0 there, 0.1 now"):
        check_same_run(to_json(now), complete(saved, to_json(defaults.get_config())), tmp_path)


def test_paths_follow_from_the_workdir_unless_named(tmp_path):
    config = load("quickstart")
    paths = resolve(config, tmp_path).paths
    assert {paths.posters, paths.dataset, paths.features} == {tmp_path / "posters", tmp_path / "dataset", tmp_path / "features"}
    assert paths.records == tmp_path / "posters" / "ocr.jsonl"
    config.ocr.store = str(tmp_path / "mine.jsonl")
    assert resolve(config, tmp_path).paths.records == tmp_path / "mine.jsonl"


def test_the_quickstart_has_a_tiny_size():
    full, tiny = load_file("quickstart"), load_file("quickstart:tiny")
    assert full == load_file("quickstart:full")
    assert (tiny.data.drawn_films, tiny.train.max_epochs, tiny.train.fine_tune) == (40, 3, "all")
    with pytest.raises(InputError, match="'small' is not a size"):
        load_file("quickstart:small")
