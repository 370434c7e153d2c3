"""Poster files to genres, by the best checkpoint of a run."""

import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ml_collections import ConfigDict

from posterfusion_jax.checkpoints.meta import saved_epochs
from posterfusion_jax.config.api import change_fields
from posterfusion_jax.config.choices import MISSING_TEXT
from posterfusion_jax.config.run import Run, check_same_run, resolve, to_json
from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.read_files import FileReader, read_files
from posterfusion_jax.pipeline.workdir import saved_run
from posterfusion_jax.posters.decode import FORMATS
from posterfusion_jax.posters.image_files import NOT_LISTED, find_images, format_other_files, shown
from posterfusion_jax.posters.images import PosterImage
from posterfusion_jax.report.prediction import Prediction
from posterfusion_jax.utils.choose import choose
from posterfusion_jax.utils.console import print_message
from posterfusion_jax.utils.user_path import expand_path

if TYPE_CHECKING:
    from posterfusion_jax.predict import GenreModel


def load(workdir: str | pathlib.Path, overrides: Mapping[str, Any] | None = None) -> "GenreModel":
    """Load the trained model of a run into memory.

    Args:
      workdir: folder of the run, such as "runs/mine".
      overrides: config fields that may change after training, such as {"encoders.image": "moved/clip"} or
        {"ocr.engine": "none"}: those of `ocr` and `evaluate`, and where the encoders are.

    Returns:
      The model of the best checkpoint, with its encoders, thresholds and calibration.

    Raises:
      InputError: the folder is no run, nothing has been trained in it yet, or its encoders are missing or changed.

    Example::

        import posterfusion_jax as pf

        model = pf.load("runs/mine")
        print(model.predict("poster.jpg")[0].genres)
    """
    folder = pathlib.Path(expand_path(workdir, "workdir"))
    _check_workdir(folder)
    run = saved_run(folder)
    if overrides:
        config = ConfigDict(run.config.to_dict())
        change_fields(config, overrides)
        check_same_run(to_json(config), to_json(run.config), folder)
        run = resolve(config, folder)
    _check_text_control(run)
    try:
        return load_model(run)
    except InputError as error:
        if not str(error).startswith("encoders."):
            raise
        way = f"load({str(workdir)!r}, overrides={{'encoders.image': PLACE, 'encoders.text': PLACE}})"
        raise InputError(f"{str(error).rstrip('.')}. If the weights have moved, name their place: {way}.") from error


def predict(run: Run, names: list[str], *, threshold: str = "fixed") -> Iterator[Prediction]:
    """Predict files and folders by the best checkpoint; a name that cannot be used has an error in its place.

    Args:
      run: trained.
      names: files and folders; a name given twice is predicted twice.
      threshold: "fixed": the config's evaluate.threshold; "tuned", "tuned_per_genre": fitted on the validation split.
    """
    _check_text_control(run)
    listed = _list_posters(names)
    files = [item for item in listed if not isinstance(item, Prediction)]
    predictions = _predict(run, files, threshold) if files else iter(())
    for item in listed:
        yield item if isinstance(item, Prediction) else next(predictions)


def _predict(run: Run, files: list[pathlib.Path], threshold: str) -> Iterator[Prediction]:
    # First of all, because OCR loads and reads while JAX and the encoders are loaded.
    records = read_files(files, run.ocr_engine, workers=run.config.ocr.workers, limits=run.config.ocr.limits)
    model = load_model(run)
    posters = [PosterImage(str(file), file) for file in files]
    yield from model.predict_words(posters, model.words_of(records), model.choose_threshold(threshold))


def load_model(run: Run) -> "GenreModel":
    """Load the model of a run's best checkpoint. Raises InputError where there is none, or its encoders are others."""
    # Here and not above, because these imports take seconds, in which OCR is already at work.
    from posterfusion_jax.pipeline.classifier import load_best
    from posterfusion_jax.predict import GenreModel

    best = load_best(run)
    meta = best.meta
    return GenreModel(
        workdir=run.paths.workdir,
        about=_describe_model(run, best.epoch, meta),
        genres=tuple(meta["genres"]),
        thresholds={
            "fixed": run.config.evaluate.threshold,
            **{name: meta["thresholds"][name] for name in ("tuned", "tuned_per_genre")},
        },
        calibration=meta["calibration"],
        batch_size=run.config.features.batch_size,
        force_top1=run.config.evaluate.force_top1,
        text_rules=run.config.data.text_rules,
        encode_empty=choose("model.missing_text", run.config.model.missing_text, MISSING_TEXT),
        level=run.config.features.level,
        classifier=best.classifier,
        params=best.params,
        image_tower=best.image_tower,
        text_tower=best.text_tower,
        read_words=FileReader(run.ocr_engine, workers=run.config.ocr.workers, limits=run.config.ocr.limits),
    )


def _describe_model(run: Run, epoch: int, meta: dict[str, Any]) -> str:
    from posterfusion_jax.datasets.imdb_posters.report import unit_of

    data, encoders = meta["dataset"], meta["encoders"]
    posters, groups = f"{data['posters']['train']:,} posters", f"{data['films']['train']:,} {unit_of(data)}s"
    sources = ", ".join(f"{side} encoder {passport.get('source')}" for side, passport in encoders.items())
    trained = "not trained" if epoch == 0 else f"epoch {epoch}"
    drawn = run.config.data.source == "synthetic"
    place = "data.table" if run.config.data.table else "data.images" if run.config.data.images else "data.posters_dir"
    what = "DRAWN posters: it is of no use on real posters" if drawn else f"the posters of its {place}"
    return f"head {run.config.model.name!r}, {sources}, {trained}, seed {run.config.seed}; {posters} of {groups} from {what}."


def _check_text_control(run: Run) -> None:
    if run.config.data.text_control != "own":
        raise InputError(
            f"{run.paths.workdir} was trained with data.text_control={run.config.data.text_control!r}, to measure what text "
            "contributes. Predict with a run on the posters' own text."
        )


def _check_workdir(folder: pathlib.Path) -> None:
    """Raise InputError where nothing was trained in a folder."""
    if not folder.is_dir():
        raise InputError(f"{str(folder)!r} is not a folder. Name the workdir of a trained run, such as runs/mine.")
    if saved_epochs(folder / "checkpoints"):
        return
    parts = [name for name in ("posters", "dataset", "features", "unfinished", "logs") if (folder / name).exists()]
    if parts:
        raise InputError(
            f"the run in {str(folder)!r} is not finished: it has {', '.join(parts)}, and no checkpoint. Train it again "
            "with the same command; it resumes where it stopped."
        )
    raise InputError(
        f"{str(folder)!r} is no run: it has no checkpoints. Name the workdir of a trained run, with checkpoints/ and "
        "results/ in it."
    )


def _list_posters(names: Iterable[str]) -> list[pathlib.Path | Prediction]:
    """List the files named, and all images below the folders named (`image_files`), sorted within each folder.

    A name that is not there, and a folder that cannot be listed or holds no image, is a `Prediction` with an error, in the
    place of its files. What turns out to be a broken link or no image is answered later.

    Raises:
      InputError: nothing named.
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
    """List the images below a folder, then the folders that cannot be listed; counts its other files by kind on stderr."""
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
