"""The allowed values of config fields, each by itself and in combination. Their types: config/schema.py."""

import difflib
from typing import Any

from posterfusion_jax.config.choices import (
    CONTROLS,
    CROSS_ATTENTION,
    GATE_INPUTS,
    GENRE,
    POOLING,
    SCRATCH,
    TEXTS,
    TOKEN_FUSION,
    WITHOUT_TITLE,
    WORD2VEC,
    ZERO_SHOT,
)
from posterfusion_jax.config.data_rules import check_data
from posterfusion_jax.config.registries import HEADS
from posterfusion_jax.datasets.imdb_posters.paths import OTHER_GENRES, SPLIT_BY, SPLITS
from posterfusion_jax.errors import InputError
from posterfusion_jax.losses.presets import LOSSES, check_no_parameters, is_custom_loss, loss_parameters
from posterfusion_jax.metrics.registry import METRICS
from posterfusion_jax.ocr.engines.base import ENGINES, OCR_ENGINES
from posterfusion_jax.ocr.engines.gemini_options import RESOLUTIONS, SAFETY, THINKING
from posterfusion_jax.ocr.engines.tesseract import PAGE_MODES
from posterfusion_jax.ocr.options import REREAD

_CHOICES = {
    "data.split_by": SPLIT_BY,
    "data.text_control": (*TEXTS, WITHOUT_TITLE),
    "data.other_genres": OTHER_GENRES,
    "ocr.reread": REREAD,
    "ocr.gemini.safety": SAFETY,
    "ocr.gemini.thinking": THINKING,
    "ocr.gemini.media_resolution": RESOLUTIONS,
    "ocr.tesseract.psm": PAGE_MODES,
    "encoders.resize": ("crop", "squash", "pad"),
    "encoders.long_text": ("truncate", "head_tail", "chunk_mean", "chunk_tokens"),
    "encoders.dtype": ("float32", "bfloat16"),
    "features.level": ("pooled", "tokens"),
    "features.dtype": ("float32", "float16"),
    "model.cross_attention": CROSS_ATTENTION,
    "model.token_fusion": TOKEN_FUSION,
    "model.pooling": POOLING,
    "model.gmu_gate": GATE_INPUTS,
    "model.missing_text": ("learned", "encode"),
    "train.monitor": ("loss", "f1_macro"),
    "train.schedule": ("constant", "cosine"),
    "train.fine_tune": ("none", "all", "last_n"),
}
_REGISTRIES = (HEADS, LOSSES, OCR_ENGINES)  # their names, or the user's own parts
_SUBSETS = {
    "encoders.allow_random": ("image", "text"),
    "train.fine_tune_towers": ("image", "text"),
    "evaluate.splits": SPLITS,
    "evaluate.controls": CONTROLS,
    "ocr.retry": ("error", "blocked", "recitation", "max_tokens", "empty"),
}
_AT_LEAST = {
    "seed": 0,
    "data.split_seed": 0,
    "data.folds": 0,
    "data.fold": 0,
    "data.label_min_posters": 0,
    "data.drawn_films": 10,
    "data.drawn_width": 120,
    "data.drawn_seed": 0,
    "ocr.workers": 0,
    "ocr.min_side": 32,
    "ocr.limits.concurrency": 1,
    "ocr.limits.requests_per_minute": 0,
    "ocr.limits.tokens_per_minute": 0,
    "ocr.limits.tries": 1,
    "ocr.limits.budget": 0,
    "ocr.limits.max_requests": 0,
    "ocr.batch.posters": 1,
    "ocr.batch.poll": 0,
    "ocr.gemini.max_side": 0,
    "ocr.gemini.max_output_tokens": 1,
    "ocr.gemini.input_price": 0,
    "ocr.gemini.output_price": 0,
    "ocr.tesseract.min_side": 32,
    "encoders.max_text_tokens": 3,
    "encoders.max_chunks": 1,
    "encoders.scratch.vocabulary": 300,
    "encoders.scratch.image_size": 1,
    "encoders.scratch.patch_size": 1,
    "encoders.scratch.width": 1,
    "encoders.scratch.heads": 1,
    "encoders.scratch.image_layers": 1,
    "encoders.scratch.text_layers": 1,
    "encoders.scratch.projection": 1,
    "features.image_grid": 0,
    "features.batch_size": 1,
    "model.dim": 1,
    "model.heads": 1,
    "model.smsam_layers": 0,
    "model.align": 0,
    "model.text_lstm": 0,
    "train.batch_size": 1,
    "train.max_epochs": 1,
    "train.patience": 1,
    "train.weight_decay": 0,
    "train.fine_tune_layers": 1,
    "train.augment_shift": 0,
    "train.resident_gib": 0,
    "train.loader_threads": 1,
    "train.eval_batch_size": 1,
    "evaluate.bootstrap": 100,
}
_POSITIVE = ("ocr.gemini.timeout", "train.learning_rate", "train.encoder_learning_rate", "train.epsilon")


