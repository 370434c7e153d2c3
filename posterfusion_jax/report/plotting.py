"""Import of matplotlib for the charts, and their style; no other module of this package imports it.

The charts need no window: the backend chosen by MPLBACKEND, a matplotlibrc or a notebook is neither used nor changed, and the
user's own style does not apply to the charts.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from posterfusion_jax.errors import InputError


def _load_matplotlib() -> None:
    """Import matplotlib without MPLBACKEND, which makes the import fail if its module is not installed.

    Jupyter and Colab export such a value to the commands that a cell starts. In the user's own process a valid value is set
    after the import, as matplotlib does, so that the user's own figures appear as usual.

    Raises:
      InputError: matplotlib cannot be imported.
    """
    if "matplotlib" in sys.modules:
        return
    backend = os.environ.pop("MPLBACKEND", None)
    log = logging.getLogger("matplotlib")
    level = log.level
    log.setLevel(logging.ERROR)  # hides warnings on files irrelevant to the charts, and on cache folders
    try:
        import matplotlib
        import matplotlib.figure
        import matplotlib.font_manager  # reads and writes its list of fonts

        if backend:
            with contextlib.suppress(ValueError):
                matplotlib.rcParams["backend"] = backend
    except Exception as error:  # an unreadable matplotlibrc, no folder for its cache, a broken installation
        raise InputError(
            f"matplotlib, which draws the charts, cannot be loaded ({type(error).__name__}: {error}). Correct or remove "
            "the file matplotlibrc of the current folder, name a folder that can be written in MPLCONFIGDIR, or install it "
            "again: pip install --force-reinstall matplotlib."
        ) from error
    finally:
        log.setLevel(level)
        if backend is not None:
            os.environ["MPLBACKEND"] = backend


_load_matplotlib()

import matplotlib  # noqa: E402 (after the guard above)
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.font_manager import FontProperties, findfont, get_font  # noqa: E402


@contextlib.contextmanager
def chart_style(changes: Mapping[Any, Any]) -> Iterator[None]:
    """Apply matplotlib's defaults and these changes within the `with` block, independent of the user's settings."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(changes)
        yield


def make_figure(width: float, height: float, *grid: int, **options: Any) -> tuple[Figure, Any]:
    """Return a figure that is not registered with pyplot, and its axes.

    Args:
      width: in inches.
      height: in inches.
      *grid: rows and columns of axes.
      **options: options of `Figure.subplots`.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(*grid, **options)


def replace_missing_letters(text: str) -> str:
    """Return the text with U+FFFD for each letter that the font lacks, which avoids a warning per letter."""
    letters = get_font(findfont(FontProperties())).get_charmap()
    return "".join(letter if ord(letter) in letters else "\N{REPLACEMENT CHARACTER}" for letter in text)
