"""Names that fields of a config may have, apart from the code behind them.

A choice is looked up with `choose`, so that a name without code behind it is an error and never another choice. That code
imports JAX. A config is read and checked without it: what is wrong is told at once, and in a prediction OCR starts
while JAX is being loaded.
"""

from collections.abc import Mapping
from typing import TypeVar

from posterfusion_jax.errors import InputError

_Wired = TypeVar("_Wired")

# encoders.image and encoders.text, beside hub names and folders
SCRATCH = "scratch"  # a small CLIP without pretrained weights
KERAS = "keras:"  # before a network of keras.applications
WORD2VEC = "word2vec:"  # before a file of word vectors

CLIP_TYPES = ("clip", "clip_vision_model", "clip_text_model")  # model_type in config.json: whole, or one tower of it

# model.name
ZERO_SHOT = "zero_shot"  # the one head that does not train
HEADS = (
    *("fusion", "addition", "concatenation", "image_only", "text_only"),
    *("gmu", "centralnet", "linear_probe", "linear_probe_image", ZERO_SHOT),
)
CROSS_ATTENTION = ("cross", "as_printed")
TOKEN_FUSION = ("add_pooled_text", "concat", "pool_add")
POOLING = ("mean", "cls")
GATE_INPUTS = ("projections", "raw")
GENRE = "{genre}"  # in model.zero_shot_prompts: what stands for the genre's name

# data.text_control and evaluate.controls
TEXTS = ("own", "empty", "shuffled")
WITHOUT_TITLE = "without_title"  # the fourth choice of data.text_control, which needs texts of its own
CONTROLS = ("text_empty", "text_shuffled", "image_mean", "text_without_title")
MISSING_TEXT = {"learned": False, "encode": True}  # model.missing_text -> whether an absent text is the encoded empty string
LEVELS = {"pooled": False, "tokens": True}  # features.level -> whether features are tokens


def choose(field: str, value: str, wired: Mapping[str, _Wired]) -> _Wired:
    """Returns what is behind a choice.

    Args:
      field: of the config, for the message.
      wired: each choice that has something behind it.

    Raises:
      InputError: `value` is none of them, whether a list of choices names it or not.
    """
    if value not in wired:
        raise unwired(field, value, *wired)
    return wired[value]


def unwired(field: str, value: object, *known: str) -> InputError:
    """Returns the error for a choice without anything behind it."""
    return InputError(f"{field}={value!r}: this version has nothing behind that name; it has {', '.join(known)}.")
