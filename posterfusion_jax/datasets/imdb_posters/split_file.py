"""Read and write split files: this project's own with rule, seed and hash, or a plain list of another source."""

import csv
import dataclasses
import functools
import io
import json
import pathlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from posterfusion_jax.datasets.imdb_posters.hashing import hash_json
from posterfusion_jax.datasets.imdb_posters.paths import SPLITS
from posterfusion_jax.datasets.imdb_posters.splits import HasIds
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.disk_collections import DiskDict, DiskSet

_FILM_ID = re.compile(r"tt[0-9]{7,10}")
_POSTER_ID = re.compile(r"tt[0-9]{7,10}(_[0-9]+)?")
_HEADERS = {"poster_id": "poster", "film_id": "film", "tconst": "film"}
_OTHER_HEADERS = {**_HEADERS, "poster": "poster", "group_id": "film", "group": "film", "id": None}  # None: posters or groups


@dataclasses.dataclass(frozen=True, kw_only=True)
class Assignment:
    """Assign films or posters to splits.

    Attributes:
      unit: "film" or "poster": what the ids in `splits` are.
      rule: a short description of how the split was made.
      splits: id -> "train", "validation" or "test", in the order of the ids.
      seed: of the rule, where it has one.
      fractions: wanted shares of train, validation and test, where the rule has them.
    """

    unit: str
    rule: str
    splits: Mapping[str, str]
    seed: int | None = None
    fractions: tuple[float, ...] | None = None

    def __post_init__(self):
        if not isinstance(self.splits, DiskDict):  # which has that order
            object.__setattr__(self, "splits", dict(sorted(self.splits.items())))

    @functools.cached_property
    def sha256(self) -> str:
        """Return the hash of the assignment (unit, ids, splits), independent of rule and order."""
        return hash_json([self.unit, iter(self.splits.items())])

    def split_of(self, poster: HasIds) -> str | None:
        """Return the split of a poster, or None if this assignment does not name it (or its film)."""
        return self.splits.get(self._id_of(poster))

    def limited_to(self, posters: Iterable[HasIds]) -> "Assignment":
        """Return the assignment without the ids that no poster of `posters` needs."""
        ids = DiskSet(map(self._id_of, posters))
        return dataclasses.replace(self, splits=DiskDict(str, (item for item in self.splits.items() if item[0] in ids)))

    def _id_of(self, poster: HasIds) -> str:
        return poster.film_id if self.unit == "film" else poster.poster_id


def write_split_file(path: str | pathlib.Path, assignment: Assignment) -> None:
    """Write `assignment` as JSON: rule, unit, seed, fractions, sha256 and the assignment itself, sorted by id."""
    about = {
        "rule": assignment.rule,
        "unit": assignment.unit,
        "seed": assignment.seed,
        "fractions": assignment.fractions,
        "sha256": assignment.sha256,
    }
    with pathlib.Path(path).open("w", encoding="utf-8") as file:  # line by line: json.dump takes nothing but a dict
        file.write(json.dumps(about, indent=1).removesuffix("\n}") + ',\n "assignment": {')
        for number, (name, split) in enumerate(assignment.splits.items()):
            file.write(f"{',' if number else ''}\n  {json.dumps(name)}: {json.dumps(split)}")
        file.write("\n }\n}\n")


class _Form(NamedTuple):
    """Hold what a split file may contain: names of splits, and the posters whose ids it has; None: IMDb's ids."""

    splits: Sequence[str]
    posters: Iterable[HasIds] | None

    @property
    def headers(self) -> Mapping[str, str | None]:
        """Return the names of columns of ids, with what their ids are."""
        return _HEADERS if self.posters is None else _OTHER_HEADERS


