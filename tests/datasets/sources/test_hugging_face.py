"""Folders that the library datasets has saved: forms of labels, parts as splits, pictures written to files; broken rows."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest
from source_forms import LABELS, labels_by_film, read
from tables import FILMS, TCONSTS, draw_pictures

from posterfusion_jax.datasets.sources import hf_parts
from posterfusion_jax.datasets.sources.hf_parts import picture_bytes
from posterfusion_jax.datasets.sources.hugging_face import HuggingFaceSource
from posterfusion_jax.datasets.sources.table_columns import TableColumns
from posterfusion_jax.errors import InputError

ROOT = pathlib.Path(__file__).resolve().parents[3]
NAMES = sorted({label for *_, labels in FILMS for label in labels})
TITLES = [title for _, title, *_ in FILMS]


@pytest.fixture
def datasets():
    found = importlib.util.find_spec("datasets")
    if found is None or found.origin is None:
        pytest.skip("datasets is not installed: pip install datasets")
    import datasets  # pyright: ignore[reportMissingImports]

    datasets.disable_progress_bars()
    return datasets


@pytest.fixture
def files(tmp_path):
    draw_pictures(tmp_path / "drawn", TCONSTS)
    return [str(tmp_path / "drawn" / f"{tconst}.jpg") for tconst in TCONSTS]


@pytest.fixture
def save(datasets, files, tmp_path):
    """Save columns beside the pictures, some with a feature of their own, and return the folder."""

    def saved(columns, features=None, parts=None):
        rows = {"image": files, "title": TITLES, "imdb_id": TCONSTS, **columns}
        rows = {name: values for name, values in rows.items() if values is not None}
        whole = datasets.Dataset.from_dict(rows)
        for name, feature in {"image": datasets.Image(), **(features or {})}.items():
            whole = whole.cast_column(name, feature) if name in rows else whole
        if parts:
            whole = datasets.DatasetDict({name: whole.select(numbers) for name, numbers in parts.items()})
        whole.save_to_disk(str(tmp_path / "set"))
        return tmp_path / "set"

    return saved


def test_class_labels_and_pictures(datasets, save, files):
    numbers = [[NAMES.index(label) for label in labels] for *_, labels in FILMS]
    folder = save({"genres": numbers}, {"genres": datasets.List(datasets.ClassLabel(names=NAMES))})
    found = read("hugging_face", folder)
    assert labels_by_film(found) == LABELS
    assert sorted(entry.title for entry in found.posters.values()) == sorted(TITLES)
    assert {pathlib.Path(poster.file).read_bytes() for poster in found.posters} == {
        pathlib.Path(file).read_bytes() for file in files
    }
    assert found.source.unit == "film"
    assert found.left_out == {}
    assert "12 of 12 written to files now" in found.how
    assert "split: none" in found.how
    assert found.source.decisions()["data.table_columns.labels"] == "genres"
    assert "data.split_by" not in found.source.decisions()


@pytest.mark.parametrize("form", ["strings", "objects", "text", "one-hot", "vector", "one name"])
def test_forms_of_labels(save, form):
    sets = [set(labels) for *_, labels in FILMS]
    columns = {
        "strings": {"genres": [list(labels) for *_, labels in FILMS]},
        "objects": {"genres": [[{"id": NAMES.index(label), "name": label} for label in labels] for *_, labels in FILMS]},
        "text": {"genre": [", ".join(labels) for *_, labels in FILMS]},
        "one-hot": {name: [int(name in labels) for labels in sets] for name in NAMES},
        "vector": {"labels": [[int(name in labels) for name in NAMES] for labels in sets]},
        "one name": {"label": [labels[0] for *_, labels in FILMS]},
    }[form]
    found = read("hugging_face", save(columns))
    wanted = LABELS
    if form == "vector":
        wanted = {film: {str(NAMES.index(label)) for label in labels} for film, labels in LABELS.items()}
        assert "vectors of 0 and 1: the labels are the numbers of their places, from 0" in found.how
    if form == "one name":
        wanted = {tconst: {labels[0]} for tconst, (*_, labels) in zip(TCONSTS, FILMS, strict=True)}
    assert labels_by_film(found) == wanted


def test_parts_are_the_split(save):
    columns = {"genres": [list(labels) for *_, labels in FILMS]}
    found = read("hugging_face", save(columns, parts={"train": range(6), "validation": range(6, 9), "test": range(9, 12)}))
    splits = {poster.film_id: entry.split for poster, entry in found.posters.items()}
    assert splits == {film: ("train" if k < 6 else "validation" if k < 9 else "test") for k, film in enumerate(TCONSTS)}
    assert found.source.decisions()["data.split_by"] == "column"
    assert "parts: train 6 rows, validation 3 rows, test 3 rows; 12 of 12 rows are posters" in found.how


def test_train_alone_is_no_split(save):
    found = read("hugging_face", save({"genres": [list(labels) for *_, labels in FILMS]}, parts={"train": range(12)}))
    assert {entry.split for entry in found.posters.values()} == {""}
    assert "data.split_by" not in found.source.decisions()


def test_pictures_as_bytes_and_rows_without_one(datasets, save, files):
    data = [pathlib.Path(file).read_bytes() for file in files]
    data[0], data[1] = b"", data[2]
    columns = {"image": data, "genres": [list(labels) for *_, labels in FILMS]}
    found = read("hugging_face", save(columns, {"image": datasets.Value("binary")}))
    assert set(labels_by_film(found)) == set(TCONSTS[1:2] + TCONSTS[3:])
    assert found.left_out == {"no picture": ["row 1"], "second row of a picture": ["row 3"]}


def test_pictures_as_paths(datasets, save, files):
    values = [{"bytes": None, "path": file} for file in files]
    values[0], values[1] = {"bytes": None, "path": None}, {"bytes": None, "path": files[1] + ".gone"}
    found = read("hugging_face", save({"image": None, "poster": values, "genres": [list(labels) for *_, labels in FILMS]}))
    assert set(labels_by_film(found)) == set(TCONSTS[2:])
    assert found.left_out == {"no picture": ["row 1", "row 2"]}


def test_columns_of_ids_are_groups_and_others_are_not(save):
    labels = {"genres": [list(labels) for *_, labels in FILMS], "title": None, "imdb_id": None}
    numbers = [5, 5, *range(6, 16)]
    for columns, groups in (({"width": [182] * 12, "tmdb_id": numbers}, 11), ({"width": [182] * 12}, 12)):
        found = read("hugging_face", save({**columns, **labels}))
        assert len({poster.film_id for poster in found.posters}) == groups


def test_parts_with_other_columns_are_refused(datasets, files, tmp_path):
    one = datasets.Dataset.from_dict({"image": files, "genres": ["Drama"] * 12}).cast_column("image", datasets.Image())
    datasets.DatasetDict({"train": one, "test": one.remove_columns("genres")}).save_to_disk(str(tmp_path / "set"))
    with pytest.raises(InputError, match=r"the part 'test' has no column 'genres', which 'train' has"):
        read("hugging_face", tmp_path / "set")


def test_the_unit_is_read_without_the_pictures(save, tmp_path):
    source = HuggingFaceSource(save({"genres": [list(labels) for *_, labels in FILMS]}), tmp_path / "written")
    assert source.unit == "film"
    assert not (tmp_path / "written").exists()


def test_a_column_with_lists_of_pictures(datasets, save, files):
    columns = {"image": None, "images": [[file, files[0]] for file in files], "genres": [list(labels) for *_, labels in FILMS]}
    found = read("hugging_face", save(columns, {"images": datasets.List(datasets.Image())}))
    assert labels_by_film(found) == LABELS
    assert "of 12 rows with several the first" in found.how


def test_files_are_written_once_and_completed(save):
    folder = save({"genres": [list(labels) for *_, labels in FILMS]})
    first = read("hugging_face", folder)
    assert "0 of 12 written to files now" in read("hugging_face", folder).how
    file = pathlib.Path(next(iter(first.posters)).file)
    file.write_bytes(b"")
    again = read("hugging_face", folder)
    assert "1 of 12 written to files now" in again.how
    assert list(again.posters) == list(first.posters)
    assert again.source.hash_labels() == first.source.hash_labels()
    assert not list(file.parent.parent.rglob("*.partial"))


def test_the_decisions_repeat_the_reading(save):
    folder = save({"genres": [list(labels) for *_, labels in FILMS], "text": ["A prompt."] * 12})
    first = read("hugging_face", folder)
    assert {entry.text for entry in first.posters.values()} == {None}  # such columns are no words on a poster
    columns = TableColumns(
        **{
            field.removeprefix("data.table_columns."): value
            for field, value in first.source.decisions().items()
            if field.startswith("data.table_columns.")
        }
    )
    again = read("hugging_face", folder, columns=columns)
    assert again.posters == first.posters
    assert again.how.replace("0 of 12 written", "12 of 12 written") == first.how
    assert {entry.text for entry in read("hugging_face", folder, columns=TableColumns(text="text")).posters.values()} == {
        "A prompt."
    }


def test_data_without_names_of_films_are_groups(save):
    folder = save({"imdb_id": None, "title": None, "tags": [list(labels) for *_, labels in FILMS]})
    found = read("hugging_face", folder)
    assert found.source.unit == "group"
    assert all(poster.film_id.startswith("sha256:") for poster in found.posters)
    assert {entry.title for entry in found.posters.values()} == {""}


def test_what_cannot_be_used_is_one_error(datasets, save, files, tmp_path):
    with pytest.raises(InputError, match=r"has no column of labels; it has title, imdb_id. Name it"):
        read("hugging_face", save({}))
    datasets.Dataset.from_dict({"genres": ["Drama"]}).save_to_disk(str(tmp_path / "plain"))
    with pytest.raises(InputError, match=r"has no column of pictures; its columns are genres"):
        read("hugging_face", tmp_path / "plain")
    with pytest.raises(InputError, match=r"cannot be read by datasets.load_from_disk .* Give the folder that save_to_disk"):
        read("hugging_face", tmp_path / "drawn")
    with pytest.raises(InputError, match=r"does not exist. Name a folder with the files of datasets.save_to_disk"):
        read("hugging_face", tmp_path / "none")


def test_a_folder_for_pictures_that_cannot_be_written(save, tmp_path):
    folder = save({"genres": [list(labels) for *_, labels in FILMS]})
    (tmp_path / "taken").touch()
    with pytest.raises(InputError, match=r"cannot be written to .*taken"):
        read("hugging_face", folder, pictures_dir=str(tmp_path / "taken"))


def test_a_truncated_file_is_no_traceback(save):
    folder = save({"genres": [list(labels) for *_, labels in FILMS]})
    (arrow,) = folder.glob("*.arrow")
    arrow.write_bytes(arrow.read_bytes()[:2000])
    with pytest.raises(InputError):
        read("hugging_face", folder)


def test_a_row_that_cannot_be_read_is_recorded():
    class Rows:
        """Rows 1 to 3, of which the second fails, as pyarrow does."""

        features = {"genres": None, "image": None}  # noqa: RUF012

        def __len__(self):
            return 3

        def select_columns(self, names):
            return self

        def __getitem__(self, places):
            if 1 in range(places.start, places.stop):
                raise OSError("Expected to be able to read 8 bytes, got 4")
            count = places.stop - places.start
            return {"genres": [["Drama"]] * count, "image": [b"x"] * count}

    found = list(hf_parts.Part("train", Rows(), ("genres",), ("image",)).read())
    reason = "OSError: Expected to be able to read 8 bytes, got 4"
    assert found == [(1, [["Drama"]], b"x"), (2, reason, None), (3, [["Drama"]], b"x")]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"x", b"x"),
        ({"bytes": b"x", "path": "a.jpg"}, b"x"),
        ([{"bytes": b"x", "path": None}, {"bytes": b"y", "path": None}], b"x"),
        (None, "it has no picture"),
        (b"", "it has no picture"),
        ([], "it has no picture"),
        ({"bytes": None, "path": None}, "it has no picture"),
        (
            {"bytes": None, "path": "https://host.example/a.jpg"},
            "its file 'https://host.example/a.jpg': ",
        ),
        ({"bytes": None, "path": "a\0b"}, "its file 'a\\x00b': "),
        ("a text", "its picture is a str, not bytes"),
    ],
)
def test_the_bytes_of_a_picture_or_the_reason(value, found):
    got = picture_bytes(value)
    assert got == found if isinstance(found, bytes) else str(got).startswith(found)


def test_without_the_package_the_error_has_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match="needs the package datasets, which is not installed: pip install datasets"):
        read("hugging_face", tmp_path)


def test_reading_opens_no_connection(datasets, save):
    folder = save({"genres": [list(labels) for *_, labels in FILMS]})
    code = (
        "import socket, sys\n"
        "def refuse(*args): raise AssertionError('a connection')\n"
        "socket.socket.connect = refuse\n"
        "from posterfusion_jax.datasets.sources.hugging_face import HuggingFaceSource\n"
        "print(len(HuggingFaceSource(sys.argv[1], sys.argv[2]).list_pictures().posters))\n"
    )
    command = [sys.executable, "-c", code, str(folder), str(folder.parent / "pictures")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "12"), done.stderr
