"""Poster files to genres, by the best checkpoint of a run."""

from collections.abc import Iterator

import jax
import numpy as np

from posterfusion_jax import predict as predict_lib
from posterfusion_jax.config import Run
from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.at_once import read_files
from posterfusion_jax.ocr.service import Limits
from posterfusion_jax.stages.classifier import feature_classifier, live_classifier, read_params
from posterfusion_jax.stages.towers import check_encoders, load_run_towers, passports
from posterfusion_jax.stages.workdir import best_meta, open_checkpoints


def predict(run: Run, names: list[str], *, threshold: str = "fixed") -> Iterator[predict_lib.Prediction]:
    """Predictions for files and folders, from the best checkpoint.

    Args:
      names: files and folders.
      threshold: "fixed": the config's evaluate.threshold; "tuned", "tuned_per_genre": fitted on the validation split.
    """
    if run.config.data.text_control != "own":
        raise InputError(
            f"{run.paths.workdir} was trained with data.text_control={run.config.data.text_control!r}, to see what the text is "
            "worth. Predict with a run on the posters' own text."
        )
    files = predict_lib.list_posters(names)
    ocr = run.config.ocr
    records = read_files(
        files, ocr.engine, workers=ocr.workers, limits=Limits(**ocr.limits), engine_options=run.engine_options
    )  # first of all, because it loads and reads beside what follows
    with open_checkpoints(run) as checkpoints:
        best, meta = best_meta(checkpoints, run.paths.workdir)
        image_tower, text_tower = load_run_towers(run, None)
        check_encoders(passports(image_tower, text_tower), meta["encoders"])
        classifier = live_classifier(run, image_tower, text_tower)
        if run.live:
            params = read_params(checkpoints, best, classifier)
        else:  # the checkpoint has the head alone
            head_only = feature_classifier(run, image_width=image_tower.width, text_width=text_tower.width)
            head = read_params(checkpoints, best, head_only)
            params = {**head, "image": image_tower.params, "text": text_tower.params}
    rules = {**meta["thresholds"], "fixed": run.config.evaluate.threshold}
    predictor = predict_lib.Predictor(
        lambda p, batch: jax.nn.sigmoid(classifier.forward(p, batch)),
        params,
        image_tower,
        text_tower,
        batch_size=run.config.features.batch_size,
        threshold=np.asarray(rules[threshold]),
        calibration=meta["calibration"],
        force_top1=run.config.evaluate.force_top1,
        text_rules=run.text_rules,
        encode_empty=run.config.model.missing_text == "encode",
    )
    yield from predictor.predict(files, records)
