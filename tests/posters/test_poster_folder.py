"""Which files of a folder are posters, and what is said about the others."""

import pathlib

import pytest

from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import film_of, find_posters, record_files


def lay_out(folder: pathlib.Path, *names: str) -> pathlib.Path:
    for name in names:
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def ids(folder: pathlib.Path) -> list[str]:
    return [poster.poster_id for poster in find_posters(folder)[0]]


def test_names_suffixes_and_sub_folders(tmp_path):
    lay_out(tmp_path, "tt0133093_2.jpg", "tt0133093_1.PNG", "tt0000003.webp", "a/b/tt10872600_1.jpeg", "notes.txt")
    posters, skipped = find_posters(str(tmp_path))
    assert [(p.poster_id, p.film_id) for p in posters] == [
        ("tt0000003", "tt0000003"),
        ("tt0133093_1", "tt0133093"),
        ("tt0133093_2", "tt0133093"),
        ("tt10872600_1", "tt10872600"),
    ]
    assert posters[-1].path == tmp_path / "images" / "a" / "b" / "tt10872600_1.jpeg"
    assert skipped == []


@pytest.mark.parametrize("name", ["matrix.jpg", "tt123_1.jpg", "tt0133093-1.jpg", "tt0133093_a.jpg", "TT0133093.jpg"])
def test_other_names_are_listed_with_the_reason(tmp_path, name):
    posters, skipped = find_posters(lay_out(tmp_path, "tt0000001_1.jpg", f"sub/{name}"))
    assert [p.poster_id for p in posters] == ["tt0000001_1"]
    assert [s.what for s in skipped] == [f"sub/{name}"]
    assert "tt0133093_1.jpg" in skipped[0].reason


def test_a_second_file_of_one_poster_is_listed(tmp_path):
    posters, skipped = find_posters(lay_out(tmp_path, "tt0000001_1.png", "tt0000001_1.jpg", "b/tt0000001_1.jpg"))
    assert [p.path.name for p in posters] == ["tt0000001_1.jpg"]
    assert posters[0].path.parent.name == "b"  # the first in the order of paths
    assert [s.what for s in skipped] == ["tt0000001_1.jpg", "tt0000001_1.png"]
    assert "b/tt0000001_1.jpg" in skipped[0].reason


def test_a_broken_link_is_listed_and_a_good_one_followed(tmp_path):
    lay_out(tmp_path, "tt0000001_1.jpg")
    (tmp_path / "images" / "tt0000002_1.jpg").symlink_to(tmp_path / "images" / "tt0000001_1.jpg")
    (tmp_path / "images" / "tt0000003_1.jpg").symlink_to(tmp_path / "gone")
    posters, skipped = find_posters(tmp_path)
    assert [p.poster_id for p in posters] == ["tt0000001_1", "tt0000002_1"]
    assert skipped == [("tt0000003_1.jpg", "a link that leads to no file")]


def test_a_folder_that_looks_like_a_poster_is_none(tmp_path):
    lay_out(tmp_path, "tt0000009.jpg/tt0000001_1.jpg")
    assert find_posters(tmp_path)[1] == []
    assert ids(tmp_path) == ["tt0000001_1"]


def test_the_order_does_not_depend_on_the_folders(tmp_path):
    lay_out(tmp_path, "z/tt0000001_1.jpg", "a/tt0000002_1.jpg", "tt0000001_2.jpg")
    assert ids(tmp_path) == ["tt0000001_1", "tt0000001_2", "tt0000002_1"]


def test_missing_folders_and_empty_ones_are_explained(tmp_path):
    with pytest.raises(InputError, match=r"data\.posters_dir=.*no folder 'images'.*title\.basics\.tsv\.gz"):
        find_posters(tmp_path / "nowhere")
    (tmp_path / "images").touch()
    with pytest.raises(InputError, match="no folder 'images'"):
        find_posters(tmp_path)
    (tmp_path / "images").unlink()
    lay_out(tmp_path, "matrix.jpg", "alien.png")
    with pytest.raises(InputError, match=r"no poster named.*\.webp.*2 left out, the first 'alien.png': the name is not"):
        find_posters(tmp_path)


@pytest.mark.real
def test_the_folder_of_real_posters(shared_dir):
    posters, skipped = find_posters(shared_dir / "posters")
    assert (len(posters), skipped) == (4499, [])
    assert len({p.film_id for p in posters}) == 1707


def test_record_files_are_the_shards_and_then_the_file_of_the_plain_run(tmp_path):
    assert record_files(tmp_path) == []
    for name in ("ocr.jsonl", "ocr-run002-00000-of-00001.jsonl", "ocr-00001-of-00002.jsonl", "ocr-00000-of-00002.jsonl"):
        (tmp_path / name).touch()
    (tmp_path / "ocr.txt").touch()
    (tmp_path / "ocr-folder.jsonl").mkdir()
    assert [path.name for path in record_files(tmp_path)] == [
        *("ocr-00000-of-00002.jsonl", "ocr-00001-of-00002.jsonl", "ocr-run002-00000-of-00001.jsonl", "ocr.jsonl")
    ]


def test_the_film_of_a_poster():
    assert (film_of("tt0133093_12"), film_of("tt0133093"), film_of("matrix")) == ("tt0133093", "tt0133093", None)
