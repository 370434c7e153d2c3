"""Sphinx configuration of the documentation. Build: `python -m sphinx -W --keep-going -b html docs build/docs`.

`POSTERFUSION_DOCS_RUN_NOTEBOOKS=1` executes the notebooks; by default they are shown without output.
"""

import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT), str(HERE / "_ext")]

from posterfusion_jax import __version__  # noqa: E402 (after the path)

project = "PosterFusion"
author = "The PosterFusion authors"
copyright = "2026, the PosterFusion authors. Apache-2.0"
release = version = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "configuration_page",
    "api_pages",
    "repository_links",
    "notebook_pages",
]

html_theme = "furo"
html_title = f"PosterFusion {release}"
html_static_path: list[str] = []
exclude_patterns = ["_build", "_ext", "conf.py", "update_tables.py", "**/.ipynb_checkpoints"]
templates_path: list[str] = []

myst_heading_anchors = 4  # the anchors that GitHub makes

nb_custom_formats = {".py": "notebook_pages.read_percent"}
nb_execution_mode = "force" if os.environ.get("POSTERFUSION_DOCS_RUN_NOTEBOOKS") == "1" else "off"
nb_execution_timeout = 600
nb_execution_raise_on_error = True

napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False  # a shape such as [b, *l] would be read as markup
autodoc_member_order = "bysource"
autodoc_typehints = "signature"

# Towers are exported by their package, and defined in encoders/tower.py: both are targets.
suppress_warnings = ["ref.python"]
