"""Registries: from a name in a config to the object behind it, built in or the user's own."""

import difflib
import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, cast

from posterfusion_jax.errors import InputError

T = TypeVar("T")
_REFERENCE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


class Registry(Generic[T]):
    """Names of one kind of object, such as heads or losses.

    A name is one of `names`, or a reference "package.module:Object" to an object that Python can import.
    """

    def __init__(self, field: str, what: str, builtin: Mapping[str, T | str]):
        """Build a registry.

        Args:
          field: the config field whose values are looked up, for error messages, such as "model.name".
          what: the kind of object, for error messages, such as "head".
          builtin: name -> object, or a reference "package.module:Object" that is imported when it is first needed.
        """
        self.field, self.what = field, what
        self._objects: dict[str, T | str] = dict(builtin)
        self._builtin = frozenset(builtin)

    @property
    def names(self) -> tuple[str, ...]:
        """The registered names, the built-in ones first."""
        return tuple(self._objects)

    def __contains__(self, name: object) -> bool:
        """Return whether `name` is registered, or is a reference "package.module:Object"."""
        return name in self._objects or (isinstance(name, str) and is_reference(name))

    def is_builtin(self, name: str) -> bool:
        """Return whether `name` is one of this package."""
        return name in self._builtin

    def register(self, name: str, obj: T | None = None) -> Any:
        """Register an object under a name, which configs can then use.

        Args:
          name: letters, digits, "_", "-" and "."; not one that is taken by another object.
          obj: the object; without it a decorator is returned.

        Raises:
          InputError: the name has other characters, or is taken.
        """
        if obj is None:
            return lambda decorated: self.register(name, decorated)
        if not re.fullmatch(r"[\w.-]+", name):
            raise InputError(f"{name!r} cannot name a {self.what}: use letters, digits, '_', '-' and '.'.")
        if self._objects.get(name, obj) is not obj:
            raise InputError(f"{self.what} {name!r} is registered already. Choose another name.")
        self._objects[name] = obj
        return obj

    def get(self, name: str) -> T:
        """Return the object behind a name or reference.

        Raises:
          InputError: no such name, or the reference cannot be imported; the message lists the known names.
        """
        found = self._objects.get(name)
        if found is None and not is_reference(name):
            raise InputError(self.describe_unknown(name))
        if found is None or (isinstance(found, str) and is_reference(found)):
            return cast(T, import_reference(found or name, self.field))
        return cast(T, found)

    def describe_unknown(self, name: object) -> str:
        """Return the message for a name that is not registered, with the nearest known one."""
        close = difflib.get_close_matches(str(name), self.names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        known = f"choose one of {', '.join(self.names)}, or name" if self.names else "none is registered: name"
        return f"{self.field}={name!r} is not a known {self.what}; {known} your own as 'package.module:Object'.{hint}"


def is_reference(name: str) -> bool:
    """Return whether `name` has the form "package.module:Object"."""
    return _REFERENCE.fullmatch(name) is not None


def import_reference(reference: str, field: str) -> Any:
    """Import the object that "package.module:Object" names.

    Args:
      reference: the module and the object's name in it.
      field: the config field that holds it, for error messages.

    Raises:
      InputError: the module cannot be imported, or lacks the object.
    """
    module_name, _, attribute = reference.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InputError(
            f"{field}={reference!r}: the module {module_name!r} cannot be imported ({error}). Install it, or put its folder on "
            "PYTHONPATH."
        ) from error
    if not hasattr(module, attribute):
        public = [name for name in vars(module) if not name.startswith("_")]
        close = difflib.get_close_matches(attribute, public, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise InputError(f"{field}={reference!r}: the module {module_name!r} has no {attribute!r}.{hint}")
    return getattr(module, attribute)


def check_callable(obj: Any, field: str, name: str) -> Callable[..., Any]:
    """Return `obj`; raise InputError where it cannot be called."""
    if not callable(obj):
        raise InputError(f"{field}={name!r} is a {type(obj).__name__}; it must be a class or a function.")
    return obj


def accepted(function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the options that a function declares as parameters; all of them if it takes any keyword."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return dict(options)
    names = {p.name for p in parameters if p.kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)}
    return {name: value for name, value in options.items() if name in names}
