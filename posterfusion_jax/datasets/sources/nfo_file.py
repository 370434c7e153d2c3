"""Parse an NFO file: what Kodi, Jellyfin and Emby write about a film, in XML."""

import codecs
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import NamedTuple

from posterfusion_jax.datasets.imdb_posters.title_cells import parse_year
from posterfusion_jax.datasets.tables.label_cells import is_placeholder

_LARGEST = 1 << 20  # bytes
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_DECLARED = re.compile(rb"""\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]{1,40})""")
_WIDE = ("utf-16", "utf-32", "utf16", "utf32", "ucs")
_DECLARATION = re.compile(r"\s*<\?xml.{0,300}?\?>", re.DOTALL)
_DOCUMENT_TYPE = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)
_ROOT = re.compile(r"<(movie|tvshow|musicvideo|episodedetails)\b", re.IGNORECASE)
_BARE = re.compile(r"&(?!(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|amp|lt|gt|quot|apos);)")
_IMDB_ID = re.compile(r"tt\d{7,10}")
_LINK = re.compile(r"imdb\.com/title/(tt\d{7,10})", re.IGNORECASE)
_BETWEEN = re.compile(r"[/|,;]")  # genres in one element
_LONGEST_TITLE, _LONGEST_GENRE, _MOST_GENRES = 1_000, 200, 100


class NfoFilm(NamedTuple):
    """Hold what an NFO file states of a film.

    Attributes:
      kind: the XML's root: "movie", "tvshow", "musicvideo", "episodedetails".
      title: "" where there is none.
      year: None where there is none.
      genres: as spelled, each once.
      film: an id that equal films share, IMDb's or TMDB's; "" where there is none.
      notes: (reason, value) of everything that was not read literally.
    """

    kind: str
    title: str
    year: int | None
    genres: tuple[str, ...]
    film: str
    notes: tuple[tuple[str, str], ...]


def read_nfo(path: str) -> NfoFilm | str:
    """Return what an NFO file states; or, as text, why it cannot be used.

    The parser is that of the standard library. It never gets a document type: a file with one is refused, because entities may
    name other files, or grow without bound. Bytes are decoded here, so that no encoding can hide one.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if len(data) > _LARGEST:
        return f"it has over {_LARGEST:,} bytes"
    if not data.strip():
        return "the file is empty"
    text, notes = _decode(data)
    if _DOCUMENT_TYPE.search(text):
        return "it has a document type or entities, which are not read"
    text = text[match.end() :] if (match := _DECLARATION.match(text)) else text
    root = _ROOT.search(text)
    if root is None:
        return "it is no XML of a film" if "<" in text else "it has a link or text alone, and no XML"
    end = re.search(rf"</{root[1]}\s*>", text)  # links may follow
    if end is None:
        return f"it is truncated: there is no </{root[1]}>"
    xml, rest = text[root.start() : end.end()], text[end.end() :]
    try:
        parsed = ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError) as error:
        try:
            parsed = ElementTree.fromstring(_BARE.sub("&amp;", xml))
        except (ElementTree.ParseError, ValueError):
            return f"it is no valid XML: {error}"
        notes.append(("an & alone, read as &amp;", _BARE.findall(xml)[0]))
    return _describe(root[1].lower(), parsed, rest, notes)


def _decode(data: bytes) -> tuple[str, list[tuple[str, str]]]:
    """Return the text, and a note where the bytes are not in the encoding that they claim."""
    marked = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None)
    declared = match[1].decode() if (match := _DECLARED.match(data)) else "utf-8"
    wide = declared.lower().startswith(_WIDE)  # which cannot be, where the declaration was read as ASCII
    for encoding in (marked, None if wide else declared, "utf-8", "cp1252"):
        if encoding:
            try:
                text = data.decode(encoding)
            except (UnicodeError, LookupError, ValueError):
                continue
            as_stated = encoding in (marked, declared) or encoding == "utf-8"
            return text, [] if as_stated else [("an encoding other than the declared one, read as cp1252", declared)]
    return data.decode("latin-1"), [("an encoding other than the declared one, read as latin-1", declared)]


def _describe(kind: str, root: ElementTree.Element, rest: str, notes: list[tuple[str, str]]) -> NfoFilm:
    texts = _Texts(root)
    genres = dict.fromkeys(
        name[:_LONGEST_GENRE]
        for text in texts.all("genre")
        for part in ([] if is_placeholder(text) else _BETWEEN.split(text))
        if not is_placeholder(name := " ".join(part.split()))
    )
    year, cell = None, next((text for name in ("year", "premiered", "releasedate", "aired") for text in texts.own(name)), "")
    try:
        year = parse_year(cell)
    except ValueError:
        notes.append(("no year: the year is unknown", cell))
    title = next(texts.own("title"), None) or next(texts.own("originaltitle"), "")
    return NfoFilm(kind, title[:_LONGEST_TITLE], year, tuple(genres)[:_MOST_GENRES], texts.film(kind, rest), tuple(notes))


class _Texts:
    """Find the texts of an XML tree's elements by name, without namespaces and case."""

    def __init__(self, root: ElementTree.Element):
        self._root = root

    def all(self, name: str) -> Iterator[str]:
        """Yield the texts of all elements of a name."""
        return (_text(element) for element in self._root.iter() if _name(element) == name and _text(element))

    def own(self, name: str) -> Iterator[str]:
        """Yield the texts of the elements of a name directly below the root."""
        return (_text(element) for element in self._root if _name(element) == name and _text(element))

    def film(self, kind: str, rest: str) -> str:
        """Return IMDb's id, also from a link after the XML, else TMDB's."""
        ids = [(element.get("type", "").lower(), _text(element)) for element in self._root if _name(element) == "uniqueid"]
        imdb = [text for of, text in ids if of == "imdb"]
        imdb += [text for name in ("imdbid", "imdb_id", "id") for text in self.own(name)]
        found = next((match[0] for text in imdb if (match := _IMDB_ID.search(text))), "")
        if not found and (link := _LINK.search(rest)):
            found = link[1]
        tmdb = [text for of, text in ids if of == "tmdb"] + list(self.own("tmdbid"))
        return found or next((f"tmdb:{kind}:{text}" for text in tmdb if text.isdecimal() and len(text) < 12), "")


def _name(element: ElementTree.Element) -> str:
    return str(element.tag).rpartition("}")[2].lower()


def _text(element: ElementTree.Element) -> str:
    return " ".join((element.text or "").split())
