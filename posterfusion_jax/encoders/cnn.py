"""Run networks of keras.applications, pretrained on ImageNet, as image towers: Keras 3 on JAX, no TensorFlow.

The paper compares with six of them (its Tables I and II). What it leaves open is decided here: every network sees its native
size (299 px for InceptionV3, 260 px for EfficientNetV2B2, 224 px for the others), made by `preprocess.resize_poster`, that is
bicubically and with the crop, squash or pad of the config. Keras' own loaders would squash with bilinear or nearest sampling.

Reference: https://keras.io/api/applications/
"""

import contextlib
import logging
import math
import os
import pathlib
import re
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jaxtyping import Array, UInt8

from posterfusion_jax.config.choices import KERAS, LEVELS
from posterfusion_jax.encoders.hf_compat import default_promotion
from posterfusion_jax.encoders.keras_file import read_layers
from posterfusion_jax.encoders.keras_networks import FIELD, NETWORKS, parse_network
from posterfusion_jax.encoders.options import EncoderOptions
from posterfusion_jax.encoders.tower import Features, ImageTower, Level
from posterfusion_jax.encoders.weights import make_weights
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.choose import choose
from posterfusion_jax.utils.progress import draws_in_place
from posterfusion_jax.utils.rng import generator_for

_log = logging.getLogger(__name__)

Path = tuple[str, str]  # of a weight: its layer and its name there, such as ("Conv1", "kernel")

_GAIN = 1.5  # of random kernels, see `_random_weights`

# Layers that Keras names itself, with a number that is counted over all networks of a process.
_NUMBERED = re.compile(r"(conv2d|batch_normalization)(_\d+)?")


def load_cnn(source: str, options: EncoderOptions) -> ImageTower:
    """Load a network without its classifier.

    At level "pooled" the features are the last feature map averaged over its positions (Keras' pooling="avg"); at level
    "tokens" that average first, where CLIP has its class token, then the positions row by row. Batch normalization uses its
    stored statistics, which get no gradient.

    Args:
      source: "keras:NAME" with a name of `NETWORKS`, for ImageNet weights from Keras' cache or else its download address; or
        "keras:NAME@FILE" for a local .h5 file as keras.applications publishes them, with or without top.
      options: of the config's section `encoders`. With "image" in `allow_random`, "keras:NAME" means random weights: nothing is
        downloaded. Noted in a warning and in the passport. A FILE is still read.

    Raises:
      InputError: no such network or file; weights that cannot be downloaded or are another network's; Keras is not installed
        or runs on another backend.
    """
    name, file = parse_network(source)
    network = NETWORKS[name]
    keras = _import_keras()
    model = _build(keras, name, options.dtype)
    variables = _variables_by_path(model)
    random = file is None and "image" in options.allow_random
    if random:
        _log.warning("%s STARTS FROM RANDOM NUMBERS (encoders.allow_random, seed %d)", source, options.seed)
        params = _random_weights(variables, seed=options.seed)
    else:
        params = _read_weights(file or _download(keras, source, name), variables, name=name)
    label = f"{KERAS}{name}@{file.name}" if file else f"{KERAS}{name}"
    weights = make_weights(params, source=label, random=random)

    # Dropout layers keep counters of their random numbers among the variables. They are no weights, and nothing is dropped.
    path_of = {id(variable): path for path, variable in variables.items()}
    trained = [path_of[id(variable)] for variable in model.trainable_variables]
    kept = [(path_of.get(id(variable)), variable.shape, variable.dtype) for variable in model.non_trainable_variables]
    preprocess = getattr(keras.applications, network.module).preprocess_input

    def forward(params: dict[str, Any], images: UInt8[Array | np.ndarray, "b s s 3"], *, level: Level) -> Features:
        arrays = [params[layer][weight] for layer, weight in trained]
        statistics = [
            jnp.zeros(shape, kind) if path is None else jax.lax.stop_gradient(params[path[0]][path[1]])
            for path, shape, kind in kept
        ]
        with default_promotion():
            pixels = preprocess(jnp.asarray(images).astype(jnp.float32), data_format="channels_last")
            maps, _ = model.stateless_call(arrays, statistics, pixels, training=False)
        batch, height, width, channels = maps.shape
        positions = maps.astype(jnp.float32).reshape(batch, height * width, channels)
        values = positions.mean(axis=1)
        if choose("features.level", level, LEVELS):
            values = jnp.concatenate([values[:, None], positions], axis=1)
        return Features(values, jnp.ones(values.shape[:-1], bool))

    passport = {
        "family": "keras",
        "tower": "image",
        "network": name,
        **weights.passport,
        "keras": keras.__version__,
        "image_size": network.size,
        "resize": options.resize,
        "resample": "bicubic",
        "preprocessing": network.preprocessing,
        "dtype": options.dtype,
        "width": model.output_shape[-1],
    }
    return ImageTower(
        name=label,
        width=model.output_shape[-1],
        image_size=network.size,
        resize=options.resize,
        params=weights.params,
        forward=forward,
        passport=passport,
    )


def _import_keras() -> Any:
    """Import Keras on the JAX backend, which can be chosen only before its first import."""
    if sys.modules.get("keras") is None:
        os.environ["KERAS_BACKEND"] = "jax"
    try:
        import keras
    except ImportError as error:
        raise InputError(
            f"{FIELD} names a network of keras.applications, which needs Keras 3 ({error}): pip install 'posterfusion-jax[cnn]'"
        ) from error
    if keras.backend.backend() != "jax":
        raise InputError(
            f"{FIELD} needs Keras on JAX, but something in this process has imported Keras on {keras.backend.backend()!r} "
            "before; set the environment variable KERAS_BACKEND=jax"
        )
    return keras


