"""Splits that follow from the data: the year of a group, or a column of the source."""

from typing import NamedTuple

import pytest

from posterfusion_jax.datasets.imdb_posters.splits import leak_share
from posterfusion_jax.datasets.imdb_posters.stated_splits import check_years, split_column, split_years
from posterfusion_jax.errors import InputError


class Dated(NamedTuple):
    poster_id: str
    film_id: str
    year: int | None


POSTERS = [
    Dated("a_1", "a", 1990),
    Dated("b_1", "b", 2000),
    Dated("c_1", "c", 2001),
    Dated("d_1", "d", 2010),
    Dated("e_1", "e", 2011),
    Dated("f_1", "f", None),
    Dated("g_1", "g", 2015),  # a later release
    Dated("g_2", "g", None),
    Dated("g_3", "g", 1995),
    Dated("f_2", "f", None),
]


def test_years_split_at_the_limits_which_belong_to_the_earlier_split():
    found = split_years(POSTERS, years=(2000, 2010))
    expected = {"a": "train", "b": "train", "c": "validation", "d": "validation", "e": "test", "g": "train"}
    assert dict(found.assignment.splits) == expected
    assert found.assignment.unit == "film"
    assert [poster.film_id for poster in POSTERS if found.assignment.split_of(poster) is None] == ["f", "f"]


def test_posters_without_a_year_are_left_out_with_the_reason():
    found = split_years(POSTERS, years=(2000, 2010))
    assert {item.what for item in found.left_out} == {"f_1", "f_2"}
    assert "has a year" in found.left_out[0].reason


def test_groups_of_several_years_are_counted_in_the_rule():
    rule = split_years(POSTERS, years=(2000, 2010)).assignment.rule
    assert rule.startswith("by year: train up to 2000, validation up to 2010, test after; ")
    assert rule.endswith("; 1 group has posters of several years, the earliest counts")
    assert ";" not in split_years(POSTERS[:6], years=(2000, 2010)).assignment.rule


def test_the_order_of_the_posters_does_not_matter():
    one, other = (split_years(posters, years=(2000, 2010)).assignment for posters in (POSTERS, POSTERS[::-1]))
    assert one.sha256 == other.sha256


def test_test_may_stay_empty():
    assert set(dict(split_years(POSTERS, years=(2000, 2020)).assignment.splits).values()) == {"train", "validation"}


@pytest.mark.parametrize(
    ("years", "message"),
    [
        ((1980, 1985), "leaves train and validation empty: of 6 groups with a year, they are from 1990 to 2011, 2 posters"),
        ((2001, 2005), "leaves validation empty"),
        ((2010, 2000), "give two years"),
        ((2000, 2000), "give two years"),
        ((2000,), "give two years"),
        ((), "give two years"),
    ],
)
def test_years_that_cannot_be_used_are_refused(years, message):
    with pytest.raises(InputError, match=rf"data\.split_years=.*{message}"):
        split_years(POSTERS, years=years)


def test_no_year_at_all_is_explained():
    with pytest.raises(InputError, match="none has a year, 1 posters have no year"):
        split_years([Dated("f_1", "f", None)], years=(2000, 2010))


def test_good_years_are_returned():
    assert check_years([1999, 2005]) == (1999, 2005)


def test_a_column_splits_poster_by_poster_and_groups_in_several_splits_are_counted():
    splits = ["train", "test", "validation", "train", "test", "", "train", "test", "val", "train"]
    rows = list(zip(POSTERS, splits, strict=True))
    found = split_column(rows)
    assert dict(found.assignment.splits) == {p.poster_id: s for p, s in rows if s not in ("", "val")}
    assert found.assignment.unit == "poster"
    assert {item.what: item.reason for item in found.left_out} == {
        "f_1": "the source assigns it no split",
        "g_3": "its split is 'val'; allowed are train, validation, test",
    }
    assert found.assignment.rule.endswith("; 1 of 7 groups have posters in several splits")
    kept = {name: [p for p, s in rows if s == name] for name in ("train", "validation", "test")}
    assert leak_share(kept) == 1 / 3


def test_a_column_without_leaks_states_none():
    rows = [(POSTERS[0], "train"), (POSTERS[1], "test")]
    assert split_column(rows).assignment.rule == "by the source's own split, poster by poster"


def test_a_column_without_train_is_refused_with_what_was_found():
    with pytest.raises(InputError, match=r"puts no poster into train \(2 in test, 0 without a split\)"):
        split_column([(POSTERS[0], "test"), (POSTERS[1], "test")])
    with pytest.raises(
        InputError, match=r"none in any split, 1 without a split\)\. The first one left out is 'a_1': the source"
    ):
        split_column([(POSTERS[0], "")])
