"""Print and log untrusted text safely.

Text from posters, files or services cannot move the cursor, set the title or clipboard, change the reading direction or start a
line of its own.
"""

import logging
import sys
import textwrap
import traceback
import unicodedata
from types import TracebackType
from typing import Any

WIDEST = 4_000  # characters of a line; longer than any line of this package
COLUMNS = 80  # width of a terminal that messages are made for
MARKS = 6  # combining marks in a row that are shown; no script needs more, and hundreds cover the lines above and below
_JOINERS = "\u200c\u200d"  # for Persian, Indian scripts and emoji: invisible, and they affect shapes only


def sanitize(text: Any, *, width: int = WIDEST) -> str:
    r"""Return one line of text that every terminal and page shows literally.

    Control characters (line breaks and escapes among them), those that change the reading direction, other invisible ones
    and lone surrogates become escapes as in Python's strings ("\x1b", "\u202e"); at most `MARKS` combining marks in a row
    stay.

    Args:
      text: of any length; characters after `width` are not processed.
      width: the maximum number of characters, at least 3; a longer text ends in "...".
    """
    text = str(text)
    shown = text[: width + 1]
    if not (shown.isascii() and shown.isprintable()):
        shown = _escape(shown)
    return shown if max(len(shown), len(text)) <= width else shown[: width - 3] + "..."


def plain_lines(text: str) -> str:
    r"""Sanitize each line of a message of this package; lines are separated by "\n"."""
    return "\n".join(map(sanitize, text.split("\n")))


def wrap_lines(text: str, *, width: int = COLUMNS) -> str:
    """Wrap the lines of a message that are longer than `width`, at spaces, with the rest indented; tables must be narrower."""
    wrapped = []
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip(" ")) + 4)
        options = {"subsequent_indent": indent, "break_long_words": False, "break_on_hyphens": False}
        wrapped += [line] if len(line) <= width else textwrap.wrap(line, width, **options)
    return "\n".join(wrapped)


def print_message(message: Any, *, error: bool = False) -> None:
    """Print a message for the user, on stderr if `error`: the only function of this package that prints.

    Characters that the stream's encoding lacks are printed as escapes.
    """
    stream = sys.stderr if error else sys.stdout
    encoding = stream.encoding or "utf-8"
    print(plain_lines(str(message)).encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


def sanitize_logging() -> None:
    """Sanitize all further log messages and tracebacks of this process. Called once, by programs."""
    root = logging.getLogger()
    if not root.handlers:
        logging.basicConfig()
    for handler in root.handlers:
        handler.setFormatter(_PlainFormatter("%(levelname)s: %(message)s"))
    sys.excepthook = _print_exception


class _PlainFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return plain_lines(super().format(record))


def _print_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    print_message("".join(traceback.format_exception(kind, error, trace)).rstrip("\n"), error=True)


def _escape(text: str) -> str:
    shown, marks = [], 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks > MARKS:
            continue
        if category == "Zs":
            shown.append(" ")
        elif character.isprintable() or character in _JOINERS:
            shown.append(character)
        else:
            shown.append(character.encode("unicode_escape").decode())
    return "".join(shown)
