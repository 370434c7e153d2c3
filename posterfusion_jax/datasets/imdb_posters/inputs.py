"""Collect the inputs of a dataset: the files of the user's folder, and a fingerprint that changes when they do."""

import dataclasses
import glob
import itertools
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from posterfusion_jax.datasets.imdb_posters.hashing import hash_json
from posterfusion_jax.datasets.imdb_posters.image_check import hash_files
from posterfusion_jax.datasets.imdb_posters.join import HashedPoster
from posterfusion_jax.datasets.imdb_posters.options import BuildOptions
from posterfusion_jax.datasets.imdb_posters.paths import SPLITS
from posterfusion_jax.datasets.imdb_posters.split_file import Assignment, read_split_file
from posterfusion_jax.datasets.imdb_posters.splits import fold_names
from posterfusion_jax.datasets.imdb_posters.text_provenance import TextProvenance, read_record
from posterfusion_jax.datasets.label_set import PAPER13
from posterfusion_jax.datasets.sources.base import LeftOut, Source
from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.records.record import to_json
from posterfusion_jax.ocr.records.store import RecordReader, load_records
from posterfusion_jax.ocr.text.language import load_guesser
from posterfusion_jax.posters.decode import UnreadableImage
from posterfusion_jax.posters.folder import RECORDS_FILE, Skipped, record_files
from posterfusion_jax.utils.disk_collections import DiskDict, DiskList, sort_on_disk

_LABELS = {"folder": "titles file", "table": "table"}  # source -> what its labels come from


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuildInputs:
    """Hold the inputs of a dataset, found and hashed; no title is parsed yet.

    `checked`: every image was decoded while its file was hashed; the result is the poster's `check`.
    `source` reads the titles and labels. `fingerprint` holds one hash (or plain value) for each kind of input;
    datasets with equal fingerprints are equal.
    `other_files` counts the files of the folder that are no images, by kind; the dataset does not depend on them.
    """

    posters: DiskList[HashedPoster]
    texts: Mapping[str, tuple[str, TextProvenance]]  # by the hash of the poster's file
    source: Source
    split_file: Assignment | None
    left_out: LeftOut
    other_files: Mapping[str, int]
    fingerprint: Mapping[str, Any]
    checked: bool = False


def collect_inputs(source: Source, options: BuildOptions, *, check: bool = False, progress: bool = False) -> BuildInputs:
    """Find and hash everything that the dataset depends on.

    OCR records come from the source's folder (`posters.folder.record_files`) and from `options.record_files`; a poster's record
    is found by the hash of its file, so that renaming a file or sharing records between folders is harmless.

    Args:
      source: of posters and labels.
      options: the user's choices.
      check: decode every image in the same pass, for a dataset that is certainly built; the fingerprint is the same.
      progress: draw progress bars.

    Raises:
      InputError: no posters, no labels, a record file or split file that is not there or not usable.
    """
    labels_hash = source.hash_labels()
    found, not_listed, other_files = source.list_pictures()
    split_file = None
    if options.split_file is not None:
        splits = fold_names(options.folds) if options.folds else SPLITS
        split_file = read_split_file(options.split_file, posters=None if source.name == "folder" else found, splits=splits)
    record_paths = _record_paths(pathlib.Path(source.place), options.record_files)
    records = load_records(record_paths)

    unreadable, posters = DiskList(Skipped._make), DiskList(HashedPoster._make)
    files = hash_files((poster.file for poster in found), count=len(found), check=check, progress=progress)
    for poster, result in zip(found, files, strict=True):
        if isinstance(result, UnreadableImage):
            unreadable.append(Skipped(poster.poster_id, str(result)))
        else:
            image = str(result.check) if isinstance(result.check, UnreadableImage) else result.check
            posters.append(HashedPoster(*poster, result.sha256, image))

    # A bad line is named by its file's name alone, so that the fingerprint does not depend on the folder's location.
    bad_lines = [Skipped(pathlib.Path(line.what).name, line.reason) for line in records.skipped]
    left_out = LeftOut()
    for kind, items in [*not_listed.items(), ("unreadable image", unreadable), ("OCR record line", bad_lines)]:
        left_out.add(kind, items)
    texts = DiskDict(lambda value: (value[0], TextProvenance.from_json(value[1])))
    records_hash = hash_json([_read_texts(posters, records, options, texts, build=check), bad_lines])
    return BuildInputs(
        posters=posters,
        texts=texts,
        source=source,
        split_file=split_file,
        left_out=left_out,
        other_files=dict(other_files),
        fingerprint={
            "options": {
                "split_by": options.split_by,
                "split_seed": options.split_seed,
                "split_fractions": list(options.split_fractions),
                "other_genres": options.other_genres,
                **_further_options(source, options),
            },
            "text rules": dataclasses.asdict(options.text_rules),
            labels_name(source): labels_hash,
            "posters": hash_json(
                [((p.poster_id, p.sha256) for p in posters), *map(iter, _listed(source, not_listed)), iter(unreadable)]
            ),
            "OCR records": records_hash,
            "split file": split_file.sha256 if split_file is not None else None,
        },
        checked=check,
    )


