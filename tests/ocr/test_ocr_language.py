"""The language of a poster's text: guessed where there is enough to go by, unknown elsewhere, and never at a cost unasked."""

import subprocess
import sys
import types

import pytest

from posterfusion_jax.ocr.text import language
from posterfusion_jax.ocr.text.language import UNKNOWN, guess_language, guesser_version, language_code


@pytest.fixture
def guesser():
    if guesser_version() is None:
        pytest.skip("py3langid is not installed (the extra 'ocr')")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("IN SPACE NO ONE CAN HEAR YOU SCREAM ALIEN", "en"),
        ("From the director of THE HAND THAT ROCKS THE CRADLE the vacation is over", "en"),
        ("UN FILM DE JEAN-PIERRE JEUNET avec Audrey Tautou LE FABULEUX DESTIN D'AMÉLIE POULAIN", "fr"),
        ("Das Leben der Anderen ein Film von Florian Henckel von Donnersmarck jetzt im Kino", "de"),
        ("ERA UN TRABAJO SUCIO, PERO ALGUIEN TENÍA QUE HACERLO", "es"),
        ("千と千尋の神隠し 宮崎駿監督作品", "ja"),
        ("ВЕЛИКАЯ ВОЙНА ФИЛЬМ РЕЖИССЕРА", "ru"),
        ("CÂU CHUYỆN CÓ THẬT VƯỢT NGOÀI SỨC TƯỞNG TƯỢNG SỐNG SÓT", "vi"),
    ],
)
def test_texts_with_enough_words(guesser, text, expected):
    assert guess_language(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2001 : 25.12.2015 ★★★★",
        "PIXELS",
        "THE END",  # eight letters: too short
        "恋す",
        "TOM HANKS MEG RYAN BILL PULLMAN",  # names are in no language
        "恋する惑星 金城武 CHUNGKING EXPRESS BRIGITTE LIN",  # two scripts, neither with four fifths of the letters
    ],
)
def test_short_and_mixed_texts_and_names_are_unknown(guesser, text):
    assert guess_language(text) == UNKNOWN


def test_equal_texts_have_equal_guesses_and_one_language_of_the_list(guesser):
    for text in ("ASDF QWER ZXCV UIOP", "MTRPOLS FRTZ LNG", "\ud800 broken surrogate text of some length"):
        assert guess_language(text) == guess_language(text)
        assert guess_language(text) in (*language.LANGUAGES, UNKNOWN)


@pytest.mark.parametrize(
    ("named", "code"),
    [("en", "en"), ("EN-us", "en"), ("pt_BR", "pt"), (" fr ", "fr"), ("und", UNKNOWN), ("mul", UNKNOWN), ("", UNKNOWN)],
)
def test_what_engines_call_a_language(named, code):
    assert language_code(named) == code


def test_the_text_of_a_poster_is_made_without_loading_the_guesser():
    script = (
        "import sys; import posterfusion_jax.ocr.text.language, posterfusion_jax.predict; sys.exit('py3langid' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=120).returncode == 0


_ASCII = ["THE END", "12 ANGRY MEN 1957!", "a1b2c3d4e5f", "a1b2c3d4e5f6g7h8i9j0k1l", "", "123 456 789 0123", "the long night"]


@pytest.mark.parametrize("text", _ASCII)
def test_an_ascii_text_is_judged_by_its_letters_as_any_other(guesser, text, monkeypatch):
    always_english = types.SimpleNamespace(classify=lambda _: ("en", 1.0))
    monkeypatch.setattr(language, "_identifier", lambda: always_english)
    letters = [character for character in text if character.isalpha()]
    assert guess_language(text) == ("en" if len(letters) >= language.MIN_BYTES else UNKNOWN)
