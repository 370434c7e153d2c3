"""From a config to a run: validate every field, derive what follows from them, freeze. The only place for derivations."""

import dataclasses
import json
import os
import pathlib
from typing import Any

from ml_collections import ConfigDict, FrozenConfigDict

from posterfusion_jax.config.choices import KERAS, SCRATCH, WITHOUT_TITLE, WORD2VEC
from posterfusion_jax.config.data_rules import AUTO, OF_FILMS, complete_data
from posterfusion_jax.config.defaults import is_none
from posterfusion_jax.config.file import load as load
from posterfusion_jax.config.file import stem_of as stem_of
from posterfusion_jax.config.schema import check_types, known_fields
from posterfusion_jax.config.sections import RunConfig, make_section
from posterfusion_jax.config.validation import check_values
from posterfusion_jax.datasets.imdb_posters.paths import NAME, OTHER_NAME, dataset_dir
from posterfusion_jax.datasets.sources.table_columns import NO_COLUMN
from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.engines.base import ENGINES, OCR_ENGINES, EngineChoice
from posterfusion_jax.posters.folder import RECORDS_FILE
from posterfusion_jax.utils.choose import choose
from posterfusion_jax.utils.user_path import expand_path

# What may differ between the starts of one run: where things lie, how fast they are read, what is printed of them.
# Encoders are known by the hash of their weights, which every stage checks.
_FREE = (
    "data.posters_dir",
    "data.table",
    "data.images",
    "data.dataset_dir",
    "data.split_file",
    "features.dir",
    "features.batch_size",
)
_FREE_ENCODERS = ("encoders.image", "encoders.text")
_FOLDERS = (
    *("data.posters_dir", "data.table", "data.images", "data.dataset_dir", "data.split_file"),
    *("ocr.store", "features.dir", "data.table_columns.label_table"),
)
_FREE_SECTIONS = ("ocr", "evaluate")
_FREE_SPEED = ("train.loader_threads", "train.eval_batch_size")


@dataclasses.dataclass(frozen=True)
class Paths:
    """Where a run reads and writes; all below `workdir` unless the config names other folders."""

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
      config: the validated fields, one frozen dataclass per section.
      paths: see `Paths`.
      live: the encoders train, so batches hold pixels and token ids; otherwise cached features.
    """

    config: RunConfig
    paths: Paths
    live: bool

    @property
    def dataset_dir(self) -> pathlib.Path:
        """Return the folder of the built dataset."""
        data = self.config.data
        name = NAME if data.source in OF_FILMS else OTHER_NAME
        return dataset_dir(self.paths.dataset, data.split_by, folds=data.folds, name=name)

    @property
    def without_title(self) -> bool:
        """Texts without their films' titles are wanted: all through the run, or as a control of evaluation."""
        return self.config.data.text_control == WITHOUT_TITLE or "text_without_title" in self.config.evaluate.controls

    @property
    def ocr_engine(self) -> EngineChoice:
        """The OCR engine and its options, the same for a folder of posters and for a single one."""
        ocr = self.config.ocr
        options: dict[str, dict[str, Any]] = {
            "rapidocr": {"min_side": ocr.min_side},
            "tesseract": dataclasses.asdict(ocr.tesseract),
            "gemini": {"options": ocr.gemini},
            "none": {},
        }
        if ocr.engine not in ENGINES and ocr.engine in OCR_ENGINES:  # the user's own
            return EngineChoice(name=ocr.engine)
        return EngineChoice(name=ocr.engine, options=choose("ocr.engine", ocr.engine, options))


def resolve(config: ConfigDict | FrozenConfigDict | RunConfig, workdir: str | pathlib.Path, *, saved: bool = False) -> Run:
    """Check `config` and derives the run.

    Args:
      config: as `load` or `from_json` gives it, or the config of another run.
      workdir: the run's folder, expanded by `utils.user_path.expand_path`.
      saved: the config comes from a checkpoint, so its paths are expanded already.

    Raises:
      InputError: a field that is missing or unknown, or a value that is not allowed, by itself or together with another field.
    """
    absolute = ConfigDict(_with_none(config.to_dict()))
    check_types(flatten(absolute.to_dict()))
    if not saved:
        _make_absolute(absolute)
    values = absolute.to_dict()
    values["data"] = complete_data(values["data"])
    flat = flatten(values)
    check_values(flat)
    fields = make_section(RunConfig, values)  # the rules of texts check themselves

    workdir = pathlib.Path(workdir)
    posters = _path_or(flat["data.posters_dir"] or flat["data.images"], workdir / "posters")
    beside = posters if flat["data.source"] in OF_FILMS else workdir  # where records are kept that no field names
    paths = Paths(
        workdir=workdir,
        posters=posters,
        records=_path_or(flat["ocr.store"], beside / RECORDS_FILE),
        dataset=_path_or(flat["data.dataset_dir"], workdir / "dataset"),
        features=_path_or(flat["features.dir"], workdir / "features"),
        tokenizer=workdir / "tokenizer",
        checkpoints=workdir / "checkpoints",
        unfinished=workdir / "unfinished",
        logs=workdir / "logs",
        results=workdir / "results",
        report=workdir / "report",
    )
    return Run(fields, paths, live=flat["train.fine_tune"] != "none")


