"""Store features on disk: shards of plain arrays, and a passport that identifies their origin.

A store is a folder: `passport.json`, `poster_ids.json` (the order of its rows), `cut_texts.json` (which texts were over the
encoder's limit) and `shard-00000/` ... with one `.npy` file per array and their checksums, which are compared when a
file is first opened. A shard appears whole or not at all. A store of tokens
also holds the pooled features, and serves both levels. A store whose passport names no image encoder holds texts alone.
"""

import contextlib
import fcntl
import functools
import json
import mmap
import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from posterfusion_jax.config.choices import LEVELS
from posterfusion_jax.encoders.tower import PROVENANCE
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.checksums import checksum, corrupt_file_error, read_checked_json, unreadable, with_checksum
from posterfusion_jax.utils.choose import choose
from posterfusion_jax.utils.safe_arrays import memmap_npy

SHARD_ROWS = 512
OPEN_ARRAYS = 200  # open at a time, one file each: a system may allow as few as 256, and a large store has thousands
SIDES = ("image", "text")
_ONLY_TOKENS = ("level", "image_grid", "dtype")  # entries of the passport that do not affect pooled features (always float32)
_PASSPORT = "passport.json"
_IDS = "poster_ids.json"
_CUT = "cut_texts.json"
_CHECKSUMS = "checksums.json"  # of a shard's files


