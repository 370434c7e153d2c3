"""Config files: found by path, or by name among those in the package, and loaded from any folder."""

import contextlib
import difflib
import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import pathlib
import sys
import traceback
import types
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from posterfusion_jax.config.hints import describe_section, describe_unknown, find_section
from posterfusion_jax.config.overrides import apply_overrides
from posterfusion_jax.config.schema import describe_kind, known_fields
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.user_path import check_local, expand_path

SHIPPED = pathlib.Path(__file__).parents[1] / "configs"
_MODULE = "posterfusion_config"  # under which a config file is executed


class ConfigFile(NamedTuple):
    """A config file, and the argument that its `get_config` takes (None: no argument)."""

    path: pathlib.Path
    argument: str | None


def load(file: str, overrides: Sequence[str] = ()) -> ConfigDict:
    """Load a config from its file, as the flag --config does.

    Args:
      file: a path, or the name of a config in the package ("paper", "configs/paper.py"); for a file whose `get_config` takes
        an argument with ":" and the argument, as in "configs/tables.py:gmu".
      overrides: "--config.x.y=z" each.

    Raises:
      InputError: no such file, one that cannot be loaded, or an override that does not fit.
    """
    config = _execute(find_config(file), file)
    apply_overrides(config, overrides)
    return config


def find_config(file: str) -> ConfigFile:
    """Find the file that --config names. A file at that path comes first, except for a bare name such as "paper".

    Raises:
      InputError: there is none; lists the configs in the package with the nearest one.
    """
    check_local(file, "--config")
    # A path may have colons itself, and so may an argument.
    for end in [len(file), *(place for place, letter in enumerate(file) if letter == ":")]:
        place, argument = file[:end], file[end + 1 :] if end < len(file) else None
        shipped = _shipped_name(place)
        found = _existing_file(place)
        if found is not None and shipped != place:  # a file with such a bare name is ./paper
            return ConfigFile(found, argument)
        if shipped is not None:
            return ConfigFile(_shipped_file(shipped), argument)
    known = shipped_configs()
    place = file.partition(":")[0]
    expand_path(place, "--config")  # it may explain what is wrong
    name = pathlib.PurePath(place).name.removesuffix(".py")
    near = difflib.get_close_matches(name, known, n=1)
    raise InputError(
        f"--config={file}: there is no file {place!r}, and no config of this name in the package, which has "
        f"{', '.join(known)}.{f' Did you mean --config={near[0]}?' if near else ''} Name one of these, or the path of a file "
        "with a function get_config()."
    )


def _existing_file(place: str) -> pathlib.Path | None:
    with contextlib.suppress(InputError):  # of an argument that is no path
        path = pathlib.Path(expand_path(place, "--config"))
        return path if place and path.is_file() else None
    return None


def shipped_configs() -> list[str]:
    """Return the names of the configs in the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.py") if path.stem != "__init__")


def stem_of(file: str) -> str:
    """Return the name of a config without folder, suffix and argument, such as "paper"."""
    return find_config(file).path.stem


def _shipped_name(place: str) -> str | None:
    """Return the name in the package that "paper", "paper.py" and "configs/paper.py" mean; None where they mean none."""
    *folders, name = pathlib.PurePosixPath(place).parts or ("",)
    name = name.removesuffix(".py")
    return name if folders in ([], ["configs"]) and name in shipped_configs() else None


def _shipped_file(name: str) -> pathlib.Path:
    return SHIPPED / f"{name}.py"


def _execute(file: ConfigFile, given: str) -> ConfigDict:
    """Return what the file's `get_config` returns, locked."""
    module = types.ModuleType(_MODULE)
    module.__file__ = str(file.path)
    before = sys.modules.get(_MODULE)
    sys.modules[_MODULE] = module  # dataclasses look their module up
    try:
        with _with_shipped_configs():
            source = file.path.read_bytes()
            # Compiled here: the import system would leave a __pycache__ in the folder, and compare it by whole seconds.
            exec(compile(source, str(file.path), "exec"), module.__dict__)
            make = getattr(module, "get_config", None)
            if not callable(make):
                raise InputError("it has no function get_config() that returns a config")
            config = make() if file.argument is None else make(file.argument)
        if not isinstance(config, ConfigDict):
            raise InputError(f"get_config() returned {type(config).__name__}, not a ConfigDict")
        return config.lock()
    except Exception as error:  # a user's file may raise anything
        raise InputError(f"--config={given}: {_explain(error, file)}") from error
    finally:
        if before is None:
            sys.modules.pop(_MODULE, None)
        else:
            sys.modules[_MODULE] = before


