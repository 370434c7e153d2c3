"""Media libraries: genres and posters of films with NFO files; the order of posters; everything recorded."""

import pathlib

import pytest
from source_forms import LABELS, NFO, labels_by_film, make_library, read, reason
from tables import FILMS, draw_pictures

from posterfusion_jax.errors import InputError


def film(
    folder: pathlib.Path, nfo: str, *pictures: str, title: str = "Alien", tconst: str = "tt0078748", genre: str = "Horror"
):
    """A folder with an NFO file and pictures."""
    draw_pictures(folder, pictures)
    folder.mkdir(exist_ok=True, parents=True)
    text = NFO.format(title=title, year=1979, genres=f"<genre>{genre}</genre>", tconst=tconst)
    (folder / nfo).write_text(text)


def chosen(found) -> list[str]:
    return [pathlib.Path(poster.file).name for poster in found.posters]


def test_a_library(tmp_path):
    found = read("nfo", make_library(tmp_path / "films"))
    assert labels_by_film(found) == LABELS
    assert {entry.title: entry.year for entry in found.posters.values()} == {title: year for _, title, year, _ in FILMS}
    assert {entry.text for entry in found.posters.values()} == {None}
    assert found.left_out == {}
    assert "pictures: poster 3, folder 3, cover 2, *-poster 2, movie 2; of 0 films with several" in found.how
    assert "group: the id of IMDb or TMDB for 12 posters, title and year for the other 0" in found.how
    assert "12 NFO files: <movie> 12," in found.how
    assert found.source.unit == "film"
    assert found.source.decisions() == {}


def test_broken_files_are_recorded(tmp_path):
    folder = make_library(tmp_path / "films")
    for name, content in {
        "Bomb (2000)": '<!DOCTYPE x [<!ENTITY a "aaaa">]><movie><title>&a;</title></movie>',
        "Broken (2001)": "<movie><title>Broken</movie>",
        "Link (2002)": "https://www.imdb.com/title/tt0133093/",
    }.items():
        draw_pictures(folder / name, ["poster"])
        (folder / name / "movie.nfo").write_text(content)
    film(folder / "No poster (2003)", "movie.nfo", "fanart")
    (folder / "Gone (2003)").mkdir()
    (folder / "Gone (2003)" / "movie.nfo").symlink_to("nothing")
    draw_pictures(folder / "No file (2004)", ["poster", "fanart"])
    found = read("nfo", folder)
    assert labels_by_film(found) == LABELS
    assert found.left_out == {
        "NFO file": ["Bomb (2000)/movie.nfo", "Broken (2001)/movie.nfo", "Link (2002)/movie.nfo"],
        "file": ["Gone (2003)/movie.nfo"],
        "no usable NFO file": [
            *("Bomb (2000)/poster.jpg", "Broken (2001)/poster.jpg", "Link (2002)/poster.jpg"),
            *("No file (2004)/fanart.jpg", "No file (2004)/poster.jpg"),
        ],
        "no picture": ["No poster (2003)/movie.nfo"],
    }
    assert "document type" in reason(found, "NFO file", "Bomb (2000)/movie.nfo")
    assert dict(found.pictures.other_files) == {"other artwork": 1}


def test_the_first_of_several_posters_counts(tmp_path):
    film(tmp_path, "Alien.nfo", "movie", "Alien-poster", "cover", "folder", "poster", "fanart", "Alien")
    order = ["poster", "folder", "cover", "Alien-poster", "movie", "Alien"]
    for k, name in enumerate(order):
        found = read("nfo", tmp_path)
        assert chosen(found) == [f"{name}.jpg"]
        assert found.left_out.get("second picture", []) == [f"{other}.jpg" for other in order[k + 1 :]]
        assert dict(found.pictures.other_files) == {"other artwork": 1}
        (tmp_path / f"{name}.jpg").unlink()
    with pytest.raises(InputError, match=r"1 NFO files, 1 pictures.*Alien.nfo: none of its 1 pictures is named as a poster"):
        read("nfo", tmp_path)


