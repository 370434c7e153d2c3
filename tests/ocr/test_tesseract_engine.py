"""Tesseract: what it reads on drawn lettering, and what becomes of a program that is missing, hangs, crashes or babbles."""

import os
import stat
import time

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.engines.base import ENGINES, EngineChoice, OcrResult, make_engine
from posterfusion_jax.ocr.options import ReadOptions
from posterfusion_jax.ocr.records.store import RecordWriter
from posterfusion_jax.ocr.run import read_posters
from posterfusion_jax.posters.folder import find_posters

HEADER = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext"
PAGE = "1\t1\t0\t0\t0\t0\t0\t0\t300\t450\t-1\t"
LANGUAGES = 'List of available languages in "/tessdata/" (3):\neng\nosd\nchi_sim'


@pytest.fixture
def engine():
    """The program of this machine."""
    try:
        return make_engine("tesseract", min_side=300)  # large lettering needs no more
    except InputError as error:
        pytest.skip(f"Tesseract is not usable here: {error}")


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Puts a script on the PATH that answers as Tesseract does; `reading` is its shell code for an image."""

    def install(reading: str, *, version: str = "echo tesseract 5.9.1", languages: str = f"echo '{LANGUAGES}'"):
        script = tmp_path / "bin" / "tesseract"
        script.parent.mkdir(exist_ok=True)
        script.write_text(
            f'#!/bin/sh\ncase "$1" in\n--version) {version};;\n--list-langs) {languages};;\n*) {reading};;\nesac\n'
        )
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")

    return install


def poster(*lines: str, size: tuple[int, int] = (300, 450)) -> Image.Image:
    image = Image.new("RGB", size, "white")
    for k, line in enumerate(lines):
        ImageDraw.Draw(image).text((20, 60 + 100 * k), line, fill="black", font=ImageFont.load_default(32))
    return image


def table(*rows: str) -> str:
    """Shell code that swallows the image and writes these rows; a row is "block line left top width height conf text"."""
    cells = [row.split(" ", 7) for row in rows]
    words = [f"5\t1\t{block}\t1\t{line}\t1\t" + "\t".join(rest) for block, line, *rest in cells]
    return "cat >/dev/null; cat <<'END'\n" + "\n".join([HEADER, PAGE, *words]) + "\nEND\n"


def test_lines_are_read_from_top_to_bottom_with_boxes_as_fractions(engine):
    reading = engine.read(poster("THE LAST STORM", "A love story", "In cinemas May 7"))
    assert reading.lines == ("THE LAST STORM", "A love story", "In cinemas May 7")
    assert all(0.6 < confidence <= 1 for confidence in reading.confidences)
    boxes = np.array(reading.boxes)
    assert boxes.shape == (3, 4)
    assert np.allclose(boxes[:, 0], 20 / 300, atol=0.03)
    assert np.allclose(boxes[:, 1], np.array([65, 165, 265]) / 450, atol=0.03)
    assert (boxes[:, 2] - boxes[:, 0] > 0.4).all()
    assert engine.version[0].isdigit()
    assert engine.model_version == "eng"


def test_the_reading_does_not_depend_on_the_number_of_threads(engine):
    image = poster("THE LAST STORM", "A love story")
    assert make_engine("tesseract", threads=2, min_side=300).read(image) == engine.read(image) == engine.read(image)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (20, 600)])
def test_odd_sizes_are_read_as_nothing(engine, size):
    assert engine.read(Image.new("RGB", size, "navy")) == OcrResult()


def test_words_become_lines(fake):
    fake(
        table(
            "1 1 30 900 60 30 96.5 STORM",  # below the next block, which the program may write later
            "2 1 0 30 90 30 90 THE",
            "2 1 120 24 180 39 80 LAST",
            "2 2 0 90 90 30 49 mumble",  # under min_confidence
            "3 1 0 300 9 900 95 |",  # an edge
            "4 1 0 1290 90 30 95 &",
            "4 1 120 1290 90 30 95 7",
        )
    )
    reading = make_engine("tesseract", min_side=900).read(poster())
    assert reading.lines == ("THE LAST", "STORM", "& 7")
    assert reading.confidences == (0.85, 0.965, 0.95)
    assert reading.boxes[0] == (0.0, round(24 / 1350, 4), round(300 / 900, 4), round(63 / 1350, 4))


def test_modes_with_an_order_of_their_own_keep_it(fake):
    fake(table("1 1 500 900 60 30 96 right", "2 1 0 30 90 30 90 left"))
    assert make_engine("tesseract", psm=3).read(poster()).lines == ("right", "left")
    assert make_engine("tesseract", psm=11).read(poster()).lines == ("left", "right")


def test_what_the_program_is_told(fake, tmp_path):
    fake(f'echo "$@" "$OMP_THREAD_LIMIT" >{tmp_path}/args; head -c 15 >{tmp_path}/image; cat >/dev/null; echo "{HEADER}"')
    options = {"languages": "eng+chi_sim", "psm": 6, "min_side": 600, "threads": 3}
    assert make_engine("tesseract", **options).read(poster()) == OcrResult()
    assert (tmp_path / "args").read_text() == "stdin stdout -l eng+chi_sim --psm 6 --dpi 70 tsv 3\n"
    assert (tmp_path / "image").read_text().startswith("P6\n600 900\n")
    make_engine("tesseract", **options, max_side=300).read(poster())
    assert (tmp_path / "image").read_text().startswith("P6\n200 300\n")


@pytest.mark.parametrize(
    ("reading", "error", "message"),
    [
        ("cat >/dev/null; exec sleep 60", TimeoutError, "killed after 0.5 s"),
        ("exec sleep 60", TimeoutError, "killed after 0.5 s"),  # it does not even take the image
        ("echo Cannot allocate >&2; exit 3", RuntimeError, "ended with status 3: Cannot allocate"),
        ("kill -9 $$", RuntimeError, "ended with status -9: no message"),
        ("exit 0", RuntimeError, "not write a table of words but ''"),
        ("head -c 3000 /dev/zero", RuntimeError, "not write a table of words"),
        (f"printf '{HEADER}\\n5\\t1\\t1\\t1\\t1'", RuntimeError, "a row that is not a word: '5"),
        (table("1 1 0 0 9 x 95 THE"), RuntimeError, "a row that is not a word"),
    ],
)
def test_a_faulty_program_is_the_posters_error(fake, reading, error, message):
    fake(reading)
    engine = make_engine("tesseract", timeout_s=0.5)
    started = time.monotonic()
    with pytest.raises(error, match=message):
        engine.read(poster())
    assert time.monotonic() - started < 20


def test_a_run_goes_on_after_a_faulty_poster(fake, tmp_path):
    fake(f"case $(head -c 9) in *640*) exit 3;; esac; {table('1 1 0 0 90 30 95 STORM')}")
    (tmp_path / "images").mkdir()
    for k, width in enumerate((640, 700), start=1):
        Image.new("RGB", (width, 900)).save(tmp_path / "images" / f"tt0000001_{k}.png")
    posters, _ = find_posters(tmp_path)
    with RecordWriter(tmp_path / "ocr.jsonl") as store:
        small = EngineChoice(name="tesseract", options={"min_side": 32})
        summary = read_posters(posters, store, small, ReadOptions(workers=1), progress=False)
        records = {record.poster_id: record for record in store}
    assert summary.by_status == {"error": 1, "ok": 1}
    assert records["tt0000001_1"].reason == "RuntimeError: tesseract ended with status 3: no message"
    assert records["tt0000001_2"].text == "STORM"
    assert (records["tt0000001_2"].engine, records["tt0000001_2"].engine_version) == ("tesseract", "5.9.1")


def test_a_missing_program_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"no program.*apt-get install tesseract-ocr.*brew install tesseract"):
        make_engine("tesseract")


def test_missing_languages_say_how_to_install_them(fake):
    fake(table())
    with pytest.raises(InputError, match=r"no data for 'deu', only for eng, osd, chi_sim.*tesseract-ocr-deu .*tesseract-lang"):
        make_engine("tesseract", languages="eng+deu")
    with pytest.raises(InputError, match="tesseract-ocr-chi-tra "):
        make_engine("tesseract", languages="chi_tra")
    fake(table(), languages=f"echo '{LANGUAGES}' | grep -v osd")
    assert make_engine("tesseract").version == "5.9.1"
    with pytest.raises(InputError, match="no data for 'osd'"):
        make_engine("tesseract", psm=12)


@pytest.mark.parametrize("version", ["exit 1", "echo", "kill -9 $$"])
def test_a_program_that_does_not_start_is_an_error_at_once(fake, version):
    fake(table(), version=version)
    with pytest.raises(InputError, match=r"tesseract --version ended with status"):
        make_engine("tesseract")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_confidence": 50}, r"ocr\.tesseract\.min_confidence=50"),
        ({"psm": 7}, r"ocr\.tesseract\.psm=7 .*1, 3, 4, 6, 11, 12"),
        ({"min_side": 0}, "min_side=0"),
        ({"threads": 0}, "threads=0"),
        ({"timeout_s": 0}, "timeout_s=0"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(InputError, match=message):
        make_engine("tesseract", **options)
    assert "tesseract" in ENGINES
