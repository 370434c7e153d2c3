"""From a config to a run: validate every field, derive what follows from them, freeze. The only place for derivations."""

import dataclasses
import difflib
import json
import os
import pathlib
import warnings
from collections.abc import Sequence
from typing import Any, cast

from absl import flags
from ml_collections import ConfigDict, FrozenConfigDict, config_flags

from posterfusion_jax.choices import (
    CONTROLS,
    CROSS_ATTENTION,
    GATE_INPUTS,
    GENRE,
    HEADS,
    KERAS,
    POOLING,
    SCRATCH,
    TEXTS,
    TOKEN_FUSION,
    WITHOUT_TITLE,
    WORD2VEC,
    ZERO_SHOT,
)
from posterfusion_jax.config_types import check_types
from posterfusion_jax.errors import InputError
from posterfusion_jax.loss_presets import LOSS_PRESETS, loss_parameters
from posterfusion_jax.ocr.engines import ENGINES
from posterfusion_jax.ocr.gemini_engine import RESOLUTIONS, SAFETY, THINKING
from posterfusion_jax.ocr.plan import REREAD
from posterfusion_jax.ocr.rules import TextRules
from posterfusion_jax.ocr.tesseract_engine import PAGE_MODES
from posterfusion_jax.poster_folder import RECORDS_FILE

SPLITS = ("train", "validation", "test")
_CHOICES = {
    "data.source": ("folder", "synthetic"),
    "data.split_by": ("film", "poster", "file"),
    "data.text_control": (*TEXTS, WITHOUT_TITLE),
    "data.other_genres": ("drop_label", "drop_film"),
    "ocr.engine": ENGINES,
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
    "model.name": HEADS,
    "model.cross_attention": CROSS_ATTENTION,
    "model.token_fusion": TOKEN_FUSION,
    "model.pooling": POOLING,
    "model.gmu_gate": GATE_INPUTS,
    "model.missing_text": ("learned", "encode"),
    "loss.preset": tuple(LOSS_PRESETS),
    "train.monitor": ("loss", "f1_macro"),
    "train.schedule": ("constant", "cosine"),
    "train.fine_tune": ("none", "all", "last_n"),
}
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

# What may differ between the starts of one run: where things lie, how fast they are read, what is printed of them.
# Encoders are known by the hash of their weights, which every stage checks.
_FREE = ("data.posters_dir", "data.dataset_dir", "data.split_file", "features.dir", "features.batch_size")
_FREE_ENCODERS = ("encoders.image", "encoders.text")
_FOLDERS = ("data.posters_dir", "data.dataset_dir", "data.split_file", "ocr.store", "features.dir")
_FREE_SECTIONS = ("ocr", "evaluate")
_FREE_SPEED = ("train.loader_threads", "train.eval_batch_size")


@dataclasses.dataclass(frozen=True)
class Paths:
    """Where a run reads and writes; all below `workdir` unless the config says otherwise."""

    workdir: pathlib.Path
    posters: pathlib.Path
    records: pathlib.Path
    dataset: pathlib.Path
    features: pathlib.Path
    tokenizer: pathlib.Path
    checkpoints: pathlib.Path
    unfinished: pathlib.Path
    logs: pathlib.Path
    results: pathlib.Path
    report: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Run:
    """A validated config with all that follows from it.

    Attributes:
      config: frozen.
      paths: see `Paths`.
      live: the encoders train, so batches hold pixels and token ids; otherwise cached features.
    """

    config: Any  # FrozenConfigDict, whose fields are not known to a type checker
    paths: Paths
    live: bool

    @property
    def without_title(self) -> bool:
        """Texts without their films' titles are wanted: all through the run, or as a control of evaluation."""
        return self.config.data.text_control == WITHOUT_TITLE or "text_without_title" in self.config.evaluate.controls

    @property
    def text_rules(self) -> TextRules:
        """From a poster's lines to its text, in the dataset as in prediction."""
        return TextRules(**self.config.data.text_rules)

    @property
    def engine_options(self) -> dict[str, Any]:
        """Keyword arguments of the OCR engine, the same for a folder of posters and for a single one."""
        ocr = self.config.ocr
        options = {"rapidocr": {"min_side": ocr.min_side}, "tesseract": dict(ocr.tesseract), "gemini": dict(ocr.gemini)}
        return options.get(ocr.engine, {})


