"""Titles found and errors counted, on texts whose figures can be counted by hand."""

import itertools

import pytest

from posterfusion_jax.ocr.quality import Errors, compare_texts, edit_distance, find_title


@pytest.mark.parametrize(
    ("text", "title", "found", "joined"),
    [
        ("A film\nALIEN\nin space", "Alien", 1, 1),
        ("", "Alien", 0, 0),
        ("AMÉLIE", "Amelie", 1, 1),
        ("Ocean\N{RIGHT SINGLE QUOTATION MARK}s eleven", "Ocean's Eleven", 2, 2),
        ("FAST AND FURIOUS", "Fast & Furious", 3, 3),
        ("the good the bad", "The Good, the Bad and the Ugly", 4, 4),
        ("good bad and ugly the", "The Good, the Bad and the Ugly", 5, 5),  # in any order, but "the" is there once
        ("HOME\nFORTHEHOLIDAYS", "Home for the Holidays", 1, 4),
        ("THE AVEN GERS", "The Avengers", 1, 2),
        ("A L I E N", "Alien", 0, 1),
        ("RINGOFFIRE", "Lord of the Rings", 0, 0),  # "of" and "ring" are too short to be looked for inside others
        ("ALEIN", "Alien", 0, 0),
        ("エイリアン", "エイリアン", 1, 1),
    ],
)
def test_find_title(text, title, found, joined):
    words = len(title.replace("'", "").split())
    assert find_title(text, title) == (words, found, joined)


def test_a_title_without_a_letter_has_no_words():
    assert find_title("anything", "...") == (0, 0, 0)


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        ("kitten", "sitting", 3),  # the textbook's
        ("intention", "execution", 5),  # Jurafsky and Martin, Speech and Language Processing, section 2.5
        ("", "abc", 3),
        ("abc", "", 3),
        ("", "", 0),
        ("ab", "ba", 2),
        (["to", "be", "or", "not"], ["to", "be", "not"], 1),
    ],
)
def test_edit_distance(a, b, distance):
    assert edit_distance(a, b) == distance
    assert edit_distance(b, a) == distance


def test_edit_distance_is_that_of_the_plain_recursion():
    def plain(a, b):
        if not a or not b:
            return len(a) + len(b)
        return min(plain(a[1:], b) + 1, plain(a, b[1:]) + 1, plain(a[1:], b[1:]) + (a[0] != b[0]))

    words = ["".join(letters) for n in range(5) for letters in itertools.product("ab", repeat=n)]
    for a in words:
        for b in words[:: max(1, len(a))]:
            assert edit_distance(a, b) == plain(a, b), (a, b)


def test_compare_texts_counts_folded_words_and_the_spaces_between():
    assert compare_texts("THE  ALIEN!\nComing soon", "the Aliens: coming") == Errors(
        characters=17, character_edits=6, words=3, word_edits=2, shared=2, text_words=4
    )


def test_the_order_of_lines_matters_to_the_rates_and_not_to_the_shared_words():
    errors = compare_texts("in space\nalien", "alien\nin space")
    assert (errors.shared, errors.words, errors.text_words) == (3, 3, 3)
    assert errors.word_edits == 2
    assert errors.character_edits > 0


def test_empty_texts():
    assert compare_texts("", "") == (0, 0, 0, 0, 0, 0)
    assert compare_texts("alien", "") == (0, 5, 0, 1, 0, 1)
    assert compare_texts("", "alien") == (5, 5, 1, 1, 0, 0)
