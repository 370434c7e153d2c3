"""Remove the words of a film's title from a poster's text, to test whether the text helps only because it names the film."""

import functools
import unicodedata
from typing import NamedTuple

# (letters, edits): a word of at least this many letters may differ from the title's by this many edits (an inserted, removed or
# changed letter) and still count as it. Shorter words must be equal: "night" is one edit from "Fight".
MAX_EDITS = ((10, 2), (6, 1))
TITLE_WORDS = 40  # that count; without limits a malicious title takes hours
TITLE_LETTERS = 200  # in a run of words
MAX_WORD_LETTERS = 500  # a longer word is not a word, and is not searched for embedded words
# Length from which on a title's words are also found inside a longer word, as in "FROMTHEDIRECTOROFTITANIC".
MIN_EMBEDDED_LETTERS = 7

_APOSTROPHES = "'\N{RIGHT SINGLE QUOTATION MARK}\N{LEFT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}`"
_PLAIN = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "\N{LATIN SMALL LETTER DOTLESS I}": "i"}
)


class _Piece(NamedTuple):
    """Hold a part of the text with at most one word: the word and the punctuation attached to it.

    Attributes:
      text: as printed.
      spaced: preceded by white space.
      key: its folded letters and digits.
      positions: for each character of `key` the position in `text` that it comes from.
    """

    text: str
    spaced: bool
    key: str
    positions: list[int]


def remove_title(text: str, title: str) -> str:
    """Return the text without the words of the title, wherever they occur; all other words are kept, in order.

    Case, accents and punctuation do not matter, and "&" is "and". A word of the title is removed with the punctuation attached
    to it. Words also count as the title's where

    - OCR joined or split them: "THEAVENGERS", "AVEN GERS", "A V E N G E R S", whole or in part ("STARWARS" of "Star Wars:
      The Force Awakens");
    - OCR misread them a little: one edit in words of 6 to 9 letters, two from 10 on (`MAX_EDITS`); shorter ones must be equal;
    - they occur inside a longer word and have at least 7 letters (`MIN_EMBEDDED_LETTERS`): the rest of that word is kept.

    Of a title of more than 40 words the first 40 count, and words of more than 500 letters are not searched for embedded words.

    Not recognized are the title in another language, and a short misread word ("LISE" of "My Life"). Common words of the title
    ("the", "of") are removed as well, wherever they occur.

    Args:
      text: as `ocr.text.clean.clean` returns it.
      title: of the film; without a letter or digit nothing is removed.

    Returns:
      The remaining text, empty if that is only punctuation.
    """
    runs = _runs(folded_words(title)[:TITLE_WORDS])
    if not runs:
        return text
    longest = max(map(len, runs))
    fuzzy = [(run, limit) for run in runs if (limit := _edits_allowed(len(run)))]
    embedded = sorted((run for run in runs if len(run) >= MIN_EMBEDDED_LETTERS), key=lambda run: (-len(run), run))
    pieces = _pieces(text)
    kept = ""
    i, gap = 0, False
    while i < len(pieces):
        piece = pieces[i]
        taken = _run_length(pieces, i, runs, longest)
        if not taken and any(_is_near(piece.key, run, limit) for run, limit in fuzzy):
            taken = 1
        if taken:
            i, gap = i + taken, True
            continue
        parts = _remove_runs(piece, embedded)
        kept += (" " if piece.spaced or gap else "") + " ".join(parts)
        i, gap = i + 1, parts != [piece.text]
    return " ".join(kept.split()) if any(map(_fold, kept)) else ""


def folded_words(text: str) -> list[str]:
    """Return the words of the text without case, accents and punctuation; "&" is "and"."""
    return [piece.key for piece in _pieces(text) if piece.key]


def _runs(words: list[str]) -> set[str]:
    """Return all runs of neighboring words, each joined into one string, of at most `TITLE_LETTERS` letters."""
    joined = ("".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1))
    return {run for run in joined if len(run) <= TITLE_LETTERS}


def _pieces(text: str) -> list[_Piece]:
    found = []
    for token in text.split():
        start, folded = 0, []
        for end in range(1, len(token) + 1):
            folded += [(character, end - 1 - start) for character in _fold(token[end - 1])]
            if end < len(token) and (_in_word(token[end - 1]) or not _in_word(token[end])):
                continue
            if folded or end == len(token):
                key, positions = "".join(character for character, _ in folded), [position for _, position in folded]
                found.append(_Piece(token[start:end], start == 0, key, positions))
                start, folded = end, []
    return found


@functools.cache
def _in_word(character: str) -> bool:
    return character.isalnum() or character in _APOSTROPHES or unicodedata.category(character)[0] == "M"


@functools.cache
def _fold(character: str) -> str:
    """Return the letters and digits of a character without case and accents; "&" is a word."""
    if character == "&":
        return "and"
    plain = unicodedata.normalize("NFKD", character).casefold().translate(_PLAIN)
    marks = (unicodedata.category(c)[0] == "M" and not unicodedata.combining(c) for c in plain)  # vowel signs are letters
    return "".join(c for c, mark in zip(plain, marks, strict=True) if c.isalnum() or mark)


def _run_length(pieces: list[_Piece], start: int, runs: set[str], longest: int) -> int:
    """Return the length of the longest run of pieces from `start` on that, joined, are neighboring words of the title.

    0 if there is none.
    """
    if not pieces[start].key:
        return 0
    joined, most = "", 0
    for end in range(start, len(pieces)):
        joined += pieces[end].key
        if len(joined) > longest:
            break
        if pieces[end].key and joined in runs:
            most = end + 1 - start
    return most


def _edits_allowed(letters: int) -> int:
    return next((edits for least, edits in MAX_EDITS if letters >= least), 0)


def _is_near(a: str, b: str, limit: int) -> bool:
    """Return whether at most `limit` edits turn `a` into `b` (Levenshtein's distance)."""
    if abs(len(a) - len(b)) > limit:
        return False
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
        if min(row) > limit:
            return False
    return row[-1] <= limit


def _remove_runs(piece: _Piece, embedded: list[str]) -> list[str]:
    """Return the parts of a piece that remain when each of `embedded` that occurs in it is removed."""
    for run in embedded if len(piece.key) <= MAX_WORD_LETTERS else ():
        start = piece.key.find(run)
        if start >= 0:
            end = start + len(run)
            before = piece.text[: piece.positions[start]]
            after = piece.text[piece.positions[end] :] if end < len(piece.positions) else ""
            return [
                part for side in (before, after) if side for inner in _pieces(side) for part in _remove_runs(inner, embedded)
            ]
    return [piece.text]
