"""Every kind of image file becomes upright RGB, and every broken one says why."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from posterfusion_jax.posters import decode
from posterfusion_jax.posters.decode import MAX_PIXELS, UnreadableImage, decode_poster, read_poster

WIDTH, HEIGHT = 30, 40


def encode(image: Image.Image, suffix: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, suffix, **options)
    return buffer.getvalue()


def gradient() -> Image.Image:
    """Smooth, and different under every turn and flip."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return Image.fromarray(np.stack([x * 8, y * 6, (x + y) * 3], axis=-1).astype(np.uint8))


def pixels(data: bytes) -> np.ndarray:
    image = decode_poster(data)
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


@pytest.mark.parametrize(("suffix", "tolerance"), [("PNG", 0), ("BMP", 0), ("JPEG", 16), ("WEBP", 16)])
def test_colour_images_keep_size_and_colours(suffix, tolerance):
    decoded = pixels(encode(gradient(), suffix))
    assert decoded.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(decoded - np.asarray(gradient())).max() <= tolerance


def test_a_webp_without_loss_is_exact():
    assert np.array_equal(pixels(encode(gradient(), "WEBP", lossless=True)), np.asarray(gradient()))


def test_cmyk_jpeg_has_the_right_sign():
    red = Image.new("RGB", (WIDTH, HEIGHT), (200, 30, 30))
    assert np.abs(pixels(encode(red.convert("CMYK"), "JPEG")) - (200, 30, 30)).max() <= 8


def test_palette_with_transparency_lies_over_white():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putpixel((1, 0), 1)
    assert pixels(encode(image)).tolist() == [[[10, 20, 30], [200, 100, 0]]]
    assert pixels(encode(image, transparency=0)).tolist() == [[[255, 255, 255], [200, 100, 0]]]
    half = encode(image, transparency=bytes([128, 255]))
    assert np.abs(pixels(half) - [[[132, 137, 142], [200, 100, 0]]]).max() <= 1


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_lies_over_white(mode):
    image = Image.new("RGBA", (2, 1), (90, 90, 90, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    assert pixels(encode(image.convert(mode))).tolist() == [[[90, 90, 90], [255, 255, 255]]]


def test_a_transparent_colour_of_an_rgb_or_grey_png_becomes_white():
    image = Image.new("RGB", (2, 1), (90, 91, 92))
    image.putpixel((1, 0), (1, 2, 3))
    assert pixels(encode(image, transparency=(1, 2, 3))).tolist() == [[[90, 91, 92], [255, 255, 255]]]
    grey = Image.new("L", (2, 1), 90)
    grey.putpixel((1, 0), 7)
    assert pixels(encode(grey, transparency=7)).tolist() == [[[90] * 3, [255] * 3]]


def test_16_bit_grey_is_scaled_and_not_clipped():
    values = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    image = Image.fromarray(values)
    assert image.mode == "I;16"
    assert pixels(encode(image))[0].tolist() == [[0] * 3, [1] * 3, [128] * 3, [255] * 3]


def test_one_bit_and_grey_images():
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert pixels(encode(image)).tolist() == [[[0] * 3, [255] * 3]]
    assert pixels(encode(Image.new("L", (1, 1), 77))).tolist() == [[[77] * 3]]


def test_of_an_animation_the_first_frame_counts():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert pixels(data)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["PNG", "JPEG", "WEBP"])
def test_exif_rotation_is_applied(suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(gradient(), suffix, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    assert np.array_equal(pixels(data), np.asarray(expected))
    assert pixels(data).shape[:2] == ((WIDTH, HEIGHT) if orientation >= 5 else (HEIGHT, WIDTH))


def test_exif_rotation_of_a_16_bit_png():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(Image.fromarray(np.array([[0, 65535]], np.uint16)), exif=exif)
    assert pixels(data).tolist() == [[[0] * 3], [[255] * 3]]


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's remarks on the EXIF data
@pytest.mark.parametrize("exif", [b"Exif\x00\x00nonsense", b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff\x12\x01"])
def test_corrupt_exif_does_not_cost_the_image(exif):
    assert np.array_equal(pixels(encode(gradient(), "JPEG", exif=exif)), pixels(encode(gradient(), "JPEG")))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", r"empty \(0 bytes\)"),
        (b"<html>404</html>", "not an image"),
        (b"\xff\xd8\xff\xe0", "not an image"),
        (encode(gradient(), "JPEG")[:-200], "truncated"),
        (encode(gradient(), "PNG")[:-40], "truncated"),
        (encode(gradient(), "WEBP")[:-20], "not an image|truncated"),
    ],
)
def test_broken_bytes_say_why(data, reason):
    with pytest.raises(UnreadableImage, match=reason):
        decode_poster(data)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's remarks on the EXIF data
@pytest.mark.parametrize("suffix", ["JPEG", "PNG", "WEBP"])
def test_no_damage_leads_to_another_exception(suffix):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a poster"
    data = encode(gradient(), suffix, exif=exif)
    random = np.random.default_rng(0)
    unreadable = 0
    for _ in range(500):
        damaged = np.frombuffer(data, np.uint8).copy()
        damaged[random.integers(0, min(len(data), 300), 3)] = random.integers(0, 256, 3)
        try:
            assert decode_poster(damaged.tobytes()).mode == "RGB"
        except UnreadableImage:
            unreadable += 1
    assert unreadable > 0


@pytest.mark.parametrize("side", [9_200, 12_000, 40_000])  # Pillow says nothing, warns, and refuses
def test_a_decompression_bomb_is_refused(side):
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    assert side * side > MAX_PIXELS
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    with pytest.raises(UnreadableImage, match="pixels"):
        decode_poster(data)


def test_a_file_is_read_whatever_its_suffix(tmp_path):
    path = tmp_path / "tt0000001_1.jpg"
    path.write_bytes(encode(gradient()))
    assert np.array_equal(np.asarray(read_poster(path)), np.asarray(gradient()))
    assert read_poster(str(path)).size == (WIDTH, HEIGHT)


def test_a_file_that_is_text_or_missing_or_a_folder(tmp_path):
    (tmp_path / "text.jpg").write_text("not a poster")
    for name, reason in [("text.jpg", "not an image"), ("none.jpg", "No such file"), (".", "directory")]:
        with pytest.raises(UnreadableImage, match=reason):
            read_poster(tmp_path / name)


def test_bytes_of_a_file_that_is_no_path(monkeypatch):
    class Remote:
        def read_bytes(self):
            return b"12345"

    assert decode.read_bytes(Remote()) == b"12345"
    monkeypatch.setattr(decode, "MAX_BYTES", 4)
    with pytest.raises(decode.UnreadableImage, match="5 bytes, more than the 4 allowed"):
        decode.read_bytes(Remote())


def test_an_opened_image_that_is_cut_off_is_unreadable():
    data = io.BytesIO()
    Image.effect_noise((64, 64), 80).save(data, "JPEG")
    opened = Image.open(io.BytesIO(data.getvalue()[: len(data.getvalue()) // 2]))
    with pytest.raises(UnreadableImage, match="truncated"):
        decode.convert_image(opened)
