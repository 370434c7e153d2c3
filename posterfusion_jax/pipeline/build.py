"""Stage "build": the dataset of posters, texts and labels."""

import pathlib
from collections.abc import Callable

from posterfusion_jax.config.data_rules import TABLE, label_rule, split_years
from posterfusion_jax.config.run import Run
from posterfusion_jax.datasets.imdb_posters.build import build_dataset
from posterfusion_jax.datasets.imdb_posters.imdb_posters_dataset_builder import Builder
from posterfusion_jax.datasets.imdb_posters.options import BuildOptions
from posterfusion_jax.datasets.imdb_posters.report import format_report
from posterfusion_jax.ocr.engines.base import record_name
from posterfusion_jax.pipeline.source import run_source
from posterfusion_jax.posters.folder import record_files
from posterfusion_jax.utils.console import print_message, wrap_lines


def build_options(run: Run) -> BuildOptions:
    """Return the choices about the dataset that a run makes. Raises InputError for an unknown OCR engine."""
    data, records = run.config.data, run.paths.records
    return BuildOptions(
        split_by=data.split_by,
        split_file=data.split_file or None,
        split_seed=data.split_seed,
        split_fractions=tuple(data.split_fractions),
        split_years=split_years(data.split_years),
        folds=data.folds,
        labels=label_rule(data),
        label_min_posters=data.label_min_posters,
        label_aliases=data.label_aliases,
        other_genres=data.other_genres,
        preferred_engines=tuple(run.config.ocr.prefer) or (record_name(run.config.ocr.engine),),
        record_files=(*(str(file) for file in _records_of_pictures(run)), *((str(records),) if records.exists() else ())),
        text_rules=data.text_rules,
    )


def _records_of_pictures(run: Run) -> list[pathlib.Path]:
    """Return the record files of the folder of a table's pictures, which stage "ocr" reads, too; of other sources none."""
    return record_files(run.paths.posters) if run.config.data.source == TABLE else []


def build(run: Run, *, make_builder: Callable[[pathlib.Path], type[Builder]] | None = None) -> None:
    """Build the TFDS dataset, with its splits and its report, unless it is up to date.

    Args:
      run: the run.
      make_builder: as for `build_dataset`; None: build it in this process.
    """
    built = build_dataset(run_source(run), run.paths.dataset, build_options(run), make_builder=make_builder)
    print_message(f"dataset: {built.dir}" + (f" (built: {built.reason})" if built.reason else " (up to date)"))
    print_message(wrap_lines(format_report(built.report)))
