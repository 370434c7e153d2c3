"""Which files of a folder are images, by name or content, and how the others are counted."""

import io
import os
import pathlib
import shutil

import pytest
from PIL import Image

from posterfusion_jax.posters import image_files
from posterfusion_jax.posters.decode import decode_poster, read_bytes
from posterfusion_jax.posters.folder import find_posters, format_skipped, list_folder
from posterfusion_jax.posters.image_files import OtherFiles, find_images, format_other_files, list_files, stem_of


def image(kind: str, number: int = 0) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (12, 18), (number, 90, 120)).save(data, kind)
    return data.getvalue()


def folder_of(tmp_path: pathlib.Path, files: dict[str, bytes]) -> pathlib.Path:
    for name, data in files.items():
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path


ODD_SUFFIXES = {
    ".jfif": "JPEG",
    ".jpe": "JPEG",
    ".gif": "GIF",
    ".avif": "AVIF",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".TIFF": "TIFF",
    ".jpg_large": "JPEG",
    ".jpg-orig": "PNG",
    ".jpg?width=300": "WEBP",
    ".heic": "JPEG",
    ".pjpeg": "JPEG",
    ".JFIF": "JPEG",
    ".dib": "BMP",
    "": "JPEG",
    ".jpeg.jpg": "JPEG",
    ".JPG.webp": "WEBP",
    ".jpg.1": "JPEG",
}


@pytest.mark.parametrize(("suffix", "kind"), ODD_SUFFIXES.items())
def test_content_decides_whatever_the_suffix(tmp_path, suffix, kind):
    folder = folder_of(tmp_path, {f"tt0000001_1{suffix}": image(kind), "tt0000002_1.jpg": image("JPEG", 2)})
    posters, skipped = find_posters(folder)
    assert (posters[0].poster_id, posters[0].path.name) == ("tt0000001_1", f"tt0000001_1{suffix}")
    assert len(posters) == 2
    assert skipped == []
    assert decode_poster(read_bytes(posters[0].path)).size == (12, 18)
    assert [path.name for path in find_images(folder / "images")[0]] == [f"tt0000001_1{suffix}", "tt0000002_1.jpg"]


def test_other_files_are_counted_by_kind_and_not_opened(tmp_path, monkeypatch):
    names = ("a.txt", "b.TXT", "c.nfo", "tt0000001_1.json", "._tt0000001_1.jpg", ".DS_Store", "Thumbs.db", "desktop.ini")
    files = dict.fromkeys((*names, "tt0000002_1.jpg.part", "x.jpg.crdownload", "tt0000003.xmp"), image("JPEG"))
    folder = folder_of(tmp_path, {**files, "tt0000001_1.jpg": image("JPEG")})
    monkeypatch.setattr(image_files, "open", None, raising=False)
    posters, skipped, others = list_folder(folder)
    assert [p.poster_id for p in posters] == ["tt0000001_1"]
    assert list(skipped) == []
    expected = {".txt": 2, ".nfo": 1, ".json": 1, "hidden": 2, ".db": 1, ".ini": 1, ".part": 1, ".crdownload": 1, ".xmp": 1}
    assert others == expected
    assert format_other_files(others).startswith("11 files skipped (2 .txt, 2 hidden, 1 .crdownload, ")
    assert find_images(folder / "images")[2] == expected


def test_a_known_suffix_is_not_opened(tmp_path, monkeypatch):
    folder = folder_of(tmp_path, {f"tt000000{k}_1{s}": b"" for k, s in enumerate((".jpg", ".png", ".gif", ".tif"))})
    monkeypatch.setattr(image_files, "open", None, raising=False)
    assert len(find_posters(folder)[0]) == 4


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("tt0000009_1.heic", b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC, an image format that is not read"),
        ("tt0000009_1.jxl", b"\xff\x0a\x00", "JPEG XL, an image format that is not read"),
        ("tt0000009_1.psd", b"8BPS\0\1", "Photoshop, an image format that is not read"),
        ("tt0000009_1.svg", b"<svg xmlns=''/>", "SVG, an image format that is not read"),
        ("tt0000009_1.jpg_large", b"<html>not found", "not an image in a format that is read"),
        ("tt0000009_1", b"", "the file is empty"),
        ("matrix.jpg_large", image("JPEG"), "the name is not <tconst>_<k>"),
    ],
)
def test_what_may_be_a_poster_is_listed_with_the_reason(tmp_path, name, data, reason):
    posters, skipped, others = list_folder(folder_of(tmp_path, {name: data, "tt0000001.jpg": image("JPEG")}))
    assert len(posters) == 1
    assert [item.what for item in skipped] == [name]
    assert skipped[0].reason.startswith(reason)
    assert others == {}


