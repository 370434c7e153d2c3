"""A text loses its film's title, however it is printed, and nothing else."""

# ruff: noqa: RUF001 (letters of other scripts that look like Latin ones are the point here)

import time

import pytest

from posterfusion_jax.ocr.text.title_removal import remove_title


@pytest.mark.parametrize(
    ("title", "text", "left"),
    [
        # the plain case, in any place, any number of times, whatever the case and punctuation
        ("The Avengers", "MARVEL THE AVENGERS ASSEMBLE", "MARVEL ASSEMBLE"),
        ("Jaws", "JAWS. You'll never go in the water again! jaws", "You'll never go in the water again!"),
        ("Oh, God!", "OH GOD - a comedy", "- a comedy"),
        ("High Plains Drifter", 'they saw "High Plains Drifter" ride', "they saw ride"),
        ("Mommie Dearest", "the star (mommie) shines", "the star shines"),
        ("Say It Isn't So", "SAY IT ISNT SO tonight", "tonight"),
        ("Fast & Furious", "FAST AND FURIOUS family", "family"),
        ("Fast and Furious", "FAST & FURIOUS", ""),
        # other words keep their order, spelling and punctuation
        ("Pixels", "Game on! 25.12.2015 - Only in Cinemas", "Game on! 25.12.2015 - Only in Cinemas"),
        ("The End", "The beginning of the end, in the dark", "beginning of in dark"),
        # accents, ligatures, other scripts, full-width letters
        ("Amélie", "AMELIE Poulain", "Poulain"),
        ("Amelie", "le destin d'AMÉLIE Poulain", "le destin Poulain"),
        ("Børning", "BORNING bil", "bil"),
        ("Die Straße", "DIE STRASSE film", "film"),
        ("Ａｋｉｒａ", "AKIRA 1988", "1988"),
        ("千と千尋の神隠し", "千と千尋の 神隠し 監督", "監督"),
        ("हिन्दी मीडियम", "हिन्दी मीडियम फिल्म", "फिल्म"),
        ("Москва слезам не верит", "МОСКВА СЛЕЗАМ не верит фильм", "фильм"),
        # joined and split by OCR
        ("The Avengers", "THEAVENGERS IN 3D", "IN 3D"),
        ("Despicable Me", "DESPICABLEME", ""),
        ("Star Wars: Episode V - The Empire Strikes Back", "STARWARS THEEMPIRESTRIKESBACK 1980", "1980"),
        ("The Avengers", "A V E N G E R S now", "now"),
        ("The Avengers", "the AVEN GERS now", "now"),
        ("Spider-Man", "SPIDERMAN spider man SPIDER-MAN web", "web"),
        ("Iron Man", "IRON-CLAD law", "CLAD law"),
        ("Spaceballs", "SPACE BALLS", ""),
        ("M*A*S*H", "MASH war", "war"),
        ("S.W.A.T.", "SWAT team", "team"),
        ("WALL·E", "WALL-E robot", "robot"),
        # inside longer words, from seven letters on
        ("Titanic", "FROMTHEDIRECTOROFTITANIC tears", "FROMTHEDIRECTOROF tears"),
        ("The Avengers", "MARVELSTHEAVENGERS2012", "MARVELS 2012"),
        ("The Avengers", "www.theavengers.com", "www. com"),
        ("Gravity", "GRAVITYGRAVITYX", "X"),
        ("Art", "a party of heart", "a party of heart"),
        # read wrongly: one edit from six letters on, two from ten
        ("The Avengers", "THE AVENCERS", ""),
        ("The Avengers", "THE AVEMCERS", "AVEMCERS"),
        ("Metropolitan", "METR0POL1TAN", ""),
        ("Metropolitan", "M3TR0POL1TAN", "M3TR0POL1TAN"),
        ("Fight Club", "one NIGHT in the CLUBS", "one NIGHT in the CLUBS"),
        ("My Life", "MY LISE", "LISE"),
        # digits and sequels
        ("1917", "1917 a Sam Mendes film 1918", "a Sam Mendes film 1918"),
        ("1917", "1,917 days", "days"),
        ("300", "300 SPARTANS 3000", "SPARTANS 3000"),
        ("Toy Story 3", "TOY STORY 3 in DISNEY DIGITAL 3-D", "in DISNEY DIGITAL D"),
        ("Rocky II", "ROCKY II the rematch", "the rematch"),
        ("Rocky II", "ROCKYII 2", "2"),
        ("Saw: The Final Chapter", "THEFINAL CHAPTER SAW3D", "SAW3D"),
        # nothing to remove, or nothing left
        ("", "ANY WORDS", "ANY WORDS"),
        ("...", "dots ... stay", "dots ... stay"),
        ("Film", "", ""),
        ("Film", "- film! -", ""),
        ("Up", "... !", ""),
    ],
)
def test_title_goes_and_the_rest_stays(title, text, left):
    assert remove_title(text, title) == left


@pytest.mark.parametrize("title", ["The Fast & the Furious: Tokyo Drift", "(500) Days of Summer", "Æon Flux", "İstanbul"])
def test_a_title_is_removed_from_itself_however_it_is_printed(title):
    for printed in (title, title.upper(), title.lower(), title.replace(" ", ""), " ".join(title), f"«{title}»"):
        assert remove_title(printed, title) == "", printed
        left = remove_title(f"before {printed} after", title)
        assert [word for word in left.split() if word.isalnum()] == ["before", "after"]


def test_what_was_removed_stays_removed():
    for title, text in (("The Avengers", "AVENGERSASSEMBLE the end"), ("Iron Man", "IRON-CLAD IRONMAN")):
        once = remove_title(text, title)
        assert once != text
        assert remove_title(once, title) == once


def test_long_texts_take_milliseconds():
    words = " ".join(f"word{i} AVENGER{i} ironmann" for i in range(300))
    started = time.perf_counter()
    remove_title(words, "The Lord of the Rings: The Fellowship of the Ring and the Return of Everybody Else Besides")
    assert time.perf_counter() - started < 5
