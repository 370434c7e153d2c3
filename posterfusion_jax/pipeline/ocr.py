"""Stage "ocr": an OCR record for each poster."""

from posterfusion_jax.config.run import Run
from posterfusion_jax.errors import RetryLater
from posterfusion_jax.ocr.records.store import RecordWriter
from posterfusion_jax.ocr.remote.gemini_batch import BatchOptions
from posterfusion_jax.ocr.run import format_summary, read_posters
from posterfusion_jax.posters.folder import format_skipped, list_folder, record_files
from posterfusion_jax.utils.console import print_message


def read_words(run: Run) -> None:
    """Read the words of posters that have no record yet.

    Raises:
      RetryLater: a limit or an unfinished batch job left posters unread.
    """
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
            limits=ocr.limits,
            batch=BatchOptions(posters_per_job=ocr.batch.posters, poll=ocr.batch.poll, budget=ocr.limits.budget)
            if ocr.batch.use
            else None,
        )
    print_message("\n".join([format_summary(summary), *(f"  {line}" for line in format_skipped(*contents[1:]))]))
    if summary.stopped or summary.under_way:
        raise RetryLater(
            f"{summary.left:,} posters are not read yet; rerun the same command to resume, or --mode=build to build with "
            "the posters read so far"
        )
