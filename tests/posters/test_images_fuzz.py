"""Damaged images of every kind are read or refused, and the dataset's quick check says what the decoder says."""

import fuzzing
import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_image_kinds import KINDS

from posterfusion_jax.datasets.imdb_posters.image_check import check_image
from posterfusion_jax.posters.decode import MAX_PIXELS, UnreadableImage, decode_poster

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's remarks on EXIF data

TOKENS = (
    b"\xff\xd8",
    b"\xff\xda",
    b"\xff\xd9",
    b"\xff\xff\xff\xff",
    bytes(4),
    b"IDAT",
    b"IEND",
    b"Exif\0\0",
    b"\x7f\xff\xff\xff",
)


@fuzzing.FORMS
def test_damaged_images(times, tmp_path):
    path = tmp_path / "poster.jpg"
    small = [data for data in (kind.make() for kind in KINDS) if 0 < len(data) < 5000]

    @fuzzing.form(times, short=300)
    @given(st.sampled_from(small).flatmap(lambda data: fuzzing.mutated(data, *TOKENS)))
    def check(data: bytes) -> None:
        path.write_bytes(data)
        image, refusal = fuzzing.attempt(decode_poster, data, refusal=UnreadableImage)
        checked = check_image(path)
        if refusal is not None:
            assert 0 < len(refusal) < 500
            assert isinstance(checked, UnreadableImage)
        else:
            assert image.mode == "RGB"
            assert 0 < image.width * image.height <= MAX_PIXELS
            assert not isinstance(checked, UnreadableImage)

    check()
