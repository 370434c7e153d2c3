"""Class folders: labels, splits, titles and groups from the names of folders and files; equal pictures are one poster."""

import os
import pathlib

import pytest
from source_forms import labels_by_film, make_class_folders, plain, read, reason
from tables import FILMS, draw_pictures

from posterfusion_jax.errors import InputError


def draw(folder: pathlib.Path, **pictures: int) -> None:
    """Files of one byte more than a picture: "Action__a"=1 is Action/a.jpg; equal numbers are equal bytes."""
    for name, number in pictures.items():
        path = name.replace("__", "/")
        draw_pictures(folder, [path])
        file = folder / f"{path}.jpg"
        file.write_bytes(file.read_bytes() + bytes([number]))


def test_films_in_the_folders_of_their_genres(tmp_path):
    folder = make_class_folders(tmp_path)
    found = read("class_folders", folder)
    assert {(entry.title, entry.year): set(entry.labels) for entry in found.posters.values()} == {
        (plain(title), year): set(labels) for _, title, year, labels in FILMS
    }
    assert labels_by_film(found)["the matrix (1999)"] == {"Action", "Sci-Fi"}
    assert "12 posters of 27 pictures; 12 posters have several labels (12 by equal bytes" in found.how
    assert "labels: the names of 11 folders: Comedy 5, Adventure 4, Sci-Fi 4, Drama 3" in found.how
    assert found.source.decisions() == {}
    assert all(entry.text is None and entry.split == "" for entry in found.posters.values())


def test_everything_is_used_or_recorded(tmp_path):
    folder = make_class_folders(tmp_path)
    draw(folder, outside=1)
    (folder / "Drama" / "notes.txt").touch()
    (folder / "Drama" / "broken.jpg").symlink_to(folder / "nothing")
    draw_pictures(folder, [".ipynb_checkpoints/a", "__MACOSX/a"])
    found = read("class_folders", folder)
    assert found.left_out == {
        "picture in no class folder": ["outside"],
        "unreadable image": ["Drama/broken.jpg"],
        "picture in a system folder": [".ipynb_checkpoints/a", "__MACOSX/a"],
    }
    assert dict(found.pictures.other_files) == {".txt": 1}
    assert len(found.posters) == 12


def test_an_equal_name_is_one_poster_where_it_identifies_one(tmp_path):
    draw(tmp_path, Action__Alien=1, Comedy__Alien=2, Action__1=3, Comedy__1=4, Action__image_2=5, Comedy__image_2=6)
    found = read("class_folders", tmp_path)
    assert {poster.poster_id: entry.labels for poster, entry in found.posters.items()} == {
        "Action__Alien": ("Action", "Comedy"),
        "Action__1": ("Action",),
        "Comedy__1": ("Comedy",),
        "Action__image_2": ("Action",),
        "Comedy__image_2": ("Comedy",),
    }
    assert found.left_out == {"other file of a poster": ["Comedy/Alien"]}
    assert "its name is that of Action/Alien" in reason(found, "other file of a poster", "Comedy/Alien")
    assert "1 by equal names alone" in found.how
    assert "2 names without a title, as 1.jpg, are in several folders with different bytes" in found.how


def test_equal_bytes_of_other_names_are_one_poster_with_the_title_that_is_there(tmp_path):
    draw(tmp_path, **{"Action__1": 1, "Comedy__Alien (1979)": 1, "Drama__Alien (1979)": 2})
    found = read("class_folders", tmp_path)
    ((poster, entry),) = found.posters.items()
    assert (poster.film_id, entry.title, set(entry.labels)) == ("alien (1979)", "Alien", {"Action", "Comedy", "Drama"})


def test_a_stand_in_for_missing_posters_is_left_out(tmp_path):
    draw(tmp_path, **{"Action__Alien (1979)": 1, "Comedy__Fargo (1996)": 1, "Drama__x": 1, "Action__Heat (1995)": 2})
    found = read("class_folders", tmp_path)
    assert [poster.poster_id for poster in found.posters] == ["Action__Heat (1995)"]
    assert found.left_out == {
        "same bytes, other title": ["Action/Alien (1979)", "Comedy/Fargo (1996)", "Drama/x"],
    }


def test_two_posters_of_a_name_in_one_label_stay_two(tmp_path):
    draw(tmp_path, **{"Action__a__Alien": 1, "Action__b__Alien": 2, "Comedy__Alien": 1})
    found = read("class_folders", tmp_path)
    assert sorted(set(entry.labels) for entry in found.posters.values()) == sorted([{"Action", "Comedy"}, {"Action"}])


