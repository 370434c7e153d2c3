"""Load an image tower and a text tower from the config's encoder names.

Each loader is imported where it is chosen: `transformers` alone takes one to two seconds.
"""

import concurrent.futures
import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from posterfusion_jax.config.choices import KERAS, WORD2VEC
from posterfusion_jax.config.registries import IMAGE_TOWERS, TEXT_TOWERS, is_custom_tower
from posterfusion_jax.encoders.checkpoint_files import resolve_checkpoint
from posterfusion_jax.encoders.options import EncoderOptions
from posterfusion_jax.encoders.tower import ImageTower, TextTower
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.registry import Registry, accepted, check_callable

# The options that a user's tower is offered.
_IMAGE_OPTIONS = ("dtype", "resize", "allow_random", "seed")
_TEXT_OPTIONS = ("dtype", "long_text", "max_chunks", "max_text_tokens", "allow_random", "seed")


def load_towers(image: str, text: str, options: EncoderOptions | None = None) -> tuple[ImageTower, TextTower]:
    """Load pretrained towers.

    Images: CLIP, BLIP, or a network of keras.applications. Texts: CLIP, BLIP, a BERT sentence encoder, or Word2Vec.

    Args:
      image: a hub name, a local folder, "keras:NAME", or your own tower: a registered name or "package.module:load_tower".
      text: a hub name or local folder, also the same as `image`, "word2vec:FILE", or your own tower.
      options: of the config's section `encoders`; None for the defaults.

    Raises:
      InputError: a model type without a tower here, or any error of the encoder's loader.

    Example::

        image_tower, text_tower = pf.load_towers("openai/clip-vit-base-patch32", "sentence-transformers/all-MiniLM-L6-v2")
        image_tower.forward(image_tower.params, images, level="pooled").values  # float32 [b, d]
    """
    options = options or EncoderOptions()
    load_image, load_text = _find_image_loader(image), _find_text_loader(text)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:  # both read and hash files, mostly
        text_tower = pool.submit(load_text, options)
        return load_image(options), text_tower.result()


def load_image_tower(image: str, options: EncoderOptions) -> ImageTower:
    """Load one image tower; arguments and errors as in `load_towers`."""
    return _find_image_loader(image)(options)


def load_text_tower(text: str, options: EncoderOptions) -> TextTower:
    """Load one text tower; arguments and errors as in `load_towers`."""
    return _find_text_loader(text)(options)


def check_sources(image: str, text: str) -> None:
    """Check that the files of both encoders exist and are of a kind with a tower. Raises InputError if not."""
    _find_image_loader(image)
    _find_text_loader(text)


def _find_image_loader(image: str) -> Callable[[EncoderOptions], ImageTower]:
    if is_custom_tower(image, IMAGE_TOWERS):
        return _custom_loader(image, IMAGE_TOWERS, ImageTower, _IMAGE_OPTIONS)
    if image.startswith(KERAS):
        from posterfusion_jax.encoders.cnn import load_cnn

        return functools.partial(load_cnn, image)
    place = resolve_checkpoint(image, field="encoders.image")
    match place.read_json("config.json").get("model_type", "unknown"):
        case "clip" | "clip_vision_model" | "clip_text_model":
            from posterfusion_jax.encoders.clip import load_clip_image

            return functools.partial(load_clip_image, place)
        case "blip":
            from posterfusion_jax.encoders.blip import load_blip_image

            return functools.partial(load_blip_image, place)
        case other:
            raise InputError(
                f"encoders.image={image!r} is a model of the type {other!r}; image towers are read from CLIP and BLIP, or are "
                f"networks of keras.applications, {KERAS}NAME."
            )


def _find_text_loader(text: str) -> Callable[[EncoderOptions], TextTower]:
    if is_custom_tower(text, TEXT_TOWERS):
        return _custom_loader(text, TEXT_TOWERS, TextTower, _TEXT_OPTIONS)
    if text.startswith(WORD2VEC):
        from posterfusion_jax.encoders.word2vec import load_word2vec

        return functools.partial(load_word2vec, text)
    place = resolve_checkpoint(text, field="encoders.text")
    match place.read_json("config.json").get("model_type", "unknown"):
        case "clip" | "clip_vision_model" | "clip_text_model":
            from posterfusion_jax.encoders.clip import load_clip_text

            return functools.partial(load_clip_text, place)
        case "blip":
            from posterfusion_jax.encoders.blip import load_blip_text

            return functools.partial(load_blip_text, place)
        case "bert":
            from posterfusion_jax.encoders.bert import load_bert

            return functools.partial(load_bert, place)
        case other:
            raise InputError(
                f"encoders.text={text!r} is a model of the type {other!r}; text towers are read from CLIP, BLIP and BERT, or "
                f"are word vectors, {WORD2VEC}FILE."
            )


def _custom_loader(
    name: str, towers: Registry[Callable[..., Any]], kind: type, offered: tuple[str, ...]
) -> Callable[[EncoderOptions], Any]:
    """Return a function that loads a user's tower, with those of the offered options that its loader declares."""
    loader = check_callable(towers.get(name), towers.field, name)

    def load(options: EncoderOptions) -> Any:
        tower = loader(**accepted(loader, {field: getattr(options, field) for field in offered}))
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
