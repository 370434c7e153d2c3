"""Checks of the inputs of a run before it creates or computes anything."""

import os

from posterfusion_jax.config.choices import SCRATCH, ZERO_SHOT
from posterfusion_jax.config.data_rules import FOLDER, OF_FILMS, SYNTHETIC
from posterfusion_jax.config.registries import HEADS
from posterfusion_jax.config.run import Run
from posterfusion_jax.config.sections import EncodersConfig
from posterfusion_jax.datasets.imdb_posters import paths
from posterfusion_jax.datasets.imdb_posters.titles import find_titles
from posterfusion_jax.datasets.sources.table_columns import NO_COLUMN
from posterfusion_jax.encoders.checkpoint_files import resolve_checkpoint
from posterfusion_jax.encoders.inspect import TowerSizes, inspect_encoders
from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import FEWEST
from posterfusion_jax.losses.asymmetric import make_loss
from posterfusion_jax.metrics.registry import load_metrics
from posterfusion_jax.models.registry import make_head
from posterfusion_jax.ocr.engines.gemini import read_key
from posterfusion_jax.pipeline.source import run_source
from posterfusion_jax.pipeline.splits import check_split_file
from posterfusion_jax.posters.folder import IMAGES_FOLDER, find_posters_on_disk, has_posters, record_files
from posterfusion_jax.utils.registry import check_callable

_TRAINING = (None, "features", "train")  # modes that load the encoders which the config names


def check_inputs(run: Run, mode: str | None) -> None:
    """Raise InputError for problems that can be detected early and would stop `mode` later.

    Faults within the data (an image, a line of the titles file, weights of another shape) are found by the stage that reads
    them.

    Args:
      run: the run.
      mode: value of the flag --mode; None: all stages.
    """
    _check_folders(run, mode)
    if mode in (None, "ocr", "build"):
        _check_posters(run, with_titles=mode != "ocr")
    if mode in (None, "build"):
        posters = None if run.config.data.source in OF_FILMS else run_source(run).list_pictures().posters
        check_split_file(run, to_train=mode is None, posters=posters)
    if mode in ("features", "train", "evaluate", "report"):
        _check_dataset(run)
    if mode in (None, "ocr"):
        _check_words(run, mode)
    if mode in _TRAINING:
        check_callable(HEADS.get(run.config.model.name), "model.name", run.config.model.name)
        make_loss(run.config.loss.preset)
        _check_encoders(run)
    if mode in (None, "evaluate"):
        load_metrics(run.config.evaluate.metrics)


def _check_folders(run: Run, mode: str | None) -> None:
    """Raise InputError if a folder to be written is not a folder or is read-only."""
    fields = {"--workdir": run.paths.workdir}
    if mode in (None, "build"):
        fields["data.dataset_dir"] = run.paths.dataset
    if mode in (None, "features") and not run.live:
        fields["features.dir"] = run.paths.features
    if mode in (None, "ocr") and run.config.ocr.engine != "none":
        if run.paths.records.is_dir():
            raise InputError(f"ocr.store={str(run.paths.records)!r} is a folder. Name a file in it, such as ocr.jsonl.")
        fields["ocr.store"] = run.paths.records.parent
    for field, folder in fields.items():
        first = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
        if not first.is_dir():
            raise InputError(f"{field}={str(folder)!r}: {str(first)!r} is not a folder. Name another place.")
        if first != folder and not os.access(first, os.W_OK):
            raise InputError(f"{field}={str(folder)!r} cannot be written: {str(first)!r} is read-only. Name another place.")


def _check_posters(run: Run, *, with_titles: bool) -> None:
    posters = run.paths.posters
    if run.config.data.source not in OF_FILMS:
        run_source(run).list_pictures()  # raises an error that explains what was found instead
        return
    if run.config.data.source == SYNTHETIC and not (posters / IMAGES_FOLDER).is_dir():
        return  # posters are drawn later
    if not has_posters(posters):
        find_posters_on_disk(posters)  # raises an error that explains what was found instead
    if with_titles and run.config.data.source == FOLDER:
        find_titles(posters)


def _check_dataset(run: Run) -> None:
    folder = run.dataset_dir
    if not (folder / paths.REPORT_FILE).is_file():
        raise InputError(
            f"there is no dataset in {str(folder)!r}. Build it with --mode=build, or name the right data.dataset_dir."
        )


def _check_words(run: Run, mode: str | None) -> None:
    """Raise InputError if posters have to be read and the OCR engine cannot be used."""
    ocr, encoders = run.config.ocr, run.config.encoders
    if run.paths.records.is_file() or record_files(run.paths.posters):
        return  # all posters may be read already; otherwise the stage creates the engine first
    if ocr.engine == "gemini":
        read_key(vertex=ocr.gemini.vertex)
    elif ocr.engine != "none":
        run.ocr_engine.load(threads=1)
    elif mode is None and encoders.image == SCRATCH and run.config.data.table_columns.text in ("", NO_COLUMN):
        raise InputError(
            "encoders 'scratch' train their tokenizer on the words on the posters, but ocr.engine='none' reads none and "
            f"{str(run.paths.records)!r} does not exist. Choose another ocr.engine, or name records with ocr.store, or "
            "a table's column of words with data.table_columns.text."
        )


def _check_encoders(run: Run) -> None:
    config = run.config
    sizes = inspect_encoders(config.encoders)
    _check_text_length(config.encoders, sizes["text"])
    if config.train.fine_tune == "last_n":
        for tower in config.train.fine_tune_towers:
            _check_layers(tower, sizes[tower].layers, config.train.fine_tune_layers)
    grid, wanted = sizes["image"].grid, config.features.image_grid
    if config.features.level == "tokens" and grid is not None and wanted > grid:
        raise InputError(
            f"features.image_grid={wanted}: encoders.image={config.encoders.image!r} has a grid of {grid} x {grid} patches. "
            f"Allowed are 0 (no pooling) to {grid}."
        )
    image, text = sizes["image"].width, sizes["text"].width
    if image is not None and text is not None:
        make_head(config.model, labels=FEWEST, image_width=image, text_width=text)  # checks the widths
    if config.model.name == ZERO_SHOT:
        _check_zero_shot(config.encoders.text)


def _check_text_length(encoders: EncodersConfig, sizes: TowerSizes) -> None:
    given, longest = encoders.max_text_tokens, sizes.max_tokens
    if given is not None and longest is not None and given > longest:
        raise InputError(
            f"encoders.max_text_tokens={given}: encoders.text={encoders.text!r} takes 3 to {longest} tokens. "
            "Give fewer, or None for its own length."
        )


def _check_layers(tower: str, layers: int | None, wanted: int) -> None:
    if layers == 0:
        raise InputError(
            f"train.fine_tune='last_n' counts the layers of a transformer, and encoders.{tower} has none. Set train.fine_tune "
            f"to 'none' or 'all', or take {tower!r} out of train.fine_tune_towers."
        )
    if layers is not None and wanted > layers:
        raise InputError(f"train.fine_tune_layers={wanted}: encoders.{tower} has {layers} layers. Allowed are 1 to {layers}.")


def _check_zero_shot(name: str) -> None:
    kind = (
        "keras" if ":" in name else resolve_checkpoint(name, field="encoders.text").read_json("config.json").get("model_type")
    )
    if kind != "clip":
        raise InputError(
            f"model.name='zero_shot' compares pictures with prompts in the space of one pretrained CLIP, but {name!r} is of "
            f"the kind {kind!r}. Name a CLIP with both towers in encoders.image and encoders.text."
        )
