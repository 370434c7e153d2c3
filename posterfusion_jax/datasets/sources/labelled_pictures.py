"""Find out which pictures of different labels are the same poster: by equal bytes, or by names that identify a poster."""

import itertools
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from posterfusion_jax.datasets.sources.base import LeftOut
from posterfusion_jax.datasets.sources.file_names import printable_name, read_file_name
from posterfusion_jax.posters.folder import Skipped
from posterfusion_jax.posters.image_files import shown
from posterfusion_jax.utils.disk_collections import DiskDict, DiskList, sort_on_disk

_STAND_IN = "same bytes, other title"


class LabelledPicture(NamedTuple):
    """Hold a picture in the folder of a label: its path inside the source without suffix, its file, and its bytes' hash."""

    name: str
    file: str
    label: str
    split: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Return the last part of its name."""
        return os.path.basename(self.name)


class _Keyed(NamedTuple):
    """Hold a picture and the key that it shares with the other pictures of its poster."""

    key: str
    picture: LabelledPicture

    @classmethod
    def from_json(cls, values: tuple[str, list[str]]) -> "_Keyed":
        return cls(values[0], LabelledPicture._make(values[1]))


def merge_pictures(
    pictures: Iterable[LabelledPicture], left_out: LeftOut, counts: Counter[str]
) -> Iterator[list[LabelledPicture]]:
    """Yield, for each poster, its pictures in the order of their names, one for each combination of bytes, label and split.

    Pictures with equal bytes are one poster; so are pictures of one split whose name identifies a poster. Where the same
    bytes have the names of different films, they are a stand-in for missing posters, and left out.

    Args:
      pictures: of all labels; they are kept on disk.
      left_out: gets the stand-ins, and the pictures of a poster whose bytes differ from its first picture's.
      counts: gets "pictures", "posters", "equal bytes", "equal names" (posters with several labels by these) and "repeated
        names" (names that identify nothing and are in the folders of several labels).
    """
    by_hash = sort_on_disk(
        LabelledPicture._make, ((os.fsencode(picture.sha256 + picture.name), picture) for picture in pictures)
    )
    keys = _find_keys(by_hash)

    def keyed() -> Iterator[tuple[bytes, _Keyed]]:
        for picture in by_hash:
            key = keys.get(picture.sha256, f"bytes {picture.sha256}")
            yield os.fsencode(f"{key}\0{picture.name}"), _Keyed(key, picture)

    in_order = sort_on_disk(_Keyed.from_json, keyed())
    for key, same in itertools.groupby(in_order, key=lambda item: item.key):
        if not key:
            _leave_out_stand_ins(same, left_out)
            continue
        distinct: dict[tuple[str, str, str], LabelledPicture] = {}
        for item in same:
            counts["pictures"] += 1
            distinct.setdefault((item.picture.sha256, item.picture.label, item.picture.split), item.picture)
        for poster in _posters(list(distinct.values())):
            counts["posters"] += 1
            _count_labels(poster, counts)
            for other in poster:
                if other.sha256 != poster[0].sha256:
                    reason = f"its name is that of {shown(poster[0].name)}, which is used with the labels of both"
                    left_out["other file of a poster"].append(Skipped(shown(other.name), reason))
            yield poster
    counts["repeated names"] = _count_repeated(in_order)


def _find_keys(by_hash: Iterable[LabelledPicture]) -> DiskDict[str]:
    """Return hash -> key of the poster, "" for a stand-in; without those that have no name that identifies them."""

    def keys() -> Iterator[tuple[str, str]]:
        for sha256, same in itertools.groupby(by_hash, key=lambda picture: picture.sha256):
            films, splits, best = set[str](), set[str](), ("", "")  # the best name is that of a film
            for picture in same:
                splits.add(picture.split)
                about = read_file_name(picture.file_name)
                if about.film and len(films) < 2:
                    films.add(about.film)
                if about.identifies and (not best[1] or (not about.film, picture.file_name) < (not best[0], best[1])):
                    best = (about.film, picture.file_name)
            if len(films) > 1:
                yield sha256, ""
            elif best[1]:
                yield sha256, f"name {first_split(splits)}/{printable_name(best[1]).casefold()}"

    return DiskDict(str, keys())


def first_split(splits: Collection[str]) -> str:
    """Return the split that counts for a picture in several: test before validation before train; "" for none."""
    return next((split for split in ("test", "validation", "train") if split in splits), "")


def _posters(pictures: list[LabelledPicture]) -> list[list[LabelledPicture]]:
    """Return the posters of pictures with one key: one; or one for each hash, where a label has the name twice."""
    by_label: dict[tuple[str, str], str] = {}
    for picture in pictures:
        if by_label.setdefault((picture.label, picture.split), picture.sha256) != picture.sha256:
            by_hash: dict[str, list[LabelledPicture]] = {}
            for other in pictures:
                by_hash.setdefault(other.sha256, []).append(other)
            return list(by_hash.values())
    return [pictures]


def _count_labels(poster: list[LabelledPicture], counts: Counter[str]) -> None:
    if len({picture.label for picture in poster}) > 1:
        counts["equal bytes" if len({picture.sha256 for picture in poster}) == 1 else "equal names"] += 1


def _leave_out_stand_ins(same: Iterable[_Keyed], left_out: LeftOut) -> None:
    reason = "its bytes are those of pictures with other titles in their names: a stand-in for a missing poster, or a mistake"
    for item in same:
        left_out[_STAND_IN].append(Skipped(shown(item.picture.name), reason))


def _count_repeated(in_order: DiskList[_Keyed]) -> int:
    """Return how many names that identify nothing are in the folders of several labels, with different bytes."""
    unnamed = (item.picture for item in in_order if item.key.startswith("bytes "))
    by_name = sort_on_disk(
        LabelledPicture._make, ((os.fsencode(f"{p.file_name.casefold()}\0{p.sha256}\0{p.label}"), p) for p in unnamed)
    )
    count = 0
    for _, same in itertools.groupby(by_name, key=lambda picture: picture.file_name.casefold()):
        pairs = [(picture.sha256, picture.label) for picture in itertools.islice(same, 1000)]
        count += len({sha256 for sha256, _ in pairs}) > 1 and len({label for _, label in pairs}) > 1
    return count
