"""Load a BERT sentence encoder as text tower, on transformers' FlaxBertModel.

Pooling is the mean over a text's tokens, special tokens included, as in sentence-transformers.
Reference: Reimers and Gurevych, Sentence-BERT, EMNLP 2019, section 3.
"""

import logging
from typing import Any

import jax
import jax.numpy as jnp
from transformers import BertConfig, FlaxBertModel

from posterfusion_jax.config.choices import LEVELS
from posterfusion_jax.encoders.checkpoint_files import CheckpointFiles, resolve_checkpoint
from posterfusion_jax.encoders.hf_compat import DTYPES, default_promotion
from posterfusion_jax.encoders.long_text import merge_chunks
from posterfusion_jax.encoders.tokenizer import hash_tokenizer, load_tokenizer, make_tokenize
from posterfusion_jax.encoders.tower import Features, Level, TextTower
from posterfusion_jax.encoders.weights import hash_params, load_params, to_device
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.choose import choose

FIELD = "encoders.text"
_POOLING = "1_Pooling/config.json"  # of sentence-transformers
_log = logging.getLogger(__name__)


def load_bert(
    source: str,
    *,
    dtype: str = "float32",
    max_tokens: int | None = None,
    text_policy: str = "truncate",
    max_chunks: int = 4,
    unit_length: bool = False,
) -> TextTower:
    """Load a BERT encoder, such as sentence-transformers/all-MiniLM-L6-v2.

    At level "tokens" the features are the last hidden states; at level "pooled" their mean over the tokens.

    Args:
      source: a local folder or a hub name (see `checkpoint_files.resolve_checkpoint`).
      dtype: of the arithmetic, "float32" or "bfloat16". Weights and features are float32.
      max_tokens: special tokens included; None for 128, which holds nearly every poster's text.
      text_policy: for texts over `max_tokens`, see `long_text.chunk_token_ids`.
      max_chunks: of the chunk policies.
      unit_length: scale pooled features to length 1, as MiniLM's own pipeline does at its end. Off, because the model on top
        normalizes features itself.

    Raises:
      InputError: nothing to load from `source`; not a BERT model; weights missing; an unknown option.
    """
    if dtype not in DTYPES:
        raise InputError(f"encoders.dtype: {dtype!r}; allowed: {', '.join(DTYPES)}")
    place = resolve_checkpoint(source, field=FIELD)
    raw = place.read_json("config.json")
    if raw.get("model_type") != "bert":
        raise InputError(f"{FIELD}: {source} is a {raw.get('model_type')!r} model; texts need a CLIP or a BERT checkpoint")
    _check_pooling(place)
    config = BertConfig.from_pretrained(place.folder, local_files_only=True)
    longest = config.max_position_embeddings
    length = min(128, longest) if max_tokens is None else max_tokens
    if not 3 <= length <= longest:
        raise InputError(f"encoders.max_text_tokens is {length}; {source} takes 3 to {longest}")

    module = FlaxBertModel.module_class(config=config, dtype=DTYPES[dtype], add_pooling_layer=False)
    ids = jax.ShapeDtypeStruct((1, 3), jnp.int32)
    with default_promotion():
        shapes = jax.eval_shape(lambda *ids: module.init(jax.random.key(0), *ids, None), ids, ids, ids, ids)["params"]
    params, missing = load_params(place, shapes, prefix="bert")
    if missing:
        raise InputError(f"{FIELD}: {place.folder} lacks {len(missing)} weight arrays, such as {'/'.join(missing[0])}")

    def forward(params: dict[str, Any], input_ids: jax.Array, attention_mask: jax.Array, *, level: Level) -> Features:
        _, chunks, length = input_ids.shape
        ids, present = input_ids.reshape(-1, length), attention_mask.reshape(-1, length)
        positions = jnp.broadcast_to(jnp.arange(length, dtype=jnp.int32), ids.shape)
        with default_promotion():
            output = module.apply({"params": params}, ids, present, jnp.zeros_like(ids), positions, None)
        tokens, mask = output.last_hidden_state.astype(jnp.float32), present > 0
        if choose("features.level", level, LEVELS):
            return merge_chunks(tokens, mask, chunks=chunks, level=level, policy=text_policy)
        counts = jnp.maximum(mask.sum(axis=1, keepdims=True, dtype=jnp.int32), 1).astype(jnp.float32)
        means = jnp.einsum("nld,nl->nd", tokens, mask.astype(jnp.float32)) / counts
        features = merge_chunks(means, mask.any(axis=1), chunks=chunks, level=level, policy=text_policy)
        return Features(_to_unit_length(features.values), features.mask) if unit_length else features

    tokenizer = load_tokenizer(place.folder, field=FIELD)
    passport = {
        "family": "bert",
        "tower": "text",
        "source": place.label,
        "revision": place.revision,
        "random": False,
        "weights_sha256": hash_params(params),
        "tokenizer_sha256": hash_tokenizer(tokenizer),
        "activation": config.hidden_act,
        "pooling": "mean",
        "unit_length": unit_length,
        "max_tokens": length,
        "text_policy": text_policy,
        "max_chunks": max_chunks if text_policy.startswith("chunk") else 1,
        "dtype": dtype,
        "width": config.hidden_size,
    }
    tokenize = make_tokenize(
        tokenizer,
        max_tokens=length,
        policy=text_policy,
        max_chunks=max_chunks,
    )
    return TextTower(
        name=source,
        width=config.hidden_size,
        max_tokens=length,
        params=to_device(params),
        forward=forward,
        tokenize=tokenize,
        passport=passport,
    )


def _check_pooling(place: CheckpointFiles) -> None:
    """Warn if a folder of sentence-transformers asks for another pooling than the mean over the tokens."""
    if not (place.folder / _POOLING).is_file():
        return
    modes = [name for name, used in place.read_json(_POOLING).items() if name.startswith("pooling_mode_") and used is True]
    if modes and modes != ["pooling_mode_mean_tokens"]:
        _log.warning("%s pools by %s (%s); here it is the mean over tokens", place.name, ", ".join(modes), _POOLING)


def _to_unit_length(values: jax.Array) -> jax.Array:
    """Scale rows to length 1; the floor keeps the row of an absent text zero, and its gradient finite."""
    squares = jnp.square(values).sum(axis=-1, keepdims=True)
    return values * jax.lax.rsqrt(jnp.maximum(squares, 1e-12))
