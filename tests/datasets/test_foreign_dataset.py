"""A dataset, or a folder of posters, that somebody else has made: nothing in it is run, and nothing outside it is touched."""

import json
import shutil

import numpy as np
import pytest
from imdb_folder import make_folder

from posterfusion_jax.datasets.imdb_posters import reader
from posterfusion_jax.datasets.imdb_posters.build import build_dataset
from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset, open_dataset
from posterfusion_jax.datasets.imdb_posters.split_file import read_split_file
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import find_posters
from posterfusion_jax.report.page import Card, Cards, Section, write_page


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    return build_dataset(make_folder(folder / "posters", films=12), folder / "data", progress=False).dir


@pytest.fixture
def foreign(built, tmp_path):
    return shutil.copytree(built, tmp_path / "data" / "imdb_posters" / "by_film" / built.name)


def change(path, old, new):
    text = path.read_text()
    assert old in text, text[:500]
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("template", ["../{SPLIT}", "/etc/{SPLIT}", "a/../../{DATASET}-{SPLIT}"])
def test_rows_are_read_from_its_own_folder_only(foreign, template):
    info = json.loads((foreign / "dataset_info.json").read_text())
    for split in info["splits"]:
        split["filepathTemplate"] = template + ".{FILEFORMAT}-{SHARD_X_OF_Y}"
    (foreign / "dataset_info.json").write_text(json.dumps(info))
    with pytest.raises(InputError, match=r"dataset_info\.json names .*, a file outside its folder.*--mode=build"):
        open_dataset(foreign)


@pytest.mark.parametrize("key", ["pythonClassName", "python_class_name"])
def test_no_module_is_imported_because_its_features_say_so(foreign, tmp_path, monkeypatch, key):
    (tmp_path / "trap.py").write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'sprung')!r}).touch()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    features = (foreign / "features.json").read_text()
    name = "tensorflow_datasets.core.features.text_feature.Text"
    assert name in features
    (foreign / "features.json").write_text(features.replace(name, "trap.Text", 1).replace("pythonClassName", key))
    with pytest.raises(InputError, match=r"names the Python class 'trap\.Text', which is none of TFDS's"):
        open_dataset(foreign)
    assert not (tmp_path / "sprung").exists()
    (foreign / "features.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"features\.json cannot be read"):
        open_dataset(foreign)


@pytest.mark.parametrize("poster_id", ["../../../.bashrc", "/etc/passwd", "tt0000001_1/x", "", "tt0000001_1\n"])
def test_a_poster_whose_id_is_a_path_is_refused(foreign, poster_id, tmp_path):
    row = {**dict.fromkeys(reader._TEXTS, "x"), "poster_id": poster_id, "year": 0, "labels": np.zeros(13, np.uint8)}
    dataset = PosterDataset(foreign, {}, {"train": [row]})  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="whose id is not"):
        dataset.columns("train")
    card = Card(poster_id, b"jpeg", "x", "right", ())
    with pytest.raises(ValueError, match="is not a file name"):
        write_page(tmp_path / "report", "report", "x", "x", [Section("x", [Cards([card])])])
    assert not list((tmp_path / "report").rglob("*.jpg"))


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "tt0000001/../x", "tt0000001_1.jpg"])
def test_a_split_file_names_posters_and_no_files(tmp_path, name):
    for file, content in (("split.json", json.dumps({name: "train"})), ("split.csv", f"film_id,split\n{name},train\n")):
        (tmp_path / file).write_text(content)
        with pytest.raises(InputError, match=r"no (film|poster) ids"):
            read_split_file(tmp_path / file)


def test_links_to_folders_are_not_followed(tmp_path):
    make_folder(tmp_path / "mine", films=12)
    folder = make_folder(tmp_path / "theirs", films=12)
    (folder / "images" / "more").symlink_to(tmp_path / "mine" / "images")
    (folder / "images" / "round").symlink_to(folder / "images")
    posters, skipped = find_posters(folder)
    assert all("more" not in poster.file and "round" not in poster.file for poster in posters)
    assert [(link.what, link.reason) for link in skipped] == [
        (name, "a link to a folder; those are not followed") for name in ("more", "round")
    ]
