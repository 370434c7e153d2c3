"""Build the dataset without TensorFlow; a finished dataset of the same inputs is kept as it was."""

import contextlib
import fcntl
import io
import logging
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import tensorflow_datasets as tfds

from posterfusion_jax.datasets.imdb_posters import paths
from posterfusion_jax.datasets.imdb_posters.imdb_posters_dataset_builder import Builder, PosterConfig
from posterfusion_jax.datasets.imdb_posters.inputs import changes, collect_inputs
from posterfusion_jax.datasets.imdb_posters.options import DEFAULT_OPTIONS, BuildOptions
from posterfusion_jax.datasets.imdb_posters.prepare import Labelled, read_labels
from posterfusion_jax.datasets.imdb_posters.report import genres_of
from posterfusion_jax.datasets.label_set import ALL, IMDB, LabelCounts, choose_labels
from posterfusion_jax.datasets.sources.base import Source
from posterfusion_jax.datasets.sources.imdb_folder import ImdbFolderSource
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.checksums import read_checked_json
from posterfusion_jax.utils.path_alias import plain_path

_STAGING = ".building"  # next to the dataset: an unfinished build
_REPLACED = ".replaced"  # next to the dataset: the previous one, while it is being replaced
_LOCK = ".lock"


class BuiltDataset(NamedTuple):
    """Hold a dataset's folder, its report (`report.make_report`), and why this call built it."""

    dir: pathlib.Path
    report: dict[str, Any]
    reason: str | None  # None: a dataset of the same inputs was found, and nothing was done


def build_dataset(
    source: Source | str | pathlib.Path,
    data_dir: str | pathlib.Path,
    options: BuildOptions = DEFAULT_OPTIONS,
    *,
    make_builder: Callable[[pathlib.Path], type[Builder]] | None = None,
    progress: bool = True,
) -> BuiltDataset:
    """Build the dataset of a source at `paths.dataset_dir` below `data_dir`, as array_record.

    Equal inputs (labels, posters' bytes, OCR records, split file, options; not paths or times) give equal bytes
    with equal package versions.
    An existing dataset of equal inputs is kept; any other is replaced when the new one is complete.
    A killed build leaves nothing that counts as a dataset, and the next call removes its files. Two
    processes may call this together: the second waits and finds the dataset of the first.

    Args:
      source: of posters and labels; a path is a folder of films as IMDb names them.
      data_dir: the parent folder of all datasets.
      options: the user's choices.
      make_builder: takes a staging folder next to the dataset and returns the class that builds, such as
        `functools.partial(beam.build.make_beam_builder, flags)` for Apache Beam. None: `Builder`, which works in this process.
      progress: whether to draw progress bars.

    Returns:
      The dataset's folder, report, and why it was built (None if it was found).

    Raises:
      InputError: an input that cannot be used, or a `data_dir` that cannot be written.
    """
    if isinstance(source, str | pathlib.Path):
        source = ImdbFolderSource(pathlib.Path(source).absolute())  # Beam's workers have other working directories
    name = paths.NAME if source.name == "folder" else paths.OTHER_NAME
    target = paths.dataset_dir(data_dir, options.split_by, folds=options.folds, name=name)
    # An existing dataset may be up to date, which hashes show; and Beam's workers check the images themselves.
    check = make_builder is None and not (target / paths.REPORT_FILE).is_file()
    inputs = collect_inputs(source, options, check=check, progress=progress)
    reason = _why_build(target, inputs.fingerprint, options)
    if reason is not None:
        _make_folder(target.parent)
        with _locked(target.parent / _LOCK):
            reason = _why_build(target, inputs.fingerprint, options)  # another process may have built it while this one waited
            if reason is not None:
                logging.info("building %s: %s", target, reason)
                _build(target, read_labels(inputs, options), options, make_builder, progress=progress)
    report = {**_read_report(target), "other_files": inputs.other_files}  # current counts; the dataset does not depend on them
    return BuiltDataset(target, report, reason)


def _why_build(target: pathlib.Path, fingerprint: Mapping[str, Any], options: BuildOptions) -> str | None:
    """Return the reason to build the dataset, or None if the one at `target` is up to date."""
    report_file = target / paths.REPORT_FILE
    if not report_file.is_file():
        return "there is none yet"
    if not any(target.glob("*.array_record*")):
        return "the one there is not in the format array_record"
    report = _read_report(target)
    if options.labels not in ((IMDB,), (ALL,)):
        label_set = choose_labels(options.labels, LabelCounts(), aliases=options.label_aliases).labels
        before = tuple(genres_of(report))
        if before != label_set.names:
            return f"the genres were {', '.join(before)}"
        mapped = [name for name in report.get("labels", {}).get("dropped_by_name", ()) if label_set.find(name)]
        if mapped:
            return f"an earlier version dropped labels that are mapped now: {', '.join(mapped)[:200]}"
    changed = changes(report["fingerprint"], fingerprint)
    if not changed and "titles file line" in report["left_out"] and "titles_file" not in report:
        return "an earlier version left out lines of the titles file that may be read now"
    return f"{', '.join(changed)} changed" if changed else None


def _read_report(target: pathlib.Path) -> dict[str, Any]:
    return read_checked_json(target / paths.REPORT_FILE, fix=f"Remove {target} and build the dataset again.")


def _build(
    target: pathlib.Path,
    labelled: Labelled,
    options: BuildOptions,
    make_builder: Callable[[pathlib.Path], type[Builder]] | None,
    *,
    progress: bool,
) -> None:
    """Build into a staging folder and swap it with the one at `target`; the caller holds the lock."""
    staging = target.parent / _STAGING
    replaced = target.parent / _REPLACED
    for leftover in (staging, replaced):
        shutil.rmtree(leftover, ignore_errors=True)
    config = PosterConfig(
        name=paths.config_name(options.split_by, options.folds),
        description=f"split by {options.split_by}",
        options=options,
    )

    class Configured(make_builder(staging) if make_builder else Builder, skip_registration=True):
        """Run `Builder` with this one config, which TFDS would refuse under the name of a predefined one."""

        name = target.parent.parent.name
        BUILDER_CONFIGS = [config]  # noqa: RUF012 (TFDS declares it)
        show_progress = progress

    Configured.labelled = labelled
    data_dir = plain_path(staging)  # TFDS and array_record take some names for patterns or buckets
    builder = Configured(config=config, data_dir=data_dir, file_format="array_record")
    pathlib.Path(data_dir).mkdir(exist_ok=True)
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints that it downloads; it does not
        builder.download_and_prepare(
            download_dir=data_dir / "downloads",
            download_config=tfds.download.DownloadConfig(manual_dir=data_dir, try_download_gcs=False),
        )
    if target.exists():
        os.rename(target, replaced)
    os.rename(builder.data_path, target)
    for leftover in (staging, replaced):
        shutil.rmtree(leftover, ignore_errors=True)


def _make_folder(folder: pathlib.Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _LOCK).touch()
    except OSError as error:
        raise InputError(
            f"data.dataset_dir: {str(folder)!r} cannot be written ({error.strerror or error}). Give a folder that can "
            "be, with room for the posters."
        ) from error


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> Iterator[None]:
    """Hold a lock that the system releases when the process ends, also when it is killed."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logging.warning("another process is building %s; waiting for it", path.parent)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
