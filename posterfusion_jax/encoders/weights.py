"""Load checkpoint files into the parameters of a Flax module, and list what they lack.

transformers fills weights that a checkpoint lacks with random numbers and leaves only a line in its log. Here the module lists
the arrays that it needs, each is looked up in the file under its Flax or its PyTorch name, and the list of missing arrays is
returned to the caller. Neither PyTorch nor a second, random copy of the model is needed for that.
"""

import hashlib
import json
import pathlib
import re
from typing import Any, NamedTuple

import jax
import numpy as np
import safetensors
from flax import serialization, traverse_util

from posterfusion_jax.encoders.checkpoint_files import WEIGHT_FILES, CheckpointFiles
from posterfusion_jax.encoders.contents import explain_lack
from posterfusion_jax.encoders.tower import ImageTower, TextTower
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.safe_arrays import is_pickle

Path = tuple[str, ...]

_PYTORCH_NAMES = {"kernel": ("weight",), "embedding": ("weight",), "scale": ("weight", "gamma"), "bias": ("beta",)}
_SHARD = re.compile(r"[\w-][\w.-]*\.safetensors")
_CONVERT = (
    "convert it where you trust it, with PyTorch, `safetensors.torch.save_file(torch.load(FILE, weights_only=True), "
    "'model.safetensors', {'format': 'pt'})`"
)
_FROM_PYTORCH = {2: (1, 0), 4: (2, 3, 1, 0)}  # Dense [out, in] -> [in, out]; Conv [out, in, h, w] -> [h, w, in, out]


class Weights(NamedTuple):
    """Hold the weights of a tower.

    Attributes:
      params: nested dict of float32 arrays on the device, so that a jitted call does not copy them each time.
      passport: what passports state of them: source, revision, random, weights_sha256.
    """

    params: dict[str, Any]
    passport: dict[str, Any]


def make_weights(params: dict[str, Any], *, source: str, revision: str | None = None, random: bool = False) -> Weights:
    """Hash a tower's parameters and move them to the device.

    Args:
      params: nested dict of float32 arrays.
      source: name of their origin, for passports.
      revision: commit of a hub's model.
      random: whether some of them are random numbers.
    """
    about = {"source": source, "revision": revision, "random": random, "weights_sha256": hash_params(params)}
    return Weights(jax.device_put(params, may_alias=True), about)  # they are never modified


def load_params(
    source: CheckpointFiles, shapes: dict[str, Any], *, prefix: str = "", without: str = ""
) -> tuple[dict[str, Any], list[Path]]:
    """Load the parameters that a checkpoint holds.

    Args:
      source: the checkpoint's folder.
      shapes: nested dict of anything with a `shape`: what the module needs (from `jax.eval_shape`).
      prefix: a leading name that the checkpoint may have before every array, such as "bert".
      without: a leading name of the module that the checkpoint may leave out, such as "vision_model".

    Returns:
      A nested dict of float32 arrays with what was found, and the sorted paths of what was not.

    Raises:
      InputError: no readable weights, or an array of another shape.
    """
    file, tensors = _open(source)
    found, missing = {}, []
    for path, wanted in sorted(traverse_util.flatten_dict(shapes).items()):
        array = _look_up(tensors, path, prefix)
        if array is None and path[0] == without:
            array = _look_up(tensors, path[1:], prefix)
        if array is None:
            missing.append(path)
        elif array.shape != wanted.shape:
            raise InputError(
                f"{source.field}: {'.'.join(path)} in {file} has shape {array.shape}, config.json asks for {wanted.shape}; "
                "the two files do not belong together"
            )
        else:
            found[path] = array
    return traverse_util.unflatten_dict(found), missing


def hash_params(params: dict[str, Any]) -> str:
    """Return the sha256 over names, shapes and bytes of all arrays, in the order of their names.

    Equal weights have equal hashes in any file format.
    """
    digest = hashlib.sha256()
    for path, leaf in sorted(traverse_util.flatten_dict(params).items()):
        array = np.ascontiguousarray(leaf)
        digest.update(f"{'/'.join(path)} {array.dtype} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()


class _SafeTensors:
    """Read the arrays of safetensors files by name, on request (one tower of a file is cheap that way)."""

    def __init__(self, paths: list[pathlib.Path]):
        self._file_of = {}
        for path in paths:
            handle = safetensors.safe_open(path, framework="numpy")
            self._file_of.update(dict.fromkeys(handle.keys(), handle))

    def get(self, name: str) -> np.ndarray | None:
        handle = self._file_of.get(name)
        return None if handle is None else handle.get_tensor(name)


def _open(source: CheckpointFiles) -> tuple[pathlib.Path, Any]:
    """Return the file with the weights, and its arrays as an object with `get(name)`; names are joined by dots."""
    files = [source.folder / name for name in WEIGHT_FILES if (source.folder / name).is_file()]
    if not files:
        pickled = sorted(path.name for path in source.folder.glob("*.bin"))
        hint = f"{pickled[0]} is a Python pickle, which is never loaded: {_CONVERT}. " if pickled else ""
        needed = " or ".join(WEIGHT_FILES)
        raise InputError(
            f"{source.field}: {source.folder} has no weights; needed: {needed}. {hint}{explain_lack(source.folder)}"
        )
    file = files[0]
    try:
        source.check_fetched(file)
        if is_pickle(file):
            raise InputError(f"{source.field}: {file} is a Python pickle, which is never loaded: {_CONVERT}")
        if file.suffix == ".msgpack":
            return file, traverse_util.flatten_dict(serialization.msgpack_restore(file.read_bytes()), sep=".")
        if file.suffix == ".json":
            shards = sorted(set(json.loads(file.read_text())["weight_map"].values()))
            for shard in shards:
                if not _SHARD.fullmatch(shard):
                    raise InputError(f"{source.field}: {file} names {shard!r}, which is no .safetensors file of its folder")
                if not (source.folder / shard).is_file():
                    raise InputError(f"{source.field}: {file} names {shard}, which is not there; fetch it too")
                source.check_fetched(source.folder / shard)
            return file, _SafeTensors([source.folder / shard for shard in shards])
        return file, _SafeTensors([file])
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError, safetensors.SafetensorError) as error:
        raise InputError(f"{source.field}: {file} cannot be read ({error}); fetch the file again") from error


def _look_up(tensors: Any, path: Path, prefix: str) -> np.ndarray | None:
    """Return one array in Flax's layout, under its Flax name or else its PyTorch name."""
    for start in ((), (prefix,)) if prefix else ((),):
        array = tensors.get(".".join((*start, *path)))
        if array is not None:
            return np.asarray(array, np.float32)
        for last in _PYTORCH_NAMES.get(path[-1], ()):
            array = tensors.get(".".join((*start, *path[:-1], last)))
            if array is not None:
                array = np.asarray(array, np.float32)
                if path[-1] != "kernel":
                    return array
                return np.ascontiguousarray(array.transpose(_FROM_PYTORCH[array.ndim]))  # converted once
    return None


def cast_kernels(tower: ImageTower | TextTower) -> dict[str, Any]:
    """Return a tower's parameters in the type of its matrix products, for many forward passes without training.

    In a tower that computes in bfloat16, Flax rounds every kernel in every call; here they are rounded once, with the
    same features.
    """
    dtype = tower.passport["dtype"]
    if dtype == "float32":
        return tower.params
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf.astype(dtype) if path[-1].key == "kernel" else leaf, tower.params
    )
