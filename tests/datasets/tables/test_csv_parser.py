"""Rows of delimited text, and those that a quote without an end would take into its cell."""

import pytest

from posterfusion_jax.datasets.tables.csv_parser import parse_lines
from posterfusion_jax.datasets.tables.rows import Row


def parse(text, *, delimiter=",", width=3):
    rows = parse_lines(iter(enumerate(text.splitlines(keepends=True), 1)), delimiter, "t.csv", width=width)
    return [row.cells if isinstance(row, Row) else (row.place, row.reason) for row in rows]


def test_line_ends_in_quotes_belong_to_a_cell():
    assert parse('1,"x\ny",3\n4,5,6\n') == [["1", "x\ny", "3"], ["4", "5", "6"]]


@pytest.mark.parametrize(
    "broken",
    ['1,"x,3\n', '1,2,"x\n', '1,"' + "y" * 140_000 + "\n"],
    ids=["in the middle", "in the last cell", "a cell that is too long"],
)
def test_a_quote_without_an_end_costs_one_row(broken):
    following = [[str(k), "a", "b"] for k in range(50)]
    rows = parse("0,0,0\n" + broken + "".join(",".join(row) + "\n" for row in following))
    assert rows[0] == ["0", "0", "0"]
    assert rows[1][0] == "t.csv:2"
    assert rows[2:] == following


def test_a_quote_that_ends_in_a_later_row_costs_one_row():
    assert parse('1,"x,3\n4,5,6\n7,"y,9",8,8\n8,8,8\n') == [
        ("t.csv:1", "a quote has no end"),
        ["4", "5", "6"],
        ["7", "y,9", "8", "8"],
        ["8", "8", "8"],
    ]


def test_many_quotes_without_an_end_take_bounded_time():
    text = "".join(f'{k},"x,{k}\n{k},b,c\n' for k in range(0, 4_000, 2))
    rows = parse(text)
    bad = [row for row in rows if isinstance(row, tuple)]
    assert len(bad) > 1_000
    assert sum("are not read" in reason for _, reason in bad) == len(bad) - 1_000  # lines are parsed again 1,000 times
    assert {len(row) for row in rows if not isinstance(row, tuple)} == {3}


def test_two_colons_know_no_quotes():
    assert parse('1::"Toy Story::x\n\n2::b::c\n', delimiter="::") == [["1", '"Toy Story', "x"], ["2", "b", "c"]]
