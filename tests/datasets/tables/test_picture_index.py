"""Pictures found by paths and ids."""

import pytest

from posterfusion_jax.datasets.sources.pictures import Picture
from posterfusion_jax.datasets.tables.picture_index import PictureIndex
from posterfusion_jax.utils.disk_collections import DiskList

NAMES = [
    *("862", "tt0114709", "0076759", "114_1", "114_2", "a/x", "b/x", "deep/er/y_3", "y", "Toy Story", "with.dot"),
    *("z/w", "z/w_1", "naïve"),
]


@pytest.fixture(scope="module")
def index():
    return PictureIndex(DiskList(Picture._make, (Picture(name, f"/{name}.jpg") for name in NAMES)))


def names(match):
    return [NAMES[place] for place in match.places]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("862.jpg", "862"),
        ("862", "862"),
        ("/862.jpg", "862"),
        ("./images/../862.jpeg", "862"),
        ("C:\\posters\\b\\x.png", "b/x"),
        ("/home/me/posters/a/x.jpg", "a/x"),
        ("posters/a/a/x.jpg", "a/x"),
        ("https://images.example/p/w500/tt0114709.jpg?size=3", "tt0114709"),
        ("with.dot.jpg", "with.dot"),
        ("with.dot", "with.dot"),
        ("naïve.jpg", "naïve"),
    ],
)
def test_a_path_finds_its_picture(index, path, found):
    assert names(index.find_path(path)) == [found]


@pytest.mark.parametrize("path", ["", "/", "..", "missing.jpg", "a\0b", "x" * 5_000, "862/", "86.jpg", "///"])
def test_other_paths_find_none(index, path):
    assert names(index.find_path(path)) == (["862"] if path == "862/" else [])


def test_pictures_of_the_same_name(index):
    assert names(index.find_path("b/x.jpg")) == ["b/x"]
    match = index.find_id("x")
    assert names(match) == ["a/x"]
    assert [NAMES[place] for place in match.same_name] == ["b/x"]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("862", ["862"]),
        ("862.0", ["862"]),
        ("114709", ["tt0114709"]),
        ("tt114709", ["tt0114709"]),
        ("tt0076759", ["0076759"]),
        ("76759", ["0076759"]),
        ("114", ["114_1", "114_2"]),
        ("y", ["y", "deep/er/y_3"]),
        ("w", ["z/w", "z/w_1"]),
        ("Toy Story", ["Toy Story"]),
        ("../862", []),
        ("a/x", []),
        ("", []),
        ("11", []),
    ],
)
def test_an_id_finds_its_pictures(index, value, found):
    assert names(index.find_id(value)) == found
