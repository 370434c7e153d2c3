"""Posters to a dataset: drawing (synthetic data only), reading the words, building."""

from collections.abc import Sequence

from posterfusion_jax.config.run import Run
from posterfusion_jax.datasets.imdb_posters import paths
from posterfusion_jax.datasets.imdb_posters.build import build_dataset
from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset, open_dataset
from posterfusion_jax.datasets.imdb_posters.report import format_report
from posterfusion_jax.datasets.synthetic import generator
from posterfusion_jax.errors import RetryLater
from posterfusion_jax.ocr.engines.base import record_name
from posterfusion_jax.ocr.records.store import RecordWriter
from posterfusion_jax.ocr.remote.client import Limits
from posterfusion_jax.ocr.remote.gemini_batch import BatchOptions
from posterfusion_jax.ocr.run import format_summary, read_posters
from posterfusion_jax.posters.folder import format_skipped, list_folder, record_files
from posterfusion_jax.utils.choose import choose
from posterfusion_jax.utils.console import print_message


def draw_posters(run: Run) -> None:
    """Draws the synthetic posters, if the config asks for them and they are not there."""
    data = run.config.data
    if choose("data.source", data.source, {"folder": False, "synthetic": True}):
        generator.draw_folder(
            run.paths.posters, films=data.drawn_films, seed=data.drawn_seed, width=data.drawn_width, progress=True
        )


def read_words(run: Run) -> None:
    """OCR: a record for each poster that has none."""
    contents = list_folder(run.paths.posters)
    posters = list(contents.posters)
    ocr = run.config.ocr
    with RecordWriter(run.paths.records, also_read=record_files(run.paths.posters)) as store:
        summary = read_posters(
            posters,
            store,
            engine_name=ocr.engine,
            workers=ocr.workers or None,
            retry=tuple(ocr.retry),
            reread=ocr.reread,
            engine_options=run.engine_options,
            limits=Limits(**ocr.limits),
            batch=BatchOptions(posters_a_job=ocr.batch.posters, poll=ocr.batch.poll, budget=ocr.limits.budget)
            if ocr.batch.use
            else None,
        )
    print_message("\n".join([format_summary(summary), *(f"  {line}" for line in format_skipped(*contents[1:]))]))
    if summary.stopped or summary.under_way:
        raise RetryLater(
            f"{summary.left:,} posters are not read yet; the same command goes on from here, and --mode=build builds with "
            "what there is"
        )


def build(run: Run, *, beam_flags: Sequence[str] | None = None) -> None:
    """The TFDS dataset, with its splits and its report; where flags of Beam's are given, in the workers of a pipeline."""
    data = run.config.data
    own = run.paths.records
    built = build_dataset(
        run.paths.posters,
        run.paths.dataset,
        split_by=data.split_by,
        split_file=data.split_file or None,
        split_seed=data.split_seed,
        split_fractions=tuple(data.split_fractions),
        other_genres=data.other_genres,
        preferred_engines=tuple(run.config.ocr.prefer) or (record_name(run.config.ocr.engine),),
        record_files=(str(own),) if own.exists() else (),
        text_rules=run.text_rules,
        beam_flags=beam_flags,
    )
    print_message(f"dataset: {built.dir}" + (f" (built: {built.reason})" if built.reason else " (found, nothing to do)"))
    print_message(format_report(built.report))


def open_run_dataset(run: Run) -> PosterDataset:
    """The built dataset. Raises InputError where there is none."""
    return open_dataset(paths.dataset_dir(run.paths.dataset, run.config.data.split_by))
