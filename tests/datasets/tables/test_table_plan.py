"""What a table's columns mean, and how its rows name their pictures, where no name of a column tells."""

import json

import pytest
from tables import draw_pictures, write_csv

from posterfusion_jax.datasets.sources.table import TableSource
from posterfusion_jax.datasets.sources.table_columns import TableColumns
from posterfusion_jax.errors import InputError

IDS = [f"tt{k:07d}" for k in range(1, 13)]


def read(tmp_path, header, rows, pictures=IDS, columns=None):
    draw_pictures(tmp_path / "images", pictures)
    source = TableSource(write_csv(tmp_path / "labels.csv", header, rows), tmp_path / "images", columns)
    found = source.list_pictures()
    entries = source.read_entries(found.posters)
    return source, {poster.poster_id: entries.by_key[poster.poster_id] for poster in found.posters}, "\n".join(entries.how)


def test_paths_in_a_column_of_any_name(tmp_path):
    rows = [[k, f"Film {k}", "Drama", f"images/sub{k}/p{k}.jpg"] for k in range(12)]
    source, posters, how = read(tmp_path, ["n", "title", "genre", "where"], rows, [f"sub{k}/p{k}" for k in range(12)])
    assert len(posters) == 12
    assert "pictures: 'where' names 12 of the first 12" in how
    assert source.decisions()["data.table_columns.picture"] == "where"


def test_addresses_whose_last_part_is_the_file(tmp_path):
    rows = [[k, "Drama", f"https://images.example/w500/{name}.jpg?v=1"] for k, name in enumerate(IDS)]
    _, posters, how = read(tmp_path, ["n", "genre", "url"], rows)
    assert list(posters) == IDS
    assert "pictures: 'url' names 12" in how


def test_ids_in_a_column_of_any_name(tmp_path):
    rows = [[k + 500, 1990, "Drama", f"zz{k}"] for k in range(12)]
    source, posters, how = read(tmp_path, ["n", "year", "genre", "code"], rows, ["1990", *(f"zz{k}" for k in range(12))])
    assert len(posters) == 12
    assert "pictures: 'code' names 12 of the first 12" in how
    assert source.decisions()["data.table_columns.id"] == "code"
    given = {name.rpartition(".")[2]: value for name, value in source.decisions().items()}
    again = TableSource(tmp_path / "labels.csv", tmp_path / "images", TableColumns(**given))
    assert list(again.list_pictures().posters) == list(source.list_pictures().posters)


def test_titles_as_names_of_files(tmp_path):
    titles = ["Alien", "Heat", "Toy Story", "None", "Unknown"]
    _, posters, _ = read(tmp_path, ["n", "title", "genre"], [[k, title, "Drama"] for k, title in enumerate(titles)], titles[:4])
    assert sorted(posters) == ["Alien", "Heat", "Toy Story"]  # "None" is what pandas writes for an absent title


def test_an_empty_id_does_not_shift_the_others(tmp_path):
    rows = [["" if k % 2 else f"q{k}", "" if k == 4 else name, "Drama"] for k, name in enumerate(IDS)]
    _, posters, how = read(tmp_path, ["id", "imdb_id", "genre"], rows)
    assert list(posters) == [name for k, name in enumerate(IDS) if k != 4]
    assert "pictures: 'imdb_id' names 11 of the first 12" in how


def test_the_first_rows_may_have_no_picture(tmp_path):
    rows = [[f"q{k}", "Drama"] for k in range(2_500)] + [[name, "War"] for name in IDS]
    _, posters, how = read(tmp_path, ["id", "genre"], rows)
    assert list(posters) == IDS
    assert "2,512 rows, 12 with a picture, 2,500 without" in how


def test_a_given_column_alone_is_looked_up(tmp_path):
    rows = [[name, f"q{k}", "Drama"] for k, name in enumerate(IDS)]
    with pytest.raises(InputError, match=r"rows name 'q0', 'q1', 'q2' \(tried 'code'\), the pictures are 'tt0000001'"):
        read(tmp_path, ["imdb_id", "code", "genre"], rows, columns=TableColumns(id="code"))


def test_a_table_for_other_pictures_shows_three_names_of_both(tmp_path):
    rows = [[name, "Drama"] for name in IDS]
    with pytest.raises(InputError) as error:
        read(tmp_path, ["imdb_id", "genre"], rows, [f"x{k}" for k in range(10, 15)])
    message = str(error.value)
    assert "rows name 'tt0000001', 'tt0000002', 'tt0000003'" in message
    assert "the pictures are 'x10', 'x11', 'x12' and 2 more" in message
    assert "data.table_columns.picture=COLUMN" in message


