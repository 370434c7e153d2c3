"""What the file name of a picture states."""

import pytest

from posterfusion_jax.datasets.sources.file_names import printable_name, read_file_name


@pytest.mark.parametrize(
    ("name", "title", "year", "film", "identifies"),
    [
        ("The Matrix (1999)", "The Matrix", 1999, "the matrix (1999)", True),
        ("The_Matrix_[1999]_2", "The Matrix", 1999, "the matrix (1999)", True),
        ("2001 A Space Odyssey (1968)", "2001 A Space Odyssey", 1968, "2001 a space odyssey (1968)", True),
        ("tt0133093_2", "", None, "tt0133093", True),
        ("Amélie", "Amélie", None, "", True),
        ("七人の侍 (1954)", "七人の侍", 1954, "七人の侍 (1954)", True),
        ("114709", "", None, "", True),
        ("12", "", None, "", False),
        ("00012", "", None, "", False),
        ("image_3", "", None, "", False),
        ("IMG-2031 (2)", "", None, "", False),
        ("Action 12", "Action 12", None, "", False),
        ("Apollo Mission 13", "Apollo Mission 13", None, "", True),
        ("9f86d081884c7d659a2feaa0c55ad015", "", None, "", True),
        ("(1999)", "", None, "", False),
        ("", "", None, "", False),
    ],
)
def test_a_name(name, title, year, film, identifies):
    assert read_file_name(name) == (title, year, film, identifies)


def test_bytes_that_are_no_text_can_be_stored():
    name = b"caf\xe9 (2001)".decode("utf-8", "surrogateescape")
    assert read_file_name(name).title == "caf\ufffd"
    printable_name(name).encode()