def test_what_has_no_posters_name_and_is_no_image_is_counted(tmp_path):
    files = {"README": b"read me", "notes.abc": b"text", "BMnotes": b"BM is a text", "tt0000001.jpg": image("JPEG")}
    _, skipped, others = list_folder(folder_of(tmp_path, files))
    assert list(skipped) == []
    assert others == {"no suffix": 2, ".abc": 1}
    assert find_images(tmp_path / "images")[2] == others


def test_of_one_poster_under_two_suffixes_the_usual_one_counts(tmp_path):
    names = ("tt0000001_1.avif", "tt0000001_1", "tt0000001_1.jpg", "tt0000001_1.bmp", "tt0000001_1.jpg.jpg")
    posters, skipped, _ = list_folder(folder_of(tmp_path, dict.fromkeys(names, image("JPEG"))))
    assert [p.path.name for p in posters] == ["tt0000001_1.jpg"]
    assert {item.what for item in skipped} == set(names) - {"tt0000001_1.jpg"}
    assert {item.reason for item in skipped} == {"the poster tt0000001_1 is already there as tt0000001_1.jpg"}
    assert format_skipped(skipped, OtherFiles()) == ["4 skipped: a second file of the same poster (the first: 'tt0000001_1')"]


def test_links_folders_and_pipes_of_a_folder_to_predict(tmp_path):
    folder = folder_of(tmp_path, {"a.gif": image("GIF"), "deep/b": image("PNG"), "notes.txt": b""}) / "images"
    (folder / "gone.jpg").symlink_to(tmp_path / "gone")
    (folder / "linked").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(folder / "pipe")
    images, folders, others = find_images(folder)
    assert [str(path.relative_to(folder)) for path in images] == ["a.gif", "deep/b", "gone.jpg"]
    assert folders == [(f"{folder}/linked", "a link to a folder; those are not followed")]
    assert others == {".txt": 1, "no suffix": 1}


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        *(("tt1.jpg", "tt1"), ("tt1", "tt1"), ("tt1.jpeg.jpg", "tt1"), ("tt1.JPG.webp", "tt1"), ("tt1.jpg_large", "tt1")),
        *(("tt1.v2.jpg", "tt1.v2"), (".jpg", ".jpg"), ("a.b", "a"), ("tt1.jpg.1", "tt1"), ("tt1.", "tt1")),
    ],
)
def test_stems(name, stem):
    assert stem_of(name) == stem


def test_kinds_are_bounded(tmp_path):
    others = OtherFiles()
    for number in range(1000):
        others.add(f".{number}")
    others.add("." + "x" * 1000)
    assert len(others) <= 51
    assert others.total() == 1001


@pytest.mark.parametrize("place", ["Images", "IMAGES", "posters", "images/images", "."])
def test_the_only_folder_with_posters_is_read(tmp_path, place, caplog):
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    (tmp_path / place / "tt0000001_1.jpg").write_bytes(image("JPEG"))
    (tmp_path / "title.basics.tsv").touch()
    posters, skipped, others = list_folder(tmp_path)
    assert [p.path for p in posters] == [tmp_path / place / "tt0000001_1.jpg"]
    assert list(skipped) == []
    assert others == ({".tsv": 1} if place == "." else {})
    assert ("the posters are read from" in caplog.text) == (place != "images/images")


def test_posters_in_an_other_folder_while_images_is_empty(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / ".DS_Store").touch()
    (tmp_path / "covers").mkdir()
    (tmp_path / "covers" / "tt0000001_1.jpg").write_bytes(image("JPEG"))
    assert find_posters(tmp_path)[0][0].path.parent.name == "covers"
    shutil.copytree(tmp_path / "covers", tmp_path / "posters")
    with pytest.raises(Exception, match=r"posters in several places: 'covers/', 'posters/'\. Put them all into"):
        find_posters(tmp_path)


def test_posters_outside_the_folder_of_images_are_counted(tmp_path):
    folder = folder_of(tmp_path, {"tt0000001_1.jpg": image("JPEG")})
    (folder / "tt0000002_1.jpg").touch()
    assert list_folder(folder).other_files == {"outside images/": 1}


def test_what_was_found_instead_is_named(tmp_path):
    (tmp_path / "archive").mkdir()
    (tmp_path / "images.zip").touch()
    with pytest.raises(Exception, match=r"no folder 'images' \(it holds 'archive/', 'images\.zip'\)"):
        find_posters(tmp_path)


def test_listing_is_lazy(tmp_path):
    folder_of(tmp_path, {"a.jpg": b"", "b.jpg": b""})
    assert next(iter(list_files(tmp_path))).path.startswith(str(tmp_path))
