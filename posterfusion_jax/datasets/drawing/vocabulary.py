"""The words on the drawn posters: eight words a genre that no other genre uses, and everything that means nothing."""

from collections.abc import Sequence

import numpy as np

GENRE_WORDS: dict[str, tuple[str, ...]] = {
    "action": ("explosions", "showdowns", "fury", "combat", "bullets", "havoc", "firepower", "ambushes"),
    "adventure": ("quests", "treasure", "expeditions", "jungles", "voyages", "wilderness", "shipwrecks", "explorers"),
    "animation": ("cartoons", "crayons", "doodles", "puppets", "bunnies", "penguins", "kittens", "toys"),
    "biography": ("memoirs", "legacies", "inventors", "composers", "pioneers", "diaries", "lifetimes", "statesmen"),
    "comedy": ("laughter", "pranks", "hijinks", "mishaps", "giggles", "jokes", "blunders", "nonsense"),
    "crime": ("heists", "mobsters", "robberies", "cartels", "felonies", "burglars", "getaways", "smugglers"),
    "drama": ("tears", "sorrow", "regrets", "forgiveness", "struggles", "hardship", "grief", "farewells"),
    "fantasy": ("dragons", "wizards", "sorcery", "goblins", "spells", "unicorns", "prophecies", "enchantment"),
    "horror": ("screams", "vampires", "demons", "nightmares", "zombies", "blood", "corpses", "terror"),
    "mystery": ("clues", "riddles", "enigmas", "whodunits", "ciphers", "secrets", "puzzles", "sleuths"),
    "romance": ("love", "kisses", "sweethearts", "passion", "weddings", "valentines", "roses", "romance"),
    "sci-fi": ("galaxies", "robots", "androids", "starships", "aliens", "clones", "cyborgs", "asteroids"),
    "thriller": ("hostages", "fugitives", "conspiracies", "assassins", "snipers", "stalkers", "manhunts", "paranoia"),
}

_TITLE_FIRST = (
    *("Amber", "Autumn", "Bright", "Copper", "Cotton", "Distant", "Eastern", "Gentle", "Golden", "Granite", "Hollow"),
    *("Indigo", "Ivory", "Linen", "Little", "Marble", "Morning", "Northern", "Paper", "Quiet", "Silver", "Sunday"),
    *("Velvet", "Western"),
)
_TITLE_SECOND = (
    *("Avenue", "Bay", "Bridge", "Canal", "Corner", "Cottage", "Garden", "Harbour", "Hotel", "House", "Lake", "Lane"),
    *("Market", "Meadow", "Mill", "Orchard", "Park", "Pier", "River", "Shore", "Square", "Station", "Street", "Terrace"),
)
_FIRST_NAMES = (
    *("Ada", "Bela", "Cora", "Dario", "Edda", "Felix", "Greta", "Hugo", "Ines", "Jonas", "Kira", "Leo", "Mila"),
    *("Nora", "Otto", "Pia", "Remy", "Sana", "Tomas", "Vera"),
)
_LAST_NAMES = (
    *("Abel", "Berg", "Castel", "Dorn", "Ekman", "Falk", "Grant", "Holm", "Iversen", "Jansen", "Keller", "Lind"),
    *("Moreau", "Novak", "Olsen", "Park", "Rossi", "Stern", "Toth", "Vale"),
)
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
    """A film's own title, two words that say nothing about a genre: "Paper Harbour"."""
    return f"{rng.choice(_TITLE_FIRST)} {rng.choice(_TITLE_SECOND)}"


def tagline(rng: np.random.Generator, words: Sequence[str]) -> str:
    """A sentence with all of `words` in it, in this order; without words, one that means nothing."""
    if not words:
        return str(rng.choice(_NEUTRAL_TAGLINES))
    if len(words) in _TAGLINES:
        sentence = str(rng.choice(_TAGLINES[len(words)])).format(*words)
    else:
        sentence = ", ".join(words[:-1]) + f" and {words[-1]}"
    return sentence[0].upper() + sentence[1:]


def person(rng: np.random.Generator) -> str:
    """A made-up name."""
    return f"{rng.choice(_FIRST_NAMES)} {rng.choice(_LAST_NAMES)}"


def director_line(rng: np.random.Generator) -> str:
    """ "Directed by Mila Stern"."""
    return f"Directed by {person(rng)}"


def release_line(rng: np.random.Generator, year: int) -> str:
    """A rating and a date: "PG-13  ·  June 2019"."""
    return f"{rng.choice(_RATINGS)}  ·  {rng.choice(_MONTHS)} {year}"
