"""Folders that the library datasets saved: kinds of labels and pictures, parts, refusals; pictures written to files."""

import hashlib
import importlib.util
import os
import pathlib

import pytest
from tables import draw_pictures

from posterfusion_jax.datasets.sources.hugging_face import HuggingFaceSource
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.datasets.sources.registry import make_source
from posterfusion_jax.datasets.sources.written_pictures import write_picture
from posterfusion_jax.errors import InputError

LABELS = [("Action", "Drama"), ("Drama",), ("Comedy",), ("Action", "Comedy")]


@pytest.fixture
def datasets():
    spec = importlib.util.find_spec("datasets")
    if spec is None or spec.origin is None:  # a folder of this name can be found, too
        pytest.skip("datasets is not installed: pip install datasets")
    return pytest.importorskip("datasets")


@pytest.fixture
def pictures(tmp_path):
    draw_pictures(tmp_path / "drawn", ["a", "b", "c", "d"])
    return [file.read_bytes() for file in sorted((tmp_path / "drawn").iterdir())]


def save(datasets, tmp_path, columns, features=None, *, name="set") -> HuggingFaceSource:
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(str(tmp_path / name))
    return HuggingFaceSource(tmp_path / name, tmp_path / "written")


def labels_of(source):
    posters = source.list_pictures().posters
    entries = source.read_entries(posters)
    by_bytes = {pathlib.Path(poster.file).read_bytes(): entries.of(poster) for poster in posters}
    return {data: set(entry.labels) for data, entry in by_bytes.items()}


def forms(datasets):
    """Columns of labels in the forms in which they are published, and their features where they need any."""
    names = ["Action", "Comedy", "Drama"]
    classes = datasets.ClassLabel(names=names)
    return {
        "texts": ({"genres": [list(labels) for labels in LABELS]}, None),
        "objects": ({"genres": [[{"id": k, "name": label} for k, label in enumerate(labels)] for labels in LABELS]}, None),
        "one text": ({"genre": [", ".join(labels) for labels in LABELS]}, None),
        "classes": (
            {"genres": [[names.index(label) for label in labels] for labels in LABELS]},
            {"genres": datasets.Sequence(classes)},
        ),
        "one-hot": ({name: [int(name in labels) for labels in LABELS] for name in names}, None),
        "flags": ({name: [name in labels for labels in LABELS] for name in names}, None),
    }


@pytest.mark.parametrize("form", ["texts", "objects", "one text", "classes", "one-hot", "flags"])
def test_labels_in_every_form(datasets, tmp_path, pictures, form):
    columns, features = forms(datasets)[form]
    whole = datasets.Dataset.from_dict({"image": [{"bytes": data, "path": None} for data in pictures], **columns})
    for name, feature in {"image": datasets.Image(), **(features or {})}.items():
        whole = whole.cast_column(name, feature)
    whole.save_to_disk(str(tmp_path / "set"))
    source = HuggingFaceSource(tmp_path / "set", tmp_path / "written")
    assert labels_of(source) == {data: set(labels) for data, labels in zip(pictures, LABELS, strict=True)}
    assert source.unit == "group"


def test_pictures_as_bytes_and_as_paths(datasets, tmp_path, pictures):
    labels = [list(names) for names in LABELS]
    assert len(labels_of(save(datasets, tmp_path, {"poster": pictures, "genres": labels}, name="bytes"))) == 4
    (tmp_path / "drawn" / "d.jpg").unlink()
    paths = [{"bytes": None, "path": str(tmp_path / "drawn" / f"{name}.jpg")} for name in "abcd"]
    paths[2] = {"bytes": None, "path": None}
    source = save(datasets, tmp_path, {"image": paths, "genres": labels}, name="paths")
    assert set(labels_of(source)) == set(pictures[:2])
    left_out = source.list_pictures().left_out
    assert [item.what for item in left_out["no picture"]] == ["data row 3", "data row 4"]
    assert left_out["no picture"][0].reason == "the column 'image' holds none"
    assert "names a file" in left_out["no picture"][1].reason


def test_a_picture_twice_and_placeholders_are_recorded(datasets, tmp_path, pictures):
    columns = {"image": [*pictures, pictures[0]], "genres": [*map(list, LABELS[:3]), ["N/A"], ["Drama"]]}
    source = save(datasets, tmp_path, columns)
    assert list(source.list_pictures().left_out["second row of a picture"]) == [
        ("data row 5", "data row 1 has the same picture")
    ]
    entries = source.read_entries([])
    assert any("stands for no label" in reason for reason in entries.notes)
    assert "pictures: 4 of 5 rows, 4 of them written to files now" in entries.how


