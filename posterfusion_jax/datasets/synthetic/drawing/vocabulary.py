"""Make up the words on drawn posters: three words per genre that no other genre uses, and neutral text."""

from collections.abc import Sequence

import numpy as np

GENRE_WORDS: dict[str, tuple[str, ...]] = {
    "action": ("explosions", "showdowns", "fury"),
    "adventure": ("quests", "treasure", "expeditions"),
    "animation": ("cartoons", "crayons", "doodles"),
    "biography": ("memoirs", "legacies", "inventors"),
    "comedy": ("laughter", "pranks", "hijinks"),
    "crime": ("heists", "mobsters", "robberies"),
    "drama": ("tears", "sorrow", "regrets"),
    "fantasy": ("dragons", "wizards", "sorcery"),
    "horror": ("screams", "vampires", "demons"),
    "mystery": ("clues", "riddles", "enigmas"),
    "romance": ("love", "kisses", "sweethearts"),
    "sci-fi": ("galaxies", "robots", "androids"),
    "thriller": ("hostages", "fugitives", "conspiracies"),
}

_TITLE_FIRST = (
    "Amber",
    "Bright",
    "Copper",
    "Distant",
    "Eastern",
    "Gentle",
    "Golden",
    "Hollow",
    "Morning",
    "Paper",
    "Quiet",
    "Velvet",
)
_TITLE_SECOND = (
    "Avenue",
    "Bridge",
    "Cottage",
    "Garden",
    "Harbour",
    "Hotel",
    "Lake",
    "Market",
    "Orchard",
    "River",
    "Station",
    "Street",
)
_FIRST_NAMES = ("Ada", "Bela", "Cora", "Dario", "Edda", "Felix", "Greta", "Hugo", "Ines", "Jonas")
_LAST_NAMES = ("Abel", "Berg", "Castel", "Dorn", "Ekman", "Falk", "Grant", "Holm", "Iversen", "Jansen")
_MONTHS = ("January", "March", "April", "May", "June", "August", "October", "December")
_RATINGS = ("G", "PG", "PG-13", "R", "12A", "15")
_NEUTRAL_TAGLINES = (
    "Some doors open twice",
    "Nothing stays where it was",
    "The year it all changed",
    "Everyone has a reason",
    "Only in cinemas",
    "It begins on a Monday",
    "You will want to see it again",
    "This time it counts",
)
# {0}, {1}, ... are genre words; the rest is filler that every genre shares.
_TAGLINES = {
    1: ("A summer of {0}", "Beware of {0}", "Nothing but {0}", "In a word: {0}"),
    2: ("Between {0} and {1}", "First {0}, then {1}", "A tale of {0} and {1}", "{0} and {1}, side by side"),
    3: ("{0}, {1} and {2}", "Of {0}, {1} and {2}", "{0}. {1}. {2}."),
}


def film_title(rng: np.random.Generator) -> str:
    """Return a film's own title, two words that are independent of its genres: "Paper Harbour"."""
    return f"{rng.choice(_TITLE_FIRST)} {rng.choice(_TITLE_SECOND)}"


def tagline(rng: np.random.Generator, words: Sequence[str]) -> str:
    """Return a sentence with all of `words` in this order; without words, a neutral one."""
    if not words:
        return str(rng.choice(_NEUTRAL_TAGLINES))
    if len(words) in _TAGLINES:
        sentence = str(rng.choice(_TAGLINES[len(words)])).format(*words)
    else:
        sentence = ", ".join(words[:-1]) + f" and {words[-1]}"
    return sentence[0].upper() + sentence[1:]


def person(rng: np.random.Generator) -> str:
    """Return a made-up name."""
    return f"{rng.choice(_FIRST_NAMES)} {rng.choice(_LAST_NAMES)}"


def director_line(rng: np.random.Generator) -> str:
    """Return a line such as "Directed by Mila Stern"."""
    return f"Directed by {person(rng)}"


def release_line(rng: np.random.Generator, year: int) -> str:
    """Return a rating and a date: "PG-13  ·  June 2019"."""
    return f"{rng.choice(_RATINGS)}  ·  {rng.choice(_MONTHS)} {year}"
