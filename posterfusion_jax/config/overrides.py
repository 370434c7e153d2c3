"""Fields of a config that the command line changes: --config.section.field=value."""

import re
from collections.abc import Sequence

from absl import flags
from ml_collections import ConfigDict, config_flags

from posterfusion_jax.config.defaults import is_none
from posterfusion_jax.config.hints import describe_section, describe_unknown, sections_of
from posterfusion_jax.config.schema import describe_kind, known_fields
from posterfusion_jax.errors import InputError

_OVERRIDE = re.compile(r"--?(?P<no>no)?config\.(?P<field>[^=]*)(?:=(?P<value>.*))?", re.DOTALL)


def split_overrides(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Take the overrides out of a command line.

    Args:
      arguments: without the program's name. What follows "--" is not looked at.

    Returns:
      The overrides, "--config.field=value" each (a value in an argument of its own is joined to its field), and the rest.
    """
    overrides, rest = [], []
    queue = list(arguments)
    while queue:
        argument = queue.pop(0)
        if argument == "--":
            return overrides, [*rest, argument, *queue]
        parsed = _OVERRIDE.fullmatch(argument)
        if parsed is None:
            rest.append(argument)
            continue
        if parsed["value"] is None and not parsed["no"] and not _is_switch(parsed["field"]) and queue:
            argument = f"{argument}={queue.pop(0)}"
        overrides.append(argument)
    return overrides, rest


def apply_overrides(config: ConfigDict, overrides: Sequence[str]) -> None:
    """Change fields of `config`; the last of several values of a field counts.

    Args:
      config: changed in place.
      overrides: "--config.field=value" each; "--config.field" and "--noconfig.field" switch a field on and off. Several values
        of a field that is a tuple are its items.

    Raises:
      InputError: an override of another form, a field that does not exist, or a value of another kind than the field's.
    """
    by_field: dict[str, list[str]] = {}
    for override in overrides:
        parsed = _OVERRIDE.fullmatch(override)
        if parsed is None:
            raise InputError(f"{_brief(override)!r} is not of the form --config.field=value.")
        _check_field(parsed["field"], override)
        by_field.setdefault(parsed["field"], []).append(override)
    for field, given in by_field.items():
        kind, default = known_fields()[field]
        last = _OVERRIDE.fullmatch(given[-1])
        if default is None and kind is not tuple and last is not None and last["value"] is not None and is_none(last["value"]):
            config.update_from_flattened_dict({field: None})
        else:
            _set(config, field, given if kind is tuple else given[-1:])


def _check_field(field: str, override: str) -> None:
    fields = tuple(known_fields())
    if field in sections_of(fields):
        raise InputError(f"{_brief(override)}: {describe_section(field, fields)}")
    if field not in fields:
        raise InputError(f"{_brief(override)}: {describe_unknown(field, fields)}")


def _set(config: ConfigDict, field: str, given: Sequence[str]) -> None:
    """Set one field from its flags, with the parsers of ml_collections."""
    values, arguments = flags.FlagValues(), ["", *given]
    config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=arguments)
    try:
        rest = values(arguments)[1:]
    except Exception as error:  # of a parser of absl or ml_collections, or the config's own check of types
        raise InputError(f"{' '.join(map(_brief, given))}: {field} must be {describe_kind(field)}.") from error
    if rest:
        raise InputError(f"{_brief(rest[0])!r} is not of the form --config.field=value.")


def _is_switch(field: str) -> bool:
    """Return whether a field can be given without a value. One that does not exist takes none, and is refused later."""
    return field not in known_fields() or known_fields()[field][0] is bool


def _brief(override: str) -> str:
    return override if len(override) <= 160 else override[:157] + "..."
