"""Run OCR as an Apache Beam pipeline: on several machines, reading and writing any files that Beam can open."""

import collections
import datetime
import functools
import json
import logging
import pathlib
import re
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from posterfusion_jax.beam import pipeline as pipelines
from posterfusion_jax.beam.pipeline import DoFn, beam
from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.engines.base import Engine, EngineChoice
from posterfusion_jax.ocr.plan import next_attempt, skip_reason
from posterfusion_jax.ocr.records.record import STATUSES, OcrRecord, to_json, usable
from posterfusion_jax.ocr.records.store import RecordReader, load_records
from posterfusion_jax.ocr.summary import OcrSummary
from posterfusion_jax.ocr.task import Task
from posterfusion_jax.ocr.worker_pool import EngineProcess
from posterfusion_jax.posters.decode import USUAL_SUFFIXES
from posterfusion_jax.posters.folder import MISNAMED, RECORD_SHARDS, PosterFile, Skipped, film_of, list_folder
from posterfusion_jax.posters.image_files import OtherFiles, format_other_files, kind_of_name
from posterfusion_jax.utils.console import print_message

JOURNAL_SECONDS = 5.0  # a worker that dies loses at most the records of these

_NAMESPACE = "posterfusion.ocr"  # of the counters of Beam
_FAILED = "failed"
_COUNTS = "counts"


class BeamFile(NamedTuple):
    """Wrap a file that Beam can open, for functions that read a path."""

    name: str

    def read_bytes(self) -> bytes:
        """Return the bytes of the file."""
        return pipelines.read_bytes(self.name)

    def __str__(self) -> str:
        return self.name


class _BeamPoster(PosterFile):
    """Describe a poster in any location that Beam can open."""

    @property
    def path(self) -> Any:
        """Return the file as a path-like object with `read_bytes`."""
        return BeamFile(self.file)


def list_posters(source: str) -> tuple[list[PosterFile], list[Skipped]]:
    """Return the posters of a pipeline, sorted by poster_id, and the skipped files with the reason.

    Args:
      source: a local folder as `find_posters` takes it; a pattern such as gs://bucket/posters/**; or a text file, *.txt,
        with one path per line. The files are named as in the folder: <tconst>_<k>.jpg.

    Raises:
      InputError: there is no poster.
    """
    pipelines.require_beam()
    if not pipelines.is_remote(source) and pathlib.Path(source).is_dir():
        found, skipped, others = list_folder(source)
        _print_others(others)
        return [_BeamPoster(*poster[:2], str(poster.path.absolute())) for poster in found], list(skipped)
    names = pipelines.read_lines(source) if source.endswith(".txt") else pipelines.match(source)
    found_by_id: dict[str, PosterFile] = {}
    skipped, others = [], OtherFiles()
    absolute = (pipelines.absolute(line.strip()) for line in names)
    for name in sorted(absolute, key=lambda name: (not name.lower().endswith(USUAL_SUFFIXES), name)):
        kind, stem = kind_of_name(name.rpartition("/")[2])
        film_id = film_of(stem)
        if kind or (kind is None and film_id is None):  # if only its content could decide, the name does
            others.add(kind or "unknown suffix")
        elif film_id is None:
            skipped.append(Skipped(name, MISNAMED))
        elif stem in found_by_id:
            skipped.append(Skipped(name, f"the poster {stem} is already there as {found_by_id[stem].file}"))
        else:
            found_by_id[stem] = _BeamPoster(
                stem, film_id, name if pipelines.is_remote(name) else str(pathlib.Path(name).absolute())
            )
    _print_others(others)
    if not found_by_id:
        raise InputError(
            f"{source!r} has no poster: {len(names)} files, {len(skipped)} of them images that are not named as in "
            "tt0133093_1.jpg. Give a folder, a pattern such as 'gs://bucket/posters/**', or a text file with one path per line."
        )
    return [found_by_id[poster_id] for poster_id in sorted(found_by_id)], skipped


def _print_others(others: OtherFiles) -> None:
    if others:
        print_message(format_other_files(others), error=True)


