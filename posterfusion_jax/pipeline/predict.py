"""Stage "predict": genres of poster files, by the best checkpoint of a run."""

import os
import pathlib
from collections.abc import Iterable, Iterator

from posterfusion_jax.config.choices import MISSING_TEXT
from posterfusion_jax.config.run import Run
from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.read_files import read_files
from posterfusion_jax.posters.decode import FORMATS
from posterfusion_jax.posters.image_files import NOT_LISTED, find_images, format_other_files, shown
from posterfusion_jax.predict_answers import Prediction
from posterfusion_jax.utils.choose import choose
from posterfusion_jax.utils.console import print_message
from posterfusion_jax.utils.user_path import expand_path


def predict(run: Run, names: list[str], *, threshold: str = "fixed") -> Iterator[Prediction]:
    """Predict files and folders by the best checkpoint; an unusable name yields a prediction with an error.

    Args:
      run: the run.
      names: files and folders; a name given twice is predicted twice.
      threshold: "fixed": the config's evaluate.threshold; "tuned", "tuned_per_genre": fitted on the validation split.

    Raises:
      InputError: the run was trained on ablated texts, or `names` is empty.
    """
    if run.config.data.text_control != "own":
        raise InputError(
            f"{run.paths.workdir} was trained with data.text_control={run.config.data.text_control!r}, an ablation of the "
            "text. Predict with a run on the posters' own text."
        )
    listed = _list_posters(names)
    files = [item for item in listed if not isinstance(item, Prediction)]
    predictions = _predict(run, files, threshold) if files else iter(())
    for item in listed:
        yield item if isinstance(item, Prediction) else next(predictions)


def _predict(run: Run, files: list[pathlib.Path], threshold: str) -> Iterator[Prediction]:
    ocr = run.config.ocr
    records = read_files(
        files, ocr.engine, workers=ocr.workers, limits=ocr.limits, engine_options=run.engine_options
    )  # first, because OCR loads and reads in parallel to the following

    # Imported here, because these imports take seconds in which OCR already works.
    import jax
    import numpy as np

    from posterfusion_jax.pipeline.classifier import (
        best_meta,
        feature_classifier,
        live_classifier,
        open_checkpoints,
        read_params,
    )
    from posterfusion_jax.pipeline.encoders import check_encoders, load_run_towers, passports
    from posterfusion_jax.predict import Predictor

    with open_checkpoints(run) as checkpoints:
        best, meta = best_meta(checkpoints, run.paths.workdir)
        image_tower, text_tower = load_run_towers(run, None)
        check_encoders(passports(image_tower, text_tower), meta["encoders"])
        classifier = live_classifier(run, image_tower, text_tower)
        if run.live:
            params = read_params(checkpoints, best, classifier)
        else:  # the checkpoint has the head only
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
        threshold=np.asarray(choose("--threshold", threshold, rules)),
        calibration=meta["calibration"],
        force_top1=run.config.evaluate.force_top1,
        text_rules=run.text_rules,
        encode_empty=choose("model.missing_text", run.config.model.missing_text, MISSING_TEXT),
        genres=meta["genres"],
    )
    yield from predictor.predict(files, records)


def _list_posters(names: Iterable[str]) -> list[pathlib.Path | Prediction]:
    """List the given files, and all images below the given folders (`image_files`), sorted within each folder.

    A missing name, and a folder that cannot be listed or has no image, is a `Prediction` with an error in place of its files.
    Broken links and files that are not images are reported later.

    Raises:
      InputError: no name is given.
    """
    listed: list[pathlib.Path | Prediction] = []
    for name in names:
        try:
            path = pathlib.Path(expand_path(name, name))
        except InputError as error:  # a URL, an undefined variable
            listed.append(_failed(name, str(error).removeprefix(f"{name}: ")))
            continue
        if name and os.path.isdir(path):
            listed += _list_folder(path)
        elif name and os.path.lexists(path):
            listed.append(path)
        else:
            listed.append(_failed(name, "there is no file or folder of this name"))
    if not listed:
        raise InputError("name at least one poster file or folder after the flags: --mode=predict --workdir=W poster.jpg")
    return listed


def _list_folder(folder: pathlib.Path) -> list[pathlib.Path | Prediction]:
    """List the images below a folder, then the folders that cannot be listed; count its other files by kind on stderr."""
    found, folders, others = find_images(folder)
    skipped = format_other_files(others)
    unlisted = [_failed(path, reason) for path, reason in folders if reason.startswith(NOT_LISTED)]
    notes = [f"{shown(path)}: {reason}" for path, reason in folders if not reason.startswith(NOT_LISTED)]
    for line in [*notes, skipped] if skipped else notes:
        print_message(f"{shown(str(folder))}: {line}", error=True)
    if not found and not unlisted:
        formats = f"Formats that are read: {', '.join(FORMATS)}."
        return [_failed(str(folder), f"the folder holds no file with an image ({skipped or 'no file at all'}). {formats}")]
    return [*found, *unlisted]


def _failed(file: str, error: str) -> Prediction:
    return Prediction(file, "", {}, {}, [], error)
