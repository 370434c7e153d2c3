"""Read the preprocessing of images that a checkpoint asks for, and refuse what is not done here."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from posterfusion_jax.encoders.checkpoint_files import CheckpointFiles
from posterfusion_jax.encoders.contents import describe_files
from posterfusion_jax.encoders.preprocess import CLIP_MEAN, CLIP_STD
from posterfusion_jax.errors import InputError

_FILES = ("preprocessor_config.json", "processor_config.json")
_SETTINGS = (  # that change the pixels
    *("crop_size", "size", "resample", "do_resize", "do_normalize", "do_rescale", "rescale_factor", "image_mean", "image_std"),
)


class PixelStatistics(NamedTuple):
    """Hold the statistics of the pixels that an encoder was trained with, of values in [0, 1].

    Attributes:
      mean: of each channel.
      std: standard deviation of each channel.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]


def read_clip_statistics(place: CheckpointFiles, edge: int) -> PixelStatistics:
    """Return the pixel statistics of a CLIP.

    Args:
      place: of the checkpoint.
      edge: of the images that its model takes, in pixels.

    Raises:
      InputError: it asks for preprocessing that is not done here, or does not state its preprocessing.
    """
    spec = _read_settings(place)
    crop = edge if spec.get("crop_size") is None else spec["crop_size"]
    return _read_statistics(place, spec, [("crop_size", list(_size_of(crop)), [edge, edge])])


def read_blip_statistics(place: CheckpointFiles, edge: int) -> PixelStatistics:
    """Return the pixel statistics of a BLIP; arguments and errors as in `read_clip_statistics`."""
    spec = _read_settings(place)
    size = list(_size_of(spec.get("size", edge), of_shortest=False))
    return _read_statistics(place, spec, [("size", size, [edge, edge]), ("do_resize", spec.get("do_resize", True), True)])


def _read_settings(place: CheckpointFiles) -> dict[str, Any]:
    """Return the preprocessing of images that a checkpoint asks for.

    It is in preprocessor_config.json or, as transformers 5 saves it, under "image_processor" in processor_config.json.

    Raises:
      InputError: neither has it, or both have it and differ.
    """
    found = {}
    own, shared = _FILES
    if (place.folder / own).is_file():
        found[own] = place.read_json(own)
    if (place.folder / shared).is_file():
        nested = place.read_json(shared).get("image_processor")
        if isinstance(nested, dict):
            found[shared] = nested
    if not found:
        raise InputError(
            f"{place.field}: {place.folder} has no preprocessor_config.json and no processor_config.json with an "
            '"image_processor", so that it is unknown how images are prepared. Copy the one of the original checkpoint; '
            f"{describe_files(place.folder)}"
        )
    settings, *others = found.values()
    for other in others:
        for name in _SETTINGS:
            if name in settings and name in other and settings[name] != other[name]:
                raise InputError(
                    f"{place.field}: preprocessor_config.json and processor_config.json of {place.name} differ: {name} is "
                    f"{settings[name]} and {other[name]}. Remove the one that does not belong to the weights"
                )
    return settings


def _size_of(value: Any, *, of_shortest: bool = True) -> tuple[Any, Any]:
    """Return height and width of a size as checkpoints write it: one number, a pair, or an object.

    Args:
      value: the value in the JSON.
      of_shortest: whether {"shortest_edge": n} is a square of that size, as for a crop; a resize would keep the proportions.
    """
    if isinstance(value, dict):
        edge = value.get("shortest_edge") if of_shortest else None
        return value.get("height", edge), value.get("width", edge)
    if isinstance(value, list | tuple) and len(value) == 2:
        return value[0], value[1]
    return value, value


def _read_statistics(place: CheckpointFiles, spec: dict[str, Any], needed: Sequence[tuple[str, Any, Any]]) -> PixelStatistics:
    """Return the pixel statistics, after a check of the settings.

    Args:
      place: of the checkpoint.
      spec: `_read_settings` of it.
      needed: (name, found, needed) of further settings that this kind of checkpoint must have.

    Raises:
      InputError: it asks for preprocessing that is not done here.
    """
    file = _FILES[0] if (place.folder / _FILES[0]).is_file() else _FILES[1]
    for name, found, wanted in (
        *needed,
        ("resample", _resample_filter(spec), 3),
        ("do_normalize", _setting(spec, "do_normalize", True), True),
        ("do_rescale", _setting(spec, "do_rescale", True), True),
        ("rescale_factor", _inverse(_setting(spec, "rescale_factor", 1 / 255)), 255),
    ):
        if found != wanted:
            raise InputError(
                f"{place.field}: {file} of {place.name} asks for {name} {found}, which this project "
                f"does not do (it needs {wanted}); use another checkpoint or correct the file"
            )
    return PixelStatistics(
        _three_numbers(place, spec, "image_mean", CLIP_MEAN), _three_numbers(place, spec, "image_std", CLIP_STD)
    )


def _setting(spec: dict[str, Any], name: str, default: Any) -> Any:
    """Return a setting, or the default if it is missing or null."""
    return default if spec.get(name) is None else spec[name]


def _resample_filter(spec: dict[str, Any]) -> Any:
    """Return Pillow's number of the filter, which may be written as its name."""
    found = _setting(spec, "resample", 3)
    return 3 if isinstance(found, str) and found.lower().rpartition(".")[2] == "bicubic" else found


def _inverse(factor: Any) -> Any:
    return round(1 / factor) if isinstance(factor, int | float) and factor else factor


def _three_numbers(place: CheckpointFiles, spec: dict[str, Any], name: str, default: tuple[float, ...]) -> tuple[float, ...]:
    found = _setting(spec, name, default)
    if not isinstance(found, list | tuple) or len(found) != 3 or not all(isinstance(value, int | float) for value in found):
        raise InputError(f"{place.field}: the preprocessing of {place.name} has {name} {found!r}; it must be three numbers")
    return tuple(found)
