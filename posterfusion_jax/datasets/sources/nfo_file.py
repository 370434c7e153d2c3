"""Parse one NFO file of a media server: XML about a film, and often a link after it."""

import codecs
import re
import xml.etree.ElementTree as ElementTree
from typing import NamedTuple

from posterfusion_jax.datasets.imdb_posters.title_cells import parse_year
from posterfusion_jax.datasets.tables.label_cells import is_placeholder

_LARGEST = 1 << 20  # bytes of a file
_LONGEST_TITLE, _LONGEST_LABEL = 1_000, 200  # characters
_DECLARED = re.compile(rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]{1,40})["']""")
_DECLARATION = re.compile(r"<\?xml.*?\?>", re.DOTALL)
_END = re.compile(r"</(movie|tvshow|video|musicvideo|episodedetails)\s*>", re.IGNORECASE)
_DOCTYPE = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)
_BETWEEN_LABELS = re.compile(r"[/|,;]")
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_WRITTEN = ("utf-8", "utf8", "us-ascii", "ascii", "utf-16", "iso-8859-1", "iso-8859-15", "latin-1", "latin1")
_WINDOWS = re.compile(r"(windows-|cp)(125\d|437|850)")


class Nfo(NamedTuple):
    """Hold what an NFO file states of a film.

    Attributes:
      title: "" where there is none.
      year: None where unknown or impossible.
      labels: its genres, each once, without placeholders.
      imdb: "tt" and digits; "" where there is none.
      notes: reason -> cell, of what was not read literally.
    """

    title: str
    year: int | None
    labels: tuple[str, ...]
    imdb: str
    notes: dict[str, str]


def read_nfo(path: str) -> Nfo | str:
    """Return what an NFO file states, or why it cannot be used.

    A document type is refused, for entities may name other files or grow without bound. The text is decoded here, so that the
    parser sees exactly the text that was searched, in whatever encoding the file is.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if not data.strip():
        return "the file is empty"
    if len(data) > _LARGEST:
        return f"it has over {_LARGEST:,} bytes"
    text, note = _decode(data)
    if _DOCTYPE.search(text):
        return "it has a document type or entities, which are not read"
    end = _END.search(text)
    if end is None:
        return "it has no XML of a film (<movie>...</movie>)" if "<" in text else "it has no XML, only text or a link"
    try:
        root = ElementTree.fromstring(_DECLARATION.sub("", text[: end.end()], count=1).strip())
    except (ElementTree.ParseError, ValueError) as error:
        return f"it is no valid XML: {error}"
    return _read_elements(root, {"in another encoding than stated, read as Windows-1252": note} if note else {})


def _decode(data: bytes) -> tuple[str, str]:
    """Return the text of a file, and the stated encoding where that is not its encoding."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, "replace"), ""
    match = _DECLARED.search(data[:300])
    stated = match[1].decode().lower() if match else "utf-8"
    known = stated in _WRITTEN or _WINDOWS.fullmatch(stated)
    if not known or stated == "utf-16":  # without a mark, and the declaration was read as ASCII
        stated = "utf-8"
    try:
        return data.decode(stated), ""
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), stated


def _read_elements(root: ElementTree.Element, notes: dict[str, str]) -> Nfo:
    labels: dict[str, None] = {}
    for element in root.iter("genre"):
        text = element.text or ""
        names = [] if is_placeholder(text) else [name.strip() for name in _BETWEEN_LABELS.split(text)]
        if len(names) > 1:
            notes["several genres in one element"] = text
        for name in names:
            if not is_placeholder(name):
                labels[name[:_LONGEST_LABEL]] = None
    year, cell = None, next((text for name in ("year", "premiered", "releasedate") if (text := root.findtext(name))), "")
    try:
        year = parse_year(cell.strip())
    except ValueError:
        notes["no year"] = cell
    return Nfo(" ".join((root.findtext("title") or "").split())[:_LONGEST_TITLE], year, tuple(labels), _imdb_id(root), notes)


def _imdb_id(root: ElementTree.Element) -> str:
    texts = [element.text or "" for element in root.iter("uniqueid") if element.get("type", "").lower() == "imdb"]
    texts += [root.findtext(name) or "" for name in ("imdbid", "imdb_id", "id")]
    return next((found[0] for text in texts if (found := re.search(r"tt\d{7,10}", text))), "")
