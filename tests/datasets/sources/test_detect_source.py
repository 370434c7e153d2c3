"""Which kind of source a folder is, and the error for one of no kind."""

import pathlib

import pytest
from imdb_folder import make_folder
from source_forms import make_class_folders, make_library, make_mm_imdb, write_mm_imdb_split
from tables import draw_pictures

from posterfusion_jax.datasets.sources.detect import detect_source
from posterfusion_jax.errors import InputError


def test_each_kind(tmp_path):
    mm_imdb = make_mm_imdb(tmp_path / "mm")
    write_mm_imdb_split(mm_imdb)
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "dataset_dict.json").touch()
    (tmp_path / "hf2").mkdir()
    for name in ("state.json", "dataset_info.json"):
        (tmp_path / "hf2" / name).touch()
    for folder, kind, reason in (
        (make_folder(tmp_path / "imdb"), "folder", "it has title.basics.tsv.gz, and"),
        (make_class_folders(tmp_path / "classes"), "class_folders", "11 folders have pictures (Comedy 5,"),
        (mm_imdb, "mm_imdb", "12 of 12 pictures have a JSON file of the same name"),
        (make_mm_imdb(tmp_path / "mm2", suffix=".jpg"), "mm_imdb", "12 of 12 pictures"),
        (make_library(tmp_path / "library"), "nfo", "it has 12 NFO files and 12 pictures"),
        (tmp_path / "hf", "hugging_face", "datasets.save_to_disk"),
        (tmp_path / "hf2", "hugging_face", "datasets.save_to_disk"),
    ):
        name, reasons = detect_source(folder)
        assert name == kind
        assert any(text.startswith(reason) or reason in text for text in reasons)


def test_class_folders_below_a_split(tmp_path):
    for split in ("train", "val"):
        for label in ("Action", "Comedy"):
            draw_pictures(tmp_path / split / label, ["a", "b"])
    assert detect_source(tmp_path) == ("class_folders", ["2 folders have pictures (Action 4, Comedy 4)"])


def test_single_files_of_another_kind_do_not_decide(tmp_path):
    draw_pictures(tmp_path, [f"{label}/{k}" for label in ("Action", "Comedy") for k in range(30)])
    (tmp_path / "Action" / "release.nfo").write_text("released")
    (tmp_path / "Action" / "1.json").write_text("{}")
    (tmp_path / "data.csv").write_text("id,genre\n")
    assert detect_source(tmp_path)[0] == "class_folders"


@pytest.mark.parametrize("folders", [("1994", "1995", "1996"), ("00", "0a", "0b")])
def test_folders_of_years_or_shards_are_not_detected_as_labels(tmp_path, folders):
    draw_pictures(tmp_path, [f"{folder}/{k}" for folder in folders for k in range(3)])
    with pytest.raises(InputError, match=rf"3 folders with pictures \({folders[0]} 3, .* --config.data.source=KIND"):
        detect_source(tmp_path)


def test_a_folder_per_film_is_not_detected_as_labels(tmp_path):
    draw_pictures(tmp_path, ["Alien (1979)/poster", "Fargo (1996)/poster"])
    with pytest.raises(InputError, match="2 folders with pictures"):
        detect_source(tmp_path)


def test_class_folders_inside_another_folder_are_pointed_to(tmp_path):
    draw_pictures(tmp_path, [f"posters/{label}/{k}" for label in ("Action", "Comedy") for k in range(2)])
    with pytest.raises(InputError, match=r"If the data are in .*posters', give that folder"):
        detect_source(tmp_path)


def test_images_and_a_table_are_no_folder_of_films(tmp_path):
    draw_pictures(tmp_path / "images", ["1", "2"])
    (tmp_path / "data.csv").write_text("id,genre\n")
    with pytest.raises(InputError, match=r"Is 'data.csv' the table of their labels\? Then give --table="):
        detect_source(tmp_path)


def test_an_unknown_folder_shows_counts_and_every_kind(tmp_path):
    draw_pictures(tmp_path, ["a", "b"])
    with pytest.raises(InputError) as error:
        detect_source(tmp_path)
    for part in (
        "it holds 'a.jpg', 'b.jpg'; 2 pictures, 2 of them in no class folder and 0 with a JSON file; 0 folders with pictures",
        "; 0 NFO files",
        *(
            "title.basics.tsv.gz and images/",
            "class folders (Action/",
            "dataset/0114709.jpeg",
            "movie.nfo",
            "dataset_info.json",
        ),
    ):
        assert part in str(error.value)


def test_a_missing_folder(tmp_path):
    with pytest.raises(InputError, match=r"is no folder. Name a folder of films"):
        detect_source(pathlib.Path(tmp_path / "none"))
