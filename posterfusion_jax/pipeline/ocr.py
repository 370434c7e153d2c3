"""Stage "ocr": an OCR record for each poster."""

import itertools
from collections.abc import Sequence

from posterfusion_jax.config.run import Run
from posterfusion_jax.config.sections import OcrConfig
from posterfusion_jax.datasets.sources.base import Source
from posterfusion_jax.errors import RetryLater
from posterfusion_jax.ocr.options import ReadOptions
from posterfusion_jax.ocr.records.store import RecordWriter
from posterfusion_jax.ocr.remote.gemini_batch import BatchOptions
from posterfusion_jax.ocr.run import read_posters
from posterfusion_jax.ocr.summary import format_summary
from posterfusion_jax.pipeline.source import run_source
from posterfusion_jax.posters.folder import PosterFile, format_skipped, record_files
from posterfusion_jax.utils.console import print_message
from posterfusion_jax.utils.disk_collections import DiskList


def read_words(run: Run) -> None:
    """Read the words of posters that have no record yet.

    Raises:
      RetryLater: a limit or an unfinished batch job left posters unread.
    """
    source = run_source(run)
    pictures = source.list_pictures()
    posters, given = _without_text(source, pictures.posters)
    with RecordWriter(run.paths.records, also_read=record_files(run.paths.posters)) as store:
        summary = read_posters(posters, store, run.ocr_engine, read_options(run.config.ocr))
    skipped = itertools.chain.from_iterable(pictures.left_out.values())
    lines = [format_summary(summary), *(f"  {line}" for line in format_skipped(skipped, pictures.other_files))]
    if given:
        lines.append(f"  {given:,} posters are not read: {source.place} has their words")
    print_message("\n".join(lines))
    if summary.stopped or summary.under_way:
        raise RetryLater(
            f"{summary.left:,} posters are not read yet; rerun the same command to resume, or --mode=build to build with "
            "the posters read so far"
        )


def _without_text(source: Source, posters: DiskList[PosterFile]) -> tuple[Sequence[PosterFile], int]:
    """Return the posters whose words the source does not have, and the number of the others."""
    if source.name == "folder":
        return posters, 0
    entries = source.read_entries(posters)
    unread = DiskList(PosterFile._make, (poster for poster in posters if (entry := entries.of(poster)) and entry.text is None))
    named = sum(entries.of(poster) is not None for poster in posters)
    return unread, named - len(unread)


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
