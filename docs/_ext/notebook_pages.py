"""Lists the notebooks: Python files in percent format, in docs/notebooks/ or in notebooks/ at the top of the repository."""

import pathlib
import shutil
from typing import Any

DOCS = pathlib.Path(__file__).resolve().parents[1]
OUTSIDE = DOCS.parent / "notebooks"
COPIES = DOCS / "_generated" / "notebooks"


def read_percent(text: str, **_options: Any) -> Any:
    """Returns the notebook of a Python file in percent format; one without a header gets the kernel python3."""
    import jupytext

    notebook = jupytext.reads(text, fmt="py:percent")
    notebook.metadata.setdefault("kernelspec", {"name": "python3", "display_name": "Python 3", "language": "python"})
    notebook.metadata.setdefault("language_info", {"name": "python", "pygments_lexer": "python"})
    return notebook


def write_list() -> None:
    """Copies notebooks from outside docs/, and writes the list for the page to include."""
    shutil.rmtree(COPIES, ignore_errors=True)
    for path in sorted(OUTSIDE.glob("*.py")):
        COPIES.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, COPIES / path.name)
    found = sorted([*(DOCS / "notebooks").glob("*.py"), *COPIES.glob("*.py")], key=lambda path: path.name)
    names = [path.relative_to(DOCS).with_suffix("").as_posix() for path in found]
    text = "\n".join(["```{toctree}", ":maxdepth: 1", "", *names, "```", ""]) if names else "There are none in this version.\n"
    target = DOCS / "_generated" / "notebooks.inc"
    target.parent.mkdir(exist_ok=True)
    target.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Registers the extension with Sphinx."""
    app.connect("config-inited", lambda app, config: write_list())
    return {"parallel_read_safe": True}
