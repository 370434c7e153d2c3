"""Load an image tower and a text tower from the config's encoder names.

Each loader is imported where it is chosen: `transformers` alone takes one to two seconds.
"""

import concurrent.futures
import dataclasses
import functools
from collections.abc import Callable
from typing import Any, cast

from posterfusion_jax.config.choices import KERAS, WORD2VEC
from posterfusion_jax.config.registries import IMAGE_TOWERS, TEXT_TOWERS, is_custom_tower
from posterfusion_jax.encoders.checkpoint_files import resolve_checkpoint
from posterfusion_jax.encoders.tower import ImageTower, TextTower
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.registry import Registry, accepted, check_callable


def load_towers(
    image: str,
    text: str,
    *,
    dtype: str = "float32",
    resize: str = "crop",
    long_text: str = "truncate",
    max_chunks: int = 4,
    max_text_tokens: int | None = None,
    allow_random: tuple[str, ...] = (),
    seed: int = 0,
) -> tuple[ImageTower, TextTower]:
    """Load pretrained towers.

    Images: CLIP, BLIP, or a network of keras.applications. Texts: CLIP, BLIP, a BERT sentence encoder, or Word2Vec.

    Args:
      image: a hub name, a local folder, "keras:NAME", or your own tower: a registered name or "package.module:load_tower".
      text: a hub name or local folder, also the same as `image`, "word2vec:FILE", or your own tower.
      dtype: of the arithmetic; this and the following arguments are fields of the config's section `encoders`.
      resize: how posters become square.
      long_text: the policy for texts over the tower's limit.
      max_chunks: of the chunk policies.
      max_text_tokens: a lower limit than the tower's own, or None.
      allow_random: towers that may start from random weights.
      seed: of random weights.

    Raises:
      InputError: a model type without a tower here, or any error of the encoder's loader.

    Example::

        image_tower, text_tower = pf.load_towers("openai/clip-vit-base-patch32", "sentence-transformers/all-MiniLM-L6-v2")
        image_tower.forward(image_tower.params, images, level="pooled").values  # float32 [b, d]
    """
    load_image = _image_loader(image, dtype=dtype, resize=resize, allow_random=allow_random, seed=seed)
    load_text = _text_loader(
        text,
        dtype=dtype,
        text_policy=long_text,
        max_chunks=max_chunks,
        max_tokens=max_text_tokens,
        allow_random=allow_random,
        seed=seed,
    )
    with concurrent.futures.ThreadPoolExecutor(1) as pool:  # both read and hash files, mostly
        text_tower = pool.submit(load_text)
        return load_image(), text_tower.result()


def check_sources(image: str, text: str) -> None:
    """Check that the files of both encoders exist and are of a kind with a tower. Raises InputError if not."""
    _image_loader(image, dtype="float32", resize="crop", allow_random=(), seed=0)
    _text_loader(text, dtype="float32", text_policy="truncate", max_chunks=1, max_tokens=None, allow_random=(), seed=0)


def _image_loader(image: str, *, dtype: str, resize: str, allow_random: tuple[str, ...], seed: int) -> Callable[[], ImageTower]:
    options = {"dtype": dtype, "resize": resize}
    if is_custom_tower(image, IMAGE_TOWERS):
        return _custom_loader(image, IMAGE_TOWERS, ImageTower, **options, allow_random=allow_random, seed=seed)
    if image.startswith(KERAS):
        from posterfusion_jax.encoders.cnn import load_cnn

        return functools.partial(load_cnn, image, allow_random=allow_random, seed=seed, **options)
    match _model_type(image, "encoders.image"):
        case "clip" | "clip_vision_model" | "clip_text_model":
            from posterfusion_jax.encoders.clip import load_clip

            load = functools.partial(load_clip, image, towers=("image",), allow_random=allow_random, seed=seed, **options)
        case "blip":
            from posterfusion_jax.encoders.blip import load_blip

            load = functools.partial(load_blip, image, towers=("image",), **options)
        case other:
            raise InputError(
                f"encoders.image={image!r} is a model of the type {other!r}; image towers are read from CLIP and BLIP, or are "
                f"networks of keras.applications, {KERAS}NAME."
            )
    return lambda: cast(ImageTower, load()[0])


def _text_loader(
    text: str,
    *,
    dtype: str,
    text_policy: str,
    max_chunks: int,
    max_tokens: int | None,
    allow_random: tuple[str, ...],
    seed: int,
) -> Callable[[], TextTower]:
    if is_custom_tower(text, TEXT_TOWERS):
        options = {"dtype": dtype, "long_text": text_policy, "max_chunks": max_chunks, "max_text_tokens": max_tokens}
        return _custom_loader(text, TEXT_TOWERS, TextTower, **options, allow_random=allow_random, seed=seed)
    if text.startswith(WORD2VEC):
        if text_policy != "truncate":
            raise InputError(f"encoders.long_text={text_policy!r}: Word2Vec's texts are only cut. Set it to 'truncate'.")
        from posterfusion_jax.encoders.word2vec import load_word2vec

        return functools.partial(load_word2vec, text, max_tokens=max_tokens)
    options = {"text_policy": text_policy, "max_chunks": max_chunks, "max_tokens": max_tokens, "dtype": dtype}
    match _model_type(text, "encoders.text"):
        case "clip" | "clip_vision_model" | "clip_text_model":
            from posterfusion_jax.encoders.clip import load_clip

            load = functools.partial(load_clip, text, towers=("text",), allow_random=allow_random, seed=seed, **options)
        case "blip":
            from posterfusion_jax.encoders.blip import load_blip

            load = functools.partial(load_blip, text, towers=("text",), **options)
        case "bert":
            from posterfusion_jax.encoders.bert import load_bert

            return functools.partial(load_bert, text, **options)
        case other:
            raise InputError(
                f"encoders.text={text!r} is a model of the type {other!r}; text towers are read from CLIP, BLIP and BERT, or "
                f"are word vectors, {WORD2VEC}FILE."
            )
    return lambda: cast(TextTower, load()[1])


def _custom_loader(name: str, towers: Registry[Callable[..., Any]], kind: type, **options: Any) -> Callable[[], Any]:
    """Return a function that loads a user's tower, with those of the options that its loader declares."""
    loader = check_callable(towers.get(name), towers.field, name)

    def load() -> Any:
        tower = loader(**accepted(loader, options))
        if not isinstance(tower, kind):
            raise InputError(f"{towers.field}={name!r} returned a {type(tower).__name__}; it must return a {kind.__name__}.")
        known = {
            "family": name,
            "source": name,
            "tower": towers.field.partition(".")[2],
            "width": tower.width,
            "dtype": "float32",
        }
        known |= {"max_tokens": tower.max_tokens} if isinstance(tower, TextTower) else {"resize": tower.resize}
        return dataclasses.replace(tower, passport=known | tower.passport)  # which other stages read these entries of

    return load


def _model_type(name: str, field: str) -> str:
    return resolve_checkpoint(name, field=field).read_json("config.json").get("model_type", "unknown")
