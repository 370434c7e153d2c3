"""Parameters of zero-shot CLIP: prompts embedded by the text tower, instead of a training."""

from collections.abc import Sequence

import jax.numpy as jnp

from posterfusion_jax.config.run import Run
from posterfusion_jax.encoders.clip import load_logit_scale
from posterfusion_jax.encoders.prompts import embed_prompts, fill_templates
from posterfusion_jax.encoders.tower import ImageTower, TextTower
from posterfusion_jax.errors import InputError
from posterfusion_jax.models.classifier import Params


def embed_head(run: Run, image_tower: ImageTower, text_tower: TextTower, *, genres: Sequence[str]) -> Params:
    """Return the parameters of `models.zero_shot.ZeroShot`, from the prompts of the config.

    Args:
      run: the run.
      image_tower: image tower of the config.
      text_tower: text tower of the config.
      genres: g names, in the order of the labels.

    Raises:
      InputError: the towers are not those of one pretrained CLIP.
    """
    for tower in (image_tower, text_tower):
        if tower.passport["family"] != "clip" or tower.passport["random"]:
            what = "has random weights" if tower.passport.get("random") else f"is of the kind {tower.passport['family']!r}"
            raise InputError(
                f"model.name='zero_shot' compares images with prompts in the space of one pretrained CLIP, but the "
                f"{tower.passport['tower']} tower of {tower.name!r} {what}. Name a CLIP with both towers in encoders.image and "
                "encoders.text."
            )
    model = run.config.model
    embedded = [embed_prompts(text_tower, fill_templates(model.zero_shot_prompts, genre)) for genre in genres]
    head = {
        "genres": jnp.stack(embedded, axis=1),
        "neutral": embed_prompts(text_tower, model.zero_shot_neutral),
        "logit_scale": jnp.asarray(load_logit_scale(run.config.encoders.text)),
    }
    return {"head": head}
