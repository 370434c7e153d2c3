"""What a dataset is made from: the files of the user's folder, and a fingerprint that changes when they do."""

import dataclasses
import glob
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from posterfusion_jax.datasets.imdb_posters import layout
from posterfusion_jax.datasets.imdb_posters.join import LeftOut, hash_files
from posterfusion_jax.datasets.imdb_posters.split_file import Assignment, read_split_file
from posterfusion_jax.datasets.imdb_posters.splits import DEFAULT_FRACTIONS, check_fractions
from posterfusion_jax.datasets.imdb_posters.titles import find_titles
from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.record import OcrRecord, to_json
from posterfusion_jax.ocr.rules import NO_RULES, TextRules
from posterfusion_jax.ocr.store import load_records
from posterfusion_jax.poster_folder import RECORDS_FILE, PosterFile, Skipped, find_posters, record_files


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What the user may choose about the dataset.

    Attributes:
      split_by: "film", "poster", or "file" (an existing split, `split_file`).
      split_file: the split file where `split_by` is "file", else None.
      split_seed: of the rules "film" and "poster".
      split_fractions: shares of train, validation and test for these rules.
      other_genres: "drop_label" keeps a film with genres outside the thirteen for its others, "drop_film" does not.
      preferred_engines: the OCR engines whose records count where a poster has several, best first (`Records.find`).
      record_files: OCR record files besides the folder's own, each a path or a pattern such as out/ocr-*.jsonl.
      text_rules: from a record's lines to the poster's text.
    """

    split_by: str = "film"
    split_file: str | None = None
    split_seed: int = 0
    split_fractions: tuple[float, ...] = DEFAULT_FRACTIONS
    other_genres: str = "drop_label"
    preferred_engines: tuple[str, ...] = ()
    record_files: tuple[str, ...] = ()
    text_rules: TextRules = NO_RULES

    def __post_init__(self):
        if self.split_by not in layout.SPLIT_BY:
            raise InputError(f"data.split_by={self.split_by!r}: allowed are {', '.join(layout.SPLIT_BY)}.")
        if self.other_genres not in layout.OTHER_GENRES:
            raise InputError(f"data.other_genres={self.other_genres!r}: allowed are {', '.join(layout.OTHER_GENRES)}.")
        if (self.split_by == "file") != (self.split_file is not None):
            raise InputError(
                f"data.split_by={self.split_by!r} with data.split_file={self.split_file!r}: a split file goes with "
                "data.split_by=file, and only with it."
            )
        check_fractions(self.split_fractions)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sources:
    """The inputs of a dataset, found and hashed; no image is decoded and no title is parsed yet.

    `fingerprint` holds one hash (or plain value) for each kind of input; datasets with equal fingerprints are equal.
    """

    posters: tuple[PosterFile, ...]
    sha256_of: Mapping[str, str]
    record_of: Mapping[str, OcrRecord]
    titles_path: pathlib.Path
    split_file: Assignment | None
    left_out: LeftOut
    fingerprint: Mapping[str, Any]


def gather(posters_dir: str | pathlib.Path, options: Options, *, progress: bool = False) -> Sources:
    """Finds and hashes everything that the dataset depends on.

    OCR records come from the folder (`poster_folder.record_files`) and from `options.record_files`; a poster's record is
    found by the hash of its file, so that renaming a file or sharing records between folders is harmless.

    Raises:
      InputError: no posters, no titles file, a record file or split file that is not there or not usable.
    """
    posters_dir = pathlib.Path(posters_dir)
    titles_path = find_titles(posters_dir)
    found, misnamed = find_posters(posters_dir)
    split_file = read_split_file(options.split_file) if options.split_file is not None else None
    record_paths = _record_paths(posters_dir, options.record_files)
    records = load_records(record_paths)

    unreadable, sha256_of = [], {}
    for poster, result in zip(found, hash_files([p.path for p in found], progress=progress), strict=True):
        if isinstance(result, OSError):
            unreadable.append(Skipped(poster.poster_id, f"cannot be read: {result.strerror or result}"))
        else:
            sha256_of[poster.poster_id] = result
    record_of = {}
    for sha256 in sha256_of.values():
        record = records.find(sha256, prefer=options.preferred_engines)
        if record is not None:
            record_of[sha256] = record

    # A bad line is named by its file's name alone, so that the fingerprint does not depend on where the folder lies.
    bad_lines = [Skipped(pathlib.Path(line.what).name, line.reason) for line in records.skipped]
    left_out = {"file name": misnamed, "unreadable image": unreadable, "OCR record line": bad_lines}
    return Sources(
        posters=tuple(poster for poster in found if poster.poster_id in sha256_of),
        sha256_of=sha256_of,
        record_of=record_of,
        titles_path=titles_path,
        split_file=split_file,
        left_out={kind: items for kind, items in left_out.items() if items},
        fingerprint={
            "options": {
                "split_by": options.split_by,
                "split_seed": options.split_seed,
                "split_fractions": list(options.split_fractions),
                "other_genres": options.other_genres,
            },
            "text rules": dataclasses.asdict(options.text_rules),
            "titles file": _hash_path(titles_path),
            "posters": hash_json([sorted(sha256_of.items()), misnamed, unreadable]),
            "OCR records": hash_json([sorted((s, to_json(r)) for s, r in record_of.items()), bad_lines]),
            "split file": split_file.sha256 if split_file is not None else None,
        },
    )


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The kinds of input in which two fingerprints differ."""
    return [kind for kind in new if old.get(kind) != new[kind]]


def hash_json(value: Any) -> str:
    """sha256 of a value's canonical JSON text."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _record_paths(posters_dir: pathlib.Path, patterns: Sequence[str]) -> list[pathlib.Path]:
    """The folder's own records first, so that those of `patterns` count as newer."""
    paths = record_files(posters_dir)
    for pattern in patterns:
        names = [pattern] if os.path.exists(pattern) else sorted(glob.glob(pattern))
        found = [path for path in map(pathlib.Path, names) if path.is_file()]
        if not found:
            raise InputError(
                f"ocr.store={pattern!r} is no file of OCR records. Run --mode=ocr to write it, name an existing one, or "
                f"put the records into {str(posters_dir / RECORDS_FILE)!r}."
            )
        known = {path.resolve() for path in paths}
        paths += [path for path in found if path.resolve() not in known]
    return paths


def _hash_path(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
