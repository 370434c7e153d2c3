"""Look up the code behind a config's choice; a name without code is an error, never another choice."""

from collections.abc import Mapping
from typing import TypeVar

from posterfusion_jax.errors import InputError

_Wired = TypeVar("_Wired")


def choose(field: str, value: str, wired: Mapping[str, _Wired]) -> _Wired:
    """Return the value behind a choice.

    Args:
      field: the field of the config, for the message.
      value: the choice.
      wired: the value of each choice.

    Raises:
      InputError: `value` is none of them, even if a list of choices names it.
    """
    if value not in wired:
        raise unwired(field, value, *wired)
    return wired[value]


def unwired(field: str, value: object, *known: str) -> InputError:
    """Return the error for a choice without a value behind it."""
    return InputError(f"{field}={value!r}: this version has nothing behind that name; it has {', '.join(known)}.")
