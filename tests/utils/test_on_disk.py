"""Collections on disk behave as Python's own, hold nothing in memory and leave nothing behind."""

import os
import pathlib
import sqlite3
import subprocess
import sys
import tracemalloc
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posterfusion_jax.errors import InputError
from posterfusion_jax.utils import disk_collections
from posterfusion_jax.utils.disk_collections import DiskDict, DiskList, DiskSet, sort_on_disk

TEXTS = st.text(st.characters(exclude_categories=()))  # lone surrogates, too: they are in names of files
KEYS = st.text()


class Item(NamedTuple):
    name: str
    number: int | None


ITEMS = st.lists(st.builds(Item, TEXTS, st.none() | st.integers()))


@given(ITEMS, st.sampled_from((0, 63, 64, 65, 200)), st.integers(-300, 300), st.none() | st.integers(-300, 300))
def test_a_list_is_a_list(items, more, start, stop):
    items = items + [Item("more", k) for k in range(more)]
    kept = DiskList(Item._make, items[:70])
    kept.extend(items[70:])
    assert (len(kept), list(kept), bool(kept)) == (len(items), items, bool(items))
    assert all(isinstance(item, Item) for item in kept)
    part = kept[start:stop]
    assert (len(part), list(part)) == (len(items[start:stop]), items[start:stop])
    assert list(part[1:-1]) == items[start:stop][1:-1]
    for k in {0, len(items) // 2, len(items) - 1} if items else ():
        assert (kept[k], kept[k - len(items)]) == (items[k], items[k])
    for outside in (len(items), -len(items) - 1):
        with pytest.raises(IndexError):
            kept[outside]


def test_only_slices_of_step_one_are_views():
    with pytest.raises(ValueError, match="a slice of step 2"):
        DiskList(int, range(9))[::2]


def test_several_readers_of_one_list_do_not_disturb_each_other():
    kept = DiskList(int, range(1000))
    assert list(zip(kept, kept[500:], strict=False)) == list(zip(range(1000), range(500, 1000), strict=False))


@given(st.dictionaries(KEYS, TEXTS), st.dictionaries(KEYS, TEXTS), st.lists(KEYS))
def test_a_dict_is_a_dict_in_the_order_of_its_keys(first, second, others):
    kept, expected = DiskDict(str, first.items()), {**first, **second}
    for key, value in second.items():
        kept[key] = value
    assert list(kept) == sorted(expected)
    assert list(kept.items()) == sorted(expected.items())
    assert (len(kept), kept == expected) == (len(expected), True)
    for key in (*expected, *others):
        assert (key in kept, kept.get(key)) == (key in expected, expected.get(key))
    with pytest.raises(KeyError):
        kept["".join(expected) + "absent"]


def test_what_is_being_read_stays():
    keys = iter(DiskDict(int, ((f"{k:04d}", k) for k in range(2000))))
    pairs = iter(DiskDict(int, ((f"{k:04d}", k) for k in range(2000))).items())
    numbers = iter(DiskList(int, range(2000))[5:])
    assert (next(keys), next(pairs), next(numbers)) == ("0000", ("0000", 0), 5)
    assert (len(list(keys)), len(list(pairs)), len(list(numbers))) == (1999, 1999, 1994)


@given(st.sets(st.binary()), st.lists(st.binary()))
def test_a_set_is_a_set(keys, others):
    kept = DiskSet()
    assert [kept.add(key) for key in (*keys, *keys)] == [True] * len(keys) + [False] * len(keys)
    assert all((key in kept) == (key in keys) for key in (*keys, *others))


def test_a_set_knows_keys_of_equal_checksums_apart():
    first, second = b"plumless", b"buckeroo"  # of equal CRC-32
    assert second not in DiskSet([first])
    assert DiskSet([first]).add(second)


@given(ITEMS)
def test_sorting_is_stable_and_by_code_points(items):
    in_order = sort_on_disk(Item._make, ((item.name.encode(errors="surrogatepass"), item) for item in items))
    assert list(in_order) == sorted(items, key=lambda item: item.name)


def test_memory_does_not_grow_with_the_items():
    """Python's; SQLite's own is bounded by its cache."""

    def peak(count: int) -> int:
        tracemalloc.start()
        numbers = DiskList(Item._make, (Item(f"{k * 7919 % count:09d}", k) for k in range(count)))
        in_order = sort_on_disk(Item._make, ((item.name, item) for item in numbers))
        known, names = DiskDict(Item._make, ((item.name, item) for item in in_order)), DiskSet(item.name for item in in_order)
        assert sum(item.name in names and known[item.name] == item for item in in_order[-100:]) == 100
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert peak(40_000) < peak(2_000) + 100_000


def test_a_full_disk_is_told_with_its_place(monkeypatch):
    whole = disk_collections._open

    def small(table: str) -> sqlite3.Connection:
        db = whole(table)
        db.execute("PRAGMA max_page_count = 4")
        return db

    monkeypatch.setattr(disk_collections, "_open", small)
    names = [f"a name of some length, {k}" for k in range(2000)]
    known = DiskDict(str)
    for fill in (
        lambda: DiskList(str, names),
        lambda: DiskDict(str, ((name, name) for name in names)),
        lambda: [known.__setitem__(name, name) for name in names],
        lambda: DiskSet(names),
        lambda: sort_on_disk(str, ((name, name) for name in names)),
    ):
        with pytest.raises(InputError, match=r"temporary files cannot be written: database or disk is full.* TMPDIR=FOLDER"):
            fill()


def test_nothing_is_left_of_a_process_that_is_killed(tmp_path):
    script = """
import os, signal
from posterfusion_jax.utils.disk_collections import DiskList
items = DiskList(str, ("x" * 1000 for _ in range(10_000)))
held = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.islink(f"/proc/self/fd/{fd}")]
print([name for name in held if name.endswith("(deleted)")], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    root = str(pathlib.Path(__file__).parents[2])
    environment = {**os.environ, "SQLITE_TMPDIR": str(tmp_path), "PYTHONPATH": root}
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=60)
    assert killed.returncode == -9, killed.stderr
    assert str(tmp_path) in killed.stdout  # so there was a file, and in that folder
    assert os.listdir(tmp_path) == []
