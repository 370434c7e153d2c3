"""The sections of a config as frozen dataclasses: what the stages of a run receive.

`config/defaults.py` has the meaning, unit and source of every field; a test compares its fields and types with these.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from posterfusion_jax.datasets.sources.table_columns import TableColumns
from posterfusion_jax.ocr.engines.gemini_options import GeminiOptions
from posterfusion_jax.ocr.remote.client import Limits
from posterfusion_jax.ocr.text.line_filters import LineFilters

_Section = TypeVar("_Section")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Posters, dataset, split and texts."""

    source: str
    posters_dir: str
    table: str
    images: str
    dataset_dir: str
    split_by: str
    split_file: str
    split_seed: int
    split_fractions: tuple[float, ...]
    split_years: tuple[int, ...]
    folds: int
    fold: int
    labels: tuple[str, ...]
    label_min_posters: int
    label_aliases: tuple[str, ...]
    text_control: str
    other_genres: str
    drawn_films: int
    drawn_width: int
    drawn_seed: int
    table_columns: TableColumns
    text_rules: LineFilters


@dataclasses.dataclass(frozen=True, kw_only=True)
class TesseractConfig:
    """Options of the Tesseract engine."""

    languages: str
    psm: int
    min_side: int
    min_confidence: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """Use of Gemini's batch API."""

    use: bool
    posters: int
    poll: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class OcrConfig:
    """OCR: the engine, its options, and which posters to read."""

    engine: str
    store: str
    prefer: tuple[str, ...]
    workers: int
    min_side: int
    reread: str
    retry: tuple[str, ...]
    limits: Limits
    tesseract: TesseractConfig
    gemini: GeminiOptions
    batch: BatchConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScratchConfig:
    """The small CLIP without pretrained weights."""

    image_size: int
    patch_size: int
    width: int
    heads: int
    image_layers: int
    text_layers: int
    projection: int
    vocabulary: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncodersConfig:
    """Image and text encoders."""

    image: str
    text: str
    resize: str
    max_text_tokens: int | None
    long_text: str
    max_chunks: int
    dtype: str
    allow_random: tuple[str, ...]
    scratch: ScratchConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeaturesConfig:
    """Features of frozen encoders, as they are stored."""

    level: str
    image_grid: int
    batch_size: int
    dtype: str
    dir: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The head on the features."""

    name: str
    dim: int
    heads: int
    mcam: bool
    smsam_layers: int
    cross_attention: str
    token_fusion: str
    pooling: str
    out_projection: bool
    block_mlp: bool
    dropout: float
    ffn: tuple[int, ...]
    align: int
    text_lstm: int
    gmu_gate: str
    missing_text: str
    zero_shot_prompts: tuple[str, ...]
    zero_shot_neutral: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossConfig:
    """The loss; None takes the value of the preset."""

    preset: str
    gamma_pos: float | None
    gamma_neg: float | None
    margin: float | None
    stop_gradient: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Optimization, early stopping and input pipeline."""

    learning_rate: float
    schedule: str
    beta1: float
    beta2: float
    epsilon: float
    weight_decay: float
    batch_size: int
    max_epochs: int
    patience: int
    monitor: str
    fine_tune: str
    fine_tune_towers: tuple[str, ...]
    fine_tune_layers: int
    encoder_learning_rate: float
    augment_shift: int
    augment_drop_tokens: float
    resident_gib: float
    loader_threads: int
    eval_batch_size: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Results files: splits, threshold, ablations, intervals."""

    splits: tuple[str, ...]
    threshold: float
    force_top1: bool
    controls: tuple[str, ...]
    metrics: tuple[str, ...]
    bootstrap: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """All fields of a run."""

    seed: int
    data: DataConfig
    ocr: OcrConfig
    encoders: EncodersConfig
    features: FeaturesConfig
    model: ModelConfig
    loss: LossConfig
    train: TrainConfig
    evaluate: EvaluateConfig

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as nested dictionaries, as a ConfigDict has them."""
        return dataclasses.asdict(self)


def make_section(section: type[_Section], values: Mapping[str, Any]) -> _Section:
    """Build a section, and the sections in it, from the values of a config that has passed `check_types`.

    Args:
      section: one of the dataclasses of this module.
      values: field -> value; lists become tuples, whole numbers become floats where the field is one.
    """
    hints = typing.get_type_hints(section)
    return section(**{name: _convert(hints[name], value) for name, value in values.items()})


def _convert(hint: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(hint):
        return make_section(typing.cast(type[Any], hint), value)
    if typing.get_origin(hint) is tuple:
        return tuple(_convert(typing.get_args(hint)[0], item) for item in value)
    if isinstance(hint, types.UnionType):
        return None if value is None else _convert(typing.get_args(hint)[0], value)
    return float(value) if hint is float else value
