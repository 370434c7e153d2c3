"""A poster's text without the words of its film's title: to see whether the text helps only because it names the film."""

import functools
import unicodedata
from typing import NamedTuple

# Edits (a letter put in, left out or changed) by which a word of at least so many letters may differ from the title's and
# still count as it. Shorter words must be equal: one edit from "Fight" lies "night".
EDITS = ((10, 2), (6, 1))
TITLE_WORDS = 40  # of a title count, and stretches of up to so many letters; without bounds a hostile title takes hours
TITLE_LETTERS = 200
LONGEST_CUT = 500  # letters; inside a longer word, which is no word, nothing is looked for
EMBEDDED = 7  # letters from which on the title's words are also found inside a longer word, as in "FROMTHEDIRECTOROFTITANIC"

_APOSTROPHES = "'\N{RIGHT SINGLE QUOTATION MARK}\N{LEFT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}`"
_PLAIN = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "\N{LATIN SMALL LETTER DOTLESS I}": "i"}
)


class _Piece(NamedTuple):
    """A stretch of the text with at most one word: the word and the punctuation at it.

    Attributes:
      text: as printed.
      spaced: white space stands before it.
      key: its folded letters and digits.
      at: for each character of `key` the place in `text` that it comes from.
    """

    text: str
    spaced: bool
    key: str
    at: list[int]


def remove_title(text: str, title: str) -> str:
    """The text without the words of the title, wherever they stand; all other words stay, in order.

    Case, accents and punctuation do not matter, and "&" is "and". A word of the title goes with the punctuation at it. Words
    also count as the title's where

    - OCR joined or split them: "THEAVENGERS", "AVEN GERS", "A V E N G E R S", whole or in part ("STARWARS" of "Star Wars:
      The Force Awakens");
    - OCR misread them a little: one edit in words of 6 to 9 letters, two from 10 on (`EDITS`); shorter ones must be equal;
    - they stand inside a longer word and have at least 7 letters (`EMBEDDED`): the rest of that word stays.

    Of a title of more than 40 words the first 40 count, and words of more than 500 letters are left whole.

    What it cannot know: the title in another language, and a short word misread ("LISE" of "My Life"). Words of the title
    that are common ones ("the", "of") go as well, wherever they stand.

    Args:
      text: as `ocr.text.clean.clean` gives it.
      title: of the film; without a letter or digit nothing is removed.

    Returns:
      What is left, empty where that is only punctuation.
    """
    runs = _runs(folded_words(title)[:TITLE_WORDS])
    if not runs:
        return text
    longest = max(map(len, runs))
    fuzzy = [(run, limit) for run in runs if (limit := _edits_allowed(len(run)))]
    embedded = sorted((run for run in runs if len(run) >= EMBEDDED), key=lambda run: (-len(run), run))
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
        parts = _cut(piece, embedded)
        kept += (" " if piece.spaced or gap else "") + " ".join(parts)
        i, gap = i + 1, parts != [piece.text]
    return " ".join(kept.split()) if any(map(_fold, kept)) else ""


def folded_words(text: str) -> list[str]:
    """Its words without case, accents and punctuation; "&" is "and"."""
    return [piece.key for piece in _pieces(text) if piece.key]


def _runs(words: list[str]) -> set[str]:
    """All stretches of neighbouring words, each joined into one, of at most `TITLE_LETTERS`."""
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
                key, places = "".join(character for character, _ in folded), [at for _, at in folded]
                found.append(_Piece(token[start:end], start == 0, key, places))
                start, folded = end, []
    return found


@functools.cache
def _in_word(character: str) -> bool:
    return character.isalnum() or character in _APOSTROPHES or unicodedata.category(character)[0] == "M"


@functools.cache
def _fold(character: str) -> str:
    """Its letters and digits without case and accents; "&" is a word."""
    if character == "&":
        return "and"
    plain = unicodedata.normalize("NFKD", character).casefold().translate(_PLAIN)
    marks = (unicodedata.category(c)[0] == "M" and not unicodedata.combining(c) for c in plain)  # vowel signs are letters
    return "".join(c for c, mark in zip(plain, marks, strict=True) if c.isalnum() or mark)


def _run_length(pieces: list[_Piece], start: int, runs: set[str], longest: int) -> int:
    """How many pieces from `start` on are, joined, neighbouring words of the title; the most there are, 0 for none."""
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
    return next((edits for least, edits in EDITS if letters >= least), 0)


def _is_near(a: str, b: str, limit: int) -> bool:
    """Whether at most `limit` edits lie between `a` and `b` (Levenshtein's distance)."""
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


def _cut(piece: _Piece, embedded: list[str]) -> list[str]:
    """What is left of a piece, in parts, when each of `embedded` that stands in it is taken out."""
    for run in embedded if len(piece.key) <= LONGEST_CUT else ():
        start = piece.key.find(run)
        if start >= 0:
            end = start + len(run)
            before = piece.text[: piece.at[start]]
            after = piece.text[piece.at[end] :] if end < len(piece.at) else ""
            return [part for side in (before, after) if side for inner in _pieces(side) for part in _cut(inner, embedded)]
    return [piece.text]