def _with_none(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the config with None for every word that means None, in the fields that may be None."""
    optional = {field for field, (_, default) in known_fields().items() if default is None}
    return {
        name: _with_none(value, f"{prefix}{name}.")
        if isinstance(value, dict)
        else (None if f"{prefix}{name}" in optional and is_none(value) else value)
        for name, value in config.items()
    }


def _make_absolute(config: Any) -> None:
    """Folders that are named become absolute, so that a checkpoint's config means the same from everywhere."""
    for name in _FOLDERS:
        *sections, field = name.split(".")
        section = config
        for inner in sections:
            section = section[inner]
        if section[field] and section[field] != NO_COLUMN:
            section[field] = _absolute(expand_path(section[field], name))
    for section, field in (item.split(".") for item in _FREE_ENCODERS):
        kind, path = _split_source(config[section][field])
        expanded = expand_path(path, f"{section}.{field}")
        if expanded and (expanded != path or os.path.exists(expanded)):
            config[section][field] = kind + _absolute(expanded)


def _absolute(path: str) -> str:
    return str(pathlib.Path(path).absolute())


def _split_source(encoder: str) -> tuple[str, str]:
    """Return the prefix of an encoder's name, such as "word2vec:", and the path or hub name after it."""
    if encoder.startswith(WORD2VEC):
        return WORD2VEC, encoder.removeprefix(WORD2VEC)
    if encoder.startswith(KERAS):
        network, at, path = encoder.partition("@")
        return network + at, path
    return ("", "") if encoder == SCRATCH else ("", encoder)


def flatten(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested dictionaries as one, with dotted names: {"a": {"b": 1}} gives {"a.b": 1}."""
    flat = {}
    for name, value in nested.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def to_json(config: ConfigDict | FrozenConfigDict | RunConfig) -> dict[str, Any]:
    """Return the config as plain JSON values (tuples as lists), for checkpoints and results."""
    return json.loads(json.dumps(config.to_dict()))


def from_json(values: dict[str, Any]) -> ConfigDict:
    """Return the config of `to_json`. Raises InputError where no config can be made of `values`."""

    def tuples(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: tuples(inner) for name, inner in value.items()}
        return tuple(value) if isinstance(value, list) else value

    try:
        return ConfigDict(tuples(values))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:  # a name that no field can have
        raise InputError(f"this is no config: {' '.join(str(error).split())[:200]}") from error


def complete(saved: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Return a checkpoint's config with today's defaults for the fields that did not exist when it was saved.

    A new field's default is always what was done before the field existed.

    Args:
      saved: the checkpoint's config, as `to_json` gives it.
      defaults: today's defaults, likewise.
    """
    completed = dict(saved)
    for name, default in defaults.items():
        value = saved.get(name, {} if isinstance(default, dict) else default)
        completed[name] = complete(value, default) if isinstance(default, dict) and isinstance(value, dict) else value
    return completed


def keep_detected(config: Any, saved: dict[str, Any] | None) -> None:
    """Fill the fields that leave something to be detected with what was detected when the run began, in place.

    Args:
      config: of this start.
      saved: the config of the run's checkpoint, as `to_json` gives it; None where there is none.
    """
    if saved is None:
        return
    data, then = config.data, saved["data"]
    if complete_data(data.to_dict())["source"] == AUTO:
        data.source = then["source"]
        data.posters_dir, data.images = then["posters_dir"], then["images"]
    if complete_data(data.to_dict())["source"] not in OF_FILMS and data.split_by == "film":
        data.split_by = then["split_by"]
    for field, value in then.get("table_columns", {}).items():
        if not data.table_columns[field]:
            data.table_columns[field] = value


def check_same_run(now: dict[str, Any], then: dict[str, Any], workdir: pathlib.Path) -> None:
    """Refuse to resume in a workdir with a config that would make another model.

    Args:
      now: the config of this start, as `to_json` gives it.
      then: the config of the run, likewise; fields that it does not have are not compared.
      workdir: the folder of the run, for the message.

    Raises:
      InputError: a field that shapes the model, its data or its training differs; names each with both values.
    """
    changed = changed_fields(now, then)
    if changed:
        a, b = flatten(now), flatten(then)
        lines = "".join(f"\n  {field}: {b[field]!r} there, {a.get(field)!r} now" for field in changed)
        raise InputError(
            f"{workdir} holds a run with another config:{lines}\nChoose another --workdir; that run stays unchanged."
        )


def changed_fields(now: dict[str, Any], then: dict[str, Any]) -> list[str]:
    """Return the fields that shape the model, its data or its training and that differ; arguments as in `check_same_run`."""
    a, b = flatten(now), flatten(then)
    return [field for field in sorted(b) if a.get(field) != b[field] and not _is_free(field, a)]


def _is_free(field: str, config: dict[str, Any]) -> bool:
    if field == "train.max_epochs":  # a longer run is the same run resumed, unless the schedule depends on its length
        return config["train.schedule"] == "constant"
    return field in _FREE + _FREE_ENCODERS + _FREE_SPEED or field.split(".")[0] in _FREE_SECTIONS


def _path_or(value: str, default: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(value) if value else default
