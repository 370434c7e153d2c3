"""Each choice of a config has something behind it, and a name without is an error, never another choice."""

import dataclasses
import types

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from small_training import TRAIN

from configs import base
from posterfusion_jax.config import choices, validation
from posterfusion_jax.config import run as config
from posterfusion_jax.config.choices import CONTROLS, CROSS_ATTENTION, GATE_INPUTS, POOLING, TEXTS, TOKEN_FUSION
from posterfusion_jax.config.registries import HEADS
from posterfusion_jax.config.sections import RunConfig, make_section
from posterfusion_jax.datasets.imdb_posters import paths
from posterfusion_jax.datasets.imdb_posters.options import BuildOptions
from posterfusion_jax.datasets.imdb_posters.prepare import _make_split, drops_film
from posterfusion_jax.encoders import long_text
from posterfusion_jax.encoders.finetune import WHICH, trainable
from posterfusion_jax.encoders.long_text import chunk_token_ids, merge_chunks
from posterfusion_jax.encoders.preprocess import resize_poster
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.scoring import Scores
from posterfusion_jax.input_pipeline import ablations
from posterfusion_jax.input_pipeline.ablations import ablate_text
from posterfusion_jax.input_pipeline.sources import BatchSource
from posterfusion_jax.losses.asymmetric import make_loss
from posterfusion_jax.losses.presets import LOSS_PRESETS
from posterfusion_jax.models.classifier import FineTuning, on_features, on_posters
from posterfusion_jax.models.registry import make_head
from posterfusion_jax.ocr.engines.base import ENGINES, make_engine
from posterfusion_jax.ocr.options import REREAD
from posterfusion_jax.ocr.plan import next_attempt
from posterfusion_jax.ocr.text.line_filters import ORDERS, LineFilters
from posterfusion_jax.pipeline.evaluate import _ablated_sources
from posterfusion_jax.train.early_stopping import EarlyStopping, summarize_epoch
from posterfusion_jax.train.step import make_optimizer
from posterfusion_jax.utils.choose import choose
from posterfusion_jax.utils.rng import key_for

NEW = "listed_but_not_wired"


def model_section(**changes):
    model = base.get_config().model
    model.dim, model.heads, model.ffn, model.smsam_layers = 8, 2, (8,), 1
    for field, value in changes.items():
        model[field] = value
    return model


def run_head(**changes):
    head = make_head(model_section(**changes), labels=13, image_width=8, text_width=8)
    classifier = on_features(head, image_width=8, text_width=8, level="tokens")
    values, mask = np.random.default_rng(0).normal(size=(2, 3, 8)).astype(np.float32), np.ones((2, 3), bool)
    batch = {"image": values, "image_mask": mask, "text": values[:, ::-1], "text_mask": mask}
    return np.asarray(classifier.forward(classifier.init(key_for(0, "parameters")), batch))


def pairwise_different(arrays):
    arrays = list(arrays)
    return all(a.shape != b.shape or not np.allclose(a, b) for i, a in enumerate(arrays) for b in arrays[:i])


def test_each_head_is_another_one():
    made = {name: make_head(model_section(name=name), labels=13, image_width=8, text_width=8) for name in HEADS.names}
    assert len({repr(head) for head in made.values()}) == len(HEADS.names)
    names = {name: type(head).__name__ for name, head in made.items()}
    assert names == {
        "fusion": "PosterFusion",
        "addition": "Addition",
        "concatenation": "Concatenation",
        "image_only": "ImageOnly",
        "text_only": "TextOnly",
        "gmu": "Gmu",
        "centralnet": "CentralNet",
        "linear_probe": "LinearProbe",
        "linear_probe_image": "LinearProbe",
        "zero_shot": "ZeroShot",
    }


@pytest.mark.parametrize(
    ("field", "values", "others"),
    [
        ("cross_attention", CROSS_ATTENTION, {}),
        ("token_fusion", TOKEN_FUSION, {}),
        ("pooling", POOLING, {}),
        ("gmu_gate", GATE_INPUTS, {"name": "gmu"}),
    ],
)
def test_each_choice_of_a_head_computes_something_else(field, values, others, monkeypatch):
    assert pairwise_different(run_head(**others, **{field: value}) for value in values)
    monkeypatch.setitem(validation._CHOICES, f"model.{field}", (*values, NEW))
    with pytest.raises(InputError, match=f"model.{field}='{NEW}'"):
        run_head(**others, **{field: NEW})


def posters_classifier(**changes):
    head = make_head(model_section(), labels=13, image_width=8, text_width=8)
    return on_posters(head, None, None, level="pooled", image_grid=0, tuning=FineTuning(**changes))


class NoRecords:
    def find(self, *_, **__):
        return None

    newest = find


def monitored(monitor):
    scored = Scores(np.full((26, 13), 0.4, np.float32), 0.75)
    labels = np.concatenate([np.eye(13), 1 - np.eye(13)]).astype(np.uint8)
    return summarize_epoch(1, EarlyStopping(), np.ones(1, np.float32), scored, labels, monitor=monitor, seconds=0.0).rank


def scheduled(schedule):
    train = dataclasses.replace(TRAIN, schedule=schedule)
    return make_optimizer(train, lambda params: "head", steps_per_epoch=5).init({"w": np.zeros((2, 2), np.float32)})


FILM_SOURCE = BatchSource(["tt1", "tt2"], ["tt1", "tt2"], np.zeros((2, 13), np.uint8), lambda rows: {})


