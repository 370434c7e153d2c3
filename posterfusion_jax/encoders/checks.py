"""What the loaders of CLIP and BLIP check alike: their options, and the preprocessing that a checkpoint asks for."""

from collections.abc import Sequence
from typing import Any

from posterfusion_jax.encoders.preprocess import CLIP_MEAN, CLIP_STD, RESIZE
from posterfusion_jax.encoders.source import Source
from posterfusion_jax.encoders.third_party import DTYPES
from posterfusion_jax.errors import InputError

TOWERS = ("image", "text")


def check_options(*, towers: Sequence[str], dtype: str, resize: str, allow_random: Sequence[str] = ()) -> None:
    """Raises InputError where an option is unknown; it names the config's field, the value and what is allowed."""
    for field, values, allowed in (
        ("the towers to load", towers, TOWERS),
        ("encoders.allow_random", allow_random, TOWERS),
        ("encoders.dtype", (dtype,), tuple(DTYPES)),
        ("encoders.resize", (resize,), RESIZE),
    ):
        for value in values:
            if value not in allowed:
                raise InputError(f"{field}: {value!r}; allowed: {', '.join(allowed)}")


def pixel_statistics(
    place: Source, spec: dict[str, Any], needed: Sequence[tuple[str, Any, Any]]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of the pixels that the checkpoint was trained with.

    Args:
      place: of the checkpoint.
      spec: its preprocessor_config.json.
      needed: (name, found, needed) of what this kind of checkpoint must say besides.

    Raises:
      InputError: it asks for preprocessing that is not done here.
    """
    for name, found, wanted in (
        *needed,
        ("resample", spec.get("resample", 3), 3),
        ("do_normalize", spec.get("do_normalize", True), True),
        ("rescale_factor", round(1 / spec.get("rescale_factor", 1 / 255)), 255),
    ):
        if found != wanted:
            raise InputError(
                f"{place.field}: preprocessor_config.json of {place.name} asks for {name} {found}, which this project does not "
                f"do (it needs {wanted}); use another checkpoint or correct the file"
            )
    return tuple(spec.get("image_mean", CLIP_MEAN)), tuple(spec.get("image_std", CLIP_STD))
