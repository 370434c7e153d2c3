"""NFO files and the folders of media servers: encodings, hostile XML, which picture is the poster, nothing lost."""

import pytest
from tables import draw_pictures

from posterfusion_jax.datasets.sources.nfo import NfoSource
from posterfusion_jax.datasets.sources.nfo_file import read_nfo
from posterfusion_jax.errors import InputError

MOVIE = "<movie><title>Amélie</title><year>2001</year><genre>Comedy</genre><uniqueid type='imdb'>tt0211915</uniqueid></movie>"


def parse(tmp_path, data: bytes):
    (tmp_path / "movie.nfo").write_bytes(data)
    return read_nfo(str(tmp_path / "movie.nfo"))


def library(folder, files: dict[str, str]):
    """Write NFO files with their text, and pictures where there is none."""
    draw_pictures(folder, [name for name, text in files.items() if not text])
    for name, text in files.items():
        if text:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
    source = NfoSource(folder)
    pictures = source.list_pictures()
    entries = source.read_entries(pictures.posters)
    names = {poster.file[len(str(folder)) + 1 :]: (poster.film_id, entries.of(poster)) for poster in pictures.posters}
    left_out = {kind: [item.what for item in items] for kind, items in pictures.left_out.items()}
    return names, left_out, dict(pictures.other_files), entries


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-8", ""),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("utf-16", ""),
        ("latin-1", "iso-8859-1"),
        ("cp1252", "windows-1252"),
        ("utf-8", "no-such-encoding"),
        ("utf-8", "utf-16"),
    ],
)
def test_a_file_in_the_encoding_that_it_states(tmp_path, encoding, declared):
    head = f'<?xml version="1.0" encoding="{declared}" standalone="yes"?>\n' if declared else "\n"
    found = parse(tmp_path, (head + MOVIE + "\nhttps://www.imdb.com/title/tt0211915/").encode(encoding))
    assert found == ("Amélie", 2001, ("Comedy",), "tt0211915", {})


def test_a_file_in_another_encoding_is_read_and_noted(tmp_path):
    found = parse(tmp_path, ('<?xml version="1.0" encoding="UTF-8"?>' + MOVIE).encode("cp1252"))
    assert found[:3] == ("Amélie", 2001, ("Comedy",))
    assert found[4] == {"in another encoding than stated, read as Windows-1252": "utf-8"}


def test_genres_of_one_element_placeholders_and_an_impossible_year(tmp_path):
    text = "<movie><genre>Action / Drama</genre><genre>drama | Action</genre><genre>N/A</genre><year>20 01</year></movie>"
    found = parse(tmp_path, text.encode())
    assert found[:4] == ("", None, ("Action", "Drama", "drama"), "")
    assert found[4] == {"several genres in one element": "drama | Action", "no year": "20 01"}
    assert parse(tmp_path, b"<movie><premiered>1999-03-31</premiered></movie>")[1] == 1999


BOMB = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><movie><title>&b;</title></movie>'
FILE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><movie><title>&a;</title></movie>'


@pytest.mark.parametrize("text", [BOMB, FILE, BOMB.replace("DOCTYPE", "doctype")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig"])
def test_a_document_type_is_refused_in_any_encoding(tmp_path, text, encoding):
    assert parse(tmp_path, text.encode(encoding)) == "it has a document type or entities, which are not read"


def test_a_document_type_in_an_encoding_that_only_the_parser_would_know(tmp_path):
    hidden = b'<?xml version="1.0" encoding="cp037"?>' + BOMB.encode("cp037") + b"</movie>"
    assert isinstance(parse(tmp_path, hidden), str)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"https://www.imdb.com/title/tt0133093/", "it has no XML, only text or a link"),
        (b"<artist><name>x</name></artist>", "it has no XML of a film"),
        (b"<movie><title>x</movie>", "it is no valid XML: mismatched tag"),
        (b"<movie><title>a & b</title></movie>", "it is no valid XML"),
        (b"<movie><title>&nbsp;</title></movie>", "it is no valid XML: undefined entity"),
        (b"<movie>\0</movie>", "it is no valid XML"),
        (b"<movie>" + b"x" * (1 << 20) + b"</movie>", "it has over 1,048,576 bytes"),
    ],
)
def test_what_cannot_be_used_has_a_reason(tmp_path, data, reason):
    assert str(parse(tmp_path, data)).startswith(reason)


def test_deep_nesting_does_no_harm(tmp_path):
    data = b"<movie>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"<genre>Drama</genre></movie>"
    assert parse(tmp_path, data)[2] == ("Drama",)


def test_the_first_of_several_posters_counts_and_the_others_are_counted(tmp_path):
    names, left_out, others, entries = library(
        tmp_path,
        {
            **dict.fromkeys(["A/movie", "A/A-poster", "A/cover", "A/folder", "A/poster", "A/fanart"], ""),
            **dict.fromkeys(["B/movie", "B/x-poster", "B/B-poster", "B/fanart"], ""),
            "A/movie.nfo": MOVIE,
            "B/B.nfo": MOVIE.replace("tt0211915", "tt0000002"),
            "B/B.srt": "1",
        },
    )
    assert {file: group for file, (group, _) in names.items()} == {
        "A/poster.jpg": "tt0211915",
        "B/B-poster.jpg": "tt0000002",
    }
    assert left_out == {}
    assert others == {"artwork": 8, ".srt": 1}
    assert "pictures: poster 1, <name>-poster 1; 2 films have several of these names, the first counts" in entries.how


def test_several_nfo_files_in_a_folder(tmp_path):
    one = "<movie><title>{}</title><genre>Drama</genre></movie>"
    names, left_out, _, _ = library(
        tmp_path,
        {
            # both servers wrote a file about the same film
            "Both (1999)/movie.nfo": one.format("Both"),
            "Both (1999)/Both.nfo": one.format("Both"),
            "Both (1999)/poster": "",
            # all films in one folder; the title of one is missing
            "Old.nfo": one.format("Old"),
            "New (2001).nfo": "<movie><genre>Drama</genre></movie>",
            "None.nfo": one.format("None"),
            **dict.fromkeys(["Old-poster", "New (2001)-poster", "poster"], ""),
        },
    )
    assert {file: (group, entry.title, entry.year) for file, (group, entry) in names.items()} == {
        "Both (1999)/poster.jpg": ("both", "Both", None),
        "Old-poster.jpg": ("old", "Old", None),
        "New (2001)-poster.jpg": ("new (2001)", "New", 2001),
    }
    assert left_out == {"second NFO file": ["Both (1999)/Both.nfo"], "no picture": ["None.nfo"]}


def test_the_folder_names_a_film_without_a_title(tmp_path):
    names, _, _, _ = library(
        tmp_path, {"Fargo (1996)/movie.nfo": "<movie><genre>Crime</genre></movie>", "Fargo (1996)/folder": ""}
    )
    assert names == {"Fargo (1996)/folder.jpg": ("fargo (1996)", ("Fargo", 1996, ("Crime",), "", None))}


def test_a_library_without_a_usable_film_shows_what_was_found(tmp_path):
    with pytest.raises(InputError) as caught:
        library(tmp_path, {"A/movie.nfo": "<movie>", "A/poster": "", "B/poster": ""})
    for part in (
        "1 NFO files, 2 pictures",
        "NFO file: 'A/movie.nfo' it has no XML",
        "'B/poster.jpg' there is no NFO file",
        "exp",
    ):
        assert part in str(caught.value)
