"""Writes the reference of the public Python API: one page per namespace, from the docstrings of the names that exist.

`PUBLIC` lists what the API promises; further names of a namespace's `__all__` are documented as well, and so are the package's
classes that its functions return. A name that this version lacks is left out of the pages and counted in the build's log.
"""

import importlib
import inspect
import pathlib
import re
import typing
from typing import Any

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "_generated" / "api"
PACKAGE = "posterfusion_jax"
_ARRAY_LIKE = re.compile(r"[\w.~]*_Buffer \| .*?_NestedSequence\[complex \| bytes \| str\]")

# Namespace -> its public names. "" is the package itself.
PUBLIC: dict[str, tuple[str, ...]] = {
    "": (
        *("load", "load_config", "resolve", "open_dataset", "open_features", "load_towers", "EncoderOptions"),
        *("Prediction", "InputError", "GENRES"),
    ),
    "pipeline": ("ocr", "build", "features", "train", "evaluate", "report", "run_all"),
    "losses": ("asymmetric_loss", "make_loss", "register"),
    "metrics": ("multilabel_report", "report_from_counts", "register"),
    "models": ("PosterFusion", "register"),
    "encoders": ("register_image_tower", "register_text_tower"),
    "ocr": ("register_engine",),
    "datasets.sources": ("register", "Source", "SourceOptions", "Entry", "Item", "list_items", "find_pictures"),
}
# Further objects to document, by the module that defines them: for versions whose packages do not export them.
DEFINED_IN: dict[str, tuple[tuple[str, str], ...]] = {
    "": (
        ("errors", "InputError"),
        ("genres", "GENRES"),
        ("predict", "GenreModel"),
        ("predict", "Prediction"),
    ),
    "losses": (("losses.asymmetric", "asymmetric_loss"), ("losses.asymmetric", "make_loss")),
    "metrics": (
        ("metrics.multilabel", "multilabel_report"),
        ("metrics.multilabel", "report_from_counts"),
        ("metrics.thresholds", "fit_thresholds"),
        ("metrics.thresholds", "apply_thresholds"),
        ("metrics.calibration", "fit_calibration"),
        ("metrics.calibration", "calibrated"),
        ("metrics.intervals", "film_bootstrap"),
        ("metrics.intervals", "paired_difference"),
    ),
    "models": (("models.fusion", "PosterFusion"),),
}


def lookup(module: str, name: str) -> Any:
    """Returns an attribute of a module of the package, or None where either does not exist."""
    try:
        return getattr(importlib.import_module(f"{PACKAGE}.{module}".rstrip(".")), name, None)
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith(PACKAGE):
            return None
        raise


def entries(namespace: str) -> tuple[list[tuple[str, str, Any]], list[str]]:
    """Returns the documented objects of a namespace as (module, name, object), and the public names that do not exist."""
    exported = [name for name in lookup(namespace, "__all__") or () if name not in PUBLIC and not name.startswith("_")]
    promised = [(namespace, name) for name in dict.fromkeys((*PUBLIC[namespace], *exported))]
    found: dict[str, tuple[str, str, Any]] = {}
    for module, name in [*promised, *DEFINED_IN.get(namespace, ())]:
        value = lookup(module, name)
        if value is None or inspect.ismodule(value):
            continue
        found.setdefault(name, (module, name, value))
        for cls in _returned_classes(value):
            found.setdefault(cls.__name__, (cls.__module__.removeprefix(f"{PACKAGE}."), cls.__name__, cls))
    missing = [f"{module}.{name}".lstrip(".") for module, name in promised if name in PUBLIC[namespace] and name not in found]
    return list(found.values()), missing


def _returned_classes(function: Any) -> list[type]:
    """The public class of the package that a function returns, if it is annotated with one."""
    if not inspect.isfunction(function):
        return []
    try:
        returned = typing.get_type_hints(function).get("return")
    except (NameError, TypeError):  # a name that is imported for type checkers only
        return []
    of = [returned, *typing.get_args(returned)]
    return [cls for cls in of if inspect.isclass(cls) and cls.__module__.startswith(f"{PACKAGE}.") and cls.__name__[0] != "_"]


def page(namespace: str) -> tuple[str, list[str]]:
    """Returns the page of a namespace in reStructuredText, and its missing names."""
    title = f"pf.{namespace}" if namespace and "." not in namespace else f"{PACKAGE}.{namespace}".rstrip(".")
    parts = [f"{title}\n{'=' * len(title)}"]
    found, missing = entries(namespace)
    for module, name, value in found:
        full = f"{PACKAGE}.{module}.{name}" if module else f"{PACKAGE}.{name}"
        if isinstance(value, type):
            options = ":no-members:" if issubclass(value, BaseException | tuple) else ":members:"
            kind = "autoexception" if issubclass(value, BaseException) else "autoclass"
        else:
            is_function = callable(value) and typing.get_origin(value) is None  # an alias such as dict[str, Any] is called, too
            kind, options = ("autofunction", "") if is_function else ("py:data", f":type: {type(value).__name__}")
        parts.append("\n".join([f".. {kind}:: {full}", *([f"   {options}"] if options else [])]))
    return "\n\n".join(parts) + "\n", missing


def write_pages() -> None:
    """Writes one page per namespace that has a name, and logs how many promised names are missing."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    absent: list[str] = []
    for namespace in PUBLIC:
        text, missing = page(namespace)
        absent += missing
        path = FOLDER / f"{namespace or 'posterfusion_jax'}.rst"
        if ".. auto" not in text:
            path.unlink(missing_ok=True)
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    if absent:
        from sphinx.util import logging

        names = ", ".join(absent)
        logging.getLogger(__name__).info("API pages: %d public names do not exist in this version: %s", len(absent), names)


def separate_lists(_app: Any, _what: str, _name: str, _value: Any, _options: Any, lines: list[str]) -> None:
    """Keeps a Returns section that begins with a list from being read as "type: description"."""
    for number, line in enumerate(lines):
        if line.strip() == "Returns:" and number + 1 < len(lines) and lines[number + 1].lstrip().startswith("- "):
            indent = lines[number + 1][: -len(lines[number + 1].lstrip())]
            lines[number + 1 : number + 1] = [f"{indent}A dictionary with these entries.", ""]
            return


def shorten_signature(
    _app: Any, _what: str, _name: str, _value: Any, _options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Writes NumPy's ArrayLike by its name in place of the union that it is."""
    return (_ARRAY_LIKE.sub("ArrayLike", signature) if signature else signature), returned


def setup(app: Any) -> dict[str, bool]:
    """Registers the extension with Sphinx."""
    app.connect("config-inited", lambda app, config: write_pages())
    app.connect("autodoc-process-docstring", separate_lists, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", shorten_signature)
    return {"parallel_read_safe": True}
