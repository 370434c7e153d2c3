"""Every kind of file has its outcome: pixels, or a refusal that says why; nothing hangs or takes memory without bound."""

import os
import pathlib
import subprocess
import sys

import pytest
from odd_files import ENTRIES, NAMES, format_entries, format_names
from odd_image_kinds import KINDS, Refused, assert_looks, format_kinds
from odd_images import deep_png, encode, jpeg, quarters
from PIL import Image

from posterfusion_jax.datasets.imdb_posters.image_check import check_image
from posterfusion_jax.ocr.engines.base import NoEngine
from posterfusion_jax.ocr.task import Task, run_engine
from posterfusion_jax.posters import decode
from posterfusion_jax.posters import folder as poster_folder
from posterfusion_jax.posters.decode import UnreadableImage, decode_poster, read_bytes, read_poster
from posterfusion_jax.posters.folder import PosterFile, find_posters, shown
from posterfusion_jax.report.prediction import Prediction, as_text

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "image-formats.md").read_text()
BY_NAME = {kind.name: kind for kind in KINDS}

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's remarks on EXIF data


def test_there_is_no_kind_twice():
    assert len({kind.name for kind in KINDS}) == len(KINDS) > 100


@pytest.mark.parametrize("name", BY_NAME)
def test_every_kind_has_its_outcome(name, tmp_path):
    kind, path = BY_NAME[name], tmp_path / "poster.jpg"  # whatever it is, its suffix says JPEG
    path.write_bytes(kind.make())
    check = check_image(path)
    if isinstance(kind.outcome, Refused):
        with pytest.raises(UnreadableImage, match=r"\w") as refused:
            read_poster(path)
        assert kind.outcome.reason in str(refused.value)
        assert len(str(refused.value)) < 250
        assert isinstance(check, UnreadableImage)
        assert str(check) == str(refused.value)
    else:
        assert_looks(read_poster(path), kind.outcome)
        assert not isinstance(check, UnreadableImage)
        if check[1]:  # the dataset stores these bytes, and any reader sees these pixels
            with Image.open(path) as plain:
                assert plain.mode in ("RGB", "L")
                assert plain.convert("RGB").tobytes() == read_poster(path).tobytes()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_what_is_no_plain_file(entry, tmp_path):
    path = tmp_path / "images" / "tt0000001_1.jpg"
    path.parent.mkdir()
    entry.make(path)
    if "permission" in entry.name and os.access(path, os.R_OK):
        pytest.skip("root may read every file")
    (tmp_path / "images" / "tt0000002_1.jpg").write_bytes(jpeg())
    posters, skipped = find_posters(tmp_path)
    if entry.in_folder:
        assert [poster.poster_id for poster in posters] == ["tt0000002_1"]
        assert skipped == [("tt0000001_1.jpg", entry.in_folder)]
    else:
        assert ([poster.poster_id for poster in posters], skipped) == (["tt0000001_1", "tt0000002_1"], [])
    record = run_engine(NoEngine(), Task(PosterFile("1", "", str(path)), "0" * 64, 1))  # as OCR's processes do
    if entry.when_read:
        with pytest.raises(UnreadableImage, match=entry.when_read):
            read_poster(path)
        assert entry.when_read in (record.reason or "")
    else:
        assert read_poster(path).size == quarters().size
        assert record.status == "empty"


def test_names(tmp_path):
    for number, name in enumerate(NAMES):
        path = tmp_path / "images" / name.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(comment=str(number).encode()))
    posters, skipped = find_posters(tmp_path)
    assert [p.poster_id for p in posters] == sorted(name.poster for name in NAMES if name.poster)
    assert sorted(what for what, _ in skipped) == sorted(shown(name.name) for name in NAMES if not name.poster)
    assert {reason for _, reason in skipped} == {poster_folder.MISNAMED}
    for what, reason in skipped:
        assert f"{what}: {reason}".isprintable()
        (what + reason).encode()  # so that it can be printed and written
    for poster in posters:
        assert read_poster(poster.path).size == quarters().size


def test_what_is_printed_of_a_name():
    for name in ("tt0000001_1.jpg", "caf\u00e9 \u05e9.jpg", "a b'\"-.jpg"):
        assert shown(name) == name
    assert shown("a\nb\x1b\u202e\udcff") == r"a\nb\x1b\u202e\udcff"
    for prediction in (Prediction("a\x1b[31m\udcff", "", {}, {}, [], "broken"), Prediction("a\x1b[31m\udcff", "", {}, {}, [])):
        assert as_text(prediction).splitlines()[0] == r"a\x1b[31m\udcff"


def test_a_folder_that_cannot_be_listed_is_told(tmp_path, monkeypatch):
    (tmp_path / "images" / "closed").mkdir(parents=True)
    (tmp_path / "images" / "tt0000001_1.jpg").touch()
    scan = os.scandir

    def refuse(folder):
        if str(folder).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert find_posters(tmp_path)[1] == [("closed", "a folder that cannot be listed: Permission denied")]


def test_the_page_shows_the_tables():
    for table in (format_kinds(), format_entries(), format_names()):
        assert table in PAGE
    for limit in (decode.MAX_PIXELS, decode.MAX_SIDE, decode.MAX_SCANNED):
        assert f"{limit:,}" in PAGE
    assert f"{decode.MAX_BYTES >> 20} MiB" in PAGE
    for form in decode.FORMATS:
        assert form in PAGE


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "MAX_BYTES", 100)
    (tmp_path / "a").write_bytes(bytes(100))
    assert len(read_bytes(tmp_path / "a")) == 100
    (tmp_path / "a").write_bytes(bytes(101))
    with pytest.raises(UnreadableImage, match="101 bytes, more than the 100 allowed"):
        read_bytes(tmp_path / "a")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "CMYK", "I;16", "F"])
def test_conversion_in_bands_is_that_of_the_whole(mode, monkeypatch):
    image = quarters((50, 70))
    if mode == "I;16":
        data = deep_png(1)
    elif mode == "F":
        data = encode(image.convert("F"), "TIFF")
    else:
        data = encode(image.quantize(4) if mode == "P" else image.convert(mode), "TIFF" if mode == "CMYK" else "PNG")
    whole = decode_poster(data)
    monkeypatch.setattr(decode, "_BAND_PIXELS", 120)
    assert decode_poster(data).tobytes() == whole.tobytes()


@pytest.mark.parametrize(
    "make",
    [
        "encode(Image.new('RGBA', (8900, 8900)), 'PNG', compress_level=1)",
        "encode(Image.fromarray(np.zeros((8900, 8900), np.uint16)), 'PNG', compress_level=1)",
        "encode(Image.fromarray(np.zeros((8900, 8900), np.float32)), 'TIFF', compression='tiff_deflate')",
    ],
    ids=["RGBA", "16-bit grey", "float"],
)
def test_the_largest_image_takes_bounded_memory(make, tmp_path):
    """Pillow has four bytes a pixel; three such copies of 79 million pixels are the most that decoding may take."""
    code = f"""
import resource, sys
sys.path.insert(0, {str(pathlib.Path(__file__).parents[1] / "helpers")!r})
import numpy as np
from PIL import Image
from odd_images import encode
if sys.argv[1:] == ["make"]:
    open({str(tmp_path / "image")!r}, "wb").write({make})
else:
    from posterfusion_jax.posters.decode import read_poster
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert read_poster({str(tmp_path / "image")!r}).size == (8900, 8900)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])}
    for arguments in (["make"], []):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment, timeout=120
        )
        assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 3 * 4 * 8900 * 8900 >> 20
