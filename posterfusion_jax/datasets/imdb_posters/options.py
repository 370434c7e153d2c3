"""Define the user's choices about the dataset: the one place with their names, defaults and checks."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from posterfusion_jax.datasets.imdb_posters.paths import OTHER_GENRES, SPLIT_BY
from posterfusion_jax.datasets.imdb_posters.splits import DEFAULT_FRACTIONS, check_fractions, fold_names
from posterfusion_jax.datasets.imdb_posters.stated_splits import check_years
from posterfusion_jax.datasets.label_set import ALL, IMDB, PAPER13, check_names, parse_aliases
from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.text.line_filters import NO_RULES, LineFilters


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """Hold the choices. Raises InputError for a value that is not allowed.

    Attributes:
      split_by: "film" or "group" (the same: all posters of one stay together), "poster", "file" (an existing split,
        `split_file`), "year" (`split_years`), or "column" (the source's own split).
      split_file: the split file where `split_by` is "file", else None.
      split_seed: of the rules "film" and "poster".
      split_fractions: shares of train, validation and test for these rules.
      split_years: for "year": the last year of train, and the last of validation; later ones are test.
      folds: number of folds of a cross-validation instead of train, validation and test; 0: none.
      labels: the label set (`label_set.choose_labels`): ("paper13",), ("imdb",), ("all",), or the names.
      label_min_posters: the least number of posters of a label, for "imdb" and "all"; 0: `label_set.least_posters`.
      label_aliases: further spellings of labels, "Science Fiction=sci-fi" each.
      other_genres: "drop_label" keeps a film with labels outside the set for its others, "drop_film" does not.
      preferred_engines: the OCR engines whose records count where a poster has several, best first (`RecordReader.find`).
      record_files: OCR record files besides the folder's own, each a path or a pattern such as out/ocr-*.jsonl.
      text_rules: from a record's lines to the poster's text.
    """

    split_by: str = "film"
    split_file: str | None = None
    split_seed: int = 0
    split_fractions: tuple[float, ...] = DEFAULT_FRACTIONS
    split_years: tuple[int, ...] = ()
    folds: int = 0
    labels: tuple[str, ...] = (PAPER13,)
    label_min_posters: int = 0
    label_aliases: tuple[str, ...] = ()
    other_genres: str = "drop_label"
    preferred_engines: tuple[str, ...] = ()
    record_files: tuple[str, ...] = ()
    text_rules: LineFilters = NO_RULES

    def __post_init__(self):
        if self.split_by not in SPLIT_BY:
            raise InputError(f"data.split_by={self.split_by!r}: allowed are {', '.join(SPLIT_BY)}.")
        if self.other_genres not in OTHER_GENRES:
            raise InputError(f"data.other_genres={self.other_genres!r}: allowed are {', '.join(OTHER_GENRES)}.")
        if (self.split_by == "file") != (self.split_file is not None):
            raise InputError(
                f"data.split_by={self.split_by!r} with data.split_file={self.split_file!r}: a split file goes with "
                "data.split_by=file, and only with it."
            )
        check_fractions(self.split_fractions)
        check_rule(self.split_by, self.split_years, self.folds)
        if self.labels not in ((PAPER13,), (IMDB,), (ALL,)):
            check_names(self.labels)
        parse_aliases(self.label_aliases, ())
        if self.label_min_posters < 0:
            raise InputError(f"data.label_min_posters={self.label_min_posters}: give 0 (automatic) or a number of posters.")


def check_rule(split_by: str, years: tuple[int, ...], folds: int) -> None:
    """Check that a split's rule, its years and its folds fit each other.

    Args:
      split_by: one of `SPLIT_BY`.
      years: of the rule "year", else ().
      folds: 0: no cross-validation.

    Raises:
      InputError: they do not.
    """
    if split_by == "year":
        check_years(years)
    elif years:
        raise InputError(f"data.split_years={years} goes with data.split_by='year', not with {split_by!r}.")
    if folds:
        fold_names(folds)
        if split_by not in ("film", "group"):
            raise InputError(f"data.folds={folds} goes with data.split_by=film or group, not with {split_by!r}.")


DEFAULT_OPTIONS = BuildOptions()


def parse_options(fields: Mapping[str, Any]) -> BuildOptions:
    """Return the options of JSON data: their fields by name, with lists for tuples and an object for `text_rules`.

    Raises:
      InputError: a field of `text_rules` is unknown, or a value is not allowed.
    """
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    rules = values.get("text_rules", NO_RULES)
    if not isinstance(rules, LineFilters):
        known = [field.name for field in dataclasses.fields(LineFilters)]
        for name in rules:
            if name not in known:
                raise InputError(f"text_rules has the field {name!r}; allowed are {', '.join(known)}.")
        values["text_rules"] = LineFilters(**rules)
    return BuildOptions(**values)