def read_with_beam(
    posters: Sequence[PosterFile],
    output: str,
    engine: EngineChoice,
    *,
    flags: Sequence[str],
    record_files: Iterable[str] = (),
    retry: Sequence[str] = (),
    shards: int = 0,
) -> OcrSummary:
    """Read the posters without a record, and write the new records as `output`/ocr-00000-of-000NN.jsonl.

    The counterpart of `ocr.run.read_posters`: the same posters are read, and get the same records. A worker has one engine,
    which reads one poster at a time; an engine's rate limits therefore apply per worker. Existing files are never
    overwritten: a later run that finds something to read writes ocr-run002-..., and so on. While a pipeline runs, its
    workers also save every record in ocr-unfinished-*.jsonl within `JOURNAL_SECONDS`, so that nothing is read again after
    an interrupted run; these are removed at its end.

    Args:
      posters: as `list_posters` returns them; every worker opens the files under these names.
      output: a folder, local or such as gs://bucket/records, under the same name for every worker.
      engine: as for `read_posters`, but not "none" and not remote.
      flags: Beam's own.
      record_files: paths or patterns of further record files; those of `output` are always read.
      retry: as in `ReadOptions`.
      shards: the number of files to write; 0 lets the runner choose.

    Raises:
      InputError: a flag, an engine or a file that cannot be used.
    """
    pipelines.require_beam()
    if engine.name == "none":
        raise InputError("ocr.engine='none' reads nothing, so a pipeline is useless. Choose another engine.")
    if engine.is_remote:
        raise InputError(
            f"ocr.engine={engine.name!r} calls a service, whose limits, not this machine, determine the speed: one process "
            "reaches them. Use --mode=ocr."
        )
    make = engine.maker(threads=1)
    make()  # here as well, so that a wrong option or a missing package is reported once, before reading
    pipelines.make_pipeline(flags)  # likewise for a wrong flag
    started = time.monotonic()
    own = pipelines.match(pipelines.join(output, RECORD_SHARDS))
    run_id = f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    journal = pipelines.join(output, f"ocr-unfinished-{run_id}")
    work = pipelines.join(output, f"beam-{run_id}")

    known = _decide(_load([*record_files, *own]), engine_name=engine.name, retry=retry)
    pipelines.write_lines(f"{work}/known", (json.dumps(decision) for decision in known))
    pipelines.write_lines(f"{work}/posters", (json.dumps(poster) for poster in posters))
    with pipelines.make_pipeline(flags) as pipeline:
        decided = pipeline | "Known" >> beam.io.ReadFromText(f"{work}/known") | "FromJson" >> beam.Map(_pair)
        hashed = (
            pipeline
            | "Posters" >> beam.io.ReadFromText(f"{work}/posters")
            | beam.Reshuffle()
            | beam.ParDo(HashPoster()).with_outputs(_FAILED, _COUNTS, main="hashed")
        )
        planned = (
            {"posters": hashed.hashed, "decisions": decided}
            | beam.CoGroupByKey()
            | beam.ParDo(MakeTasks()).with_outputs(_COUNTS, main="tasks")
        )
        read = planned.tasks | beam.ParDo(ReadPoster(make, journal)).with_outputs(_FAILED, _COUNTS, main="lines")
        _ = read.lines | "Records" >> beam.io.WriteToText(
            pipelines.join(output, _prefix(own)), file_name_suffix=".jsonl", num_shards=shards, skip_if_empty=True
        )
        failed = (hashed[_FAILED], read[_FAILED]) | "AllFailed" >> beam.Flatten()
        counted = (hashed[_COUNTS], planned[_COUNTS], read[_COUNTS]) | "AllCounts" >> beam.Flatten()
        _ = failed | "Failures" >> beam.io.WriteToText(f"{work}/failures")
        _ = counted | beam.CombinePerKey(sum) | beam.Map(json.dumps) | "Counts" >> beam.io.WriteToText(f"{work}/counts")
    counts = collections.Counter(dict(map(json.loads, pipelines.read_lines(f"{work}/counts-*"))))
    failures = sorted(Skipped(*json.loads(line)) for line in pipelines.read_lines(f"{work}/failures-*"))
    pipelines.remove(pipelines.match(f"{journal}-*"))
    pipelines.remove_folder(work)

    by_status = {status: counts[status] for status in sorted(STATUSES) if counts[status]}
    seconds, read_now = time.monotonic() - started, sum(by_status.values())
    return OcrSummary(
        total=len(posters),
        already=counts["already"],
        by_others=0,
        failed_before=counts["failed_before"],
        copies=counts["copies"],
        unreadable=counts["unreadable"],
        read=read_now,
        by_status=by_status,
        failures=tuple(failures),
        seconds=seconds,
        seconds_per_poster=seconds / max(read_now, 1),
    )


class HashPoster(DoFn):
    """Convert a line of the list of posters to (hash of the file's bytes, poster)."""

    def process(self, line: str):
        """Yield the pair, or count the file as unreadable."""
        poster = _BeamPoster(*json.loads(line))
        try:
            yield pipelines.sha256_of(poster.file), poster
        except Exception as error:  # the type depends on the file system
            yield _count("unreadable")
            yield beam.pvalue.TaggedOutput(_FAILED, json.dumps([poster.poster_id, f"cannot be opened: {error}"]))


