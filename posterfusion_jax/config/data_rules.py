"""The rules of the fields of a config's section "data": the source of the posters, their labels and their split."""

import difflib
from typing import Any

from posterfusion_jax.config.sections import DataConfig
from posterfusion_jax.datasets.imdb_posters.options import check_rule
from posterfusion_jax.datasets.label_set import ALL, IMDB, PAPER13, check_names, parse_aliases
from posterfusion_jax.datasets.sources.mm_imdb import MM_IMDB23
from posterfusion_jax.datasets.sources.registry import SOURCES
from posterfusion_jax.errors import InputError

FOLDER, SYNTHETIC, TABLE, AUTO = "folder", "synthetic", "table", "auto"  # values of data.source with a rule of their own
RECOMMENDED = "recommended"  # config of a run on posters of one's own that names none
OF_FILMS = (FOLDER, SYNTHETIC)  # posters named by IMDb's ids


def own_data_fields(table: str | None, images: str | None) -> list[str]:
    """Return the overrides of a config that the flags --table and --images stand for, "--config.data.field=value" each."""
    given = {"table": table, "images": images}
    fields = [f"--config.data.{name}={value}" for name, value in given.items() if value is not None]
    return [f"--config.data.source={AUTO if table is None else TABLE}", *fields] if fields else []


def complete_data(data: dict[str, Any]) -> dict[str, Any]:
    """Return the section with the source that its other fields imply; "a,b" in data.labels as two names.

    Of films a split by group is one by film.

    Args:
      data: the section, of the types of config/defaults.py.
    """
    source, split_by = data["source"], data["split_by"]
    if source == FOLDER and data["table"]:
        source = TABLE
    elif source == FOLDER and data["images"] and not data["posters_dir"]:
        source = AUTO
    if split_by == "group" and source in OF_FILMS:
        split_by = "film"
    labels = tuple(data["labels"])
    if len(labels) == 1 and "," in labels[0]:  # as they are written on a command line
        labels = tuple(name.strip() for name in labels[0].split(","))
    return data | {"source": source, "split_by": split_by, "labels": labels}


def label_rule(data: DataConfig) -> tuple[str, ...]:
    """Return data.labels, or what stands for an empty one: the paper's genres, those of MM-IMDb, or all labels."""
    if data.labels:
        return data.labels
    return (PAPER13,) if data.source in OF_FILMS else MM_IMDB23 if data.source == "mm_imdb" else (ALL,)


def check_data(flat: dict[str, Any]) -> None:
    """Check the fields of the section "data" that depend on each other.

    Args:
      flat: "section.field" -> value, of the types of config/defaults.py, completed by `complete_data`.

    Raises:
      InputError: a value that is not allowed, by itself or together with another field.
    """
    _check_source(flat)
    _check_split(flat)
    labels = flat["data.labels"]
    if labels and labels not in ((PAPER13,), (IMDB,), (ALL,)):
        check_names(labels)
    parse_aliases(flat["data.label_aliases"], ())


def _check_source(flat: dict[str, Any]) -> None:
    source, table, images = (flat[f"data.{field}"] for field in ("source", "table", "images"))
    names = (*SOURCES.names, SYNTHETIC, AUTO)
    if source not in SOURCES and source not in (SYNTHETIC, AUTO):
        near = difflib.get_close_matches(source, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"data.source={source!r} is not one of {', '.join(names)}, nor a source of your own, package.module:Class.{hint}"
        )
    if source == FOLDER and not flat["data.posters_dir"]:
        raise InputError(
            "data.posters_dir is empty. Name the folder with your posters, --config.data.posters_dir=DIR "
            "(data/README.md shows its layout), or draw some with --config.data.source=synthetic. For labels in a table of "
            "your own: --table=FILE --images=DIR."
        )
    if table and source != TABLE:
        raise InputError(f"data.table={table!r} goes with data.source='table', not with {source!r}. Leave one of them out.")
    if source == TABLE and not (table and images):
        missing, other = ("data.table", "data.images") if not table else ("data.images", "data.table")
        raise InputError(f"{missing} is empty, and data.source='table' needs it beside {other}: --table=FILE --images=DIR.")
    if source not in OF_FILMS and not (images or flat["data.posters_dir"]):
        raise InputError(f"data.images is empty. Name the folder of data.source={source!r}: --images=DIR.")


def _check_split(flat: dict[str, Any]) -> None:
    by, folds = flat["data.split_by"], flat["data.folds"]
    if by == "file" and not flat["data.split_file"]:
        raise InputError("data.split_by='file' needs data.split_file, the JSON or CSV file with the split.")
    if by == "column" and flat["data.source"] in OF_FILMS:
        raise InputError("data.split_by='column' takes the split of a table or another source; a folder of films has none.")
    fractions = flat["data.split_fractions"]
    wrong = len(fractions) != 3 or min(fractions[:2]) <= 0 or fractions[2] < 0 or abs(sum(fractions) - 1) > 1e-6
    if wrong:
        raise InputError(
            f"data.split_fractions={fractions!r} must be three shares that add up to 1, those of train and validation above 0, "
            "as in (0.8, 0.1, 0.1), or (0.9, 0.1, 0.0) without a test split."
        )
    check_rule(by, split_years(flat["data.split_years"]), folds)
    if flat["data.fold"] >= max(folds, 1):
        raise InputError(f"data.fold={flat['data.fold']} with data.folds={folds}: give a number from 0 to {max(folds - 1, 0)}.")


def split_years(years: tuple[int, ...]) -> tuple[int, ...]:
    """Return data.split_years without zeros, which stand for no year."""
    return tuple(year for year in years if year)
