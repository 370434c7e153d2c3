"""Make towers of the encoders that transformers defines (CLIP, BLIP, BERT): what their inputs, outputs and passports share."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int32, UInt8
from transformers import PreTrainedTokenizerFast

from posterfusion_jax.encoders.image_settings import PixelStatistics
from posterfusion_jax.encoders.long_text import merge_chunks
from posterfusion_jax.encoders.options import EncoderOptions
from posterfusion_jax.encoders.preprocess import normalize
from posterfusion_jax.encoders.tokenizer import hash_tokenizer, make_tokenize
from posterfusion_jax.encoders.tower import Features, ImageTower, Level, TextTower
from posterfusion_jax.encoders.weights import Weights


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageModel:
    """Describe the image half of a model.

    Attributes:
      family: of its passport.
      width: of its features.
      config: transformers' configuration of this half.
      statistics: of the pixels that it was trained with.
      weights: of this half.
      encode: (params, normalized pixels float32 [b, s, s, 3], level) -> float32 [b, d] or [b, l, d].
      passport: entries of this family alone.
    """

    family: str
    width: int
    config: Any
    statistics: PixelStatistics
    weights: Weights
    encode: Callable[[dict[str, Any], Float[Array, "b s s 3"], Level], Float[Array, "b *l d"]]
    passport: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextModel:
    """Describe the text half of a model.

    Attributes:
      family: of its passport.
      name: of the tower.
      width: of its features.
      max_tokens: of a chunk of text, special tokens included.
      config: transformers' configuration of this half.
      tokenizer: of the model.
      weights: of this half.
      encode: (params, ids int32 [n, l], mask int32 [n, l], level) -> float32 [n, d] or [n, l, d], and a mask, bool [n] or
        [n, l], true where a feature is real.
      passport: entries of this family alone.
    """

    family: str
    name: str
    width: int
    max_tokens: int
    config: Any
    tokenizer: PreTrainedTokenizerFast
    weights: Weights
    encode: Callable[
        [dict[str, Any], Int32[Array, "n t"], Int32[Array, "n t"], Level],
        tuple[Float[Array, "n *l d"], Bool[Array, " n *l"]],
    ]
    passport: dict[str, Any]


def make_image_tower(model: ImageModel, options: EncoderOptions) -> ImageTower:
    """Make the tower that normalizes pixels and encodes them."""
    mean, std = model.statistics

    def forward(params: dict[str, Any], images: UInt8[Array | np.ndarray, "b s s 3"], *, level: Level) -> Features:
        values = model.encode(params, normalize(images, mean=mean, std=std), level)
        return Features(values, jnp.ones(values.shape[:-1], bool))

    passport = {
        "family": model.family,
        "tower": "image",
        **model.weights.passport,
        "activation": model.config.hidden_act,
        **model.passport,
        "image_size": model.config.image_size,
        "patch_size": model.config.patch_size,
        "resize": options.resize,
        "resample": "bicubic",
        "mean": list(mean),
        "std": list(std),
        "dtype": options.dtype,
        "width": model.width,
    }
    return ImageTower(
        name=passport["source"],
        width=model.width,
        image_size=model.config.image_size,
        resize=options.resize,
        params=model.weights.params,
        forward=forward,
        passport=passport,
    )


def make_text_tower(model: TextModel, options: EncoderOptions) -> TextTower:
    """Make the tower that encodes the chunks of texts and merges them."""

    def forward(
        params: dict[str, Any],
        input_ids: Int32[Array | np.ndarray, "b c l"],
        attention_mask: Int32[Array | np.ndarray, "b c l"],
        *,
        level: Level,
    ) -> Features:
        _, chunks, length = input_ids.shape
        ids, present = (jnp.asarray(array).reshape(-1, length) for array in (input_ids, attention_mask))
        values, mask = model.encode(params, ids, present, level)
        return merge_chunks(values, mask, chunks=chunks, level=level, long_text=options.long_text)

    passport = {
        "family": model.family,
        "tower": "text",
        **model.weights.passport,
        "tokenizer_sha256": hash_tokenizer(model.tokenizer),
        "activation": model.config.hidden_act,
        **model.passport,
        "max_tokens": model.max_tokens,
        "text_policy": options.long_text,
        "max_chunks": options.max_chunks if options.long_text.startswith("chunk") else 1,
        "dtype": options.dtype,
        "width": model.width,
    }
    return TextTower(
        name=model.name,
        width=model.width,
        max_tokens=model.max_tokens,
        params=model.weights.params,
        forward=forward,
        tokenize=make_tokenize(model.tokenizer, options, max_tokens=model.max_tokens),
        passport=passport,
    )
