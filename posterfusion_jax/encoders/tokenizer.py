"""Texts to token ids: a checkpoint's own tokenizer, or one trained on the run's training texts."""

import hashlib
import pathlib
from collections.abc import Callable, Iterable

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from posterfusion_jax.encoders.long_text import arrange, check_policy
from posterfusion_jax.encoders.tower import Tokens
from posterfusion_jax.errors import InputError

# The end mark must not get id 2: transformers takes a CLIP configuration with eos_token_id 2 for one of OpenAI's, whose id
# was written down wrongly, and pools at the largest id of the text instead.
BEGIN, END, PAD = "<|startoftext|>", "<|endoftext|>", "<|pad|>"


def train_tokenizer(
    texts: Iterable[str], folder: str | pathlib.Path, *, vocab_size: int, max_tokens: int
) -> PreTrainedTokenizerFast:
    """Trains a byte-level byte-pair tokenizer, lower-casing as CLIP's does, and saves it the way transformers loads it.

    Deterministic: the same texts in any order give the same vocabulary. Words are told apart by a leading space (as in GPT-2)
    and not by CLIP's end-of-word suffix, because `tokenizers` numbers suffixed letters in the order of a random hash.

    Args:
      texts: training texts only; a vocabulary made from test posters would leak their titles.
      folder: where to save; made if need be.
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
        add_prefix_space=True,  # not said again here, transformers would switch it off in `core`
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def load_tokenizer(folder: str | pathlib.Path, *, field: str = "encoders.text") -> PreTrainedTokenizerFast:
    """The tokenizer in a local folder (ours, CLIP's, BERT's). No code that lies there is run.

    Raises:
      InputError: there is none that transformers has a fast form of.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, use_fast=True, trust_remote_code=False)
    except Exception as error:  # `tokenizers` raises bare Exceptions for broken files
        raise InputError(
            f"{field}: {folder} has no tokenizer that can be loaded; needed: tokenizer.json, or vocab.json with merges.txt, "
            f"or vocab.txt, and tokenizer_config.json ({type(error).__name__})"
        ) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise InputError(f"{field}: the tokenizer in {folder} has no fast form ({type(tokenizer).__name__})")
    # Some checkpoints (MiniLM's) save these switched on. Length is the business of `long_text`.
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    return tokenizer


def hash_tokenizer(tokenizer: PreTrainedTokenizerFast) -> str:
    """sha256 over the vocabulary, the merges and the normalisation rules."""
    return hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()


def make_tokenize(
    tokenizer: PreTrainedTokenizerFast, *, max_tokens: int, policy: str, max_chunks: int
) -> Callable[[list[str]], Tokens]:
    """A function from texts to `Tokens` under one policy for long texts (see `long_text.arrange`). Threads may share it.

    Marks that stand in the text itself (a poster that reads "[SEP]") are dropped: an end mark in the middle would hide the
    rest from CLIP.
    """
    check_policy(policy, max_chunks)
    begin = _mark(tokenizer, "bos_token_id", "cls_token_id")
    end = _mark(tokenizer, "eos_token_id", "sep_token_id")
    pad = _mark(tokenizer, "pad_token_id")

    def tokenize(texts: list[str]) -> Tokens:
        encoded = tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False)
        contents = [[token for token in text.ids if token not in (begin, end, pad)] for text in encoded]
        return arrange(contents, begin=begin, end=end, pad=pad, max_tokens=max_tokens, policy=policy, max_chunks=max_chunks)

    return tokenize


def _mark(tokenizer: PreTrainedTokenizerFast, *names: str) -> int:
    """The id of the first of these marks that the tokenizer has: CLIP says bos and eos where BERT says cls and sep."""
    for name in names:
        if (token := getattr(tokenizer, name)) is not None:
            return token
    raise InputError(f"the tokenizer in {tokenizer.name_or_path} has no {' and no '.join(names)}: its files are not complete")
