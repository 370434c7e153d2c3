"""Class folders: which pictures are one poster, groups, titles, splits, and what is in no class folder."""

import pathlib

import pytest
from tables import draw_pictures

from posterfusion_jax.datasets.sources.class_folders import ClassFoldersSource
from posterfusion_jax.datasets.sources.detect import detect_source
from posterfusion_jax.errors import InputError


def read(folder: pathlib.Path):
    source = ClassFoldersSource(folder)
    pictures = source.list_pictures()
    entries = source.read_entries(pictures.posters)
    posters = {poster.poster_id: (poster.film_id, entries.of(poster)) for poster in pictures.posters}
    left_out = {kind: [tuple(item) for item in items] for kind, items in pictures.left_out.items()}
    return posters, left_out, entries, source


def test_equal_names_are_one_poster_where_they_name_a_film(tmp_path):
    names = ("tt0133093_1", "Alien (1979)", "0001")
    draw_pictures(tmp_path, [f"{label}/{name}" for label in ("Action", "Sci-Fi") for name in names])
    posters, left_out, entries, _ = read(tmp_path)
    assert {poster_id: entry.labels for poster_id, (_, entry) in posters.items()} == {
        "Action__tt0133093_1": ("Action", "Sci-Fi"),
        "Action__Alien (1979)": ("Action", "Sci-Fi"),
        "Action__0001": ("Action",),
        "Sci-Fi__0001": ("Sci-Fi",),
    }
    assert left_out == {}
    assert "2 pictures lie in several folders and have several labels (2 of them by the name of a film" in entries.how[1]
    (note,) = entries.notes.values()
    assert note == {
        "count": 2,
        "first": [["Action/Alien (1979), Sci-Fi/Alien (1979)", ""], ["Action/tt0133093_1, Sci-Fi/tt0133093_1", ""]],
    }


def test_groups_and_titles(tmp_path):
    names = ("tt0133093_1", "tt0133093_2", "Alien (1979)", "alien (1979) [2]", "The_Matrix", "Fargo", "0001", "0f" * 20)
    draw_pictures(tmp_path, [f"{label}/{name}" for label, name in zip(["A", "B"] * 4, names, strict=True)])
    posters, _, entries, _ = read(tmp_path)
    found = {poster_id[3:]: (group.partition(":")[0], entry.title, entry.year) for poster_id, (group, entry) in posters.items()}
    assert found == {
        "tt0133093_1": ("tt0133093", "", None),
        "tt0133093_2": ("tt0133093", "", None),
        "Alien (1979)": ("alien (1979)", "Alien", 1979),
        "alien (1979) [2]": ("alien (1979)", "alien", 1979),
        "The_Matrix": ("sha256", "The Matrix", None),
        "Fargo": ("sha256", "Fargo", None),
        "0001": ("sha256", "", None),
        "0f" * 20: ("sha256", "", None),
    }
    assert entries.how[2] == (
        "group: IMDb's id in the name of 2 posters, title and year in that of 2, the bytes of the picture for 4"
    )


def test_a_picture_in_several_splits_is_in_one_of_them_and_counted(tmp_path):
    one_film = ["train/A/tt0000001", "test/B/tt0000001"]  # different pictures: both stay
    drawn = [f"{split}/{label}/{split}{label}" for split in ("train", "test") for label in ("A", "B")]
    draw_pictures(tmp_path, drawn + one_film)
    (tmp_path / "train/B/copy.jpg").write_bytes((tmp_path / "test/A/testA.jpg").read_bytes())
    posters, _, entries, source = read(tmp_path)
    assert {poster_id: (entry.split, entry.labels) for poster_id, (_, entry) in posters.items()} == {
        "train__A__trainA": ("train", ("A",)),
        "train__B__trainB": ("train", ("B",)),
        "test__A__testA": ("test", ("A", "B")),
        "test__B__testB": ("test", ("B",)),
        "train__A__tt0000001": ("train", ("A",)),
        "test__B__tt0000001": ("test", ("B",)),
    }
    assert entries.how[-1].startswith("1 pictures lie in several of train, val and test")
    assert source.decisions() == {"data.split_by": "column"}


def test_the_folders_of_a_split_are_no_labels(tmp_path):
    draw_pictures(tmp_path, ["train/a", "train/b", "val/c", "test/d"])
    with pytest.raises(InputError, match=r"pictures in 0 class folders \(none; left out: picture in no class folder 4\)"):
        ClassFoldersSource(tmp_path).list_pictures()
    with pytest.raises(InputError, match="is of no known kind"):
        detect_source(tmp_path)


def test_class_folders_inside_another_folder_are_pointed_to(tmp_path):
    draw_pictures(tmp_path, [f"posters/{label}/{k}" for label in ("Action", "Comedy") for k in range(2)])
    for read_folder in (ClassFoldersSource(tmp_path).list_pictures, lambda: detect_source(tmp_path)):
        with pytest.raises(InputError, match=r"posters'"):
            read_folder()
    assert detect_source(tmp_path / "posters")[0] == "class_folders"


@pytest.mark.parametrize("folders", [("1994", "1995", "1996"), ("00", "0a", "0b")])
def test_folders_of_years_or_shards_are_not_detected_as_labels(tmp_path, folders):
    draw_pictures(tmp_path, [f"{folder}/{k}" for folder in folders for k in range(3)])
    with pytest.raises(InputError, match=rf"3 folders with pictures \({folders[0]} 3, .* --config.data.source=KIND"):
        detect_source(tmp_path)
    assert len(read(tmp_path)[0]) == 9  # where the user names the kind


def test_a_folder_per_film_is_not_detected_as_labels(tmp_path):
    draw_pictures(tmp_path, ["Alien (1979)/poster", "Fargo (1996)/poster"])
    with pytest.raises(InputError, match="2 folders with pictures"):
        detect_source(tmp_path)


def test_an_nfo_file_among_many_pictures_makes_no_library(tmp_path):
    draw_pictures(tmp_path, [f"{label}/{k}" for label in ("Action", "Comedy") for k in range(30)])
    (tmp_path / "Action" / "stray.nfo").touch()
    assert detect_source(tmp_path)[0] == "class_folders"


def test_the_hash_changes_with_labels_and_not_with_the_place(tmp_path):
    for place in ("one", "two"):
        draw_pictures(tmp_path / place, ["Action/a", "Comedy/b"])
    hashes = {ClassFoldersSource(tmp_path / place).hash_labels() for place in ("one", "two")}
    assert len(hashes) == 1
    (tmp_path / "two/Comedy/a.jpg").write_bytes((tmp_path / "two/Action/a.jpg").read_bytes())
    assert ClassFoldersSource(tmp_path / "two").hash_labels() not in hashes


def test_a_broken_picture_is_recorded(tmp_path):
    draw_pictures(tmp_path, ["Action/a", "Comedy/b"])
    (tmp_path / "Action/gone.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "Action/empty.jpg").touch()
    posters, left_out, _, _ = read(tmp_path)
    assert sorted(posters) == ["Action__a", "Comedy__b"]
    assert sorted(what for what, _ in left_out["unreadable image"]) == ["Action/empty", "Action/gone.jpg"]