def load(file: str, overrides: Sequence[str] = ()) -> ConfigDict:
    """A config from its file, as the flag --config reads it.

    Args:
      file: such as "configs/paper.py" or, for a file whose `get_config` takes an argument, "configs/tables.py:gmu".
      overrides: "--config.x.y=z" each.

    Raises:
      InputError: no such file, or an override that does not fit; the message names the nearest field.
    """
    values, arguments = flags.FlagValues(), ["", f"--config={file}", *overrides]
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=arguments)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of how ml_collections imports the file
            unknown = values(arguments)[1:]
        config = cast(ConfigDict, values["config"].value)
        config.to_dict()  # a file that could not be loaded is an object that raises when it is used
    except Exception as error:  # whatever a config file may raise
        raise InputError(f"{file} {' '.join(overrides)}: {' '.join(str(error).split())}") from error
    if unknown:
        raise InputError(f"{unknown[0]!r} is not of the form --config.field=value.")
    return config


def resolve(config: ConfigDict | FrozenConfigDict, workdir: str | pathlib.Path) -> Run:
    """Checks `config` and derives the run.

    Raises:
      InputError: a field that is missing or unknown, or a value that is not allowed, by itself or beside another field.
    """
    absolute = ConfigDict(config.to_dict())
    check_types(flatten(absolute.to_dict()))
    _make_absolute(absolute)
    flat = flatten(absolute.to_dict())
    for field, allowed in _CHOICES.items():
        if flat[field] not in allowed:
            names = tuple(map(str, allowed))
            raise InputError(f"{field}={flat[field]!r} is not one of {', '.join(names)}.{_nearest(flat[field], names)}")
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
    TextRules(**absolute.to_dict()["data"]["text_rules"])  # it checks itself

    workdir = pathlib.Path(workdir)
    posters = _path_or(flat["data.posters_dir"], workdir / "posters")
    paths = Paths(
        workdir=workdir,
        posters=posters,
        records=_path_or(flat["ocr.store"], posters / RECORDS_FILE),
        dataset=_path_or(flat["data.dataset_dir"], workdir / "dataset"),
        features=_path_or(flat["features.dir"], workdir / "features"),
        tokenizer=workdir / "tokenizer",
        checkpoints=workdir / "checkpoints",
        unfinished=workdir / "unfinished",
        logs=workdir / "logs",
        results=workdir / "results",
        report=workdir / "report",
    )
    return Run(FrozenConfigDict(absolute), paths, live=flat["train.fine_tune"] != "none")


def _check_combinations(flat: dict[str, Any]) -> None:
    if flat["data.source"] == "folder" and not flat["data.posters_dir"]:
        raise InputError(
            "data.posters_dir is empty. Name the folder with your posters, --config.data.posters_dir=DIR "
            "(data/README.md shows its layout), or draw some with --config.data.source=synthetic."
        )
    if flat["ocr.batch.use"] and flat["ocr.engine"] != "gemini":
        raise InputError(f"ocr.batch.use=True is for ocr.engine='gemini', not for {flat['ocr.engine']!r}.")
    temperatures = flat["ocr.gemini.temperatures"]
    if not temperatures or not all(0 <= temperature <= 2 for temperature in temperatures):
        raise InputError(f"ocr.gemini.temperatures={temperatures!r} must hold numbers from 0 to 2, at least one.")
    if flat["ocr.limits.budget"] and not (flat["ocr.gemini.input_price"] and flat["ocr.gemini.output_price"]):
        raise InputError("ocr.limits.budget needs ocr.gemini.input_price and ocr.gemini.output_price to reckon with.")
    if flat["data.split_by"] == "file" and not flat["data.split_file"]:
        raise InputError("data.split_by='file' needs data.split_file, the JSON or CSV file with the split.")
    fractions = flat["data.split_fractions"]
    if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise InputError(f"data.split_fractions={fractions!r} must be three positive shares that add up to 1.")
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
    loss_parameters(
        flat["loss.preset"], gamma_pos=flat["loss.gamma_pos"], gamma_neg=flat["loss.gamma_neg"], margin=flat["loss.margin"]
    )
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
    if not 0 <= flat["train.augment_drop_tokens"] < 1:
        raise InputError(f"train.augment_drop_tokens={flat['train.augment_drop_tokens']!r} must lie in [0, 1).")
    for field in ("train.augment_shift", "train.augment_drop_tokens"):
        if flat[field] and flat["train.fine_tune"] == "none":
            raise InputError(
                f"{field} changes the encoders' input, but train.fine_tune='none' reads cached features. Set it to 0."
            )
    if flat["encoders.text"].startswith(WORD2VEC):
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