def test_posters_of_a_film_are_one_group(tmp_path):
    draw(tmp_path, **{"Action__tt0133093_1": 1, "Action__tt0133093_2": 2, "Drama__Heat (1995)": 3, "Drama__Heat (1995) 2": 4})
    found = read("class_folders", tmp_path)
    assert sorted(poster.film_id for poster in found.posters) == ["heat (1995)"] * 2 + ["tt0133093"] * 2


def test_folders_of_a_split(tmp_path):
    numbers = iter(range(100))
    for split in ("train", "val", "test"):
        for label in ("Action", "Comedy"):
            draw(tmp_path, **{f"{split}__{label}__{split}{label}{k}": next(numbers) for k in range(3)})
    draw(tmp_path, train__Action__twice=101, test__Comedy__twice=101)
    found = read("class_folders", tmp_path)
    splits = [(entry.split, *entry.labels) for poster, entry in found.posters.items() if "twice" not in poster.poster_id]
    assert sorted(splits) == sorted(
        (split, label) for split in ("train", "validation", "test") for label in ("Action", "Comedy") for _ in range(3)
    )
    (twice,) = (entry for poster, entry in found.posters.items() if "twice" in poster.poster_id)
    assert (twice.split, set(twice.labels)) == ("test", {"Action", "Comedy"})
    assert "split: the folders train, val and test: train 6, validation 6, test 7" in found.how
    assert "1 posters are in several splits: test counts before validation and train" in found.how
    assert found.source.decisions() == {"data.split_by": "column"}


def test_different_pictures_of_a_name_keep_their_splits(tmp_path):
    draw(tmp_path, train__A__tt0000001=1, test__B__tt0000001=2, train__B__a=3, test__A__b=4)
    found = read("class_folders", tmp_path)
    assert sorted((entry.split, *entry.labels) for entry in found.posters.values()) == [
        *(("test", "A"), ("test", "B"), ("train", "A"), ("train", "B")),
    ]


def test_the_folders_of_a_split_are_no_labels(tmp_path):
    draw_pictures(tmp_path, ["train/a", "train/b", "val/c", "test/d"])
    with pytest.raises(InputError, match=r"pictures in 0 class folders \(none; left out: picture in no class folder 4\)"):
        read("class_folders", tmp_path)


def test_empty_files_are_no_poster_of_several_labels(tmp_path):
    draw(tmp_path, Action__a=1, Comedy__b=2)
    for label in ("Action", "Comedy"):
        (tmp_path / label / "empty.jpg").touch()
    found = read("class_folders", tmp_path)
    assert found.left_out == {"unreadable image": ["Action/empty", "Comedy/empty"]}


def test_train_alone_is_no_split(tmp_path):
    draw(tmp_path, train__Action__a=1, train__Comedy__b=2)
    found = read("class_folders", tmp_path)
    assert {entry.split for entry in found.posters.values()} == {""}
    assert found.source.decisions() == {}
    assert "split: none, because of train, val and test there is only 'train'" in found.how


def test_the_hash_depends_on_labels_and_not_on_the_place(tmp_path):
    (first, second) = (make_class_folders(tmp_path / name) for name in "ab")
    before = read("class_folders", first).source.hash_labels()
    assert read("class_folders", second).source.hash_labels() == before
    (second / "Drama" / "Fargo (1996).jpg").unlink()
    assert read("class_folders", second).source.hash_labels() != before


def test_names_of_any_bytes(tmp_path):
    draw(tmp_path, Action__a=1)
    name = os.fsencode(tmp_path) + b"/Com\xe9die"
    os.mkdir(name)
    with open(name + b"/\xff.jpg", "wb") as file:
        file.write(b"\xff\xd8\xff other")
    found = read("class_folders", tmp_path)
    assert sorted(entry.labels for entry in found.posters.values()) == [("Action",), ("Com\ufffddie",)]


def test_one_folder_is_refused_and_the_right_one_named(tmp_path):
    make_class_folders(tmp_path / "outer")
    (tmp_path / "outer" / "drawn").rename(tmp_path / "drawn")
    with pytest.raises(InputError, match=r"in 1 class folders \(genres 27; .*If the class folders are in .*genres', give"):
        read("class_folders", tmp_path / "outer")
    with pytest.raises(InputError, match=r"does not exist. Name a folder with one folder per label"):
        read("class_folders", tmp_path / "none")


@pytest.mark.slow
def test_fifty_thousand_pictures_take_under_a_minute(tmp_path):
    import time

    for label in range(20):
        (tmp_path / f"label{label}").mkdir()
        for k in range(2_500):
            (tmp_path / f"label{label}" / f"Film {label} {k} (19{k % 90 + 10}).jpg").write_bytes(
                b"\xff\xd8\xff%d %d" % (label, k)
            )
    start = time.monotonic()
    assert len(read("class_folders", tmp_path).posters) == 50_000
    assert time.monotonic() - start < 60
