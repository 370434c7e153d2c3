"""Whether a config has the fields that `config/defaults.py` declares, no others, each with a value of its kind."""

import functools
import math
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from posterfusion_jax.config import defaults
from posterfusion_jax.config.hints import describe_section, describe_unknown, sections_of
from posterfusion_jax.errors import InputError

_WORDS = {bool: "True or False", int: "a whole number below 2**31", float: "a finite number", str: "a text without NUL"}


def check_types(flat: Mapping[str, Any]) -> None:
    """Raise InputError for the first field that is missing, unknown, or holds a value of another kind than its default.

    Args:
      flat: dotted field -> value, as `config.flatten` gives it.
    """
    fields = known_fields()
    sections = sections_of(tuple(fields))
    for field in flat:
        if field in sections:
            raise InputError(f"{field}={_brief(flat[field])}: {describe_section(field, tuple(fields))}")
        if field not in fields:
            raise InputError(
                f"the config has the field {_brief(field)}, which this version does not know (another version may have written "
                f"it). {describe_unknown(field, tuple(fields))}"
            )
    for field, (kind, default) in fields.items():
        if field not in flat:
            raise InputError(
                f"the config lacks the field {field!r}. Start from defaults.get_config(), which has them all: "
                "`from posterfusion_jax.config import defaults`."
            )
        value = flat[field]
        if value is None and default is None:
            continue
        if kind is not tuple:
            if not _is(value, kind):
                raise InputError(f"{field}={_brief(value)} must be {describe_kind(field)}.")
            continue
        of = type(default[0]) if default else str
        if not isinstance(value, tuple | list) or not all(_is(item, of) for item in value):
            raise InputError(f"{field}={_brief(value)} must be {describe_kind(field)}.")


@functools.cache
def known_fields() -> dict[str, tuple[type, Any]]:
    """Return every field there is: dotted name -> its type (also of one whose default is None) and its default."""
    return _fields(defaults.get_config())


def describe_kind(field: str) -> str:
    """Return what a value of this field must be, in words."""
    kind, default = known_fields()[field]
    if kind is tuple:
        return f"a tuple, each item {_WORDS[type(default[0]) if default else str]}, as in {default or ('rapidocr',)!r}"
    return f"{_WORDS[kind]}{', or none' if default is None else ''}"


def _fields(config: ConfigDict, prefix: str = "") -> dict[str, tuple[type, Any]]:
    """Dotted field -> its type (also of one whose default is None) and default."""
    found: dict[str, tuple[type, Any]] = {}
    for name, value in config.items():
        if isinstance(value, ConfigDict):
            found |= _fields(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = config.get_type(name), value
    return found


def _is(value: Any, kind: type) -> bool:
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and abs(value) < 2**31
    if kind is float:
        return isinstance(value, float | int) and abs(value) < 1e300 and math.isfinite(value)
    return isinstance(value, str) and "\0" not in value


def _brief(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."
