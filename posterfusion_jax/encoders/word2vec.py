"""Use Word2Vec word vectors as text tower: a frozen table that stays in its file.

The lookup happens in `tokenize`, on the host: what this tower calls token ids are the vectors of the words themselves.

Reference: Mikolov, Chen, Corrado and Dean, Efficient Estimation of Word Representations in Vector Space, arXiv 1301.3781; file
format and the GoogleNews vectors (3,000,000 words, 300 wide, 3.6 GB): https://code.google.com/archive/p/word2vec/.
The paper of this project feeds the sequences of such vectors to an LSTM (`models/lstm.py`).
"""

import dataclasses
import hashlib
import mmap
import pathlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int32

from posterfusion_jax.config.choices import LEVELS, WORD2VEC
from posterfusion_jax.encoders.options import EncoderOptions
from posterfusion_jax.encoders.tower import Features, Level, TextTower, Tokens
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.choose import choose
from posterfusion_jax.utils.user_path import expand_path

FIELD = "encoders.text"
TOKENISATION = 1  # raise it with any change to `split_words` or `spellings`: cached features depend on them
DEFAULT_TOKENS = 40

_HEADER = re.compile(rb"([0-9]{1,12}) ([0-9]{1,6})[ \r]*\n")
_LONGEST_WORD = 4096  # bytes; word2vec.c itself cuts words at 100
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_NUMBER = re.compile(r"[0-9]{2,}")
_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc\u00b4`", "'"))


class Coverage(NamedTuple):
    """Count how many words of some texts a vocabulary knows.

    Attributes:
      words: in all texts together, repeats counted.
      unknown: words that are not in the vocabulary under any spelling.
      empty: texts that have words, but no known one. For a model they are texts without a word.
    """

    words: int
    unknown: int
    empty: int

    @property
    def unknown_rate(self) -> float:
        """Return unknown / words, 0 to 1; 0 if there are no words."""
        return self.unknown / max(self.words, 1)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Word2VecTower(TextTower):
    """Extend `TextTower` by counts of unknown words.

    Attributes:
      coverage: list of texts -> Coverage.
    """

    coverage: Callable[[Sequence[str]], Coverage]


class WordVectors:
    r"""Read a file in word2vec's binary format: words in memory, vectors memory-mapped.

    The format is "<count> <width>\n", then for each word its bytes, a space, `width` little-endian float32 and, in some files,
    a newline. Of a word that occurs twice the first vector counts. Threads may share it.

    Attributes:
      path: of the file.
      width: of a vector.
    """

    def __init__(self, path: pathlib.Path):
        """Index the file in one pass. Raises InputError, with the position, if it is not in that format."""
        self.path = path
        try:
            with path.open("rb") as file:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # an empty file cannot be mapped: ValueError
            raise InputError(f"{FIELD}: {path} cannot be read ({error})") from error
        count, self.width, start = self._read_header()
        self._offsets = self._index(count, start)

    def __len__(self) -> int:
        return len(self._offsets)

    def find(self, word: str) -> int | None:
        """Return the byte offset of the word's vector in the file; None if this exact spelling is missing."""
        return self._offsets.get(word.encode())

    def vector(self, offset: int) -> Float32[np.ndarray, " d"]:
        """Return the vector at an offset from `find`: float32 [width]."""
        return np.frombuffer(self._data, "<f4", self.width, offset)

    def sha256(self) -> str:
        """Return the sha256 of the whole file."""
        return hashlib.sha256(self._data).hexdigest()

    def _read_header(self) -> tuple[int, int, int]:
        head = self._data[:64]
        if head.startswith(b"\x1f\x8b"):
            raise InputError(f"{FIELD}: {self.path} is gzip-compressed; unpack it first (gunzip --keep) and name the .bin file")
        match = _HEADER.match(head)
        if match is None:
            raise InputError(
                f"{FIELD}: {self.path} begins with {head[:24]!r}; word2vec's binary format begins with '<words> <width>' and "
                "a newline. Give the unpacked GoogleNews-vectors-negative300.bin or a file that gensim saved with binary=True"
            )
        count, width = int(match[1]), int(match[2])
        if count < 1 or width < 1:
            raise InputError(f"{FIELD}: {self.path} announces {count} words of width {width}; both must be at least 1")
        if _is_text(self._data[match.end() : match.end() + _LONGEST_WORD + 32 * width], width):
            raise InputError(
                f"{FIELD}: {self.path} is in word2vec's text format; load it with gensim and save it with binary=True"
            )
        if match.end() + count * (4 * width + 2) > len(self._data):  # a word takes a letter and a space at least
            raise InputError(
                f"{FIELD}: {self.path} has {len(self._data):,} bytes, too few for the {count:,} words of width {width} that "
                "its header announces; it was cut short: fetch or unpack it again"
            )
        return count, width, match.end()

    def _index(self, count: int, start: int) -> dict[bytes, int]:
        """Return word -> byte offset of its vector."""
        data, size, step = self._data, len(self._data), 4 * self.width
        offsets: dict[bytes, int] = {}
        position = start
        for number in range(1, count + 1):
            space = data.find(b" ", position, position + _LONGEST_WORD)
            word = data[position : max(space, position)].lstrip(b"\n")  # the newline that may end the vector before
            if not word or space + 1 + step > size:
                what = "the vector extends past the end of the file" if word else "no word and space"
                raise InputError(
                    f"{FIELD}: {self.path}: word {number:,} of {count:,}, byte {position:,} of {size:,}: {what}; the file is "
                    "cut short or damaged: fetch or unpack it again"
                )
            offsets.setdefault(word, space + 1)
            position = space + 1 + step
        if data[position : position + 2] not in (b"", b"\n"):
            raise InputError(
                f"{FIELD}: {self.path} continues after the {count:,} words that its header announces (byte {position:,} of "
                f"{size:,}); the header does not belong to the file: fetch or unpack it again"
            )
        return offsets


def _is_text(lines: bytes, width: int) -> bool:
    """Return whether the first line after the header is a word and `width` written numbers."""
    _, *numbers = lines.split(b"\n", 1)[0].split() or [b""]
    try:
        return len(numbers) == width and all(map(np.isfinite, map(float, numbers)))
    except ValueError:
        return False


def split_words(text: str) -> list[str]:
    """Return the words of a text: runs of letters and digits, with inner apostrophes ("don't", "O'Hara")."""
    return _WORD.findall(text.translate(_APOSTROPHES))


def spellings(word: str) -> Iterator[str]:
    """Yield the spellings under which a word is looked up (ours; posters are mostly set in capitals).

    In this order: unchanged, in lower case, Capitalized; then the same without a final 's. In each, two or more digits in a row
    become as many '#' signs: "1999" is "####" and "21st" is "##st", while "5" and "3D" are kept.

    Checked on a public list of the 3,000,000 GoogleNews words (https://github.com/chrisjmccormick/inspect_word2vec): none has
    two digits in a row; "##", "####", "##st", "5", "3D", "don't", "King's" occur; "15", "1999", "king's", and in lower
    case "a", "and", "of", "to" are not.
    """
    word = _NUMBER.sub(lambda digits: "#" * len(digits[0]), word)
    for form in (word, word[:-2]) if word[-2:] in ("'s", "'S") else (word,):
        yield from (form, form.lower(), form.capitalize())


def load_word2vec(source: str, options: EncoderOptions) -> Word2VecTower:
    """Load word vectors in word2vec's binary format as a frozen text tower.

    A text becomes the vectors of its first `max_text_tokens` known words in order; unknown words are left out. At level
    "tokens" the features are that sequence, zero where masked; at level "pooled" their mean. A text without a known word has
    no true element in its mask at either level.

    The tower has no parameters, so no gradient reaches the vectors. Where other towers take ids, this one takes vectors:
    `tokenize` returns them as `input_ids`, float32 [b, 1, l, d], and `forward` expects them there. Only the vectors of a
    batch's words are copied to the device.

    Each loading reads the file twice, to index it and to hash it; the hash keeps features of another file from being used.
    Extrapolated from a tenth of 3,000,000 words of width 300: 6 to 15 s on one core with the file in the system's cache, and
    0.4 GB of memory for the index.

    Args:
      source: the config's `encoders.text`: "word2vec:" and the path of the .bin file, or of a folder that holds just one.
      options: of the config's section `encoders`. `max_text_tokens`, known words of a text that are kept, is at least 1; None
        is 40 (ours, the paper does not specify it).

    Raises:
      InputError: no such file, not in the binary format, cut short; `max_text_tokens` below 1; `long_text` is not "truncate".
    """
    if options.long_text != "truncate":
        raise InputError(f"encoders.long_text={options.long_text!r}: Word2Vec's texts are only cut. Set it to 'truncate'.")
    length = DEFAULT_TOKENS if options.max_text_tokens is None else options.max_text_tokens
    if length < 1:
        raise InputError(f"encoders.max_text_tokens is {length}; a Word2Vec text needs at least 1 word")
    table = WordVectors(find_file(source))

    # Ids would need the table on the device (3.6 GB) or a call back to the host, and `jax.pure_callback` hung under jit with
    # 1,024 texts split over two CPU devices, in the collective that gathers them for it (jax 0.10.2).
    def forward(
        params: dict[str, Any],
        input_ids: Float32[Array | np.ndarray, "b c l d"],
        attention_mask: Int32[Array | np.ndarray, "b c l"],
        *,
        level: Level,
    ) -> Features:
        del params  # there are none
        mask = (jnp.asarray(attention_mask) > 0).reshape(input_ids.shape[0], -1)
        vectors = jnp.asarray(input_ids).reshape(*mask.shape, table.width)
        values = jnp.where(mask[..., None], vectors, jnp.zeros((), jnp.float32))
        if choose("features.level", level, LEVELS):
            return Features(values, mask)
        counts = jnp.maximum(mask.sum(axis=1, keepdims=True, dtype=jnp.int32), 1).astype(jnp.float32)
        return Features(values.sum(axis=1) / counts, mask.any(axis=1))

    passport = {
        "family": "word2vec",
        "tower": "text",
        "source": table.path.name,
        "revision": None,
        "random": False,
        "weights_sha256": table.sha256(),
        "words": len(table),
        "tokenisation": TOKENISATION,
        "pooling": "mean",
        "max_tokens": length,
        "dtype": "float32",
        "width": table.width,
    }
    return Word2VecTower(
        name=source,
        width=table.width,
        max_tokens=length,
        params={},
        forward=forward,
        tokenize=lambda texts: _tokenize(table, texts, length),
        passport=passport,
        coverage=lambda texts: _coverage(table, texts),
    )


def find_file(source: str) -> pathlib.Path:
    """Return the .bin file of "word2vec:FILE_OR_FOLDER". Raises InputError if there is none, or several in the folder."""
    name = source.removeprefix(WORD2VEC)
    path = pathlib.Path(expand_path(name, FIELD))
    if name and path.is_dir():
        found = sorted(path.glob("*.bin"))
        if len(found) != 1:
            packed = ", ".join(file.name for file in sorted(path.glob("*.gz")))
            raise InputError(
                f"{FIELD}: the folder {name!r} holds {len(found)} files named *.bin, one is needed"
                + (f" (unpack {packed} first)" if packed and not found else "; name the file itself")
            )
        return found[0]
    if not name or not path.is_file():
        raise InputError(
            f"{FIELD}: there is no file or folder {name!r}. Word vectors are not downloaded: fetch "
            "GoogleNews-vectors-negative300.bin.gz (https://code.google.com/archive/p/word2vec/), unpack it, and set "
            f"--config.{FIELD}={WORD2VEC}/path/to/GoogleNews-vectors-negative300.bin"
        )
    return path


def _look_up(table: WordVectors, text: str) -> list[int | None]:
    """Return the offset of each word's vector, None for an unknown word."""
    return [
        next((found for form in spellings(word) if (found := table.find(form)) is not None), None) for word in split_words(text)
    ]


def _tokenize(table: WordVectors, texts: Sequence[str], max_tokens: int) -> Tokens:
    """Return vectors in place of ids, in one chunk."""
    vectors = np.zeros((len(texts), 1, max_tokens, table.width), np.float32)
    attention_mask = np.zeros((len(texts), 1, max_tokens), np.int32)
    truncated = np.zeros(len(texts), bool)
    for i, text in enumerate(texts):
        known = [offset for offset in _look_up(table, text) if offset is not None]
        for j, offset in enumerate(known[:max_tokens]):
            vectors[i, 0, j] = table.vector(offset)
            attention_mask[i, 0, j] = 1
        truncated[i] = len(known) > max_tokens
    return Tokens(vectors, attention_mask, truncated)


def _coverage(table: WordVectors, texts: Sequence[str]) -> Coverage:
    found = [_look_up(table, text) for text in texts]
    return Coverage(
        words=sum(map(len, found)),
        unknown=sum(offsets.count(None) for offsets in found),
        empty=sum(bool(offsets) and offsets.count(None) == len(offsets) for offsets in found),
    )
