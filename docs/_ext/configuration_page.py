"""Writes the tables of the configuration page from the file that defines the config: its assignments and their comments.

The file is read as text and never run. `python docs/_ext/configuration_page.py` prints the tables.
"""

import ast
import io
import pathlib
import re
import tokenize
from typing import Any, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
CANDIDATES = ("posterfusion_jax/config/defaults.py", "configs/base.py")  # the first that assigns fields is read
GENERATED = ROOT / "docs" / "_generated" / "configuration.inc"


class Field(NamedTuple):
    """One field: its dotted name, its default as it is written in Python, and its meaning in Markdown."""

    name: str
    default: str
    meaning: str


class Group(NamedTuple):
    """The fields under one heading.

    Attributes:
      section: dotted name of the section; "" for fields outside any section.
      note: text above the table; may be empty.
      fields: in the order of the file.
    """

    section: str
    note: str
    fields: list[Field]


def source_file() -> pathlib.Path:
    """Returns the file whose `get_config` assigns the fields.

    Raises:
      FileNotFoundError: no candidate assigns a field.
    """
    for name in CANDIDATES:
        path = ROOT / name
        if path.is_file() and re.search(r"^\s+config\.\w+ = ", path.read_text(encoding="utf-8"), re.MULTILINE):
            return path
    raise FileNotFoundError(f"none of {', '.join(CANDIDATES)} assigns the fields of the config")


def read_groups(source: str) -> list[Group]:
    """Returns the fields of a config file, grouped by section and by the comment blocks between them.

    A comment on the line of an assignment, and the comment lines directly below it, are the meaning of that field. A comment
    block after an empty line is a note on the fields that follow.

    Args:
      source: Python code with statements such as `config.train = train = ConfigDict()` and `train.beta1 = 0.9  # paper`.
    """
    comments = _comments(source)
    lines = source.splitlines()
    sections = {"config": ""}
    groups: list[Group] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name == "get_config":
            for statement in node.body:
                if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Attribute):
                    _add(statement, sections, groups, comments, lines)
    return [group for group in groups if group.fields]


def _add(
    statement: ast.Assign, sections: dict[str, str], groups: list[Group], comments: dict[int, str], lines: list[str]
) -> None:
    target = statement.targets[0]
    assert isinstance(target, ast.Attribute)
    assert isinstance(target.value, ast.Name)
    name = f"{sections[target.value.id]}.{target.attr}".lstrip(".")
    note = _note_above(statement.lineno, comments, lines)
    meaning = _meaning_of(statement, comments, lines)
    alias = statement.targets[1] if len(statement.targets) > 1 else None
    if isinstance(alias, ast.Name) and ast.unparse(statement.value) == "ConfigDict()":
        sections[alias.id] = name
        groups.append(Group(name, " ".join(filter(None, (note, meaning))), []))
        return
    section = name.rpartition(".")[0]
    if not groups or groups[-1].section != section or note:
        groups.append(Group(section, note, []))
    groups[-1].fields.append(Field(name, _default(statement.value), meaning))


def _comments(source: str) -> dict[int, str]:
    """Line -> its comment without the sign."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string.lstrip("# ").strip() for token in tokens if token.type == tokenize.COMMENT}


def _meaning_of(statement: ast.Assign, comments: dict[int, str], lines: list[str]) -> str:
    first, last = statement.lineno, statement.end_lineno or statement.lineno
    found = [comments[line] for line in range(first, last + 1) if line in comments]
    while last + 1 in comments and lines[last].lstrip().startswith("#"):
        last += 1
        found.append(comments[last])
    return " ".join(found)


def _note_above(line: int, comments: dict[int, str], lines: list[str]) -> str:
    """The comment block that ends above a line, if an empty line is above it."""
    found: list[str] = []
    above = line - 1
    while above in comments and lines[above - 1].lstrip().startswith("#"):
        found.insert(0, comments[above])
        above -= 1
    return " ".join(found) if found and not lines[above - 1].strip() else ""


def _default(value: ast.expr) -> str:
    text = ast.unparse(value)
    return "None" if "placeholder" in text or "_optional(" in text else text


def format_groups(groups: list[Group]) -> str:
    """Returns the groups as Markdown: a heading per section, a table per group."""
    parts: list[str] = []
    heading: Any = None
    for group in groups:
        if group.section != heading:
            heading = group.section
            parts.append(f"## {heading or 'Top level'}" if "." not in heading else f"### {heading}")
        if group.note:
            parts.append(_sentence(group.note))
        rows = ["| field | default | meaning |", "|---|---|---|"]
        rows += [f"| `{field.name}` | `{_cell(field.default)}` | {_cell(_sentence(field.meaning))} |" for field in group.fields]
        parts.append("\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _sentence(text: str) -> str:
    """A comment as Markdown: characters that Markdown would take for markup are escaped."""
    return re.sub(r"([*_\[\]{}<>])", r"\\\1", text[:1].upper() + text[1:])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def write_page() -> None:
    """Writes the tables for the page to include, if they changed."""
    text = format_groups(read_groups(source_file().read_text(encoding="utf-8")))
    GENERATED.parent.mkdir(exist_ok=True)
    if not GENERATED.is_file() or GENERATED.read_text(encoding="utf-8") != text:
        GENERATED.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Registers the extension with Sphinx."""
    app.connect("config-inited", lambda app, config: write_page())
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    print(format_groups(read_groups(source_file().read_text(encoding="utf-8"))))
