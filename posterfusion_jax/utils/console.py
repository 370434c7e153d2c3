"""What goes to a terminal or a log: whatever text a stranger put into it, it moves no cursor, sets no title or clipboard, turns
no reading direction and begins no line of its own.
"""

import logging
import sys
import traceback
import unicodedata
from types import TracebackType
from typing import Any

WIDEST = 4_000  # characters of a line; no line of ours is so long
MARKS = 6  # combining marks in a row that are shown; no script needs more, and hundreds cover the lines above and below
_JOINERS = "\u200c\u200d"  # of Persian, of Indian scripts and of emoji: invisible, and without a say in anything but shapes


def sanitize(text: Any, *, width: int = WIDEST) -> str:
    """One line of text that every terminal and page shows as it stands there.

    Control characters (line breaks and escapes among them), those that turn the reading direction, other invisible ones and
    lone surrogates become escapes as in Python's strings ("\\x1b", "\\u202e"); of combining marks in a row `MARKS` stay.

    Args:
      text: of any length; what lies behind `width` is not looked at.
      width: characters at most, at least 3; of a longer text the end is "...".
    """
    text = str(text)
    shown = text[: width + 1]
    if not (shown.isascii() and shown.isprintable()):
        shown = _escape(shown)
    return shown if max(len(shown), len(text)) <= width else shown[: width - 3] + "..."


def plain_lines(text: str) -> str:
    """The same for a message of ours that may have several lines, parted by "\\n"."""
    return "\n".join(map(sanitize, text.split("\n")))


def print_message(message: Any, *, error: bool = False) -> None:
    """Prints a message, on stderr if it is of an error: the only way by which this package prints what is for people.

    What the stream's encoding lacks is printed as an escape.
    """
    stream = sys.stderr if error else sys.stdout
    encoding = stream.encoding or "utf-8"
    print(plain_lines(str(message)).encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


def sanitize_logging() -> None:
    """From here on the log messages and tracebacks of this process are plain, too. Called once, by programs."""
    root = logging.getLogger()
    if not root.handlers:
        logging.basicConfig()
    for handler in root.handlers:
        handler.setFormatter(_PlainFormatter("%(levelname)s: %(message)s"))
    sys.excepthook = _say_exception


class _PlainFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return plain_lines(super().format(record))


def _say_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
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
