"""Measure how well a text was read: against the film's title, and against another text of the same poster."""

import collections
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from posterfusion_jax.ocr.text.limits import MAX_CHARACTERS
from posterfusion_jax.ocr.text.title_removal import TITLE_WORDS, folded_words

# Length from which a run of the title counts as found although OCR joined its words to others or split them.
MIN_JOINED_LETTERS = 5


class TitleFound(NamedTuple):
    """Count the words of a title that were found in a text.

    Attributes:
      words: of the title.
      found: those in the text as separate words; a word that the title has twice must be there twice.
      found_joined: those in the text, also where OCR joined or split words: "FORTHEHOLIDAYS" contains three.
    """

    words: int
    found: int
    found_joined: int


class Errors(NamedTuple):
    """Count the differences between a text and a reference, in folded words (`title_removal.folded_words`).

    Attributes:
      characters: of the reference; the spaces between words are characters.
      character_edits: the fewest insertions, deletions and substitutions of characters that turn the text into the reference.
      words: of the reference.
      word_edits: the same minimum for words.
      shared: words that both have, at any position.
      text_words: of the text.
    """

    characters: int
    character_edits: int
    words: int
    word_edits: int
    shared: int
    text_words: int


def find_title(text: str, title: str) -> TitleFound:
    """Count the words of the film's title in the text, ignoring case, accents and punctuation.

    A misread word is not found, however few letters are wrong. Of a title of more than 40 words the first 40 count.
    """
    wanted, read = folded_words(title)[:TITLE_WORDS], folded_words(text)
    separate = collections.Counter(wanted) & collections.Counter(read)
    run_together = "".join(read)
    covered: set[int] = set()
    for start in range(len(wanted)):
        for end in range(start + 1, len(wanted) + 1):
            run = "".join(wanted[start:end])
            if len(run) >= MIN_JOINED_LETTERS and run in run_together:
                covered.update(range(start, end))
    in_joined = collections.Counter(wanted[i] for i in covered)
    return TitleFound(len(wanted), separate.total(), (separate | in_joined).total())


def compare_texts(text: str, reference: str) -> Errors:
    """Count the parts of character and word error rate, and of the recall and precision of words.

    The error rates depend on the order of the lines, in which engines differ; the shared words do not. Of the joined words the
    first `MAX_CHARACTERS` letters count.
    """
    words, wanted = folded_words(text), folded_words(reference)
    joined, joined_wanted = (" ".join(side)[:MAX_CHARACTERS] for side in (words, wanted))  # one letter may fold into many
    return Errors(
        characters=len(joined_wanted),
        character_edits=edit_distance(joined, joined_wanted),
        words=len(wanted),
        word_edits=edit_distance(words, wanted),
        shared=_shared(words, wanted),
        text_words=len(words),
    )


def edit_distance(a: Sequence[str], b: Sequence[str]) -> int:
    """Return the fewest insertions, deletions and substitutions of items (letters, or words) that turn `a` into `b`.

    References:
      Levenshtein, "Binary codes capable of correcting deletions, insertions, and reversals", Soviet Physics Doklady 10,
      1966; computed row by row as by Wagner and Fischer, Journal of the ACM 21(1), 1974.
    """
    codes: dict[str, int] = {}
    a_codes, b_codes = ([codes.setdefault(item, len(codes)) for item in items] for items in (a, b))
    wanted, columns = np.array(b_codes, int), np.arange(len(b_codes) + 1)
    row = columns
    for code in a_codes:
        changed = np.append(row[0] + 1, np.minimum(row[1:] + 1, row[:-1] + (wanted != code)))
        row = np.minimum.accumulate(changed - columns) + columns  # insertions, each one more than the place before
    return int(row[-1])


def _shared(a: list[str], b: list[str]) -> int:
    return (collections.Counter(a) & collections.Counter(b)).total()
