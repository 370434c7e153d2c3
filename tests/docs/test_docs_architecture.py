"""The layers that docs/architecture.md lists: each part of the package has one, and imports from earlier layers only."""

import ast
import pathlib
import re
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "posterfusion_jax"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def layers() -> list[str]:
    listed = re.search(r"^layers: (.+?)\n```", PAGE, re.MULTILINE | re.DOTALL)
    assert listed
    return [name.strip() for name in listed[1].replace("\n", " ").split(",")]


def imports_of(path: pathlib.Path) -> Iterator[tuple[int, str]]:
    """(line, layer) of each import from the package, also inside functions; not those for type checkers alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for child in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module] if node.module != PACKAGE.name else [f"{node.module}.{name.name}" for name in node.names]
        elif isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        for name in names:
            if name.startswith(f"{PACKAGE.name}."):
                yield node.lineno, name.split(".")[1]


def test_every_folder_and_module_has_a_layer():
    paths = [path for path in PACKAGE.iterdir() if not path.is_symlink()]
    found = {path.stem for path in paths if path.suffix == ".py" or (path / "__init__.py").is_file()}
    found -= {"__init__"}
    assert found <= set(layers())
    assert len(layers()) == len(set(layers()))


@pytest.mark.parametrize("layer", layers())
def test_imports_come_from_earlier_layers(layer):
    order = {name: place for place, name in enumerate(layers())}
    paths = [PACKAGE / f"{layer}.py", *sorted((PACKAGE / layer).rglob("*.py"))]
    paths = [path for path in paths if path.is_file()]
    if not paths:
        pytest.skip(f"the package has no {layer} yet")
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in paths
        for line, name in imports_of(path)
        if name in order and order[name] > order[layer]
    ]
    assert not wrong, "\n".join(wrong)


def test_the_page_describes_every_layer():
    table = PAGE[PAGE.index("| folder or module") : PAGE.index("## Six paths")]
    for layer in layers():
        if (PACKAGE / layer).is_dir():
            assert f"`{layer}/`" in table
        elif (PACKAGE / f"{layer}.py").is_file():
            assert f"`{layer}.py`" in table


def test_the_parts_that_the_paths_name_exist():
    paths = PAGE[PAGE.index("## Six paths") : PAGE.index("## Reasons")]
    for name in re.findall(r"\b((?:posters|ocr|datasets|encoders|features|input_pipeline|train)/[\w/]+)", paths):
        assert (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file(), name
