"""Guess the language of a poster's text, offline."""

import functools
import importlib.metadata
import re
import threading
import unicodedata
from collections import Counter
from typing import Any

UNKNOWN = "unknown"

MIN_BYTES = 12  # of letters in UTF-8: twelve Latin, six Cyrillic, four Chinese ones. Shorter texts are names and titles
MIN_SCRIPT = 0.8  # share of the letters that must be of one script; less is a mixed text
MIN_PROBABILITY = 0.8  # of the likeliest language among `LANGUAGES`

# Languages in which films are advertised. Among all 140 of the model, a row of names is Nigerian Pidgin or Lingala.
LANGUAGES = (  # noqa: SIM905 (one per line would fill a page)
    "ar bg bn ca cs da de el en es et fa fi fr he hi hr hu id is it ja ko lt lv ml mr ms nl no pl pt ro ru sk sl sr sv ta te "
    "th tl tr uk ur vi zh"
).split()
_CODE = re.compile("[a-z]{2,8}")  # the first part of a tag (BCP 47, section 2.1)
_LONGEST_TAG = 100  # characters that are read
_lock, _loading = threading.Lock(), threading.Event()
_NO_LETTERS = bytes(code for code in range(128) if not chr(code).isalpha())
_EAST_ASIAN = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "KATAKANA-HIRAGANA")  # scripts that one text mixes


def guess_language(text: str) -> str:
    """Return the ISO 639-1 code of the text's language, or `UNKNOWN`.

    Unknown are texts with letters of fewer than `MIN_BYTES` bytes, mixed ones (the commonest script has less than
    `MIN_SCRIPT` of the letters; Chinese, Japanese and Korean count as one script), and those for which no language of
    `LANGUAGES` reaches `MIN_PROBABILITY`, as rows of names do.

    Args:
      text: as `ocr.text.clean.clean` returns it.

    Raises:
      ModuleNotFoundError: py3langid is not installed (see `guesser_version`).
    """
    if text.isascii():  # all letters are of one script
        if len(text.encode().translate(None, _NO_LETTERS)) < MIN_BYTES:
            return UNKNOWN
    else:
        letters = [character for character in text if character.isalpha()]
        if len("".join(letters).encode()) < MIN_BYTES:
            return UNKNOWN
        scripts = Counter(map(_script, letters))
        if max(scripts.values()) < MIN_SCRIPT * len(letters):
            return UNKNOWN
    language, probability = _identifier().classify(text.lower())  # in capitals it misses a third of the English texts
    return language if probability >= MIN_PROBABILITY else UNKNOWN


def language_code(tag: str) -> str:
    """Return the code of a language that an engine named.

    "en-US" becomes "en"; "und" (undetermined), and anything that is not a code, becomes `UNKNOWN`.
    """
    code = tag[:_LONGEST_TAG].strip().lower().replace("_", "-").partition("-")[0]
    return code if _CODE.fullmatch(code) and code not in ("und", "mul", "zxx") else UNKNOWN


def guesser_version() -> str | None:
    """Return the name and version of the language guesser; None if it is not installed (the extra `ocr` contains it)."""
    try:
        return f"py3langid {importlib.metadata.version('py3langid')}"
    except importlib.metadata.PackageNotFoundError:
        return None


def load_guesser() -> None:
    """Start to load the classifier of `guess_language` in a thread, if py3langid is installed; a repeated call does nothing.

    Its model takes half a second, most of it to decompress, during which other threads run.
    """
    if not _loading.is_set():
        _loading.set()
        if guesser_version() is not None:
            threading.Thread(target=_identifier, daemon=True).start()


def _identifier() -> Any:
    with _lock:  # the thread of `load_guesser` may be loading it
        return _load_identifier()


@functools.cache
def _load_identifier() -> Any:
    """Load py3langid's classifier.

    References:
      Lui and Baldwin, "langid.py: An Off-the-shelf Language Identification Tool", ACL 2012.
    """
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # loading the model takes a second

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(LANGUAGES)
    return identifier


@functools.cache
def _script(letter: str) -> str:
    script = unicodedata.name(letter, "UNNAMED").split()[0]
    return "EAST ASIAN" if script in _EAST_ASIAN else script
