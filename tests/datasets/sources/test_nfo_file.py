"""NFO files as programs write them: encodings, links, entities, several forms of genres, years and ids; broken ones."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from source_forms import NFO

from posterfusion_jax.datasets.sources.nfo_file import NfoFilm, read_nfo

SMALL = "<movie><title>Amélie</title><genre>Comedy</genre></movie>"


@pytest.fixture
def parse(tmp_path):
    def parsed(content: str | bytes):
        file = tmp_path / "movie.nfo"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_nfo(str(file))

    return parsed


def test_kodis_file(parse):
    genres = "<genre>Action</genre><genre>Sci-Fi</genre>"
    found = parse(NFO.format(title="The Matrix", year=1999, genres=genres, tconst="tt0133093"))
    assert found == NfoFilm("movie", "The Matrix", 1999, ("Action", "Sci-Fi"), "tt0133093", ())


@pytest.mark.parametrize(
    ("genres", "names"),
    [
        ("<genre>Action / Drama</genre>", ("Action", "Drama")),
        ("<genre>Action|Drama, Horror;War</genre><genre>Action</genre>", ("Action", "Drama", "Horror", "War")),
        ("<genre/><genre>  </genre><genre>N/A</genre><genre>Drama / unknown</genre>", ("Drama",)),
        ("<genre>Sci-Fi &amp; Fantasy</genre>", ("Sci-Fi & Fantasy",)),
        ("<genres><genre clear='true'>Drama</genre></genres>", ("Drama",)),
        ("", ()),
    ],
)
def test_genres(parse, genres, names):
    assert parse(f"<movie>{genres}</movie>").genres == names


@pytest.mark.parametrize(
    ("elements", "film", "year"),
    [
        ("<premiered>1979-05-25</premiered><imdbid>tt0078748</imdbid>", "tt0078748", 1979),
        ("<year/><releasedate>1979</releasedate><id>tt0078748</id>", "tt0078748", 1979),
        ('<uniqueid type="tmdb">348</uniqueid><id>348</id>', "tmdb:movie:348", None),
        ('<uniqueid type="imdb">none</uniqueid>', "", None),
    ],
)
def test_ids_and_years(parse, elements, film, year):
    found = parse(f"<movie>{elements}</movie>")
    assert (found.film, found.year) == (film, year)


def test_a_link_after_the_xml_gives_the_id(parse):
    assert parse(f"{SMALL}\nhttps://www.imdb.com/title/tt0211915/").film == "tt0211915"


def test_an_unusable_year_is_noted(parse):
    assert parse("<movie><year>19xx</year></movie>").notes == (("no year: the year is unknown", "19xx"),)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings_with_and_without_marks(parse, encoding):
    found = parse(SMALL.encode(encoding))
    assert (found.title, found.notes) == ("Amélie", ())


def test_the_declared_encoding_is_used(parse):
    declared = '<?xml version="1.0" encoding="windows-1252"?>'
    assert parse((declared + SMALL).encode("cp1252"))[1:2] == ("Amélie",)


def test_a_wrong_encoding_is_noted(parse):
    found = parse(b'<?xml version="1.0" encoding="UTF-8"?>' + SMALL.encode("cp1252"))
    assert found.title == "Amélie"
    assert found.notes == (("an encoding other than the declared one, read as cp1252", "UTF-8"),)
    for declared in ("no-such-code", "utf-16"):  # the second cannot be, where the declaration itself is ASCII
        assert parse(f'<?xml version="1.0" encoding="{declared}"?>'.encode() + SMALL.encode()).title == "Amélie"


def test_a_bare_ampersand_is_noted(parse):
    found = parse("<movie><title>Fast & Furious &#38; more</title></movie>")
    assert found.title == "Fast & Furious & more"
    assert found.notes == (("an & alone, read as &amp;", "&"),)


def test_the_first_of_several_episodes_counts(parse):
    episode = "<episodedetails><title>{}</title></episodedetails>"
    assert parse(episode.format("One") + episode.format("Two")).title == "One"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "utf-7"])
def test_entities_are_refused_in_any_encoding(parse, tmp_path, encoding):
    (tmp_path / "secret").write_text("secret")
    text = f'<!DOCTYPE movie [<!ENTITY a SYSTEM "file://{tmp_path}/secret">]><movie><title>&a;</title></movie>'
    declared = '<?xml version="1.0" encoding="utf-7"?>' if encoding == "utf-7" else ""
    assert "document type or entities" in parse(declared.encode() + text.encode(encoding))


def test_a_document_type_in_an_encoding_unlike_ascii_is_not_read(parse):
    bomb = '<!DOCTYPE x [<!ENTITY a "ha">]><movie><title>&a;</title></movie>'.encode("cp037")
    assert isinstance(parse(b'<?xml version="1.0" encoding="cp037"?>' + bomb + b"</movie>"), str)


def test_a_billion_laughs_are_refused(parse):
    lines = "".join(f'<!ENTITY a{k + 1} "{f"&a{k};" * 10}">' for k in range(9))
    assert "document type" in parse(f'<!DOCTYPE movie [<!ENTITY a0 "ha">{lines}]><movie><title>&a9;</title></movie>')


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "the file is empty"),
        ("https://www.imdb.com/title/tt0133093/", "a link or text alone"),
        ("<html><title>x</title></html>", "no XML of a film"),
        ("<movie><title>x</title>", "truncated: there is no </movie>"),
        ("<movie><title>x</movie>", "no valid XML"),
        ("<movie><title>\0</title></movie>", "no valid XML"),
        ("<movie>" + "x" * (1 << 20) + "</movie>", "over 1,048,576 bytes"),
    ],
)
def test_what_cannot_be_used_has_a_reason(parse, content, why):
    assert why in parse(content)


def test_deep_trees_are_read_in_bounded_time(parse):
    found = parse("<movie>" + "<a>" * 50_000 + "</a>" * 50_000 + "<genre>Drama</genre></movie>")
    assert found.genres == ("Drama",)


def test_a_missing_file_has_a_reason(tmp_path):
    assert "cannot be read" in read_nfo(str(tmp_path / "none.nfo"))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=20))
def test_any_bytes_give_a_film_or_a_reason(tmp_path_factory, start, middle):
    file = tmp_path_factory.mktemp("nfo") / "movie.nfo"
    for content in (start, start + b"<movie><genre>" + middle + b"</genre></movie>", b"\xff\xfe" + start):
        file.write_bytes(content)
        found = read_nfo(str(file))
        assert isinstance(found, NfoFilm) or found
