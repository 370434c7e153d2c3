"""Read sizes of the encoders that a config names from their small files, before any weight is read."""

import importlib.util
from typing import Any, NamedTuple

from posterfusion_jax.config.choices import KERAS, SCRATCH, WORD2VEC
from posterfusion_jax.config.registries import IMAGE_TOWERS, TEXT_TOWERS, is_custom_tower
from posterfusion_jax.config.sections import EncodersConfig, ScratchConfig
from posterfusion_jax.encoders.checkpoint_files import WEIGHT_FILES, CheckpointFiles, resolve_checkpoint
from posterfusion_jax.encoders.keras_networks import NETWORKS, parse_network
from posterfusion_jax.encoders.load import check_sources
from posterfusion_jax.errors import InputError

_PREPROCESSORS = ("preprocessor_config.json", "processor_config.json")
_TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt")


class TowerSizes(NamedTuple):
    """Hold the sizes of a tower that are known before it is loaded.

    Attributes:
      width: of its features; None: unknown.
      layers: of its transformer; 0: it has none; None: not known.
      grid: patches along an edge of its image; None: not known, or a text tower.
      max_tokens: the longest text that it takes; None: no limit, or an image tower.
    """

    width: int | None = None
    layers: int | None = None
    grid: int | None = None
    max_tokens: int | None = None


def inspect_encoders(encoders: EncodersConfig) -> dict[str, TowerSizes]:
    """Find both encoders and read their sizes.

    A hub's model that is not in its cache yet is downloaded, as it will be needed.

    Args:
      encoders: the config's section of that name.

    Returns:
      {"image": sizes, "text": sizes}.

    Raises:
      InputError: no such encoder, one of a kind without a tower here, or files that it lacks.
    """
    if encoders.image == SCRATCH:
        return _inspect_scratch(encoders.scratch)
    check_sources(encoders.image, encoders.text)
    return {"image": _inspect_image(encoders.image), "text": _inspect_text(encoders.text)}


def _inspect_scratch(scratch: ScratchConfig) -> dict[str, TowerSizes]:
    grid = scratch.image_size // scratch.patch_size
    return {
        "image": TowerSizes(scratch.projection, scratch.image_layers, grid),
        "text": TowerSizes(scratch.projection, scratch.text_layers),
    }


def _inspect_image(name: str) -> TowerSizes:
    if is_custom_tower(name, IMAGE_TOWERS):
        return TowerSizes()
    if name.startswith(KERAS):
        network = NETWORKS[parse_network(name)[0]]
        if importlib.util.find_spec("keras") is None:
            raise InputError(
                f"encoders.image={name!r} is a network of keras.applications, which needs Keras 3: "
                "pip install 'posterfusion-jax[cnn]'"
            )
        return TowerSizes(network.width, 0, network.grid)
    place = resolve_checkpoint(name, field="encoders.image")
    _check_files(place, _PREPROCESSORS)
    config = place.read_json("config.json")
    vision = _part(config, "vision_config")
    side, patch = (384, 16) if config.get("model_type") == "blip" else (224, 32)
    grid = _number(vision, "image_size", side) // max(_number(vision, "patch_size", patch), 1)
    return TowerSizes(_projection(config), _number(vision, "num_hidden_layers", 12), grid)


def _inspect_text(name: str) -> TowerSizes:
    if is_custom_tower(name, TEXT_TOWERS):
        return TowerSizes()
    if name.startswith(WORD2VEC):
        from posterfusion_jax.encoders.word2vec import find_file

        with find_file(name).open("rb") as file:
            header = file.readline(100).split()
        return TowerSizes(int(header[1]) if len(header) == 2 and header[1].isdigit() else None, 0)
    place = resolve_checkpoint(name, field="encoders.text")
    _check_files(place, _TOKENIZERS)
    config = place.read_json("config.json")
    kind = config.get("model_type")
    text = config if kind == "bert" else _part(config, "text_config")
    width = _number(config, "hidden_size", 768) if kind == "bert" else _projection(config)
    longest = _number(text, "max_position_embeddings", 77 if kind == "clip" else 512)
    return TowerSizes(width, _number(text, "num_hidden_layers", 12), max_tokens=longest)


def _projection(config: dict[str, Any]) -> int | None:
    """Return the shared width of both towers of a CLIP or BLIP; None if the kind of BLIP is unknown."""
    if config.get("model_type") == "clip":
        return _number(config, "projection_dim", 512)
    architectures = config.get("architectures")
    if architectures == ["BlipForImageTextRetrieval"]:
        return _number(config, "image_text_hidden_size", 256)
    return _number(config, "projection_dim", 512) if architectures == ["BlipModel"] else None


def _check_files(place: CheckpointFiles, small: tuple[str, ...]) -> None:
    for wanted in (WEIGHT_FILES, small):
        if not any((place.folder / name).is_file() for name in wanted):
            raise InputError(
                f"{place.field}: {place.folder} has none of {', '.join(wanted)}; copy what the original checkpoint has of them"
            )


def _part(config: dict[str, Any], name: str) -> dict[str, Any]:
    part = config.get(name) or config.get(f"{name}_dict")
    return part if isinstance(part, dict) else {}


def _number(config: dict[str, Any], name: str, default: int) -> int:
    value = config.get(name)
    return value if isinstance(value, int) else default