def check_values(flat: dict[str, Any]) -> None:
    """Check all fields but the rules of texts, which check themselves.

    Args:
      flat: "section.field" -> value, of the types of config/defaults.py.

    Raises:
      InputError: a value that is not allowed, by itself or together with another field.
    """
    for field, allowed in _CHOICES.items():
        if flat[field] not in allowed:
            names = tuple(map(str, allowed))
            raise InputError(f"{field}={flat[field]!r} is not one of {', '.join(names)}.{_nearest(flat[field], names)}")
    for registry in _REGISTRIES:
        if flat[registry.field] not in registry:
            raise InputError(registry.describe_unknown(flat[registry.field]))
    for field, allowed in _SUBSETS.items():
        for value in flat[field]:
            if value not in allowed:
                raise InputError(f"{field} has {value!r}; allowed are {', '.join(allowed)}.{_nearest(value, allowed)}")
    for field, least in _AT_LEAST.items():
        if flat[field] is not None and flat[field] < least:
            raise InputError(f"{field}={flat[field]!r} must be at least {least}.")
    for field in _POSITIVE:
        if not flat[field] > 0:
            raise InputError(f"{field}={flat[field]!r} must be above 0.")
    _check_combinations(flat)


def _check_combinations(flat: dict[str, Any]) -> None:
    check_data(flat)
    if flat["ocr.batch.use"] and flat["ocr.engine"] != "gemini":
        raise InputError(f"ocr.batch.use=True is for ocr.engine='gemini', not for {flat['ocr.engine']!r}.")
    temperatures = flat["ocr.gemini.temperatures"]
    if not temperatures or not all(0 <= temperature <= 2 for temperature in temperatures):
        raise InputError(f"ocr.gemini.temperatures={temperatures!r} must hold numbers from 0 to 2, at least one.")
    if flat["ocr.limits.budget"] and not (flat["ocr.gemini.input_price"] and flat["ocr.gemini.output_price"]):
        raise InputError("ocr.limits.budget needs ocr.gemini.input_price and ocr.gemini.output_price to reckon with.")
    if flat["model.dim"] % flat["model.heads"]:
        raise InputError(f"model.dim={flat['model.dim']} must be a multiple of model.heads={flat['model.heads']}.")
    readers = tuple(engine for engine in ENGINES if engine != "none")
    for value in flat["ocr.prefer"]:
        if value.partition("@")[0] not in readers:
            raise InputError(
                f"ocr.prefer has {value!r}; allowed are {', '.join(readers)}, and any of them with its version, as in "
                f"'{readers[0]}@1.0'.{_nearest(value, readers)}"
            )
    if not 0 <= flat["model.dropout"] < 1:
        raise InputError(f"model.dropout={flat['model.dropout']!r} must lie in [0, 1).")
    for field in ("train.beta1", "train.beta2"):
        if not 0 <= flat[field] < 1:
            raise InputError(f"{field}={flat[field]!r} must lie in [0, 1).")
    if min(flat["model.ffn"], default=1) < 1:
        raise InputError(f"model.ffn={flat['model.ffn']!r} must hold widths of at least 1.")
    if not flat["evaluate.splits"]:
        raise InputError("evaluate.splits is empty: name at least one of train, validation, test.")
    numbers = {name: flat[f"loss.{name}"] for name in ("gamma_pos", "gamma_neg", "margin")}
    check = check_no_parameters if is_custom_loss(flat["loss.preset"]) else loss_parameters
    check(flat["loss.preset"], **numbers)
    for name in flat["evaluate.metrics"]:
        if name not in METRICS:
            raise InputError(METRICS.describe_unknown(name))
    if not 0 <= flat["ocr.tesseract.min_confidence"] <= 1:
        raise InputError(f"ocr.tesseract.min_confidence={flat['ocr.tesseract.min_confidence']!r} must lie in [0, 1].")
    if not 0 < flat["evaluate.threshold"] < 1:
        raise InputError(f"evaluate.threshold={flat['evaluate.threshold']!r} must lie strictly between 0 and 1.")
    if flat["train.fine_tune"] != "none" and not flat["train.fine_tune_towers"]:
        raise InputError("train.fine_tune_towers is empty: name 'image', 'text' or both, or set train.fine_tune='none'.")
    scratch = (flat["encoders.image"] == SCRATCH, flat["encoders.text"] == SCRATCH)
    if any(scratch) and not all(scratch):
        raise InputError("encoders.image and encoders.text must both be 'scratch' or neither: it is one small CLIP.")
    if all(scratch) and (flat["train.fine_tune"] != "all" or set(flat["train.fine_tune_towers"]) != {"image", "text"}):
        raise InputError(
            "encoders 'scratch' start from random weights, so both must train: set train.fine_tune='all' and "
            "train.fine_tune_towers=('image', 'text') (or name pretrained encoders)."
        )
    for part, whole in (("patch_size", "image_size"), ("heads", "width")):
        small, large = flat[f"encoders.scratch.{part}"], flat[f"encoders.scratch.{whole}"]
        if all(scratch) and large % small:
            raise InputError(f"encoders.scratch.{part}={small} must divide encoders.scratch.{whole}={large}.")
    if not 0 <= flat["train.augment_drop_tokens"] < 1:
        raise InputError(f"train.augment_drop_tokens={flat['train.augment_drop_tokens']!r} must lie in [0, 1).")
    for field in ("train.augment_shift", "train.augment_drop_tokens"):
        if flat[field] and flat["train.fine_tune"] == "none":
            raise InputError(
                f"{field} changes the encoders' input, but train.fine_tune='none' reads cached features. Set it to 0."
            )
    if flat["encoders.text"].startswith(WORD2VEC):
        if flat["encoders.long_text"] != "truncate":
            raise InputError(
                f"encoders.long_text={flat['encoders.long_text']!r}: Word2Vec's texts are only cut. Set it to 'truncate'."
            )
        if flat["model.missing_text"] == "encode":
            raise InputError("model.missing_text='encode': Word2Vec has no code for the empty text. Set it to 'learned'.")
        if flat["train.fine_tune"] != "none" and "text" in flat["train.fine_tune_towers"]:
            raise InputError("Word2Vec's vectors do not train: take 'text' out of train.fine_tune_towers.")
    if flat["features.level"] == "tokens" and flat["encoders.long_text"] == "chunk_mean":
        raise InputError(
            "encoders.long_text='chunk_mean' averages pooled vectors; with features.level='tokens' use 'chunk_tokens'."
        )
    if flat["model.text_lstm"] and flat["features.level"] != "tokens":
        raise InputError(f"model.text_lstm={flat['model.text_lstm']} reads the text's tokens: set features.level='tokens'.")
    if flat["model.text_lstm"] and flat["model.name"] == "fusion":
        raise InputError(
            "model.text_lstm is not for model.name='fusion', whose attention reads the text's tokens itself. Set it to 0."
        )
    if flat["features.level"] == "pooled" and flat["encoders.long_text"] == "chunk_tokens":
        raise InputError("encoders.long_text='chunk_tokens' needs features.level='tokens'; with 'pooled' use 'chunk_mean'.")
    if flat["model.name"] == ZERO_SHOT:
        _check_zero_shot(flat)


