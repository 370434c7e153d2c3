"""From the config's encoder names to an image tower and a text tower.

Each loader is imported where it is chosen: `transformers` alone takes one to two seconds.
"""

from posterfusion_jax.choices import KERAS, WORD2VEC
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
    """Loads pretrained towers.

    Images: CLIP, BLIP, or a network of keras.applications. Texts: CLIP, BLIP, a BERT sentence encoder, or Word2Vec.

    Args:
      image, text: hub names or local folders, "keras:NAME", "word2vec:FILE"; equal or not. The others are the fields of the
        config's section `encoders`.

    Raises:
      InputError: a model type without a tower here, or whatever the encoder's loader refuses.
    """
    image_tower = _load_image(image, dtype=dtype, resize=resize, allow_random=allow_random, seed=seed)
    if text.startswith(WORD2VEC):
        if long_text != "truncate":
            raise InputError(f"encoders.long_text={long_text!r}: Word2Vec's texts are only cut. Set it to 'truncate'.")
        from posterfusion_jax.encoders.word2vec import load_word2vec

        return image_tower, load_word2vec(text, max_tokens=max_text_tokens)
    options = {"text_policy": long_text, "max_chunks": max_chunks, "max_tokens": max_text_tokens, "dtype": dtype}
    match _model_type(text, "encoders.text"):
        case "clip":
            from posterfusion_jax.encoders.clip import load_clip

            _, text_tower = load_clip(text, towers=("text",), allow_random=allow_random, seed=seed, **options)
        case "blip":
            from posterfusion_jax.encoders.blip import load_blip

            _, text_tower = load_blip(text, towers=("text",), **options)
        case "bert":
            from posterfusion_jax.encoders.bert import load_bert

            text_tower = load_bert(text, **options)
        case other:
            raise InputError(
                f"encoders.text={text!r} is a model of the type {other!r}; text towers are read from CLIP, BLIP and BERT, or "
                f"are word vectors, {WORD2VEC}FILE."
            )
    assert text_tower is not None
    return image_tower, text_tower


def _load_image(image: str, *, dtype: str, resize: str, allow_random: tuple[str, ...], seed: int) -> ImageTower:
    if image.startswith(KERAS):
        from posterfusion_jax.encoders.cnn import load_cnn

        return load_cnn(image, dtype=dtype, resize=resize, allow_random=allow_random, seed=seed)
    match _model_type(image, "encoders.image"):
        case "clip":
            from posterfusion_jax.encoders.clip import load_clip

            tower, _ = load_clip(image, towers=("image",), allow_random=allow_random, dtype=dtype, resize=resize, seed=seed)
        case "blip":
            from posterfusion_jax.encoders.blip import load_blip

            tower, _ = load_blip(image, towers=("image",), dtype=dtype, resize=resize)
        case other:
            raise InputError(
                f"encoders.image={image!r} is a model of the type {other!r}; image towers are read from CLIP and BLIP, or are "
                f"networks of keras.applications, {KERAS}NAME."
            )
    assert tower is not None
    return tower


def _model_type(name: str, field: str) -> str:
    return locate(name, field=field).read_json("config.json").get("model_type", "unknown")