class FeatureStore:
    """Give access to a folder of features, complete or still being filled."""

    def __init__(self, folder: pathlib.Path, passport: dict[str, Any], poster_ids: Sequence[str]):
        """Open `folder`, or create it if it does not exist.

        Args:
          folder: of the store.
          passport: JSON-able; what the features must be. "image" and "text" are the encoders' passports; they decide what is
            stored.
          poster_ids: of the rows, in order.

        Raises:
          InputError: the folder holds features with another passport (names the first field that differs), or its passport is
            damaged.
        """
        self.folder = folder
        self.level = passport["level"]  # the level of `read`
        self.poster_ids = list(poster_ids)
        self._array = functools.lru_cache(OPEN_ARRAYS)(self._map_array)
        self._checked: set[tuple[int, str]] = set()
        self.passport = json.loads(json.dumps(passport))  # of the stored features
        if (folder / _PASSPORT).exists():
            fix = "Remove the folder to recompute the features."
            wanted, self.passport = self.passport, read_checked_json(folder / _PASSPORT, fix=fix)
            _compare(self.passport, wanted, folder)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            _write_json(folder / _IDS, self.poster_ids)
            _write_json(folder / _PASSPORT, with_checksum(self.passport))
        self._sides = [side for side in SIDES if side in self.passport]
        self._pooled = [*(f"{side}_pooled" for side in self._sides), "has_text"]
        self._tokens = [f"{side}_tokens{what}" for side in self._sides for what in ("", "_mask")]
        self._names = (
            self._pooled if not choose("features.level", self.passport["level"], LEVELS) else [*self._pooled, *self._tokens]
        )

    def __len__(self) -> int:
        return len(self.poster_ids)

    @property
    def num_shards(self) -> int:
        """Return the number of shards of the complete store."""
        return -(-len(self) // SHARD_ROWS)

    @contextlib.contextmanager
    def filling(self) -> Iterator[None]:
        """Lock the writing of shards: another process that fills the same store waits until the block ends."""
        with (self.folder / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def missing_shards(self) -> list[int]:
        """Return the numbers of the shards that are missing or lack checksums."""
        return [k for k in range(self.num_shards) if not (self._shard(k) / _CHECKSUMS).is_file()]

    def shard_range(self, shard: int) -> range:
        """Return the rows of a shard."""
        return range(shard * SHARD_ROWS, min((shard + 1) * SHARD_ROWS, len(self)))

    def write_shard(self, shard: int, arrays: dict[str, np.ndarray]) -> None:
        """Write all arrays of the store's level, one row each for `shard_range(shard)`.

        These are, for each stored side of "image" and "text", "<side>_pooled" and at level "tokens" also "<side>_tokens"
        and "<side>_tokens_mask"; and "has_text".
        """
        partial = self.folder / f"partial-{shard:05d}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        for name in self._names:
            assert len(arrays[name]) == len(self.shard_range(shard)), name
            np.save(partial / f"{name}.npy", arrays[name])
        checksums = {name: _file_checksum(partial / f"{name}.npy") for name in self._names}
        (partial / _CHECKSUMS).write_text(json.dumps(with_checksum(checksums)))
        shutil.rmtree(self._shard(shard), ignore_errors=True)  # one without checksums
        os.replace(partial, self._shard(shard))

    @property
    def cut_texts(self) -> list[str] | None:
        """Return the poster_ids of texts that lost tokens to the encoder's limit; None if they were not recorded."""
        file = self.folder / _CUT
        fix = f"Remove {_CUT} and run --mode=features, which writes it again."
        return read_checked_json(file, fix=fix)["poster_ids"] if file.is_file() else None

    def write_cut_texts(self, poster_ids: Sequence[str]) -> None:
        """Record the poster_ids of texts that lost tokens to the text encoder's limit."""
        _write_json(self.folder / _CUT, with_checksum({"poster_ids": list(poster_ids)}))

    def read(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the features of this store's level at `rows` [n] (any order, repeats allowed).

        Returns:
          "image", "text": [n, d], or [n, l, d] with tokens, as stored; "image_mask", "text_mask": bool [n] or [n, l];
          "has_text": bool [n]. A store of texts has no image arrays.
        """
        rows = np.asarray(rows)
        if not choose("features.level", self.level, LEVELS):
            found = self._gather(self._pooled, rows)
            masks = {f"{side}_mask": np.ones(len(rows), bool) for side in self._sides}
        else:
            found = self._gather(["has_text", *self._tokens], rows)
            masks = {f"{side}_mask": found[f"{side}_tokens_mask"] for side in self._sides}
        values = {side: found[f"{side}_{self.level}"] for side in self._sides}
        return {**values, **masks, "has_text": found["has_text"]}

    @property
    def widths(self) -> tuple[int, int]:
        """Return the feature widths of image and text."""
        return self._array(0, "image_pooled").shape[-1], self._array(0, "text_pooled").shape[-1]

    def _gather(self, names: Sequence[str], rows: np.ndarray) -> dict[str, np.ndarray]:
        shards, places = (part.tolist() for part in np.divmod(rows, SHARD_ROWS))
        in_order = np.argsort(rows, kind="stable").tolist()  # so that no file is opened twice for one read
        gathered = {}
        for name in names:
            first = self._array(0, name)
            # float64 was written by an earlier version under JAX_ENABLE_X64
            dtype = np.float32 if first.dtype == np.float64 else first.dtype
            out = gathered[name] = np.empty((len(rows), *first.shape[1:]), dtype)
            for i in in_order:
                out[i] = self._array(shards[i], name)[places[i]]  # from the file into the result in one copy
        return gathered

    def _shard(self, shard: int) -> pathlib.Path:
        return self.folder / f"shard-{shard:05d}"

    def _map_array(self, shard: int, name: str) -> np.ndarray:
        """Return an array, memory-mapped after its checksum was compared.

        Raises:
          InputError: the file is corrupt or cannot be read.
        """
        folder = self._shard(shard)
        file, fix = folder / f"{name}.npy", f"Remove {folder} and run --mode=features, which computes it again."
        if (shard, name) not in self._checked:
            stored = read_checked_json(folder / _CHECKSUMS, fix=fix)
            try:
                found = _file_checksum(file)
            except (FileNotFoundError, ValueError) as error:  # ValueError: it is empty
                raise corrupt_file_error(file, fix, str(error)) from None
            except OSError as error:
                raise unreadable(file, error) from error
            if found != stored.get(name):
                raise corrupt_file_error(file, fix, "its checksum is that of other contents")
            self._checked.add((shard, name))
        return memmap_npy(file, fix=fix).view(np.ndarray)  # np.memmap indexes slowly


def _file_checksum(file: pathlib.Path) -> str:
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as contents:
        return checksum(contents)


def _compare(there: dict[str, Any], wanted: dict[str, Any], folder: pathlib.Path) -> None:
    free = _ONLY_TOKENS if not choose("features.level", wanted["level"], LEVELS) else ()
    for path, a, b in _differences(there, wanted):
        if path in free:
            continue
        raise InputError(
            f"features.dir: {str(folder)!r} holds other features than the config asks for: {path} is {a!r} there, {b!r} now. "
            "Name another folder with --config.features.dir=DIR. Remove that folder only if no run needs its features any more."
        )


def _differences(a: Any, b: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(a, dict) and isinstance(b, dict):
        names = sorted((a.keys() | b.keys()) - set(PROVENANCE))
        return [d for name in names for d in _differences(a.get(name), b.get(name), f"{path}.{name}".lstrip("."))]
    return [] if a == b else [(path, a, b)]


def _write_json(path: pathlib.Path, value: Any) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value, indent=1))
    os.replace(partial, path)