def _check_zero_shot(flat: dict[str, Any]) -> None:
    if flat["train.fine_tune"] != "none":
        raise InputError(
            f"model.name='zero_shot' trains nothing, but train.fine_tune={flat['train.fine_tune']!r} trains the encoders. "
            "Set it to 'none', or choose another head."
        )
    if flat["encoders.image"] != flat["encoders.text"]:
        raise InputError(
            f"encoders.image={flat['encoders.image']!r} and encoders.text={flat['encoders.text']!r} must be the same for "
            "model.name='zero_shot': it compares pictures with prompts in the space of one CLIP, with both its towers."
        )
    if flat["features.level"] != "pooled":
        raise InputError("model.name='zero_shot' compares pooled features, as CLIP does: set features.level='pooled'.")
    prompts, neutral = flat["model.zero_shot_prompts"], flat["model.zero_shot_neutral"]
    if not prompts or not all(GENRE in prompt for prompt in prompts):
        raise InputError(f"model.zero_shot_prompts={prompts!r} must hold at least one template, and {GENRE} in each of them.")
    if not neutral or not all(prompt.strip() and GENRE not in prompt for prompt in neutral):
        raise InputError(f"model.zero_shot_neutral={neutral!r} must hold at least one prompt, none empty or with {GENRE}.")


def _nearest(value: Any, allowed: tuple[str, ...]) -> str:
    match = difflib.get_close_matches(str(value), allowed, n=1)
    return f" Did you mean {match[0]!r}?" if match else ""
