"""Classifier of a config and its checkpoints, without dataset and training; all that prediction loads of a model."""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
from flax import linen as nn

from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.config.registries import HEADS
from posterfusion_jax.config.run import Run
from posterfusion_jax.encoders.tower import ImageTower, TextTower
from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import read_genres
from posterfusion_jax.models.classifier import Classifier, FineTuning, check_logits, on_features, on_posters
from posterfusion_jax.models.registry import make_head
from posterfusion_jax.pipeline.encoders import check_encoders, load_run_towers, passports


def feature_classifier(run: Run, *, labels: int, image_width: int, text_width: int) -> Classifier:
    """Return the config's head for a number of labels, on cached features of the given widths."""
    head = _make_head(run, labels=labels, image_width=image_width, text_width=text_width)
    return on_features(head, image_width=image_width, text_width=text_width, level=run.config.features.level)


def live_classifier(run: Run, image_tower: ImageTower, text_tower: TextTower, *, labels: int) -> Classifier:
    """Return the config's head for a number of labels, on encoders that are part of the model."""
    train, features = run.config.train, run.config.features
    return on_posters(
        _make_head(run, labels=labels, image_width=image_tower.width, text_width=text_tower.width),
        image_tower,
        text_tower,
        level=features.level,
        image_grid=features.image_grid,
        rounded_to="float32" if run.live or features.level == "pooled" else features.dtype,
        tuning=FineTuning(
            which=train.fine_tune,
            towers=tuple(train.fine_tune_towers),
            layers=train.fine_tune_layers,
            augment_shift=train.augment_shift,
            augment_drop_tokens=train.augment_drop_tokens,
        ),
    )


def _make_head(run: Run, **sizes: int) -> nn.Module:
    """Return the config's head; raises InputError as `make_head`, and for a head of the user's own that ignores `labels`."""
    head = make_head(run.config.model, **sizes)
    if not HEADS.is_builtin(run.config.model.name):
        check_logits(head, run.config.model.name, **sizes)
    return head


@contextlib.contextmanager
def open_checkpoints(run: Run) -> Iterator[Checkpoints]:
    """Open the checkpoints of a run; they are closed at the end of the `with` block."""
    checkpoints = Checkpoints(run.paths.checkpoints)
    try:
        yield checkpoints
    finally:
        checkpoints.close()


def best_meta(checkpoints: Checkpoints, workdir: pathlib.Path) -> tuple[int, dict[str, Any]]:
    """Return the best epoch and its meta, with the names of the genres.

    Raises:
      InputError: there is no checkpoint, or thresholds or calibration have another number of genres.
    """
    if checkpoints.best is None:
        raise InputError(f"--workdir={workdir} holds no checkpoint. Train first, or name the workdir of a trained run.")
    meta = checkpoints.read_meta(checkpoints.best)
    place = f"the checkpoint of epoch {checkpoints.best} in {workdir}"
    genres = read_genres(meta, place=place)
    fitted = {"thresholds.tuned_per_genre": meta["thresholds"]["tuned_per_genre"]}
    fitted |= {f"calibration.{name}": values for name, values in meta["calibration"].items()}
    for name, values in fitted.items():
        if len(values) != len(genres):
            raise InputError(f"{place} has {len(values)} numbers in {name} for {len(genres)} genres. Train again.")
    return checkpoints.best, {**meta, "genres": list(genres)}


def read_params(checkpoints: Checkpoints, epoch: int, classifier: Classifier) -> Any:
    """Read the parameters of a checkpoint. Raises InputError if they do not fit the classifier."""
    return checkpoints.read_params(epoch, jax.eval_shape(lambda: classifier.init(jax.random.key(0))))


class BestModel(NamedTuple):
    """Hold the model of a run's best checkpoint, with its encoders.

    Attributes:
      epoch: of the checkpoint; 0: not trained.
      meta: of the checkpoint, as `best_meta` returns it.
      classifier: head and encoders.
      params: of the classifier.
      image_tower: encodes images.
      text_tower: encodes texts.
    """

    epoch: int
    meta: dict[str, Any]
    classifier: Classifier
    params: Any
    image_tower: ImageTower
    text_tower: TextTower


def load_best(run: Run) -> BestModel:
    """Load the best checkpoint and the encoders.

    Raises:
      InputError: there is no checkpoint, or the encoders are not those that it was trained with.
    """
    with open_checkpoints(run) as checkpoints:
        epoch, meta = best_meta(checkpoints, run.paths.workdir)
        image_tower, text_tower = load_run_towers(run, None)
        check_encoders(passports(image_tower, text_tower), meta["encoders"])
        labels = len(meta["genres"])
        classifier = live_classifier(run, image_tower, text_tower, labels=labels)
        if run.live:
            params = read_params(checkpoints, epoch, classifier)
        else:  # the checkpoint has the head alone
            head_only = feature_classifier(run, labels=labels, image_width=image_tower.width, text_width=text_tower.width)
            head = read_params(checkpoints, epoch, head_only)
            params = {**head, "image": image_tower.params, "text": text_tower.params}
    return BestModel(epoch, meta, classifier, params, image_tower, text_tower)
