"""Compute the directions that zero-shot CLIP compares pictures with, from prompts.

Reference: Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021, section 3.1.4:
prompt templates, and several of them averaged in the space of the embeddings.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from posterfusion_jax.config.choices import GENRE
from posterfusion_jax.encoders.tower import TextTower
from posterfusion_jax.errors import InputError


def fill_templates(templates: Sequence[str], genre: str) -> list[str]:
    """Return the templates with the genre's name in place of "{genre}"."""
    return [template.replace(GENRE, genre) for template in templates]


def embed_prompts(text_tower: TextTower, prompts: Sequence[str]) -> Float[Array, " d"]:
    """Return one direction for several prompts: each embedding at length 1, their mean, again at length 1.

    Args:
      text_tower: of a CLIP.
      prompts: at least one.

    Returns:
      float32 [d].

    Raises:
      InputError: a prompt is longer than the tower reads.
    """
    tokens = text_tower.tokenize(list(prompts))
    if tokens.truncated.any():
        raise InputError(
            f"model.zero_shot_prompts, zero_shot_neutral: {prompts[int(tokens.truncated.argmax())]!r} is longer than the "
            f"{text_tower.max_tokens} tokens that the text encoder reads. Shorten it, or raise encoders.max_text_tokens."
        )
    forward = jax.jit(text_tower.forward, static_argnames="level")
    embeddings = forward(text_tower.params, tokens.input_ids, tokens.attention_mask, level="pooled").values
    return _unit(_unit(embeddings).mean(axis=0))


def _unit(values: Float[Array, "*b d"]) -> Float[Array, "*b d"]:
    return values / jnp.linalg.norm(values, axis=-1, keepdims=True)
