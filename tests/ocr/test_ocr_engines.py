"""The real engine on drawn lettering: what it reads, that it is silent and offline, and what a wrong option says."""

import socket
import sys
import types

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.engines.base import ENGINES, EngineChoice, OcrResult, make_engine
from posterfusion_jax.ocr.options import ReadOptions
from posterfusion_jax.ocr.records.store import RecordWriter
from posterfusion_jax.ocr.run import read_posters
from posterfusion_jax.posters.folder import find_posters

FAST = {"min_side": 320}  # large lettering needs no more


@pytest.fixture(scope="module")
def engine():
    pytest.importorskip("rapidocr", reason="rapidocr is not installed (extra 'ocr')")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra 'ocr')")
    return make_engine("rapidocr", **FAST)


def poster(*lines: str, size: tuple[int, int] = (300, 450), top: int = 60) -> Image.Image:
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for k, line in enumerate(lines):
        draw.text((20, top + 100 * k), line, fill="black", font=ImageFont.load_default(32))
    return image


def test_lines_are_read_from_top_to_bottom_with_boxes_as_fractions(engine):
    reading = engine.read(poster("THE LAST STORM", "A love story", "In cinemas May 7"))
    assert [line.lower() for line in reading.lines] == ["the last storm", "a love story", "in cinemas may 7"]
    assert all(0.8 < confidence <= 1 for confidence in reading.confidences)
    boxes = np.array(reading.boxes)
    assert boxes.shape == (3, 4)
    assert ((boxes >= 0) & (boxes <= 1)).all()
    assert np.allclose(boxes[:, 0], 20 / 300, atol=0.03)
    assert np.allclose(boxes[:, 1], np.array([65, 165, 265]) / 450, atol=0.03)
    assert (boxes[:, 2] - boxes[:, 0] > 0.4).all()


def test_neither_a_word_on_the_terminal_nor_a_connection(engine, capfd, monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    fresh = make_engine("rapidocr", **FAST)
    assert fresh.read(poster("HELLO")).lines == ("HELLO",)
    assert fresh.read(poster()) == OcrResult()
    assert capfd.readouterr() == ("", "")


def test_the_reading_does_not_depend_on_the_number_of_threads(engine):
    image = poster("THE LAST STORM", "A love story")
    assert make_engine("rapidocr", threads=2, **FAST).read(image) == engine.read(image)
    assert engine.read(image) == engine.read(image)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (20, 600)])
def test_odd_sizes_are_read_as_nothing(engine, size):
    assert engine.read(Image.new("RGB", size, "navy")) == OcrResult()


@pytest.mark.parametrize("size", [(20_000, 10), (10, 20_000), (65_500, 1), (1, 65_500)])
def test_a_hair_thin_image_is_reduced_before_it_is_padded(engine, size, monkeypatch):
    seen = []

    def read(pixels):
        seen.append(pixels.shape)
        return types.SimpleNamespace(txts=None)

    monkeypatch.setattr(engine, "_rapidocr", read)
    assert engine.read(Image.new("RGB", size, "white")) == OcrResult()
    assert max(seen[0][:2]) == 2000
    assert min(seen[0][:2]) == 500


def test_a_strip_keeps_its_boxes_in_place(engine):
    reading = engine.read(poster("THE LAST STORM", size=(300, 60), top=8))
    assert " ".join(reading.lines) == "THE LAST STORM"
    boxes = np.array(reading.boxes)
    assert boxes[:, 0].min() == pytest.approx(20 / 300, abs=0.05)
    assert boxes[:, 2].max() == pytest.approx(273 / 300, abs=0.05)
    assert boxes[:, 1::2].mean() == pytest.approx(28 / 60, abs=0.1)


def test_min_confidence_drops_lines(engine):
    image = poster("THE LAST STORM")
    assert make_engine("rapidocr", min_confidence=1.0, **FAST).read(image).lines == ()
    assert engine.read(image).lines == ("THE LAST STORM",)


def test_workers_and_this_process_write_the_same_records(engine, tmp_path):
    (tmp_path / "images").mkdir()
    for k, title in enumerate(["ALPHA", "BRAVO", "CHARLIE"], start=1):
        poster(title).save(tmp_path / "images" / f"tt0000001_{k}.png")
    (tmp_path / "images" / "tt0000002.jpg").write_bytes(b"")
    posters, _ = find_posters(tmp_path)
    records = []
    for workers in (1, 2):
        with RecordWriter(tmp_path / f"{workers}.jsonl") as store:
            read_posters(
                posters, store, EngineChoice(name="rapidocr", options=FAST), ReadOptions(workers=workers), progress=False
            )
            rows = [vars(record) | {"seconds": None, "time": None} for record in store]
            records.append({row["poster_id"]: row for row in rows})
    assert records[0] == records[1]
    texts = {poster_id: row["text"] for poster_id, row in records[0].items()}
    assert texts == {"tt0000001_1": "ALPHA", "tt0000001_2": "BRAVO", "tt0000001_3": "CHARLIE", "tt0000002": ""}
    alpha = records[0]["tt0000001_1"]
    assert alpha["engine_version"].startswith("3.")
    assert "PP-OCRv6" in alpha["model_version"]
    assert records[0]["tt0000002"]["reason"] == "unreadable image: the file is empty (0 bytes)"


def test_no_engine_reads_nothing():
    assert make_engine("none", min_confidence=0.5).read(poster("HELLO")) == OcrResult()


def test_unknown_names_and_options_out_of_range():
    with pytest.raises(InputError, match=r"ocr\.engine='gpt'.*rapidocr, tesseract, gemini, none"):
        make_engine("gpt")
    with pytest.raises(InputError, match=r"ocr\.min_confidence=50"):
        make_engine("rapidocr", min_confidence=50)
    with pytest.raises(InputError, match="max_side=0"):
        make_engine("rapidocr", max_side=0)
    assert "rapidocr" in ENGINES


@pytest.mark.parametrize("package", ["rapidocr", "onnxruntime"])
def test_a_missing_package_says_how_to_install_it(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=r"pip install 'posterfusion-jax\[ocr\]'"):
        make_engine("rapidocr")


def test_a_missing_model_is_an_error_and_no_download(engine, monkeypatch):
    from posterfusion_jax.ocr.engines import rapidocr

    monkeypatch.setitem(rapidocr._MODELS, "Rec", "PP-OCRv9.onnx")
    with pytest.raises(InputError, match=r"not contain the model 'PP-OCRv9.onnx'.*3\.10"):
        make_engine("rapidocr")
