"""The wording of the project: plain technical English, by counting what HOUSE style avoids.

Words are taken from identifiers, docstrings, comments, string literals with spaces (messages) and Markdown pages.
"""

import ast
import io
import pathlib
import re
import tokenize
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent
MOST_PER_10_000 = 3

# What the field has a plainer word for: report, state, resume, fix, rebuild, per, attempt, skip, ...
AVOIDED = re.compile(
    r"\b(?:told|tells?|says?|said|go(?:es)? on|gone on|going on|went on|mend(?:s|ed|ing)?|lies|lay|stands?|stood|anew"
    r"|so (?:many|much)|whoever|nobody|whatever|whichever|be it|comes? (?:about|out)|came (?:about|out)|now and then"
    r"|at once|in turn|side by side|beside|of those|passed over|pass(?:es)? over|taken up|take up|as it is"
    r"|made anew|gives? away|throws? away|thrown away)\b",
    re.IGNORECASE,
)


def python_files() -> list[pathlib.Path]:
    folders = ("posterfusion_jax", "configs", "launch", "benchmarks")
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if not any(parent.is_symlink() for parent in (path, *path.parents))]


def pages() -> list[pathlib.Path]:
    found = [ROOT / "README.md", *sorted(ROOT.glob("*/README.md")), *sorted((ROOT / "docs").rglob("*.md"))]
    return [path for path in [*found, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"] if path.is_file()]


def prose_of(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of each comment, docstring and message, and of each identifier with its underscores as spaces."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield node.lineno, node.value
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name.replace("_", " ")
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg.replace("_", " ")
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id.replace("_", " ")


def count(path: pathlib.Path) -> tuple[int, list[str]]:
    """The number of words of a file, and its avoided words as "file:line: word (context)"."""
    text = path.read_text(encoding="utf-8")
    parts = list(prose_of(text)) if path.suffix == ".py" else [(n, line) for n, line in enumerate(text.splitlines(), 1)]
    words, hits = 0, []
    for line, part in parts:
        words += len(re.findall(r"[A-Za-z]{2,}", part))
        for match in AVOIDED.finditer(re.sub(r"\s+", " ", part)):
            hits.append(f"{path.relative_to(ROOT)}:{line}: {match[0]!r}")
    return words, hits


def test_few_words_of_private_dialect():
    counted = [count(path) for path in [*python_files(), *pages()]]
    words, hits = sum(n for n, _ in counted), [hit for _, found in counted for hit in found]
    assert len(hits) * 10_000 <= MOST_PER_10_000 * words, "\n".join([f"{len(hits)} in {words:,} words:", *hits])
