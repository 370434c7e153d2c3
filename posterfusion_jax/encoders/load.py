"""From the config's encoder names to an image tower and a text tower."""

from posterfusion_jax.encoders.bert import load_bert
from posterfusion_jax.encoders.clip import load_clip
from posterfusion_jax.encoders.source import locate
from posterfusion_jax.encoders.tower import ImageTower, TextTower
from posterfusion_jax.errors import InputError


def load_towers(
    image: str,
    text: str,
    *,
    dtype: str,
    resize: str,
    long_text: str,
    max_chunks: int,
    max_text_tokens: int | None,
    allow_random: tuple[str, ...],
    seed: int,
) -> tuple[ImageTower, TextTower]:
    """Loads pretrained towers: the image tower of a CLIP, and the text tower of a CLIP or a BERT sentence encoder.

    Args:
      image, text: hub names or local folders; equal or not. The others are the fields of the config's section `encoders`.

    Raises:
      InputError: a model type without a tower here, or whatever the encoder's loader refuses.
    """
    text_options = {"text_policy": long_text, "max_chunks": max_chunks, "max_tokens": max_text_tokens, "dtype": dtype}
    image_type, text_type = _model_type(image, "encoders.image"), _model_type(text, "encoders.text")
    if image_type != "clip":
        raise InputError(
            f"encoders.image={image!r} is a model of the type {image_type!r}; image towers are read from CLIP models."
        )
    image_tower, _ = load_clip(image, towers=("image",), allow_random=allow_random, dtype=dtype, resize=resize, seed=seed)
    if text_type == "clip":
        _, text_tower = load_clip(text, towers=("text",), allow_random=allow_random, seed=seed, **text_options)
    elif text_type == "bert":
        text_tower = load_bert(text, **text_options)
    else:
        raise InputError(
            f"encoders.text={text!r} is a model of the type {text_type!r}; text towers are read from CLIP and BERT."
        )
    assert image_tower is not None
    assert text_tower is not None
    return image_tower, text_tower


def _model_type(name: str, field: str) -> str:
    return locate(name, field=field).read_json("config.json").get("model_type", "unknown")
