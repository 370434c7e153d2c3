"""The file that records a split: our own with rule, seed and hash, or a plain list that somebody else wrote."""

import csv
import dataclasses
import hashlib
import io
import json
import pathlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from posterfusion_jax.datasets.imdb_posters.layout import SPLITS
from posterfusion_jax.datasets.imdb_posters.splits import HasIds
from posterfusion_jax.errors import InputError

_FILM_ID = re.compile(r"tt\d{7,10}")
_POSTER_ID = re.compile(r"tt\d{7,10}(_\d+)?")
_HEADERS = {"poster_id": "poster", "film_id": "film", "tconst": "film"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Assignment:
    """A split of films or of posters.

    Attributes:
      unit: "film" or "poster": what the ids in `splits` are.
      rule: how it came about, in a few words.
      splits: id -> "train", "validation" or "test".
      seed: of the rule, where it has one.
      fractions: wanted shares of train, validation and test, where the rule has them.
    """

    unit: str
    rule: str
    splits: Mapping[str, str]
    seed: int | None = None
    fractions: tuple[float, ...] | None = None

    @property
    def sha256(self) -> str:
        """Hash of what is assigned (unit, ids, splits), independent of rule and order."""
        canonical = json.dumps([self.unit, sorted(self.splits.items())], separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def split_of(self, poster: HasIds) -> str | None:
        """The split of a poster, None if this assignment does not name it (or its film)."""
        return self.splits.get(poster.film_id if self.unit == "film" else poster.poster_id)

    def limited_to(self, posters: Iterable[HasIds]) -> "Assignment":
        """The same assignment without the ids that no poster of `posters` needs."""
        ids = {poster.film_id if self.unit == "film" else poster.poster_id for poster in posters}
        return dataclasses.replace(self, splits={i: split for i, split in self.splits.items() if i in ids})


def write_split_file(path: str | pathlib.Path, assignment: Assignment) -> None:
    """Writes `assignment` as JSON: rule, unit, seed, fractions, sha256 and the assignment itself, sorted by id."""
    content = {
        "rule": assignment.rule,
        "unit": assignment.unit,
        "seed": assignment.seed,
        "fractions": assignment.fractions,
        "sha256": assignment.sha256,
        "assignment": dict(sorted(assignment.splits.items())),
    }
    pathlib.Path(path).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_split_file(path: str | pathlib.Path) -> Assignment:
    """Reads a split file: JSON as `write_split_file` writes it, plain JSON {id: split}, or CSV lines `id,split`.

    A CSV file may begin with a header (`poster_id,split` or `film_id,split`; more columns are ignored then). Without
    one, and in plain JSON, the ids are films if none has the form <tconst>_<k>, else posters.

    Raises:
      InputError: no such file, neither form, an unknown split, an id that is none, an id named twice, or a hash that
        does not fit the content.
    """
    path = pathlib.Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise _bad(path, f"cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise _bad(path, "is not UTF-8 text") from error
    if text.lstrip().startswith("{"):
        return _from_json(path, text)
    return _from_csv(path, text)


def _from_json(path: pathlib.Path, text: str) -> Assignment:
    try:
        content: dict[str, Any] = json.loads(text, object_pairs_hook=lambda pairs: _unique(path, pairs))
    except json.JSONDecodeError as error:
        raise _bad(path, f"is not valid JSON: {error}") from error
    if "assignment" not in content:
        return _checked(path, content, unit=None)
    if not isinstance(content["assignment"], dict):
        raise _bad(path, "has an 'assignment' that is not an object {id: split}")
    fractions = content.get("fractions")
    assignment = _checked(
        path,
        content["assignment"],
        unit=content.get("unit"),
        rule=str(content.get("rule", f"file {path.name}")),
        seed=content.get("seed"),
        fractions=tuple(fractions) if fractions is not None else None,
    )
    recorded = content.get("sha256")
    if recorded is not None and recorded != assignment.sha256:
        raise _bad(
            path,
            f"was changed after it was written: its assignment has the hash {assignment.sha256}, it records "
            f"{recorded!r}. Restore the file, or remove the field 'sha256' if the change is meant",
        )
    return assignment


def _from_csv(path: pathlib.Path, text: str) -> Assignment:
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    if not rows:
        raise _bad(path, "is empty")
    header = [cell.strip() for cell in rows[0]]
    unit, id_column, split_column = None, 0, 1
    if "split" in header:
        names = [name for name in header if name in _HEADERS]
        if len(names) != 1:
            raise _bad(path, f"has the columns {header}: exactly one of {', '.join(_HEADERS)} must be there")
        unit, id_column, split_column = _HEADERS[names[0]], header.index(names[0]), header.index("split")
        rows = rows[1:]
    width = len(header)
    for number, row in enumerate(rows, 1):
        if len(row) != width or width < 2:
            raise _bad(path, f"has {len(row)} columns in row {number}, where 'id,split' or a header is expected")
    pairs = [(row[id_column].strip(), row[split_column].strip()) for row in rows]
    return _checked(path, _unique(path, pairs), unit=unit)


def _checked(
    path: pathlib.Path,
    splits: Mapping[str, Any],
    *,
    unit: str | None,
    rule: str | None = None,
    seed: int | None = None,
    fractions: tuple[float, ...] | None = None,
) -> Assignment:
    if not splits:
        raise _bad(path, "assigns nothing")
    unknown = Counter(str(split) for split in splits.values() if split not in SPLITS)
    if unknown:
        raise _bad(path, f"names the splits {dict(unknown)}; allowed are {', '.join(SPLITS)}")
    if unit is None:
        unit = "poster" if any("_" in name for name in splits) else "film"
    if unit not in ("film", "poster"):
        raise _bad(path, f"has the unit {unit!r}; allowed are film and poster")
    form = _FILM_ID if unit == "film" else _POSTER_ID
    wrong = [name for name in splits if not form.fullmatch(name)]
    if wrong:
        example = "tt0133093" if unit == "film" else "tt0133093_1"
        raise _bad(path, f"has {len(wrong)} ids that are no {unit} ids such as {example}, the first {wrong[0]!r}")
    return Assignment(unit=unit, rule=rule or f"file {path.name}", splits=dict(splits), seed=seed, fractions=fractions)


def _unique(path: pathlib.Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise _bad(path, f"names {len(twice)} ids twice, the first {twice[0]!r}")
    return dict(pairs)


def _bad(path: pathlib.Path, what: str) -> InputError:
    return InputError(f"data.split_file={str(path)!r} {what}. data/README.md shows the form of a split file.")