def test_groups_are_columns_of_ids_and_no_others(datasets, tmp_path, pictures):
    columns = {"image": pictures, "genres": [list(labels) for labels in LABELS]}
    ids = {"width": [182] * 4, "tmdb_id": [5, 5, 6, 7]}
    for name, first in (("ids", ids), ("none", {"width": ids["width"]})):
        posters = save(datasets, tmp_path, first | columns, name=name).list_pictures().posters
        assert len({poster.film_id for poster in posters}) == (3 if name == "ids" else 4)


def test_words_on_the_poster_are_stated(datasets, tmp_path, pictures):
    columns = {"image": pictures, "genres": [list(labels) for labels in LABELS], "text": ["HEAT", "", "ALIEN", "FARGO"]}
    entries = save(datasets, tmp_path, columns).read_entries([])
    assert {entry.text for _, entry in entries.by_key.items()} >= {"HEAT", "ALIEN", "FARGO"}
    assert any(line.startswith("text: column 'text' has the words on the poster") for line in entries.how)


def test_parts_are_the_split(datasets, tmp_path, pictures):
    whole = datasets.Dataset.from_dict({"image": pictures, "genres": [list(labels) for labels in LABELS]})
    parts = {"dev": whole.select([0, 1]), "test": whole.select([2]), "extra": whole.select([3])}
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "set"))
    source = HuggingFaceSource(tmp_path / "set", tmp_path / "written")
    splits = sorted(entry.split for _, entry in source.read_entries([]).by_key.items())
    assert splits == ["", "test", "validation", "validation"]
    assert "split: dev 2, test 1, extra 1" in source.read_entries([]).how
    assert source.decisions() == {"data.split_by": "column"}


def test_parts_with_other_columns_are_refused(datasets, tmp_path, pictures):
    one = datasets.Dataset.from_dict({"image": pictures, "genres": [list(labels) for labels in LABELS]})
    datasets.DatasetDict({"train": one, "test": one.remove_columns("genres")}).save_to_disk(str(tmp_path / "set"))
    with pytest.raises(InputError, match="the part 'test' has no column 'genres'"):
        HuggingFaceSource(tmp_path / "set", tmp_path / "written").list_pictures()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"genres": [["Drama"]] * 4}, "has no column of pictures; it has genres"),
        ({"image": None}, "has no column of labels"),
        ({"image": None, "price": [1.5, 2.5, 3.5, 4.5]}, "has no column of labels; it has price"),
        (
            {"image": [b""] * 4, "genres": [["Drama"]] * 4},
            r"holds no picture that can be read \(4 rows; no picture: data row 1",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(datasets, tmp_path, pictures, columns, message):
    source = save(datasets, tmp_path, {name: pictures if cells is None else cells for name, cells in columns.items()})
    with pytest.raises(InputError, match=message):
        source.list_pictures()


def test_a_damaged_file_is_reported(datasets, tmp_path, pictures):
    source = save(datasets, tmp_path, {"image": pictures, "genres": [list(labels) for labels in LABELS]})
    (file,) = (tmp_path / "set").glob("*.arrow")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(InputError, match=r"cannot be read"):
        source.list_pictures()
    with pytest.raises(InputError, match=r"cannot be read by datasets.load_from_disk"):
        HuggingFaceSource(tmp_path / "drawn", tmp_path / "written").list_pictures()


def test_the_unit_is_read_without_the_pictures(datasets, tmp_path, pictures):
    columns = {"image": pictures, "genres": [list(labels) for labels in LABELS], "imdbId": ["1", "2", "3", "4"]}
    assert save(datasets, tmp_path, columns).unit == "film"
    assert not (tmp_path / "written").exists()


def test_without_the_package_the_command_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(InputError, match=r"needs the package datasets: pip install"):
        HuggingFaceSource(tmp_path, tmp_path / "written").list_pictures()
    with pytest.raises(InputError, match="needs a folder for them"):
        make_source(SourceOptions(kind="hugging_face", folder=str(tmp_path)))


def test_a_picture_is_written_once_and_whole(tmp_path):
    data = b"\xff\xd8\xff and so on"
    sha256 = hashlib.sha256(data).hexdigest()
    file, written = write_picture(data, sha256, tmp_path / "new")
    assert (os.path.basename(file), written) == (f"{sha256}.jpg", True)
    assert write_picture(data, sha256, tmp_path / "new") == (file, False)
    pathlib.Path(file).write_bytes(data[:4])  # as after a crash of the machine
    assert write_picture(data, sha256, tmp_path / "new") == (file, True)
    assert [path.read_bytes() for path in (tmp_path / "new").iterdir()] == [data]


def test_a_folder_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be written to .*file/pictures"):
        write_picture(b"x", "0" * 64, tmp_path / "file" / "pictures")