def test_the_usual_suffix_counts(tmp_path):
    film(tmp_path, "movie.nfo", "poster")
    draw_pictures(tmp_path, ["poster"], suffix=".tiff")
    found = read("nfo", tmp_path)
    assert chosen(found) == ["poster.jpg"]
    assert found.left_out == {"second picture": ["poster.tiff"]}


def test_many_films_in_one_folder_have_posters_of_their_own_names(tmp_path):
    film(tmp_path, "Alien.nfo", "Alien-poster", "poster")
    film(tmp_path, "Fargo.nfo", "Fargo", title="Fargo", tconst="tt0116282", genre="Crime")
    film(tmp_path, "Heat.nfo", title="Heat", tconst="tt0113277")
    found = read("nfo", tmp_path)
    assert {poster.film_id: pathlib.Path(poster.file).name for poster in found.posters} == {
        "tt0078748": "Alien-poster.jpg",
        "tt0116282": "Fargo.jpg",
    }
    assert found.left_out == {"no picture": ["Heat.nfo"]}
    assert dict(found.pictures.other_files) == {"other artwork": 1}


def test_a_poster_of_a_film_with_a_broken_file_is_not_given_to_another(tmp_path):
    film(tmp_path, "Alien.nfo", "Fargo-poster")
    (tmp_path / "Fargo.nfo").write_text("<movie>")
    with pytest.raises(InputError, match="no film with an NFO file and a poster"):
        read("nfo", tmp_path)


def test_two_files_about_one_film_count_once(tmp_path):
    film(tmp_path / "Alien", "Alien.nfo", "poster")
    film(tmp_path / "Alien", "movie.nfo")
    (tmp_path / "Alien" / "release.nfo").write_text("     ~ released by no one ~")
    found = read("nfo", tmp_path)
    assert chosen(found) == ["poster.jpg"]
    assert found.left_out == {"NFO file": ["Alien/release.nfo"], "second NFO file": ["Alien/Alien.nfo"]}


def test_films_without_ids_are_grouped_by_title_and_year(tmp_path):
    for edition in ("DVD", "Blu-ray"):
        draw_pictures(tmp_path / edition, ["poster"])
        (tmp_path / edition / "movie.nfo").write_text(
            "<movie><title>Alien</title><year>1979</year><genre>Horror</genre></movie>"
        )
    draw_pictures(tmp_path / "Heat (1995)", ["poster"])
    (tmp_path / "Heat (1995)" / "movie.nfo").write_text("<movie><genre>Crime</genre></movie>")
    found = read("nfo", tmp_path)
    assert sorted(poster.film_id for poster in found.posters) == ["alien (1979)", "alien (1979)", "heat (1995)"]
    assert "title and year for the other 3" in found.how


def test_a_film_without_a_title_is_named_by_its_file_or_folder(tmp_path):
    for folder, nfo in (("Fargo (1996)", "movie"), ("all", "Heat (1995)"), ("all", "Alien (1979)")):
        draw_pictures(tmp_path / folder, [f"{nfo}-poster"])
        (tmp_path / folder / f"{nfo}.nfo").write_text("<movie><genre>Crime</genre></movie>")
    found = read("nfo", tmp_path)
    assert sorted((entry.title, entry.year) for entry in found.posters.values()) == [
        *(("Alien", 1979), ("Fargo", 1996), ("Heat", 1995)),
    ]


def test_an_empty_folder_shows_what_is_expected(tmp_path):
    with pytest.raises(InputError, match=r"0 NFO files, 0 pictures; it is empty. Expected: <film>/movie.nfo"):
        read("nfo", tmp_path)


@pytest.mark.slow
def test_fifty_thousand_files_take_under_a_minute(tmp_path):
    import time

    for k in range(25_000):
        folder = tmp_path / f"Film {k} (1999)"
        folder.mkdir()
        (folder / "poster.jpg").write_bytes(b"\xff\xd8\xff")
        about = {"title": f"Film {k}", "year": 1999, "genres": "<genre>Drama</genre>", "tconst": f"tt{k:07d}"}
        (folder / "movie.nfo").write_text(NFO.format(**about))
    start = time.monotonic()
    assert len(read("nfo", tmp_path).posters) == 25_000
    assert time.monotonic() - start < 60
