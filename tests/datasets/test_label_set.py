"""The label set: chosen from counts or names, spellings mapped to it, refusals."""

import pytest

from posterfusion_jax.datasets.label_set import (
    IMDB_GENRES,
    LabelCounts,
    LabelSet,
    choose_labels,
    label_key,
    least_posters,
    paper_labels,
    parse_aliases,
)
from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import PAPER_GENRES


def counted(*posters: tuple[str, ...]) -> LabelCounts:
    counts = LabelCounts()
    for labels in posters:
        counts.add(labels)
    return counts


def test_the_papers_set_maps_other_spellings_and_keeps_what_it_does_not_know():
    labels = paper_labels()
    assert labels.names == PAPER_GENRES
    assert labels.map(("Drama", " SCI-FI ", "Western")) == (("drama", "sci-fi"), ("Western",), 0)
    assert labels.map(("Science Fiction", "scifi", "Music")) == (("sci-fi",), ("Music",), 2)
    assert labels.map(()) == ((), (), 0)
    assert labels.find("Musical") is None


@pytest.mark.parametrize("spelling", ["Science Fiction", "science-fiction", "SciFi", "Sci_Fi", "sf", "SCI FI"])
def test_a_set_that_spells_science_fiction_out_takes_the_short_form_too(spelling):
    assert LabelSet("list", ("Comedy", "Science Fiction")).find(spelling) == "Science Fiction"


def test_music_and_musical_stay_two_labels():
    labels = LabelSet("list", ("Music", "Musical"))
    assert labels.map(("music", "musical"))[0] == ("Music", "Musical")


def test_names_of_any_script_have_keys_of_their_own():
    assert (
        len({label_key(name) for name in ("剧情", "喜剧", "драма", "C++", "C#", "!!!", "???")}) == 6
    )  # C++ and C# have one letter
    assert label_key("Sci-Fi") == label_key("sci fi")


def test_all_takes_the_most_frequent_spelling_and_leaves_rare_labels_out():
    counts = counted(*[("Self-Help",)] * 3, *[("self help", "Cooking ")] * 2, ("Cooking",), ("COOKING", "Poetry"), ("Poetry",))
    choice = choose_labels(("all",), counts)
    assert choice.labels.names == ("Cooking", "Self-Help")
    assert (choice.least, choice.below, choice.below_count) == (3, {"Poetry": 2}, 1)
    assert choose_labels(("all",), counts, min_posters=1).labels.names == ("Cooking", "Poetry", "Self-Help")
    assert choice.labels.map(("SELF HELP", "poetry")) == (("Self-Help",), ("poetry",), 1)


def test_imdb_takes_the_genres_of_imdb_in_the_papers_spelling():
    counts = counted(*[("Drama", "Sci-Fi", "Telenovela")] * 5, *[("Science Fiction", "Film-Noir")] * 4)
    choice = choose_labels(("imdb",), counts)
    assert choice.labels.names == ("drama", "film-noir", "sci-fi")
    assert choice.labels.map(("Telenovela", "Film Noir")) == (("film-noir",), ("Telenovela",), 1)
    assert len(IMDB_GENRES) == 28


@pytest.mark.parametrize(("posters", "least"), [(0, 3), (12, 3), (200, 3), (1_000, 10), (4_497, 45), (10_420, 50), (10**6, 50)])
def test_the_least_number_of_posters(posters, least):
    assert least_posters(posters) == least


def test_names_are_taken_in_their_order():
    choice = choose_labels(("Poetry", " Cooking"), counted(("Cooking",)))
    assert choice.labels.names == ("Poetry", "Cooking")
    assert choice.labels.rule == "list"


def test_aliases():
    choice = choose_labels(("Poetry", "Cooking"), counted(), aliases=("Food & Drink=cooking", "a=b=Poetry"))
    assert choice.labels.map(("food & drink", "A=B")) == (("Poetry", "Cooking"), (), 2)
    for wrong in ("Food", "=cooking", "Food="):
        with pytest.raises(InputError, match="SPELLING=NAME"):
            parse_aliases((wrong,), ("Cooking",))
    with pytest.raises(InputError, match="'Music' is none of the 2 labels"):
        choose_labels(("Poetry", "Cooking"), counted(), aliases=("Songs=Music",))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("drama",), "1 names. Give paper13, imdb, all, or 2 to 1,000 names"),
        (("drama", "Drama "), "'Drama' and 'drama' mean the same"),
        (("drama", ""), "'' is no name"),
        (("drama", "a\x1b[31m"), "is no name"),
        (tuple(f"label {k}" for k in range(1001)), "1001 names"),
    ],
)
def test_names_that_make_no_label_set(names, message):
    with pytest.raises(InputError, match=message) as caught:
        choose_labels(names, counted())
    assert len(str(caught.value)) < 400


def test_a_column_that_holds_no_labels_is_refused_with_the_field_that_names_another():
    counts = counted(*((f"A plot of {k} words",) for k in range(500)))
    with pytest.raises(InputError, match=r"0 labels with at least 5 posters.*data\.table_columns\.labels"):
        choose_labels(("all",), counts, place="'films.csv'")
    with pytest.raises(InputError, match="there are no labels"):
        choose_labels(("all",), counted((), ()))
    many = counted(*((f"label {k % 2000}",) for k in range(8000)))
    with pytest.raises(InputError, match="2,000 labels with at least 3 posters, and 1,000 are allowed"):
        choose_labels(("all",), many, min_posters=3)


def test_counting_a_million_spellings_takes_bounded_memory():
    counts = LabelCounts()
    for k in range(300_000):
        counts.add((f"x{k}", "drama", "comedy"))
    assert counts.uncounted == 100_002  # drama and comedy took two of the 200,000 places
    assert choose_labels(("all",), counts).labels.names == ("comedy", "drama")