def read_split_file(
    path: str | pathlib.Path, *, posters: Iterable[HasIds] | None = None, splits: Sequence[str] = SPLITS
) -> Assignment:
    """Read a split file: JSON as `write_split_file` writes it, plain JSON {id: split}, or CSV lines `id,split`.

    A CSV file may begin with a header (`poster_id,split` or `film_id,split`; more columns are ignored then). Without
    one, and in plain JSON, the ids are films if none has the form <tconst>_<k>, else posters.

    Args:
      path: the file.
      posters: posters of a source other than IMDb, whose posters and groups have any ids. Where the file does not state what
        its ids are, they are groups (unit "film") if more groups than posters have one of them, or equally many, else
        posters. None: ids are those of IMDb.
      splits: names of the splits that may be assigned.

    Raises:
      InputError: no such file, neither form, an unknown split, a malformed id, a duplicate id, or a hash
        that does not match the content.
    """
    path, form = pathlib.Path(path), _Form(splits, posters)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise _bad(path, f"cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise _bad(path, "is not UTF-8 text") from error
    if text.lstrip().startswith("{"):
        return _from_json(path, text, form)
    return _from_csv(path, text, form)


def _from_json(path: pathlib.Path, text: str, form: _Form) -> Assignment:
    try:
        content: dict[str, Any] = json.loads(text, object_pairs_hook=lambda pairs: _unique(path, pairs))
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise _bad(path, f"is not valid JSON: {error}") from error
    if "assignment" not in content:
        return _checked(path, content, form, unit=None)
    for field, (description, is_allowed) in _FIELDS.items():
        if not is_allowed(content.get(field)):
            raise _bad(path, f"has {_brief(content[field])} as {field!r}, which must be {description}")
    fractions = content.get("fractions")
    assignment = _checked(
        path,
        content["assignment"],
        form,
        unit=content.get("unit"),
        rule=content.get("rule"),
        seed=content.get("seed"),
        fractions=tuple(fractions) if fractions is not None else None,
    )
    recorded = content.get("sha256")
    if recorded is not None and recorded != assignment.sha256:
        raise _bad(
            path,
            f"was changed after it was written: its assignment has the hash {assignment.sha256}, it records "
            f"{_brief(recorded)}. Restore the file, or remove the field 'sha256' if the change is meant",
        )
    return assignment


def _from_csv(path: pathlib.Path, text: str, form: _Form) -> Assignment:
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise _bad(path, f"is not valid CSV in line {reader.line_num}: {error}") from error
    if not rows:
        raise _bad(path, "is empty")
    header = [cell.strip() for cell in rows[0][1]]
    unit, id_column, split_column = None, 0, 1
    if "split" in header:
        names = [name for name in header if name in form.headers]
        if len(names) != 1 or header.count("split") != 1:
            raise _bad(
                path, f"has the columns {_brief(header)}: exactly one of {', '.join(form.headers)} and one split must be there"
            )
        unit, id_column, split_column = form.headers[names[0]], header.index(names[0]), header.index("split")
        rows = rows[1:]
    width = len(header)
    for line, row in rows:
        if len(row) != width or width < 2:
            raise _bad(path, f"has {len(row)} columns in line {line}, where 'id,split' or a header is expected")
    pairs = [(row[id_column].strip(), row[split_column].strip()) for _, row in rows]
    return _checked(path, _unique(path, pairs), form, unit=unit)


def _checked(
    path: pathlib.Path,
    splits: Mapping[str, Any],
    form: _Form,
    *,
    unit: str | None,
    rule: str | None = None,
    seed: int | None = None,
    fractions: tuple[float, ...] | None = None,
) -> Assignment:
    if not splits:
        raise _bad(path, "assigns nothing")
    unknown = {name: split for name, split in splits.items() if split not in form.splits}
    if unknown:
        counts = Counter(str(split)[:40] for split in unknown.values()).most_common(5)
        first = _brief(next(iter(unknown)))
        raise _bad(
            path,
            f"names the splits {dict(counts)}; allowed are {', '.join(form.splits)}. The first is that of {first}",
        )
    if form.posters is not None:
        if "" in splits:
            raise _bad(path, "has an empty id")
        unit = unit or _matching_unit(splits, form.posters)
    else:
        unit = unit or ("poster" if any("_" in name for name in splits) else "film")
        _check_imdb_ids(path, splits, unit)
    return Assignment(unit=unit, rule=rule or f"file {path.name}", splits=dict(splits), seed=seed, fractions=fractions)


def _matching_unit(splits: Mapping[str, Any], posters: Iterable[HasIds]) -> str:
    """Return "film" if at least one id, and at least as many as are those of posters, are ids of groups, else "poster"."""
    of_posters, groups = 0, set[str]()
    for poster in posters:
        of_posters += poster.poster_id in splits
        if poster.film_id in splits:
            groups.add(poster.film_id)
    return "film" if groups and len(groups) >= of_posters else "poster"


def _check_imdb_ids(path: pathlib.Path, splits: Mapping[str, Any], unit: str) -> None:
    form = _FILM_ID if unit == "film" else _POSTER_ID
    wrong = [name for name in splits if not form.fullmatch(name)]
    if wrong:
        example = "tt0133093" if unit == "film" else "tt0133093_1"
        raise _bad(path, f"has {len(wrong)} ids that are no {unit} ids such as {example}, the first {_brief(wrong[0])}")


def _unique(path: pathlib.Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise _bad(path, f"names {len(twice)} ids twice, the first {_brief(twice[0])}")
    return dict(pairs)


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


# Fields of a recorded split: a description of the allowed values, and a check of a value (None where it is absent).
_FIELDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "assignment": ("an object {id: split}", lambda value: isinstance(value, dict)),
    "unit": ("'film' or 'poster'", lambda value: value in (None, "film", "poster")),
    "rule": ("a line of text", lambda value: value is None or (isinstance(value, str) and value.isprintable())),
    "seed": (
        "a whole number",
        lambda value: value is None or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63),
    ),
    "fractions": (
        "three shares",
        lambda value: value is None or (isinstance(value, list) and len(value) == 3 and all(map(_is_share, value))),
    ),
    "sha256": ("a text", lambda value: value is None or isinstance(value, str)),
}


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _bad(path: pathlib.Path, what: str) -> InputError:
    return InputError(f"data.split_file={str(path)!r} {what}. data/README.md shows the form of a split file.")
