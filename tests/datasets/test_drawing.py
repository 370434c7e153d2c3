"""What the drawn posters look like: motifs told apart when small, and text that stays on the page."""

import itertools
import re

import numpy as np
import pytest
from PIL import Image, ImageDraw

from posterfusion_jax.datasets.synthetic.drawing import poster as layout
from posterfusion_jax.datasets.synthetic.drawing import vocabulary
from posterfusion_jax.datasets.synthetic.drawing.motifs import MOTIFS
from posterfusion_jax.datasets.synthetic.drawing.pen import Pen, curve, mix, turned
from posterfusion_jax.genres import GENRES


def thumbnail(genre: str, *, angle: float = 0.0) -> np.ndarray:
    """The motif alone on grey, 16 x 16 pixels: about its size on a poster of 64 x 64."""
    image = Image.new("RGB", (160, 160), "#808080")
    MOTIFS[genre](Pen(ImageDraw.Draw(image), centre=(80, 80), radius=76, angle=angle))
    return np.asarray(image.reduce(10), np.float64)


def test_every_genre_has_a_motif_and_three_words_of_its_own():
    assert tuple(MOTIFS) == tuple(vocabulary.GENRE_WORDS) == GENRES
    words = [word for words in vocabulary.GENRE_WORDS.values() for word in words]
    assert len(set(words)) == len(words) == 3 * len(GENRES)
    assert all(re.fullmatch("[a-z]{4,}", word) for word in words)


def test_neutral_text_holds_no_genre_word():
    rng = np.random.default_rng(0)
    makers = (vocabulary.film_title, vocabulary.person, vocabulary.director_line, lambda r: vocabulary.tagline(r, []))
    neutral = " ".join(make(rng) for _ in range(400) for make in makers).lower()
    genre_words = {word for words in vocabulary.GENRE_WORDS.values() for word in words}
    assert not genre_words & set(re.findall("[a-z]+", neutral))


def test_motifs_differ_more_from_each_other_than_from_themselves_turned():
    tiles = {genre: thumbnail(genre) for genre in GENRES}
    for genre in GENRES:
        turned_tile = np.abs(thumbnail(genre, angle=10) - tiles[genre]).mean()
        nearest = min(np.abs(tiles[genre] - tiles[other]).mean() for other in GENRES if other != genre)
        assert nearest > 1.3 * turned_tile, genre


def test_motifs_stay_about_their_place():
    for genre in GENRES:
        image = Image.new("RGB", (300, 300))
        MOTIFS[genre](Pen(ImageDraw.Draw(image), centre=(150, 150), radius=100))
        left, top, right, bottom = image.getbbox() or (0, 0, 0, 0)
        assert min(left, top) >= 150 - 108, genre
        assert max(right, bottom) <= 150 + 108, genre
        assert right - left > 120, genre


@pytest.mark.parametrize("count", range(8))
def test_any_number_of_motifs_fits_without_overlap(count):
    rng = np.random.default_rng(count)
    for box in ((0, 60, 720, 650), (0, 300, 720, 1000)):
        spots = layout._place_motifs(rng, count, box, 3.0)
        assert len(spots) == count
        for x, y, radius in spots:
            assert radius > 60
            assert box[0] <= x - radius
            assert x + radius <= box[2]
            assert box[1] <= y - radius
            assert y + radius <= box[3]
        for (x0, y0, r0), (x1, y1, r1) in itertools.combinations(spots, 2):
            assert np.hypot(x1 - x0, y1 - y0) >= (r0 + r1) * 0.97  # the shake may make them touch


@pytest.mark.parametrize("count", range(6))
def test_taglines_of_the_longest_words_are_large_and_within_the_margins(count):
    longest = sorted((max(words, key=len) for words in vocabulary.GENRE_WORDS.values()), key=len)[-count:] if count else []
    rng = np.random.default_rng(0)
    unit, room = 3.0, 216 * 3.0
    for _ in range(20):
        sentence = vocabulary.tagline(rng, longest)
        lines = layout._tagline_lines(rng, sentence, room, unit)
        assert " ".join(line.text for line in lines) == sentence
        assert all(word in sentence.lower() for word in longest)
        for line in lines:
            assert line.font.getlength(line.text) <= room + unit  # a pixel: sizes are measured at 100
            assert line.font.size >= 13 * unit


def test_titles_stay_within_the_margins():
    rng = np.random.default_rng(0)
    for title in (("Northern Terrace",), ("Conspiracies at", "Eastern Station"), ("Fury at", "Quiet Bay")):
        for _ in range(10):
            for line in layout._title_lines(rng, title, 648.0, 3.0):
                assert line.font.getlength(line.text) <= 651
                assert line.font.size >= 15 * 3


@pytest.mark.parametrize("width", [120, 241])
@pytest.mark.parametrize("motifs", [(), ("horror",), GENRES])
def test_poster_has_its_size_and_is_a_function_of_the_random_state(width, motifs):
    content = layout.Content(("Paper Harbour",), "Beware of zombies", "Ada Vale", "PG", motifs)
    poster = layout.draw_poster(np.random.default_rng(5), content, width)
    assert poster.size == (width, round(1.5 * width))
    assert poster.mode == "RGB"
    again = layout.draw_poster(np.random.default_rng(5), content, width)
    np.testing.assert_array_equal(np.asarray(poster), np.asarray(again))
    other = layout.draw_poster(np.random.default_rng(6), content, width)
    assert (np.asarray(poster) != np.asarray(other)).any()


def test_pen_places_turns_and_scales():
    np.testing.assert_allclose(turned([(1, 0)], 90, moved=(5, 5)), [[5, 6]], atol=1e-12)  # clockwise, as y points down
    np.testing.assert_allclose(curve(1, 2, 3, 4, 0, 90, points=2), [[4, 2], [1, 6]], atol=1e-12)
    image = Image.new("RGB", (100, 100))
    Pen(ImageDraw.Draw(image), centre=(50, 50), radius=40, angle=90).polygon(
        [(0, -0.1), (1, -0.1), (1, 0.1), (0, 0.1)], "white"
    )
    left, top, right, bottom = image.getbbox() or (0, 0, 0, 0)
    assert (left, right) == pytest.approx((46, 55), abs=1)
    assert (top, bottom) == pytest.approx((50, 91), abs=1)


def test_mix_of_colours():
    assert mix("#000000", "#ffffff", 0) == "#000000"
    assert mix("#000000", "#ffffff", 1) == "#ffffff"
    assert mix("#102030", "#304050", 0.5) == "#203040"
