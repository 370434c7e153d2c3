"""A finished feature store, opened by its folder alone."""

import json
import pathlib
from typing import Any

from posterfusion_jax.errors import InputError
from posterfusion_jax.features.store import FeatureStore
from posterfusion_jax.utils.checksums import corrupt_file_error, read_checked_json
from posterfusion_jax.utils.user_path import expand_path

_FIX = "Remove the folder and run --mode=features, which computes the features again."


def open_features(folder: str | pathlib.Path) -> FeatureStore:
    """Open the cached features of a run.

    Args:
      folder: the run's features.dir, such as "runs/mine/features".

    Returns:
      The store: `poster_ids`, `passport` (what the features are), `widths`, and `read(rows)` for rows by their position.

    Raises:
      InputError: the folder holds no features, is damaged, or is not finished.

    Example::

        store = pf.open_features("runs/mine/features")
        store.read(np.arange(10))["image"]  # float32 [10, d_i], or [10, l_i, d_i] with tokens
    """
    path = pathlib.Path(expand_path(folder, "folder"))
    passport_file, ids_file = path / "passport.json", path / "poster_ids.json"
    for file in (passport_file, ids_file):
        if not file.is_file():
            raise InputError(f"{str(path)!r} holds no features: it has no {file.name}. Name the features folder of a run.")
    passport = read_checked_json(passport_file, fix=_FIX)
    store = FeatureStore(path, passport, _read_ids(ids_file))
    missing = store.missing_shards()
    if missing:
        raise InputError(f"{str(path)!r} lacks {len(missing)} of {store.num_shards} parts. Run --mode=features, which resumes.")
    return store


def _read_ids(file: pathlib.Path) -> list[str]:
    try:
        ids: Any = json.loads(file.read_bytes())
    except ValueError as error:
        raise corrupt_file_error(file, _FIX, str(error)) from None
    if not isinstance(ids, list):
        raise corrupt_file_error(file, _FIX, "it holds no list")
    return ids