def _make_absolute(config: Any) -> None:
    """Folders that are named become absolute, so that a checkpoint's config means the same from everywhere."""
    for section, field in (item.split(".") for item in _FOLDERS):
        if config[section][field]:
            config[section][field] = str(_absolute(config[section][field]))
    for section, field in (item.split(".") for item in _FREE_ENCODERS):
        kind, path = _split_source(config[section][field])
        if path and os.path.exists(_absolute(path)):
            config[section][field] = kind + str(_absolute(path))


def _absolute(path: str) -> pathlib.Path:
    return pathlib.Path(os.path.expanduser(path)).absolute()  # a user who is not there stays as he is written


def _split_source(encoder: str) -> tuple[str, str]:
    """What comes before the path in an encoder's name, and the path (or hub name)."""
    if encoder.startswith(WORD2VEC):
        return WORD2VEC, encoder.removeprefix(WORD2VEC)
    if encoder.startswith(KERAS):
        network, at, path = encoder.partition("@")
        return network + at, path
    return "", encoder


def flatten(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} becomes {"a.b": 1}."""
    flat = {}
    for name, value in nested.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def to_json(config: ConfigDict | FrozenConfigDict) -> dict[str, Any]:
    """The config as plain JSON values (tuples as lists), for checkpoints and results."""
    return json.loads(json.dumps(config.to_dict()))


def from_json(values: dict[str, Any]) -> ConfigDict:
    """The inverse of `to_json`. Raises InputError where no config can be made of `values`."""

    def tuples(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: tuples(inner) for name, inner in value.items()}
        return tuple(value) if isinstance(value, list) else value

    try:
        return ConfigDict(tuples(values))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:  # a name that no field can have
        raise InputError(f"this is no config: {' '.join(str(error).split())[:200]}") from error


def complete(saved: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint's config with today's defaults for the fields that did not exist when it was saved.

    A new field's default is always what was done before the field existed.

    Args:
      saved, defaults: configs as `to_json` gives them.
    """
    completed = dict(saved)
    for name, default in defaults.items():
        value = saved.get(name, {} if isinstance(default, dict) else default)
        completed[name] = complete(value, default) if isinstance(default, dict) and isinstance(value, dict) else value
    return completed


def check_same_run(now: dict[str, Any], then: dict[str, Any], workdir: pathlib.Path) -> None:
    """Refuses to go on in a workdir with a config that would make another model.

    Args:
      now, then: configs as `to_json` gives them; what `then` does not know yet is not compared.

    Raises:
      InputError: a field that shapes the model, its data or its training differs; names each with both values.
    """
    changed = changed_fields(now, then)
    if changed:
        a, b = flatten(now), flatten(then)
        lines = "".join(f"\n  {field}: {b[field]!r} there, {a.get(field)!r} now" for field in changed)
        raise InputError(f"{workdir} holds a run with another config:{lines}\nChoose another --workdir, or remove that folder.")


def changed_fields(now: dict[str, Any], then: dict[str, Any]) -> list[str]:
    """The fields that shape the model, its data or its training and that differ; arguments as in `check_same_run`."""
    a, b = flatten(now), flatten(then)
    return [field for field in sorted(b) if a.get(field) != b[field] and not _is_free(field, a)]


def _is_free(field: str, config: dict[str, Any]) -> bool:
    if field == "train.max_epochs":  # a longer run is the same run gone on, unless the schedule depends on its length
        return config["train.schedule"] == "constant"
    return field in _FREE + _FREE_ENCODERS + _FREE_SPEED or field.split(".")[0] in _FREE_SECTIONS


def _path_or(value: str, default: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(value) if value else default


def _nearest(value: Any, allowed: tuple[str, ...]) -> str:
    match = difflib.get_close_matches(str(value), allowed, n=1)
    return f" Did you mean {match[0]!r}?" if match else ""
