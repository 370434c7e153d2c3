"""Checkpoint of zero-shot CLIP: prompts embedded by the text tower, instead of a training."""

from collections.abc import Sequence

import jax.numpy as jnp

from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.config.run import Run
from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset
from posterfusion_jax.encoders.clip import load_logit_scale
from posterfusion_jax.encoders.prompts import embed_prompts, fill_templates
from posterfusion_jax.encoders.tower import ImageTower, TextTower
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.scoring import Scorer
from posterfusion_jax.models.classifier import Params
from posterfusion_jax.pipeline.assemble import assemble
from posterfusion_jax.pipeline.encoders import load_run_towers, passports
from posterfusion_jax.pipeline.outputs import make_meta
from posterfusion_jax.train.early_stopping import validation_summary
from posterfusion_jax.train.step import init_state, make_optimizer
from posterfusion_jax.utils.console import print_message
from posterfusion_jax.utils.sharding import DataParallel


def save_zero_shot(run: Run, dataset: PosterDataset, checkpoints: Checkpoints) -> None:
    """Save zero-shot CLIP as epoch 0, with embedded prompts and thresholds fitted on the validation split."""
    towers = load_run_towers(run, dataset)
    head = _embed_head(run, *towers, genres=dataset.genres)
    model = assemble(run, dataset, passports(*towers))
    options, parallel, validation = run.config.train, DataParallel(), model.split("validation")
    optimizer = make_optimizer(options, model.classifier.groups, steps_per_epoch=1)  # takes no step
    state = init_state(model.classifier, optimizer, seed=run.config.seed).replace(params=head)
    scorer = Scorer(model.classifier, model.loss, parallel, batch_size=options.eval_batch_size, threads=options.loader_threads)
    summary = validation_summary(
        0, scorer.score(parallel.replicate(head), validation), validation.labels, genres=dataset.genres
    )
    checkpoints.save(0, state, {**make_meta(run, dataset, model.encoders), **summary}, rank=0.0)
    checkpoints.wait()
    prompts = run.config.model.zero_shot_prompts
    print_message(f"training: none for zero_shot; {len(dataset.genres)} genres embedded as {', '.join(map(repr, prompts))}")


def _embed_head(run: Run, image_tower: ImageTower, text_tower: TextTower, *, genres: Sequence[str]) -> Params:
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