def labels_name(source: Source) -> str:
    """Return what the labels of a source come from, for messages and as their key in a fingerprint."""
    return _LABELS.get(source.name, "label files")


def _further_options(source: Source, options: BuildOptions) -> dict[str, Any]:
    """Return the options that datasets of earlier versions did not have, where they differ from what was done then."""
    further = {
        "source": None if source.name == "folder" else source.name,
        "split_years": list(options.split_years),
        "folds": options.folds,
        "labels": None if options.labels == (PAPER13,) else list(options.labels),
        "label_min_posters": options.label_min_posters,
        "label_aliases": list(options.label_aliases),
    }
    return {name: value for name, value in further.items() if value}


def _listed(source: Source, not_listed: LeftOut) -> list[Sequence[Skipped]]:
    """Return the items left out that the hash of the posters covers: of IMDb's layout also a list without items."""
    return [not_listed.get("file name", ())] if source.name == "folder" else list(not_listed.values())


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the kinds of input in which two fingerprints differ."""
    return [kind for kind in new if old.get(kind) != new[kind]]


def _read_texts(
    posters: DiskList[HashedPoster],
    records: RecordReader,
    options: BuildOptions,
    texts: DiskDict[tuple[str, TextProvenance]],
    *,
    build: bool,
) -> Iterator[tuple[str, str]]:
    """Add the texts to `texts`, by hash, and yield (hash, record) of all images that have one, sorted by hash.

    With `build`, a report on them follows, for which the language guesser is loaded meanwhile.
    """
    hashes = sort_on_disk(str, ((poster.sha256, poster.sha256) for poster in posters))
    for sha256, _ in itertools.groupby(hashes):
        record = records.find(sha256, prefer=options.preferred_engines)
        if record is not None:
            text, provenance = texts[sha256] = read_record(record, options.text_rules)
            if build and text and not provenance.language:
                load_guesser()
            yield sha256, to_json(record)


def _record_paths(posters_dir: pathlib.Path, patterns: Sequence[str]) -> list[pathlib.Path]:
    """Return the record files, the folder's own first, so that those of `patterns` count as newer."""
    paths = record_files(posters_dir)
    for pattern in patterns:
        found = [path for path in _matching_files(pattern) if path.is_file()]
        if not found:
            raise InputError(
                f"ocr.store={pattern!r} is no file of OCR records. Run --mode=ocr to write it, name an existing one, or "
                f"put the records into {str(posters_dir / RECORDS_FILE)!r}."
            )
        known = {path.resolve() for path in paths}
        paths += [path for path in found if path.resolve() not in known]
    return paths


def _matching_files(pattern: str) -> list[pathlib.Path]:
    """Return the file of this name, or else those that match it; existing leading folders are not part of the pattern."""
    if os.path.exists(pattern):
        return [pathlib.Path(pattern)]
    folder, wildcards = pathlib.Path(pattern), []
    while not folder.is_dir():
        wildcards.insert(0, folder.name)
        folder = folder.parent
    return [folder / name for name in sorted(glob.glob(os.path.join(*wildcards), root_dir=folder))]