def _explain(error: Exception, file: ConfigFile) -> str:
    """Return what is wrong with the file, with the line and, of a field, what it may be called."""
    text = " ".join(str(error).split())
    if isinstance(error, InputError):
        return f"{text}."
    if isinstance(error, SyntaxError):
        return f"{file.path}, line {error.lineno}: SyntaxError: {error.msg}"
    if isinstance(error, ImportError) and (error.name or "").partition(".")[0] == "configs":
        return (
            f"{_where(error, file)}{text}. Another package or module `configs` comes first on the path. Import the defaults "
            "with `from posterfusion_jax.config import defaults`, and the other configs with `from posterfusion_jax.configs "
            "import ...`."
        )
    where = _where(error, file)
    if isinstance(error, TypeError) and not where and "get_config" in text:
        wanted = "an argument after ':'" if file.argument is None else f"no argument such as {file.argument!r} after ':'"
        return f"get_config() takes {wanted} ({text})."
    return f"{where}{_explain_field(error) or f'{type(error).__name__}: {text}'}"


def _where(error: Exception, file: ConfigFile) -> str:
    """Return the last line of the file that was executed, with its text."""
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file.path)]
    if not lines or lines[-1].lineno is None:
        return ""
    linecache.checkcache(str(file.path))
    text = linecache.getline(str(file.path), lines[-1].lineno).strip()
    return f"{file.path}, line {lines[-1].lineno}, `{text[:80]}`: "


def _explain_field(error: Exception) -> str | None:
    """Return what a field is called instead, where a ConfigDict refused one; None where the error is another one."""
    fields = tuple(known_fields())
    found = _refused(error)
    if found is None:
        return None
    section, key = found
    name = f"{find_section(section.keys(), fields)}.{key}".lstrip(".")
    if isinstance(error, KeyError | AttributeError):
        return describe_unknown(name, fields)
    if isinstance(error, TypeError) and isinstance(section.get(key), ConfigDict):
        return describe_section(name, fields)
    if isinstance(error, TypeError) and name in fields:
        return f"{name} must be {describe_kind(name)}."
    return None


def _refused(error: BaseException) -> tuple[ConfigDict, str] | None:
    """Return the section and the name in it at which a ConfigDict raised `error`."""
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        values: dict[str, Any] = frame.f_locals
        section, key = values.get("self"), values.get("key", values.get("attribute"))
        if isinstance(section, ConfigDict) and isinstance(key, str):
            return section, key
    return None


class _ShippedFinder(importlib.abc.MetaPathFinder):
    """Find `configs` and the modules in it among those of the package, where nothing else on the path has them."""

    def find_spec(
        self, fullname: str, path: Any = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a module of the package's configs; None for every other name."""
        del path, target
        package, _, name = fullname.partition(".")
        if package != "configs":
            return None
        if not name:
            spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(SHIPPED)]
            return spec
        file = _shipped_file(name)
        return importlib.util.spec_from_file_location(fullname, file) if file.is_file() else None


@contextlib.contextmanager
def _with_shipped_configs() -> Iterator[None]:
    """Let a config use `from configs import base`, as it may in a checkout, from any folder.

    The finder is the last one: a `configs` of the user is found first, and only what that lacks comes from the package.
    """
    finder = _ShippedFinder()
    sys.meta_path.append(finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