def test_columns_with_other_cells_than_0_and_1_are_named(tmp_path):
    rows = [[name, k % 2, 1 - k % 2, k % 3, "yes" if k == 5 else 1] for k, name in enumerate(IDS)]
    source, posters, how = read(tmp_path, ["id", "Action", "Drama", "War", "Crime"], rows)
    assert "labels: 3 columns of 0 and 1: Action, Drama, Crime" in how
    assert "no labels, because not all cells are 0 or 1: War (a cell is '2')" in how
    assert posters["tt0000001"].labels == ("Drama", "Crime")
    assert posters["tt0000006"].labels == ("Action",)
    notes = source.read_entries(source.list_pictures().posters).notes
    assert notes == {"column 'Crime' is neither 0 nor 1: taken for 0": {"count": 1, "first": [["labels.csv:7", "yes"]]}}


def test_a_table_without_labels_shows_its_cells_and_the_fields(tmp_path):
    rows = [[name, f"a plot of {k} words", 2 + k % 2] for k, name in enumerate(IDS)]
    with pytest.raises(InputError) as error:
        read(tmp_path, ["id", "plot", "rating"], rows)
    for part in ("table_columns.labels=COLUMN", "label_table=FILE", "id: 'tt0000001'; plot: 'a plot of 0 words'; rating: '2'"):
        assert part in str(error.value)


def test_names_of_labels_with_commas_repeat(tmp_path):
    rows = [[name, k % 2, 1 - k % 2] for k, name in enumerate(IDS)]
    source, posters, _ = read(tmp_path, ["id", "Food, Wine", "Travel"], rows)
    given = {name.rpartition(".")[2]: value for name, value in source.decisions().items()}
    again = TableSource(tmp_path / "labels.csv", tmp_path / "images", TableColumns(**given))
    entries = again.read_entries(again.list_pictures().posters)
    assert {poster.poster_id: entries.by_key[poster.poster_id] for poster in again.list_pictures().posters} == posters
    assert posters["tt0000002"].labels == ("Food, Wine",)


def test_labels_of_a_second_table_belong_to_the_column_they_share(tmp_path):
    """The pictures are named by another id than the labels."""
    write_csv(tmp_path / "genres.csv", ["film", "genre"], [[k, label] for k in range(12) for label in ("Drama", f"L{k}")])
    rows = [[name, k, f"Film {k}"] for k, name in enumerate(IDS)]
    _, posters, how = read(tmp_path, ["imdb_id", "film", "title"], rows)
    assert posters["tt0000003"].labels == ("Drama", "L2")
    assert "labels: genres.csv, column 'genre', one in each row" in how


@pytest.mark.parametrize("column", ["id", "file"])
def test_a_table_with_one_label_per_row(tmp_path, column):
    rows = [[f"{name}.jpg" if column == "file" else name, label] for name in IDS for label in ("Drama", name[-2:])]
    source, posters, how = read(tmp_path, [column, "label"], rows)
    assert posters["tt0000003"].labels == ("Drama", "03")
    assert f"rows with the same {column!r} are of one poster" in how
    assert not source.list_pictures().left_out


def test_one_json_file_per_film_next_to_its_picture(tmp_path):
    draw_pictures(tmp_path, [f"{k:07d}" for k in range(1, 13)])
    for k in range(1, 13):
        fields = {"genres": ["Drama", f"L{k}"], "plot": "A plot.", "cast": ["A", "B"], "title": f"Film {k}", "year": 1990}
        (tmp_path / f"{k:07d}.json").write_text(json.dumps(fields))
    source = TableSource(tmp_path, tmp_path)
    posters = list(source.list_pictures().posters)
    entries = source.read_entries(posters)
    assert [entries.by_key[poster.poster_id].labels for poster in posters] == [("Drama", f"L{k}") for k in range(1, 13)]
    assert [entries.by_key[poster.poster_id].title for poster in posters] == [f"Film {k}" for k in range(1, 13)]


@pytest.mark.parametrize(("column", "unit"), [("isbn", "book"), ("tmdb_id", "film"), ("code", "group")])
def test_the_unit_is_that_of_the_columns(tmp_path, column, unit):
    source, _, how = read(tmp_path, [column, "genre"], [[f"9{k}", "Drama"] for k in range(12)], [f"9{k}" for k in range(12)])
    assert source.unit == unit
    assert ("film" in how) == (unit == "film")
