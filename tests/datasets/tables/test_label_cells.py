"""Labels of cells in any notation."""

import json

import pytest

from posterfusion_jax.datasets.tables.label_cells import detect_notation, parse_labels


@pytest.mark.parametrize(
    "cell",
    [
        '["Comedy", "Sci-Fi"]',
        "['Comedy', 'Sci-Fi']",
        "['Comedy' 'Sci-Fi']",
        "['Comedy'\n 'Sci-Fi']",
        "('Comedy', 'Sci-Fi')",
        "[Comedy, Sci-Fi]",
        '[{"id": 1, "name": "Comedy"}, {"id": 2, "name": "Sci-Fi"}]',
        "[{'id': 1, 'name': 'Comedy'}, {'id': 2, 'name': 'Sci-Fi'}]",
    ],
)
def test_lists_of_json_python_and_numpy(cell):
    assert detect_notation([cell]) == "list"
    assert parse_labels(cell, "list").names == ("Comedy", "Sci-Fi")


@pytest.mark.parametrize("cell", ["(500) Days of Summer", "{x", "[unfinished"])
def test_a_bracket_alone_begins_no_list(cell):
    assert detect_notation([cell]) == ""
    assert parse_labels(cell, "").names == (cell,)


@pytest.mark.parametrize("cell", ["", "N/A", "NA", "nan", "null", "None", "(no genres listed)", "unknown", "-", "\\N", "[]"])
def test_placeholders_are_no_labels(cell):
    assert parse_labels(cell, "|") == ((), 1, False)
    assert parse_labels(f"Drama|{cell}|War", "|") == (("Drama", "War"), 1, False)


def test_spellings_stay_as_they_are():
    assert parse_labels("Drama| drama |DRAMA|Film  Noir|Drama", "|").names == ("Drama", "drama", "DRAMA", "Film  Noir")


@pytest.mark.parametrize("notation", ["|", "list"])
def test_long_cells_are_read(notation):
    names = tuple(f"Label {k}" for k in range(1_000))
    cell = json.dumps(names) if notation == "list" else notation.join(names)
    assert len(cell) > 8_000
    assert parse_labels(cell, notation) == (names, 0, False)


@pytest.mark.parametrize("notation", ["|", "list"])
def test_a_cell_that_is_too_long_is_read_in_part_and_marked(notation):
    names = tuple(f"Label {k}" for k in range(10_000))
    labels = parse_labels(json.dumps(names) if notation == "list" else notation.join(names), notation)
    assert labels.cut
    assert 1_000 < len(labels.names) < 10_000
    assert labels.names == names[: len(labels.names)]
    assert parse_labels("x" * 10_000, "") == (("x" * 200,), 0, True)