def engine_options(engine, monkeypatch):
    section = base.get_config()
    section.ocr.engine, section.data.posters_dir = engine, "/x"
    return config.resolve(section, "/w").ocr_engine.options


POOLED = jnp.zeros((2, 3)), jnp.ones(2, bool)

# field -> its choices, and a call that uses one
CALLS = {
    "model.name": (HEADS.names, lambda value, _: make_head(model_section(name=value), labels=13, image_width=8, text_width=8)),
    "loss.preset": (tuple(LOSS_PRESETS), lambda value, _: make_loss(value)),
    "train.monitor": (("loss", "f1_macro"), lambda value, _: monitored(value)),
    "train.schedule": (("constant", "cosine"), lambda value, _: scheduled(value)),
    "train.fine_tune": (WHICH[:2], lambda value, _: trainable({"a": np.zeros(2)}, which=value)),
    "encoders.resize": (
        ("crop", "squash", "pad"),
        lambda value, _: resize_poster(Image.new("RGB", (9, 12)), size=4, how=value),
    ),
    "encoders.long_text": (
        long_text.POLICIES,
        lambda value, _: chunk_token_ids([[1, 2, 3, 4]], begin=5, end=6, pad=0, max_tokens=4, long_text=value, max_chunks=2),
    ),
    "features.level": (
        ("pooled", "tokens"),
        lambda value, _: merge_chunks(
            *((jnp.zeros((2, 3, 4)), jnp.ones((2, 3), bool)) if value == "tokens" else POOLED),
            chunks=1,
            level=value,
            long_text="truncate",
        ),
    ),
    "data.text_control": (TEXTS, lambda value, _: ablate_text(FILM_SOURCE, value)),
    "data.other_genres": (paths.OTHER_GENRES, lambda value, _: drops_film(value)),
    "data.split_by": (("film", "group", "poster"), lambda value, _: _make_split([], BuildOptions(split_by=value), ())),
    "data.text_rules.order": (ORDERS, lambda value, _: LineFilters(order=value).active),
    "ocr.reread": (
        REREAD,
        lambda value, _: next_attempt(NoRecords(), "0" * 64, engine_name="x", version=None, retry=(), reread=value),
    ),
}


@pytest.mark.parametrize("field", CALLS)
def test_a_name_without_anything_behind_it_is_an_error(field, monkeypatch, unchecked_shapes):
    values, call = CALLS[field]
    if field in validation._CHOICES:
        assert set(values) <= set(validation._CHOICES[field])
        monkeypatch.setitem(validation._CHOICES, field, (*validation._CHOICES[field], NEW))
    for module, name in (
        *((long_text, "POLICIES"), (ablations, "TEXTS"), (paths, "OTHER_GENRES"), (paths, "SPLIT_BY")),
        ("posterfusion_jax.encoders.finetune.WHICH", None),
        ("posterfusion_jax.ocr.text.line_filters.ORDERS", None),
    ):
        if name is None:
            path, _, name = module.rpartition(".")
            module = __import__(path, fromlist=[name])
        monkeypatch.setattr(module, name, (*getattr(module, name), NEW))
    with pytest.raises(InputError, match=NEW):
        call(NEW, monkeypatch)


@pytest.mark.parametrize("field", [field for field in CALLS if field not in ("data.split_by", "data.other_genres")])
def test_each_name_that_is_listed_is_wired(field, monkeypatch):
    values, call = CALLS[field]
    for value in values:
        call(value, monkeypatch)


def test_the_lists_are_those_that_this_test_knows():
    known = {
        *CALLS,
        *(f"model.{field}" for field in ("cross_attention", "token_fusion", "pooling", "gmu_gate", "missing_text")),
        *("ocr.engine", "encoders.dtype", "features.dtype"),
        *(
            "ocr.gemini.safety",
            "ocr.gemini.thinking",
            "ocr.gemini.media_resolution",
            "ocr.tesseract.psm",
        ),  # passed on as they are
    }
    assert set(validation._CHOICES) <= known, "a new choice: show here that it is wired"


def test_missing_text_and_engine(tiny_run, tmp_path):
    assert set(choices.MISSING_TEXT) == set(validation._CHOICES["model.missing_text"])
    with pytest.raises(InputError, match=f"model.missing_text='{NEW}'"):
        choose("model.missing_text", NEW, choices.MISSING_TEXT)
    run = tiny_run(tmp_path, tmp_path, tmp_path)
    changed = config.from_json(config.to_json(run.config))

    def changed_run():
        return config.Run(make_section(RunConfig, changed.to_dict()), run.paths, live=False)

    changed.ocr.engine = NEW
    with pytest.raises(InputError, match=f"ocr.engine='{NEW}'"):
        _ = changed_run().ocr_engine
    changed.evaluate.controls = (NEW,)
    with pytest.raises(InputError, match=f"evaluate.controls='{NEW}'"):
        _ablated_sources(types.SimpleNamespace(run=changed_run()), "test", lambda: np.zeros(1))
    assert set(validation._SUBSETS["evaluate.controls"]) == set(CONTROLS)


@pytest.mark.parametrize("engine", ENGINES)
def test_each_engine_has_options(engine, monkeypatch):
    assert isinstance(engine_options(engine, monkeypatch), dict)


def test_an_engine_without_a_class_is_an_error():
    with pytest.raises(InputError, match=NEW):
        make_engine(NEW)


def test_a_tower_that_is_none_cannot_be_trained():
    with pytest.raises(InputError, match=f"train.fine_tune_towers='{NEW}'"):
        posters_classifier(which="all", towers=("image", NEW))
