"""Poster files to genres, by the best checkpoint of a run."""

import os
import pathlib
from collections.abc import Iterable, Iterator

from posterfusion_jax.answers import Prediction
from posterfusion_jax.config import Run
from posterfusion_jax.errors import InputError
from posterfusion_jax.image_files import find_images, format_other_files, shown
from posterfusion_jax.images import FORMATS
from posterfusion_jax.ocr.at_once import read_files
from posterfusion_jax.ocr.record import OcrRecord
from posterfusion_jax.ocr.service import Limits
from posterfusion_jax.terminal import say


def predict(run: Run, names: list[str], *, threshold: str = "fixed") -> Iterator[Prediction]:
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
    files = _list_posters(names)
    ocr = run.config.ocr
    records = read_files(
        files, ocr.engine, workers=ocr.workers, limits=Limits(**ocr.limits), engine_options=run.engine_options
    )  # first of all, because it loads and reads beside what follows
    yield from _predict(run, files, records, threshold)


def _predict(run: Run, files: list[pathlib.Path], records: Iterator[OcrRecord], threshold: str) -> Iterator[Prediction]:
    # Here and not above, because these imports take seconds, in which OCR is already at work.
    import jax
    import numpy as np

    from posterfusion_jax.predict import Predictor
    from posterfusion_jax.stages.classifier import best_meta, feature_classifier, live_classifier, open_checkpoints, read_params
    from posterfusion_jax.stages.towers import check_encoders, load_run_towers, passports

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
    predictor = Predictor(
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


def _list_posters(names: Iterable[str]) -> list[pathlib.Path]:
    """Returns the files named, and all images below the folders named (`image_files`), sorted within each folder.

    What turns out to be a broken link, no file or of a format that is not read is answered as such. Other files of a folder are
    counted by kind on stderr.

    Raises:
      InputError: nothing named, a name that is not there, or a folder without an image.
    """
    files: list[pathlib.Path] = []
    for name in names:
        path = pathlib.Path(name)
        if os.path.isdir(path):
            found, folders, others = find_images(path)
            skipped = format_other_files(others)
            if not found:
                raise InputError(
                    f"the folder {name!r} holds no file with an image ({'; '.join([*folders, skipped or 'no file at all'])}). "
                    f"Formats that are read: {', '.join(FORMATS)}."
                )
            for line in [*folders, skipped] if skipped else folders:
                say(f"{shown(name)}: {line}", error=True)
            files += found
        elif os.path.lexists(path):
            files.append(path)
        else:
            raise InputError(f"there is no file or folder {name!r}.")
    if not files:
        raise InputError("name at least one poster file or folder after the flags: --mode=predict --workdir=W poster.jpg")
    return files
