"""Draw random CLIP weights for training from scratch, with OpenAI's scales.

transformers' Flax modules draw every weight with a standard deviation of 0.01 for any width: residual branches of a
small network then add next to nothing at first. These are the scales that CLIP was trained from.

Reference: `initialize_parameters` in https://github.com/openai/CLIP/blob/main/clip/model.py; for the vision layers, whose
scales OpenAI leaves to PyTorch's defaults, the same rule as for text (as transformers' `CLIPPreTrainedModel._init_weights`).
"""

from typing import Any

import numpy as np
from flax import traverse_util

from posterfusion_jax.utils.rng import generator_for


def random_params(shapes: dict[str, Any], *, seed: int) -> dict[str, Any]:
    """Draw every weight of a CLIP tower (or of both), normal with CLIP's scales; biases 0, layer-norm scales 1.

    Each array has a random stream of its own, named by its path: drawing only some of them, or another number of layers,
    does not change the rest.

    Args:
      shapes: nested dict of anything with a `shape`, named as in transformers' FlaxCLIPModule.
      seed: of all streams.

    Returns:
      The same tree of float32 arrays.
    """
    flat: dict[tuple[str, ...], Any] = traverse_util.flatten_dict(shapes)
    depths = {tower: sum(path[0] == tower and path[-2:] == ("fc1", "kernel") for path in flat) for tower, *_ in flat}

    def draw(path: tuple[str, ...], shape: tuple[int, ...]) -> np.ndarray:
        if path[-1] in ("bias", "scale"):
            return np.full(shape, path[-1] == "scale", np.float32)
        std = np.float32(_std(path, shape, depth=depths[path[0]]))
        return std * generator_for(seed, f"init/{'/'.join(path)}").standard_normal(shape, np.float32)

    return traverse_util.unflatten_dict({path: draw(path, leaf.shape) for path, leaf in flat.items()})


def _std(path: tuple[str, ...], shape: tuple[int, ...], *, depth: int) -> float:
    match path[-2:]:
        case ("token_embedding", _):
            return 0.02
        case ("position_embedding", _) if path[0] == "text_model":
            return 0.01
        case ("out_proj" | "fc2", _):  # they write into the residual stream, twice per layer
            return (shape[-1] * 2 * depth) ** -0.5
        case ("fc1", _):
            return (2 * shape[0]) ** -0.5
        case ("patch_embedding", _):
            return float(np.prod(shape[:-1])) ** -0.5
        case ("q_proj" | "k_proj" | "v_proj" | "visual_projection" | "text_projection", _):
            return shape[0] ** -0.5
        case (_, "class_embedding") | ("position_embedding", _):
            return shape[-1] ** -0.5
    raise AssertionError(f"no scale for {'/'.join(path)}")