class MakeTasks(DoFn):
    """Convert the posters of one image, and the decision from the records, to a task, if the image is to be read."""

    def process(self, group: tuple[str, dict[str, Iterable[Any]]]):
        """Yield the task, if any, and the counts of the posters without one."""
        sha256, found = group
        posters = sorted(found["posters"])
        decision: int | str = next(iter(found["decisions"]), 1)
        if not posters:
            return
        if isinstance(decision, str):
            yield _count(decision, len(posters))
        else:
            yield _count("copies", len(posters) - 1)
            yield Task(posters[0], sha256, decision)


class ReadPoster(DoFn):
    """Convert a task to the line of its record. All threads of a worker share one engine, in a separate process.

    The engine's `read` must return the result, so one that calls a service waits for it there.
    """

    def __init__(self, make: Callable[[], Engine], journal: str):
        self._make = make
        self._journal = journal
        self._shared = beam.utils.shared.Shared()

    def setup(self):
        """Acquire the engine of this worker."""
        self._engine = self._shared.acquire(functools.partial(EngineProcess, self._make))

    def start_bundle(self):
        """Begin a new list of records for the journal."""
        self._unwritten: list[bytes] = []
        self._written = time.monotonic()

    def process(self, task: Task):
        """Yield the line of the record, and count its status."""
        record = self._engine.read(task)
        yield _count(record.status)
        line = record_line(record)
        self._unwritten.append(line + b"\n")
        if time.monotonic() - self._written >= JOURNAL_SECONDS:
            self.finish_bundle()
        yield line
        if not usable(record):
            yield beam.pvalue.TaggedOutput(_FAILED, json.dumps([record.poster_id, record.reason or record.status]))

    def finish_bundle(self):
        """Write the records since the last call to the journal."""
        if self._unwritten:
            pipelines.write_bytes(f"{self._journal}-{uuid.uuid4().hex}.jsonl", b"".join(self._unwritten))
        self.start_bundle()

    def teardown(self):
        """End the process of the engine."""
        self._engine.close()


def record_line(record: OcrRecord) -> bytes:
    """Return the record's line as the store writes it, without its line break."""
    return to_json(record).encode(errors="backslashreplace")  # a lone surrogate has no UTF-8 form


def _pair(line: str) -> tuple[str, int | str]:
    sha256, decision = json.loads(line)
    return sha256, decision


def _count(name: str, amount: int = 1) -> Any:
    """Increment one of Beam's counters, for its web pages, and return the output from which the summary is made.

    Beam's counters may count repeated work twice, and some runners do not report them.
    """
    beam.metrics.Metrics.counter(_NAMESPACE, name).inc(amount)
    return beam.pvalue.TaggedOutput(_COUNTS, (name, amount))


def _load(patterns: Iterable[str]) -> RecordReader:
    """Open the records of all files; those of an object store are copied to a temporary folder first."""
    with tempfile.TemporaryDirectory() as folder:
        names: dict[str, None] = {}
        for pattern in patterns:
            found = pipelines.match(pattern)
            if not found:
                raise InputError(f"{pattern!r} is not a file of OCR records. Name an existing file or pattern.")
            names |= dict.fromkeys(found)
        paths = [pathlib.Path(name) for name in names]
        for number, name in enumerate(names):
            if pipelines.is_remote(name):
                paths[number] = pathlib.Path(folder) / f"{number}.jsonl"
                paths[number].write_bytes(pipelines.read_bytes(name))
        records = load_records(paths)
    if records.skipped:
        first = records.skipped[0]
        logging.warning("%d lines are not OCR records, the first %s: %s", len(records.skipped), first.what, first.reason)
    return records


def _decide(records: RecordReader, *, engine_name: str, retry: Sequence[str]) -> Iterator[tuple[str, int | str]]:
    """Yield for each image with a record the number of its next attempt, or why there is none."""
    for sha256 in {record.sha256 for record in records}:
        attempt, record = next_attempt(records, sha256, engine_name=engine_name, version=None, retry=retry, reread="never")
        yield sha256, skip_reason(record) if attempt is None else attempt


def _prefix(files: Iterable[str]) -> str:
    """Return the beginning of the names of a run's files, which no earlier run has used."""
    runs = [int(name[1] or 1) for file in files if (name := re.search(r"/ocr(?:-run(\d+))?-\d+-of-\d+\.jsonl$", file))]
    return f"ocr-run{max(runs) + 1:03d}" if runs else "ocr"
