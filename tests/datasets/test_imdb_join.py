"""Joining posters, titles and records: every reason to leave something out, and every kind of image."""

import hashlib
import io
import os
import pathlib

import numpy as np
import pytest
from imdb_folder import write_poster
from PIL import Image

from posterfusion_jax.datasets.imdb_posters.image_check import check_image, hash_files
from posterfusion_jax.datasets.imdb_posters.join import HashedPoster, JoinRules, image_bytes, join
from posterfusion_jax.datasets.imdb_posters.text_provenance import MISSING, read_record
from posterfusion_jax.datasets.label_set import paper_labels
from posterfusion_jax.datasets.sources.base import Entries, Entry, LeftOut
from posterfusion_jax.ocr.records.record import OcrRecord
from posterfusion_jax.ocr.text.line_filters import NO_RULES
from posterfusion_jax.posters.decode import UnreadableImage, decode_poster

TITLES = {
    "tt0000001": Entry("One", 1999, ("drama",)),
    "tt0000002": Entry(
        "Two",
        None,
        (
            "comedy",
            "Family",
        ),
    ),
    "tt0000003": Entry("Three", 2001, ("Western",)),
}


def add(folder: pathlib.Path, name: str, data: bytes) -> HashedPoster:
    path = folder / name
    path.write_bytes(data)
    return HashedPoster(path.stem, path.stem.split("_")[0], str(path), hashlib.sha256(data).hexdigest())


def joined(posters, record: OcrRecord | None = None, titles=TITLES, **rules):
    """`join` with the films of `TITLES`; a record is that of the first poster."""
    texts = {} if record is None else {posters[0].sha256: read_record(record, NO_RULES)}
    entries = Entries(titles, per_group=True, left_out=LeftOut(), notes={}, how=())
    return join(posters, entries, texts, JoinRules(paper_labels(), **rules))


def picture(number: int) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (12, 18), (number, 0, 0)).save(data, "JPEG")
    return data.getvalue()


def encode(image: Image.Image, form: str, **options) -> bytes:
    data = io.BytesIO()
    image.save(data, form, **options)
    return data.getvalue()


def test_rows_carry_titles_labels_and_text(tmp_path):
    record = OcrRecord(sha256="0" * 64, status="ok", text="SO\n  MANY\twords", engine="rapidocr")
    posters = [add(tmp_path, "tt0000001_1.jpg", picture(1)), add(tmp_path, "tt0000002_1.jpg", picture(9))]
    rows, left_out = joined(posters, record)
    assert left_out == {}
    assert [row.poster_id for row in rows] == ["tt0000001_1", "tt0000002_1"]
    assert (rows[0].title, rows[0].year, rows[0].text, rows[0].reading.status) == ("One", 1999, "SO MANY words", "ok")
    assert (rows[1].year, rows[1].text, rows[1].reading.status) == (None, "", MISSING)
    assert rows[0].genres == ("drama",)


@pytest.mark.parametrize(("status", "text"), [("max_tokens", "half"), ("empty", ""), ("blocked", ""), ("error", "")])
def test_the_status_of_the_record_is_kept_and_unusable_text_is_not(tmp_path, status, text):
    record = OcrRecord(sha256="0" * 64, status=status, text="" if status == "empty" else "half", engine="gemini")
    rows, _ = joined([add(tmp_path, "tt0000001_1.jpg", picture(1))], record)
    assert (rows[0].reading.status, rows[0].text) == (status, text)


def test_every_reason_to_leave_a_poster_out(tmp_path):
    posters = [
        add(tmp_path, "tt0000001_1.jpg", picture(1)),
        add(tmp_path, "tt0000001_2.jpg", picture(1)),  # the same file twice
        add(tmp_path, "tt0000001_3.jpg", picture(30)),
        add(tmp_path, "tt0000001_4.jpg", picture(60)[:-40]),  # cut off
        add(tmp_path, "tt0000001_5.jpg", b""),
        add(tmp_path, "tt0000001_6.jpg", b"<html>not found</html>"),
        add(tmp_path, "tt0000002_1.jpg", picture(30)),  # the file of another film
        add(tmp_path, "tt0000003_1.jpg", picture(90)),  # Western only
        add(tmp_path, "tt0000004_1.jpg", picture(120)),  # no row
    ]
    rows, left_out = joined(posters)
    assert [row.poster_id for row in rows] == ["tt0000001_1"]
    assert {kind: [item.what for item in items] for kind, items in left_out.items()} == {
        "same bytes, same film": ["tt0000001_2"],
        "same bytes, other film": ["tt0000001_3", "tt0000002_1"],
        "unreadable image": ["tt0000001_4", "tt0000001_5", "tt0000001_6"],
        "no genre among the thirteen": ["tt0000003_1"],
        "no title row": ["tt0000004_1"],
    }
    assert "Western" in left_out["no genre among the thirteen"][0].reason
    assert "0 bytes" in left_out["unreadable image"][1].reason
    assert "tt0000001, tt0000002" in left_out["same bytes, other film"][0].reason


