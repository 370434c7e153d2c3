"""Which files of a folder are predicted, and what is printed of the others."""

from PIL import Image

from posterfusion_jax.pipeline.predict import _list_posters


def test_images_under_any_suffix_are_predicted_and_the_others_counted(tmp_path, capsys):
    kinds = {"a.gif": "GIF", "b": "JPEG", "c.jpg_large": "JPEG", "deep/d.AVIF": "AVIF", "e.heic": "JPEG", "f.jpg": "JPEG"}
    for name, kind in kinds.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 12)).save(tmp_path / name, kind)
    for name in ("notes.txt", "more.txt", "._f.jpg", "unknown.xyz", "f.jpg.part"):
        (tmp_path / name).write_text("text")
    (tmp_path / "linked").symlink_to(tmp_path)
    listed = _list_posters([str(tmp_path)])
    assert [str(path.relative_to(tmp_path)) for path in listed] == sorted(kinds)
    printed = capsys.readouterr()
    assert printed.out == ""  # where the predictions go
    assert f"{tmp_path}: 5 files skipped (2 .txt, 1 .part, 1 .xyz, 1 hidden)" in printed.err
    assert "linked: a link to a folder; those are not followed" in printed.err


def test_an_image_of_a_format_that_is_not_read_is_answered(tmp_path):
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    assert [path.name for path in _list_posters([str(tmp_path)])] == ["a.heic", "gone.jpg"]


def test_a_folder_without_an_image_names_what_it_holds(tmp_path):
    (tmp_path / "notes.txt").touch()
    (answer,) = _list_posters([str(tmp_path)])
    assert "holds no file with an image (1 file skipped (1 .txt)). Formats that are read: JPEG, PNG" in answer.error
    (tmp_path / "notes.txt").unlink()
    (answer,) = _list_posters([str(tmp_path)])
    assert "holds no file with an image (no file at all)" in answer.error