def _build(keras: Any, name: str, dtype: str) -> Any:
    """Build the network up to its last feature map; its own weights are zeros and never used."""
    size = NETWORKS[name].size

    class Zeros(keras.initializers.Initializer):
        """Initialize with zeros: random numbers would compile a program per shape, five seconds per network."""

        def __init__(self, **_: Any):
            pass

        def __call__(self, shape: Any, dtype: Any = None) -> Any:
            return keras.ops.zeros(shape, dtype)

    initialisers = keras.saving.custom_object_scope({"glorot_uniform": Zeros, "VarianceScaling": Zeros})
    with default_promotion(), _settings(keras.config, dtype), initialisers:
        return getattr(keras.applications, name)(include_top=False, weights=None, pooling=None, input_shape=(size, size, 3))


@contextlib.contextmanager
def _settings(config: Any, dtype: str) -> Iterator[None]:
    """Apply Keras' global settings that a network here needs, over those of the process and ~/.keras/keras.json."""
    before = config.floatx(), config.image_data_format(), config.dtype_policy()
    config.set_floatx("float32")
    config.set_image_data_format("channels_last")
    config.set_dtype_policy(choose("encoders.dtype", dtype, {"float32": "float32", "bfloat16": "mixed_bfloat16"}))
    try:
        yield
    finally:
        config.set_floatx(before[0])
        config.set_image_data_format(before[1])
        config.set_dtype_policy(before[2])


def _variables_by_path(model: Any) -> dict[Path, Any]:
    """Return the network's weights in layer order, within a layer as in .h5 files (trained ones, then statistics)."""
    seen = Counter()
    variables = {}
    for layer in model.layers:
        name = layer.name
        if numbered := _NUMBERED.fullmatch(name):  # from 0, so that names and hashes do not depend on what was built before
            name = f"{numbered[1]}_{seen[numbered[1]]}"
            seen[numbered[1]] += 1
        for variable in (*layer.trainable_weights, *layer.non_trainable_weights):
            variables[name, variable.name] = variable
    return variables


def _random_weights(variables: dict[Path, Any], *, seed: int) -> dict[str, Any]:
    """Draw random kernels, with batch normalization that changes nothing and biases 0.

    Kernels have variance `_GAIN` / inputs. He et al. (Delving Deep into Rectifiers, ICCV 2015, Eq. 10) derive 2 for layers
    that are all rectified; these networks, whose normalization does not help yet, would explode (EfficientNetV2B2 to features
    of 10,000 that change with the last bit of a weight), and with 1 it would fade to 0.0001. With 1.5 the features of all six
    have deviations between 0.02 and 12.
    """

    def draw(path: Path, shape: tuple[int, ...]) -> np.ndarray:
        if path[1] != "kernel":
            return np.full(shape, path[1] in ("gamma", "moving_variance"), np.float32)
        inputs = math.prod(shape[:-1]) if shape[-1] > 1 else math.prod(shape[:2])  # a depthwise filter sees one channel
        normal = generator_for(seed, f"init/{'/'.join(path)}").standard_normal(shape, np.float32)
        return normal * np.float32(math.sqrt(_GAIN / inputs))

    return traverse_util.unflatten_dict({path: draw(path, tuple(leaf.shape)) for path, leaf in variables.items()})


def _download(keras: Any, source: str, name: str) -> pathlib.Path:
    """Return Keras' file of ImageNet weights, from its cache or else downloaded."""
    url = NETWORKS[name].url
    file = pathlib.PurePosixPath(url).name
    if not draws_in_place():
        keras.config.disable_interactive_logging()  # its progress, redrawn in place or a line for every block
    try:
        with contextlib.redirect_stdout(sys.stderr):  # its progress bar; standard output is for results
            return pathlib.Path(keras.utils.get_file(file, url, cache_subdir="models", file_hash=NETWORKS[name].md5))
    except Exception as error:  # Keras raises Exception itself where the address cannot be reached
        raise InputError(
            f"{FIELD} is {source!r}: the weights are not in Keras' cache and cannot be downloaded ({error}). Fetch {url} where "
            f"there is a connection, copy {file} here and set --config.{FIELD}={KERAS}{name}@FOLDER/{file}"
        ) from error


def _read_weights(file: pathlib.Path, variables: dict[Path, Any], *, name: str) -> dict[str, Any]:
    """Read the weights in a .h5 file, matched to the network's layers by their order, as in Keras.

    Names in the published files are those of older Kerases and differ from the network's; the shapes are checked instead.
    """
    paths: dict[str, list[Path]] = {}
    for path in variables:
        paths.setdefault(path[0], []).append(path)
    layers, rest = read_layers(file, count=len(paths), field=FIELD)
    other = f"the file belongs to another network than {name}, or is not whole"
    if len(layers) < len(paths):
        raise InputError(f"{FIELD}: {file} has {len(layers)} layers with weights, {name} needs {len(paths)}; {other}")
    if any(ranks[0] != 2 for ranks in rest):  # a classifier on top is made of dense layers
        raise InputError(f"{FIELD}: {file} has more than the {len(paths)} layers of {name} and its top; {other}")
    params = {}
    for expected, (found_as, arrays) in zip(paths.values(), layers, strict=True):
        needed = [tuple(variables[path].shape) for path in expected]
        found = [array.shape for array in arrays]
        if needed != found:
            raise InputError(
                f"{FIELD}: in {file} the layer {found_as} has weights of the shapes {found}, where {name} needs {needed} for "
                f"{expected[0][0]}; {other}"
            )
        params |= dict(zip(expected, arrays, strict=True))
    return traverse_util.unflatten_dict(params)