def test_a_placeholder_of_many_films_is_left_out_without_listing_them_all(tmp_path):
    titles = {f"tt{film:07d}": Entry("", None, ("drama",)) for film in range(1, 41)}
    rows, left_out = joined([add(tmp_path, f"{film}_1.jpg", picture(1)) for film in titles], titles=titles)
    assert len(rows) == 0
    assert len(left_out["same bytes, other film"]) == 40
    assert left_out["same bytes, other film"][39].reason == (
        "the same file is the poster of tt0000001, tt0000002, tt0000003, tt0000004, tt0000005 and 35 more"
    )


def test_a_film_with_another_genre_is_kept_or_dropped(tmp_path):
    posters = [add(tmp_path, "tt0000002_1.jpg", picture(1))]
    assert joined(posters)[0][0].genres == ("comedy",)
    rows, left_out = joined(posters, drop_film=True)
    assert len(rows) == 0
    assert "Family" in left_out["genre outside the thirteen"][0].reason


def _rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(Image.linear_gradient("L").convert("RGB").resize((12, 18)), "JPEG", exif=exif)


GRADIENT = Image.linear_gradient("L").resize((12, 18))
IMAGES = {
    "rgb.jpg": (encode(GRADIENT.convert("RGB"), "JPEG"), True),
    "grey.jpg": (encode(GRADIENT, "JPEG"), True),
    "rgb.png": (encode(GRADIENT.convert("RGB"), "PNG"), True),
    "cmyk.jpg": (encode(GRADIENT.convert("CMYK"), "JPEG"), False),
    "rotated.jpg": (_rotated(), False),
    "palette.png": (encode(GRADIENT.convert("P"), "PNG"), False),
    "alpha.png": (encode(GRADIENT.convert("RGBA"), "PNG"), False),
    "key.png": (encode(GRADIENT.convert("RGB"), "PNG", transparency=(0, 0, 0)), False),
    "bits16.png": (encode(Image.fromarray(np.arange(216, dtype=np.uint16).reshape(18, 12) * 300), "PNG"), False),
    "web.webp": (encode(GRADIENT.convert("RGB"), "WEBP"), False),
}


@pytest.mark.parametrize("name", IMAGES)
def test_plain_images_keep_their_bytes_and_all_keep_their_pixels(tmp_path, name):
    data, store_verbatim = IMAGES[name]
    poster = add(tmp_path, f"tt0000001_1{pathlib.Path(name).suffix}", data)
    (row,), left_out = joined([poster])
    stored = image_bytes(row)
    assert left_out == {}
    assert row.store_verbatim == store_verbatim
    assert (stored == data) == store_verbatim
    np.testing.assert_array_equal(np.asarray(decode_poster(stored)), np.asarray(decode_poster(data)))
    if not store_verbatim:  # any reader of PNG sees these pixels
        with Image.open(io.BytesIO(stored)) as image:
            assert (image.format, image.mode) == ("PNG", "RGB")
            np.testing.assert_array_equal(np.asarray(image), np.asarray(decode_poster(data)))


def _jpegs() -> dict[str, bytes]:
    noise = Image.effect_noise((61, 83), 90)
    colour = Image.merge("RGB", [noise, noise.rotate(90).resize(noise.size), noise.rotate(180)])
    return {
        "baseline": encode(colour, "JPEG"),
        "full colour": encode(colour, "JPEG", subsampling="4:4:4", quality=95),
        "progressive": encode(colour, "JPEG", progressive=True),
        "restart markers": encode(colour, "JPEG", restart_marker_blocks=3),
        "grey": encode(noise, "JPEG"),
    }


def _decode_in_full(data: bytes) -> str | tuple[int, bool]:
    try:
        decode_poster(data)
    except UnreadableImage as error:
        return str(error)
    with Image.open(io.BytesIO(data)) as image:
        return len(data), image.mode in ("RGB", "L")


@pytest.mark.parametrize("kind", _jpegs())
def test_a_look_at_an_eighth_of_the_size_finds_every_damage(tmp_path, kind):
    """Cut off anywhere, or with any byte another: what is found is what decoding in full finds."""
    data, path, found = _jpegs()[kind], tmp_path / "tt0000001_1.jpg", set()
    damaged = [data[:length] for length in range(0, len(data), len(data) // 150)]
    rng = np.random.default_rng(0)
    for place in rng.integers(2, len(data), 150).tolist():
        damaged.append(data[:place] + bytes([int(rng.integers(256))]) + data[place + 1 :])
    for version in (data, *damaged):
        path.write_bytes(version)
        check, in_full = check_image(path), _decode_in_full(version)
        assert (str(check) if isinstance(check, UnreadableImage) else check) == in_full
        found.add("damaged" if isinstance(check, UnreadableImage) else "whole")
    assert found == {"whole", "damaged"}


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path):
    poster = add(tmp_path, "tt0000001_1.jpg", picture(1))
    (row,), _ = joined([poster])
    pathlib.Path(poster.file).write_bytes(picture(200))
    with pytest.raises(RuntimeError, match="changed while the dataset was being built"):
        image_bytes(row)


def test_hashes_come_in_order_and_a_file_that_cannot_be_read_does_not_stop_the_rest(tmp_path):
    data = write_poster(tmp_path / "a.jpg", 1)
    hashes = list(hash_files(iter([str(tmp_path / "absent.jpg"), str(tmp_path / "a.jpg")]), count=2))
    assert isinstance(hashes[0], UnreadableImage)
    assert hashes[1] == (hashlib.sha256(data).hexdigest(), None)
    assert os.listdir(tmp_path) == ["a.jpg"]
