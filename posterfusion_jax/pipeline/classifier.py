"""The classifier that a config describes, and its checkpoints: what prediction needs of a model."""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

import jax

from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.config.run import Run
from posterfusion_jax.encoders.tower import ImageTower, TextTower
from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import check_number, read_genres
from posterfusion_jax.models.classifier import Classifier, on_features, on_posters
from posterfusion_jax.models.registry import make_head


def feature_classifier(run: Run, *, image_width: int, text_width: int) -> Classifier:
    """The config's head on cached features of these widths."""
    head = make_head(run.config.model, image_width=image_width, text_width=text_width)
    return on_features(head, image_width=image_width, text_width=text_width, level=run.config.features.level)


def live_classifier(run: Run, image_tower: ImageTower, text_tower: TextTower) -> Classifier:
    """The config's head on live encoders."""
    tuning, features = run.config.train, run.config.features
    return on_posters(
        make_head(run.config.model, image_width=image_tower.width, text_width=text_tower.width),
        image_tower,
        text_tower,
        level=features.level,
        image_grid=features.image_grid,
        fine_tune=tuning.fine_tune,
        fine_tune_towers=tuple(tuning.fine_tune_towers),
        fine_tune_layers=tuning.fine_tune_layers,
        augment_shift=tuning.augment_shift,
        augment_drop_tokens=tuning.augment_drop_tokens,
        rounded_to="float32" if run.live or features.level == "pooled" else features.dtype,
    )


@contextlib.contextmanager
def open_checkpoints(run: Run) -> Iterator[Checkpoints]:
    """The run's checkpoints, for the length of a `with`."""
    checkpoints = Checkpoints(run.paths.checkpoints)
    try:
        yield checkpoints
    finally:
        checkpoints.close()


def best_meta(checkpoints: Checkpoints, workdir: pathlib.Path) -> tuple[int, dict[str, Any]]:
    """The best epoch and its meta, which has the names of the genres.

    Raises:
      InputError: nothing was trained, or thresholds or calibration are those of another number of genres.
    """
    if checkpoints.best is None:
        raise InputError(f"--workdir={workdir} holds no checkpoint. Train first, or name the workdir of a trained run.")
    meta = checkpoints.read_meta(checkpoints.best)
    place = f"the checkpoint of epoch {checkpoints.best} in {workdir}"
    genres = read_genres(meta, place=place)
    check_number(genres, place=place)
    fitted = {"thresholds.tuned_per_genre": meta["thresholds"]["tuned_per_genre"]}
    fitted |= {f"calibration.{name}": values for name, values in meta["calibration"].items()}
    for name, values in fitted.items():
        if len(values) != len(genres):
            raise InputError(f"{place} has {len(values)} numbers in {name} for {len(genres)} genres. Train again.")
    return checkpoints.best, {**meta, "genres": list(genres)}


def read_params(checkpoints: Checkpoints, epoch: int, classifier: Classifier) -> Any:
    """The parameters of a checkpoint. Raises InputError where they are not those of this classifier."""
    return checkpoints.read_params(epoch, jax.eval_shape(lambda: classifier.init(jax.random.key(0))))
