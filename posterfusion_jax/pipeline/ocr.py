"""Stage "ocr": an OCR record for each poster."""

from posterfusion_jax.config.run import Run
from posterfusion_jax.config.sections import OcrConfig
from posterfusion_jax.errors import RetryLater
from posterfusion_jax.ocr.options import ReadOptions
from posterfusion_jax.ocr.records.store import RecordWriter
from posterfusion_jax.ocr.remote.gemini_batch import BatchOptions
from posterfusion_jax.ocr.run import read_posters
from posterfusion_jax.ocr.summary import format_summary
from posterfusion_jax.posters.folder import format_skipped, list_folder, record_files
from posterfusion_jax.utils.console import print_message


def read_words(run: Run) -> None:
    """Read the words of posters that have no record yet.

    Raises:
      RetryLater: a limit or an unfinished batch job left posters unread.
    """
    contents = list_folder(run.paths.posters)
    with RecordWriter(run.paths.records, also_read=record_files(run.paths.posters)) as store:
        summary = read_posters(contents.posters, store, run.ocr_engine, read_options(run.config.ocr))
    print_message("\n".join([format_summary(summary), *(f"  {line}" for line in format_skipped(*contents[1:]))]))
    if summary.stopped or summary.under_way:
        raise RetryLater(
            f"{summary.left:,} posters are not read yet; rerun the same command to resume, or --mode=build to build with "
            "the posters read so far"
        )


def read_options(ocr: OcrConfig) -> ReadOptions:
    """Return the options of reading that a config chooses."""
    batch = BatchOptions(posters_per_job=ocr.batch.posters, poll=ocr.batch.poll, budget=ocr.limits.budget)
    return ReadOptions(
        workers=ocr.workers or None,
        retry=ocr.retry,
        reread=ocr.reread,
        limits=ocr.limits,
        batch=batch if ocr.batch.use else None,
    )
