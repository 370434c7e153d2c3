"""MM-IMDb: genres, titles and its split; both versions; broken files recorded."""

import json

import pytest
from source_forms import LABELS, labels_by_film, make_mm_imdb, read, reason, write_mm_imdb_split
from tables import FILMS, TCONSTS

from posterfusion_jax.datasets.label_set import IMDB_GENRES
from posterfusion_jax.datasets.sources.mm_imdb import MM_IMDB23, OTHER_GENRES
from posterfusion_jax.errors import InputError


def test_the_first_version(tmp_path):
    folder = make_mm_imdb(tmp_path)
    write_mm_imdb_split(folder)
    found = read("mm_imdb", folder)
    assert labels_by_film(found) == {film: labels | {"News"} for film, labels in LABELS.items()}
    assert {entry.title: entry.year for entry in found.posters.values()} == {title: year for _, title, year, _ in FILMS}
    assert {entry.text for entry in found.posters.values()} == {None}  # the plot is no text of the poster
    splits = {poster.film_id: entry.split for poster, entry in found.posters.items()}
    assert splits == {film: ("train" if k < 6 else "validation" if k < 9 else "test") for k, film in enumerate(TCONSTS)}
    assert found.source.decisions() == {"data.split_by": "column"}
    assert found.source.unit == "film"
    assert "split: split.json: train 6, validation 3, test 3; 0 films that it names are not here, or not usable" in found.how
    assert dict(found.pictures.other_files) == {}
    assert found.left_out == {}


def test_the_four_genres_that_the_literature_drops_are_counted(tmp_path):
    folder = make_mm_imdb(tmp_path)
    (folder / "dataset" / f"{TCONSTS[0][2:]}.json").write_text('{"genres": ["News", "Adult"]}')
    found = read("mm_imdb", folder)
    assert (
        "outside the 23 genres of the set's authors: Adult 1, News 12, Reality-TV 0, Talk-Show 0; 1 films have no" in found.how
    )
    assert len(MM_IMDB23) == 23
    assert set(IMDB_GENRES) - set(MM_IMDB23) == {*OTHER_GENRES, "Game-Show"}


def test_films_without_a_picture_are_recorded(tmp_path):
    folder = make_mm_imdb(tmp_path)
    (folder / "dataset" / f"{TCONSTS[0][2:]}.jpeg").unlink()
    found = read("mm_imdb", folder)
    assert found.left_out == {"no picture": [f"dataset/{TCONSTS[0][2:]}.json"]}


def test_the_second_version(tmp_path):
    folder = make_mm_imdb(tmp_path, suffix=".jpg")
    (folder / "list.txt").write_text("".join(f"dataset/{film[2:]}.json\n" for film in [*TCONSTS[2:], "tt9999999"]))
    found = read("mm_imdb", folder)
    assert set(labels_by_film(found)) == set(TCONSTS[2:])
    assert found.left_out["not in list.txt"] == [f"dataset/{film[2:]}" for film in sorted(TCONSTS[:2])]
    assert "films: the 11 of list.txt; 10 of them have a picture and a JSON file" in found.how
    assert "split: none, there is no split.json" in found.how
    assert found.source.decisions() == {}


def test_broken_files_are_recorded(tmp_path):
    folder = make_mm_imdb(tmp_path)
    write_mm_imdb_split(folder)
    files = [folder / "dataset" / f"{film[2:]}.json" for film in TCONSTS]
    files[0].write_text("{")
    files[1].unlink()
    files[2].write_text("[1, 2]")
    files[3].write_text('{"title": "x"}')
    files[4].write_bytes(b'{"genres": ["Com\xe9dy"]}')
    files[5].write_text("[" * 100_000)
    files[6].write_text(json.dumps({"genres": "Drama, Horror", "year": "soon", "title": ["x"]}), "utf-8-sig")
    found = read("mm_imdb", folder)
    broken = sorted(f"dataset/{file.name}" for file in files[:6])
    assert found.left_out["JSON file"] == broken
    reasons = [reason(found, "JSON file", f"dataset/{file.name}") for file in files[:6]]
    wanted = ("no valid JSON", "there is none", "no key 'genres'", "no key 'genres'", "no valid JSON", "no valid JSON")
    assert all(part in text for part, text in zip(wanted, reasons, strict=True)), reasons
    entry = next(entry for poster, entry in found.posters.items() if poster.film_id == TCONSTS[6])
    assert entry == ("", None, ("Drama", "Horror"), "validation", None)
    assert found.notes == {"no year: the year is unknown": {"count": 1, "first": [[f"dataset/{TCONSTS[6][2:]}.json", "soon"]]}}
    assert "6 films that it names are not here, or not usable" in found.how


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "is not the split of MM-IMDb"),
        ("{", "is not the split of MM-IMDb"),
        ('{"training set": []}', "no split has the name 'training set'"),
        ('{"test": ["0114709"]}', "has no film in train"),
    ],
)
def test_a_wrong_split_is_refused(tmp_path, content, message):
    folder = make_mm_imdb(tmp_path)
    (folder / "split.json").write_text(content)
    with pytest.raises(InputError, match=message):
        read("mm_imdb", folder)


def test_a_film_in_two_parts_of_the_split_is_noted(tmp_path):
    folder = make_mm_imdb(tmp_path)
    ids = [film[2:] for film in TCONSTS]
    (folder / "split.json").write_text(json.dumps({"train": ids, "test": ids[:2]}))
    found = read("mm_imdb", folder)
    assert {entry.split for entry in found.posters.values()} == {"train"}
    assert found.notes == {
        "film in several splits, the first counts": {"count": 2, "first": [["split.json", number] for number in ids[:2]]}
    }


def test_ids_without_zeros_are_found_in_the_split(tmp_path):
    folder = make_mm_imdb(tmp_path)
    (folder / "split.json").write_text(json.dumps({"train": [int(film[2:]) for film in TCONSTS]}))
    assert {entry.split for entry in read("mm_imdb", folder).posters.values()} == {"train"}


def test_nothing_usable_is_one_error_with_an_example(tmp_path):
    folder = make_mm_imdb(tmp_path)
    for file in (folder / "dataset").glob("*.json"):
        file.write_text("{}")
    with pytest.raises(
        InputError, match=r"\(12 pictures\).*JSON file 12, the first .*\.json: it has no key 'genres'.*Expected: "
    ):
        read("mm_imdb", folder)
