"""Define what every encoder provides: an image tower, a text tower, and features with a mask.

`params` and `forward` are apart, so that `forward` is a pure function: it can be jitted, sharded over devices and
differentiated for fine-tuning. The passport travels with every cached array; features whose passport differs are not the same
features.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Float32, Int32

Level = Literal["pooled", "tokens"]

# Entries of a passport about the weights' origin; their hash identifies the content, so these may differ.
PROVENANCE = ("source", "revision")


class Features(NamedTuple):
    """Hold features of a batch.

    Attributes:
      values: float32, [b, d] at level "pooled" and [b, l, d] at level "tokens". Masked rows are zero in text features.
      mask: bool, [b] or [b, l]; true where a feature is real.
    """

    values: Float[Array, "b *l d"]
    mask: Bool[Array, " b *l"]


class Tokens(NamedTuple):
    """Hold texts as token ids; the middle axis has the chunks of a long text (one unless the policy makes more).

    Attributes:
      input_ids: int32 [b, c, l]; of Word2Vec, whose table stays on the host, the vectors themselves, float32 [b, c, l, d].
      attention_mask: int32 [b, c, l]; 1 for tokens, 0 for padding. A missing chunk is all zeros.
      truncated: bool [b]; true where the policy lost tokens of the text.
    """

    input_ids: Int32[np.ndarray, "b c l"] | Float32[np.ndarray, "b c l d"]
    attention_mask: Int32[np.ndarray, "b c l"]
    truncated: Bool[np.ndarray, " b"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ImageTower:
    """Map posters to features.

    Attributes:
      name: the checkpoint's name or folder, as the user gave it.
      width: d, of pooled features and tokens alike.
      image_size: s; images come as s x s pixels, made by `preprocess.resize_poster(image, size=s, how=resize)`.
      resize: "crop", "squash" or "pad".
      params: this tower's weights, a nested dict of float32 arrays.
      forward: (params, images uint8 [b, s, s, 3], level=...) -> Features. Pure; normalises inside. Jit it with
        `static_argnames="level"`.
      passport: what determines the features, as JSON-able values.
    """

    name: str
    width: int
    image_size: int
    resize: str
    params: dict[str, Any]
    forward: Callable[..., Features]
    passport: dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TextTower:
    """Map texts to features.

    Attributes:
      name: the checkpoint's name or folder, as the user gave it.
      width: d, of pooled features and tokens alike.
      max_tokens: l of what `tokenize` makes, begin and end marks included.
      params: this tower's weights, a nested dict of float32 arrays.
      forward: (params, input_ids int32 [b, c, l], attention_mask int32 [b, c, l], level=...) -> Features. Pure. Jit it with
        `static_argnames="level"`. An empty text consists of begin and end marks only and counts as real here.
      tokenize: list of b texts -> Tokens.
      passport: what determines the features, as JSON-able values.
    """

    name: str
    width: int
    max_tokens: int
    params: dict[str, Any]
    forward: Callable[..., Features]
    tokenize: Callable[[list[str]], Tokens]
    passport: dict[str, Any]
