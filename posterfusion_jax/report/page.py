"""Rendering of sections of text, tables, charts and posters: a self-contained HTML page, Markdown, and image files.

External text, such as the words read from a poster, is escaped in both formats; its control characters, and those that
change the reading direction, are shown as escapes.
"""

import base64
import dataclasses
import html
import io
import pathlib
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jinja2

from posterfusion_jax.utils.console import sanitize

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e3e6ea",
    "grid.linewidth": 0.8,
    "axes.edgecolor": "#8a929c",
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "svg.hashsalt": "posterfusion",  # equal charts give equal files
}
_DPI = 130
_FILE_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclasses.dataclass(frozen=True)
class Cell:
    """Hold one cell of a table.

    Attributes:
      text: content of the cell.
      note: smaller text below it; in Markdown after it, in brackets.
      kind: "", "best" (bold), "good" or "bad" (coloured).
    """

    text: str
    note: str = ""
    kind: str = ""


@dataclasses.dataclass(frozen=True)
class Text:
    """Hold a paragraph; `kind` "note" is smaller, "warning" is highlighted."""

    text: str
    kind: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """Hold a table whose first column is left-aligned and stays in view; the other columns are numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    caption: str = ""


@dataclasses.dataclass(frozen=True)
class Chart:
    """Hold a chart, saved as <name>.png and <name>.svg; the page embeds the SVG."""

    name: str
    figure: "Figure"
    caption: str


@dataclasses.dataclass(frozen=True)
class Card:
    """Hold one poster with its predictions.

    Attributes:
      name: file name without suffix, unique on the page.
      jpeg: the image.
      title: heading above the facts.
      mark: "right" (all genres), "partly" or "wrong" (none).
      facts: pairs (what, value).
      table: columns and rows, or None.
      quote: words read from the poster.
    """

    name: str
    jpeg: bytes
    title: str
    mark: str
    facts: Sequence[tuple[str, str]]
    table: Table | None = None
    quote: str = ""


@dataclasses.dataclass(frozen=True)
class Cards:
    """Hold posters, shown in rows of as many as fit."""

    cards: Sequence[Card]


@dataclasses.dataclass(frozen=True)
class Section:
    """Hold a heading and the blocks below it."""

    title: str
    blocks: Sequence[Text | Table | Chart | Cards]


def write_page(folder: pathlib.Path, stem: str, title: str, subtitle: str, sections: Sequence[Section]) -> pathlib.Path:
    """Write <stem>.html (self-contained), <stem>.md, the charts as PNG and SVG, and posters/<name>.jpg.

    Returns:
      The path of the HTML page.

    Raises:
      ValueError: the name of a chart or a poster is not a plain file name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    svgs = {}
    for block in (block for section in sections for block in section.blocks):
        for item in block.cards if isinstance(block, Cards) else [block] if isinstance(block, Chart) else []:
            if not _FILE_NAME.fullmatch(item.name):
                raise ValueError(f"{item.name!r} is not a file name of letters, digits, '_' and '-'")
        if isinstance(block, Chart):
            (folder / f"{block.name}.png").write_bytes(_render(block.figure, "png"))
            svgs[block.name] = _render(block.figure, "svg")
            (folder / f"{block.name}.svg").write_bytes(svgs[block.name])
        elif isinstance(block, Cards):
            (folder / "posters").mkdir(exist_ok=True)
            for card in block.cards:
                (folder / "posters" / f"{card.name}.jpg").write_bytes(card.jpeg)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("posterfusion_jax.report", "."),
        autoescape=True,
        finalize=lambda value: _visible(value) if type(value) is str else value,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"uri": _data_uri, "kind_of": lambda block: type(block).__name__.lower(), "anchor": _anchor}
    page = environment.get_template("page.html.jinja").render(title=title, subtitle=subtitle, sections=sections, svgs=svgs)
    path = folder / f"{stem}.html"
    path.write_text(page, encoding="utf-8")
    (folder / f"{stem}.md").write_text(to_markdown(title, subtitle, sections), encoding="utf-8")
    return path


def to_markdown(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """Format the page in Markdown; charts and posters are links to the files written by `write_page`."""
    parts = [f"# {_escape(title)}", _paragraph(subtitle)]
    for section in sections:
        parts.append(f"## {_escape(section.title)}")
        for block in section.blocks:
            match block:
                case Text():
                    parts.append(f"**{_escape(block.text)}**" if block.kind == "warning" else _paragraph(block.text))
                case Table():
                    parts += [_paragraph(block.caption)] if block.caption else []
                    parts.append(table_to_markdown(block))
                case Chart():
                    parts += [f"![{_escape(block.caption)}]({block.name}.png)", f"*{_escape(block.caption)}*"]
                case Cards():
                    parts += [_card_to_markdown(card) for card in block.cards]
    return "\n\n".join(parts) + "\n"


def table_to_markdown(table: Table) -> str:
    """Format a table in GitHub's Markdown."""
    cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in table.rows]
    lines = [[_escape(column) for column in table.columns], ["---", *["---:"] * (len(table.columns) - 1)]]
    lines += [[_cell_to_markdown(cell) for cell in row] for row in cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell_to_markdown(cell: Cell) -> str:
    text = _escape(cell.text)
    text = f"**{text}**" if cell.kind == "best" else text
    return f"{text} ({_escape(cell.note)})" if cell.note else text


def _card_to_markdown(card: Card) -> str:
    parts = [f"![{_escape(card.title)}](posters/{card.name}.jpg)", f"**{_escape(card.title)}** ({card.mark})"]
    parts += [f"{_escape(what)}: {_escape(value)}" for what, value in card.facts]
    parts += [table_to_markdown(card.table)] if card.table else []
    parts += [f"> {_paragraph(card.quote)}"] if card.quote else []
    return "\n\n".join(parts)


def _escape(text: str) -> str:
    """Escape text so that Markdown shows it literally on one line, without HTML, emphasis, links, tables or code."""
    one_line = html.escape(_visible(text), quote=False)
    # An underscore inside a word is one; elsewhere it would start emphasis.
    return re.sub(r"([\\`*\[\]|#~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))", r"\\\1", one_line)


def _paragraph(text: str) -> str:
    """Escape text at the start of a line, where it could also be a list, rule or heading."""
    return re.sub(r"^([-+=]|\d{1,9}(?=[.)](?:\s|$)))", _escape_start, _escape(text))


def _escape_start(start: re.Match[str]) -> str:
    return f"{start[0]}\\" if start[0].isdigit() else f"\\{start[0]}"


def _visible(text: str) -> str:
    """Return the text as one line of visible characters."""
    return sanitize(" ".join(text.split()), width=sys.maxsize)


def _render(figure: "Figure", file_format: str) -> bytes:
    from posterfusion_jax.report.plotting import chart_style  # here, because tables need no matplotlib

    buffer = io.BytesIO()
    with chart_style({"svg.hashsalt": STYLE["svg.hashsalt"]}):
        # Without a date, equal results give equal files.
        metadata = {"Software": None} if file_format == "png" else {"Date": None, "Creator": None}
        figure.savefig(buffer, format=file_format, dpi=_DPI, metadata=metadata)
    return buffer.getvalue()


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
