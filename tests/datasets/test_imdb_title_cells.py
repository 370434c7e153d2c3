"""Years, film ids, titles and genres in the spellings of pandas, Excel and R."""

import pytest

from posterfusion_jax.datasets.imdb_posters.title_cells import parse_film_id, parse_labels, parse_title, parse_year


@pytest.mark.parametrize(
    "cell",
    [
        *("1999", "1999.0", "1999.", "1999.00", " 1999 ", '"1999"', "1999,0", "1.999E3", "1.999e+03", "1,999E+03", "1999L"),
        *("1999-01-01", "1999-01-01 00:00:00", "1999-01-01T00:00:00.000Z", "01/05/1999", "1.5.1999", "1999/1/5", "1,999"),
        *("(1999)", "1999-2003", "1999\u20132003", "1999-", '" 1999.0 "', "1999-05"),
    ],
)
def test_years(cell):
    assert parse_year(cell) == 1999


@pytest.mark.parametrize(
    "cell", ["", " ", "\\N", "NaN", "nan", "NA", "<NA>", "None", "NULL", "N/A", "null", "NaT", '""', '"\\N"', "#N/A"]
)
def test_absent_years(cell):
    assert parse_year(cell) is None


@pytest.mark.parametrize(
    "cell", ["-1999", "19x9", "1999.5", "0", "12", "99999", "3021", "9" * 5000, "True", "inf", "1e400", "19990101", "\u0661999"]
)
def test_what_is_no_year(cell):
    with pytest.raises(ValueError, match="no year from 1850"):
        parse_year(cell)


@pytest.mark.parametrize(
    "cell",
    [
        *("tt0114709", "114709", "tt114709", "0114709", "114709.0", " tt0114709 ", '"tt0114709"', "TT0114709"),
        *("https://www.imdb.com/title/tt0114709/", "http://www.imdb.com/title/tt0114709?ref=x", "imdb.com/title/tt0114709"),
    ],
)
def test_film_ids(cell):
    assert parse_film_id(cell) == "tt0114709"


@pytest.mark.parametrize("cell", ["", "nm0000001", "tt", "tt0114709x", "Toy Story", "-114709", "tt0114709\0", "tt" + "1" * 11])
def test_what_is_no_film_id(cell):
    assert parse_film_id(cell) is None


@pytest.mark.parametrize(
    "cell",
    [
        *("Comedy,Sci-Fi,War", "Comedy, Sci-Fi, War", "Comedy|Sci-Fi|War", "Comedy;Sci-Fi;War", "Comedy / Sci-Fi / War"),
        *('"Comedy,Sci-Fi,War"', "COMEDY,SCI-FI,War", "['Comedy', 'Sci-Fi', 'War']", '["Comedy", "Sci-Fi", "War"]'),
        *("('Comedy', 'Sci-Fi', 'War')", "['Comedy' 'Sci-Fi' 'War']", "[Comedy, Sci-Fi, War]", "{'Comedy', 'Sci-Fi', 'War'}"),
        "[{'id': 35, 'name': 'Comedy'}, {'id': 878, 'name': 'Sci-Fi'}, {'id': 1, 'name': 'War'}]",
        '[{"id": 35, "name": "Comedy"}, {"id": 878, "name": "Sci-Fi"}, {"id": 1, "name": "War"}]',
        *("Comedy Sci-Fi War", "Comedy,Comedy,Sci-Fi,War"),
    ],
)
def test_lists_of_genres(cell):
    labels, clean = parse_labels(cell)
    assert ([label.lower() for label in labels], clean) == (["comedy", "sci-fi", "war"], True)


@pytest.mark.parametrize("cell", ["", "\\N", "NaN", "nan", "<NA>", "None", "[]", "N/A", "(no genres listed)", '""'])
def test_absent_genres(cell):
    assert parse_labels(cell) == ((), True)


@pytest.mark.parametrize("cell", ["Drama,", ",Drama", "Drama,,Drama", "['Drama', '']"])
def test_genres_without_a_name(cell):
    assert parse_labels(cell) == (("Drama",), False)


def test_other_spellings_stay_as_they_are():
    assert parse_labels("Science Fiction,Drama") == (("Science Fiction", "Drama"), True)
    assert parse_labels("[" * 5000)[0] == ()
    assert parse_labels("{" * 5000)[0] == ()


@pytest.mark.parametrize(
    ("cell", "quoted", "title"),
    [
        ('"The ""Great"" Film"', False, 'The "Great" Film'),
        ('"Plain"', False, '"Plain"'),  # IMDb's own file has such titles
        ('"Plain"', True, "Plain"),
        ('"A" and "B"', False, '"A" and "B"'),
        ('"', True, '"'),
        ("Plain", True, "Plain"),
    ],
)
def test_titles(cell, quoted, title):
    assert parse_title(cell, quoted=quoted) == title
