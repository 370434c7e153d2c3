"""Looks up what a config's choice stands for, so that a name without code behind it is an error and never another choice."""

from collections.abc import Mapping
from typing import TypeVar

from posterfusion_jax.errors import InputError

_Wired = TypeVar("_Wired")


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
