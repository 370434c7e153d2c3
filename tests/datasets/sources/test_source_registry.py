"""Sources by name: those of the project, and the user's own."""

import sys
import types

import pytest
from source_forms import make_class_folders

from posterfusion_jax.datasets.sources.class_folders import ClassFoldersSource
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.datasets.sources.registry import SOURCES, make_source
from posterfusion_jax.errors import InputError


def test_the_names():
    assert SOURCES.names == ("folder", "table", "class_folders", "mm_imdb", "nfo", "hugging_face")


@pytest.mark.parametrize("name", ["folder", "table", "class_folders", "mm_imdb", "nfo", "hugging_face"])
def test_every_source_is_made_without_reading_anything(name, tmp_path):
    missing = str(tmp_path / "missing")
    source = make_source(SourceOptions(kind=name, folder=missing, table=missing, pictures_dir=str(tmp_path / "pictures")))
    assert source.name == name
    assert not (tmp_path / "pictures").exists()


def test_a_source_of_ones_own(tmp_path, monkeypatch):
    module = types.ModuleType("own_source")
    module.Own = lambda options: ClassFoldersSource(options.folder)  # pyright: ignore[reportAttributeAccessIssue]
    module.Wrong = lambda options: object()  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "own_source", module)
    folder = str(make_class_folders(tmp_path))
    assert len(make_source(SourceOptions(kind="own_source:Own", folder=folder)).list_pictures().posters) == 12
    with pytest.raises(InputError, match=r"gives a object without name, place, list_pictures, .*a source has what"):
        make_source(SourceOptions(kind="own_source:Wrong", folder=folder))


def test_an_unknown_source_is_named():
    with pytest.raises(InputError, match=r"data.source='nfos' is not a known source; choose one of .*Did you mean 'nfo'"):
        make_source(SourceOptions(kind="nfos", folder="x"))


def test_hugging_face_needs_a_folder_for_pictures():
    with pytest.raises(InputError, match="needs a folder for them"):
        make_source(SourceOptions(kind="hugging_face", folder="x"))
