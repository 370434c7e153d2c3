"""Read the arrays in a .h5 file of weights, and nothing else: no layer is created from its contents."""

import pathlib
from typing import Any

import numpy as np

from posterfusion_jax.errors import InputError

_LARGEST = 1 << 28  # numbers in an array; VGG19's largest has 103 million


def read_layers(file: pathlib.Path, *, count: int, field: str) -> tuple[list[tuple[str, list[np.ndarray]]], list[list[int]]]:
    """Return the first `count` layers with weights, as (name, arrays), and the array ranks of each further one.

    Args:
      file: the .h5 file.
      count: the number of layers to read.
      field: the field of the config, for messages.

    Raises:
      InputError: the file is not one of weights, or it links to other files.
    """
    import h5py  # a dependency of Keras

    try:
        with h5py.File(file) as opened:
            group: Any = _get_item(opened, "model_weights") if "model_weights" in opened else opened  # of a whole model
            stored = [
                (layer, [_get_array(group, f"{layer}/{_text(name)}") for name in names])
                for layer in map(_text, group.attrs["layer_names"])
                if len(names := _get_item(group, layer).attrs["weight_names"])
            ]
            layers = [(name, [np.asarray(array, np.float32) for array in arrays]) for name, arrays in stored[:count]]
            return layers, [[array.ndim for array in arrays] for _, arrays in stored[count:]]
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{field}: {file} cannot be read as a .h5 file of weights such as keras.applications publishes ({error}); fetch it "
            "again, or remove it if it is in Keras' cache (files named .keras and .weights.h5 are of another kind)"
        ) from error


def _get_array(group: Any, path: str) -> Any:
    """Return an array whose values are in this file. Raises ValueError, also for more numbers than any network has."""
    array = _get_item(group, path)
    if array.external or array.is_virtual:
        raise ValueError(f"the values of {path!r} lie in another file")
    if array.size > _LARGEST:
        raise ValueError(f"{path!r} has {array.size:,} values")
    return array


def _get_item(group: Any, path: str) -> Any:
    """Return the item at `path`, without following HDF5 links to other places. Raises ValueError or KeyError."""
    import h5py

    for part in path.split("/"):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{path!r} is a link")
        group = group[part]
    return group


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
