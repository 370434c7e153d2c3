"""Convert texts to token ids with a checkpoint's own tokenizer, or one trained on the run's training texts."""

import hashlib
import logging
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, BertTokenizerFast, CLIPTokenizerFast, PreTrainedTokenizerFast
from transformers.models.auto.tokenization_auto import tokenizer_class_from_name

from posterfusion_jax.config.choices import CLIP_TYPES
from posterfusion_jax.encoders.checkpoint_files import TOKENIZER_FILES, CheckpointFiles
from posterfusion_jax.encoders.contents import describe_files
from posterfusion_jax.encoders.long_text import chunk_token_ids
from posterfusion_jax.encoders.options import EncoderOptions
from posterfusion_jax.encoders.tower import Tokens
from posterfusion_jax.errors import InputError

_SETTINGS = "tokenizer_config.json"
_CLASSES = {  # by model_type of config.json, for settings that name a class that is not known here
    **dict.fromkeys(CLIP_TYPES, CLIPTokenizerFast),
    **dict.fromkeys(("bert", "blip"), BertTokenizerFast),
}
_log = logging.getLogger(__name__)

# The end mark must not get id 2: transformers treats a CLIP configuration with eos_token_id 2 as one of OpenAI's,
# whose id is wrong, and pools at the largest id of the text instead.
BEGIN, END, PAD = "<|startoftext|>", "<|endoftext|>", "<|pad|>"


def train_tokenizer(
    texts: Iterable[str], folder: str | pathlib.Path, *, vocab_size: int, max_tokens: int
) -> PreTrainedTokenizerFast:
    """Train a byte-level byte-pair tokenizer, lower-casing as CLIP's does, and save it for transformers.

    Deterministic: the same texts in any order give the same vocabulary. Words are separated by a leading space (as in GPT-2)
    and not by CLIP's end-of-word suffix, because `tokenizers` numbers suffixed letters in the order of a random hash.

    Args:
      texts: training texts only; a vocabulary made from test posters would leak their titles.
      folder: where to save; created if missing.
      vocab_size: upper limit, at least 259 (256 bytes and three marks). Pairs seen only once are not merged.
      max_tokens: recorded as the tokenizer's `model_max_length`.

    Returns:
      The tokenizer, as `load_tokenizer(folder)` would.

    Raises:
      InputError: `vocab_size` too small, or no text has a letter in it.
    """
    if vocab_size < 259:
        raise InputError(f"vocab_size is {vocab_size}; a byte-level tokenizer needs at least 259 (256 bytes, three marks)")
    texts = [text for text in texts if text.strip()]
    if not texts:
        raise InputError("there is no training text to make a tokenizer from: every poster's text is empty")
    core = Tokenizer(models.BPE())
    core.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[BEGIN, END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        model_max_length=max_tokens,
        add_prefix_space=True,  # without it, transformers would switch it off in `core`
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def load_tokenizer(folder: str | pathlib.Path, *, field: str = "encoders.text") -> PreTrainedTokenizerFast:
    """Load the tokenizer in a local folder (this project's, CLIP's, BERT's); no code in the folder is run.

    transformers 4 or 5 may have saved it.

    Raises:
      InputError: there is none, or none with a fast form in transformers.
    """
    place = CheckpointFiles(name=str(folder), folder=pathlib.Path(folder), revision=None, field=field)
    for name in TOKENIZER_FILES:
        if (place.folder / name).is_file():
            place.check_fetched(place.folder / name)
    try:
        tokenizer = _load_any(place)
    except InputError:
        raise
    except Exception as error:  # `tokenizers` raises bare Exceptions for broken files
        why = " ".join(str(error).split())[:200]
        raise InputError(
            f"{field}: {folder} has no tokenizer that can be loaded; needed: tokenizer.json, or vocab.json with merges.txt, "
            f"or vocab.txt, each with tokenizer_config.json or config.json in the same folder; {describe_files(place.folder)} "
            f"({type(error).__name__}: {why})"
        ) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise InputError(f"{field}: the tokenizer in {folder} has no fast form ({type(tokenizer).__name__})")
    # Some checkpoints (MiniLM's) save these switched on. `long_text` handles the length.
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    return tokenizer


def _load_any(place: CheckpointFiles) -> Any:
    """Load transformers' tokenizer of a folder, also if a newer version than the installed one saved it."""
    settings = place.read_json(_SETTINGS) if (place.folder / _SETTINGS).is_file() else {}
    options: dict[str, Any] = {"local_files_only": True}
    if isinstance(settings.get("extra_special_tokens"), list):  # transformers 4 wants an object here, and lists them elsewhere
        options |= {"extra_special_tokens": {}, "additional_special_tokens": settings["extra_special_tokens"]}
    if _is_known(settings.get("tokenizer_class")):
        return AutoTokenizer.from_pretrained(place.folder, use_fast=True, trust_remote_code=False, **options)
    config = place.read_json("config.json") if (place.folder / "config.json").is_file() else {}
    kind = _CLASSES.get(str(config.get("model_type")), PreTrainedTokenizerFast)
    _log.info("%s: tokenizer class %r, read as %s", place.folder, settings["tokenizer_class"], kind.__name__)
    return kind.from_pretrained(place.folder, **options)


def _is_known(name: Any) -> bool:
    """Return whether the installed transformers has the class that a folder's settings name, or none is named."""
    return not isinstance(name, str) or any(tokenizer_class_from_name(known) for known in (name, f"{name}Fast"))


def hash_tokenizer(tokenizer: PreTrainedTokenizerFast) -> str:
    """Return the sha256 over the vocabulary, the merges and the normalization rules."""
    return hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()


def make_tokenize(
    tokenizer: PreTrainedTokenizerFast, options: EncoderOptions, *, max_tokens: int
) -> Callable[[list[str]], Tokens]:
    """Return a thread-safe function from texts to `Tokens` (see `long_text.chunk_token_ids`).

    Special tokens in the text itself (a poster that reads "[SEP]") are dropped: an end mark in the middle would hide the
    rest from CLIP.

    Args:
      tokenizer: of the encoder.
      options: `long_text` and `max_chunks` are used.
      max_tokens: of a chunk, special tokens included, at least 3.
    """
    begin = _first_mark(tokenizer, "bos_token_id", "cls_token_id")
    end = _first_mark(tokenizer, "eos_token_id", "sep_token_id")
    pad = _first_mark(tokenizer, "pad_token_id")

    def tokenize(texts: list[str]) -> Tokens:
        encoded = tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False)
        contents = [[token for token in text.ids if token not in (begin, end, pad)] for text in encoded]
        return chunk_token_ids(
            contents,
            begin=begin,
            end=end,
            pad=pad,
            max_tokens=max_tokens,
            long_text=options.long_text,
            max_chunks=options.max_chunks,
        )

    return tokenize


def _first_mark(tokenizer: PreTrainedTokenizerFast, *names: str) -> int:
    """Return the id of the first mark that the tokenizer has: CLIP has bos and eos where BERT has cls and sep."""
    for name in names:
        if (token := getattr(tokenizer, name)) is not None:
            return token
    raise InputError(f"the tokenizer in {tokenizer.name_or_path} has no {' and no '.join(names)}: its files are not complete")
