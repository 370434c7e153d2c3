"""Labels outside the thirteen: counted by name, with hints, in the report and its page."""

import json

import pytest
from imdb_folder import GENRE_SETS, film_id, make_folder, title_line, write_titles

from posterfusion_jax.datasets.imdb_posters import paths
from posterfusion_jax.datasets.imdb_posters.build import build_dataset
from posterfusion_jax.datasets.imdb_posters.genre_hints import suggest_genres
from posterfusion_jax.datasets.imdb_posters.label_report import count_labels, format_labels
from posterfusion_jax.datasets.imdb_posters.reader import open_dataset
from posterfusion_jax.datasets.imdb_posters.report import format_report
from posterfusion_jax.datasets.label_set import IMDB_GENRES, paper_labels
from posterfusion_jax.datasets.sources.base import Entry
from posterfusion_jax.errors import InputError
from posterfusion_jax.report.page import Section, Text, to_markdown
from posterfusion_jax.report.run_report import _dataset_blocks
from posterfusion_jax.utils.checksums import with_checksum

# tensorflow-datasets 4.9.10 asks protobuf 6, which Beam needs, for a deprecated attribute.
pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")

FILMS = [
    Entry("A", 1999, ("drama", "Family", "Science Fiction")),
    Entry("B", 1999, ("drama", "comedy")),
    Entry("C", 1999, ("Western",)),
    Entry("D", 1999, ()),
    Entry("E", 1999, ("horror", "Science Fiction", "Dramady")),
]


def test_labels_are_counted_by_name():
    counted = count_labels(FILMS, paper_labels(), other_genres="drop_label")
    assert counted == {
        "mapped": {"Science Fiction = sci-fi": 2},
        "films": 5,
        "labels": 9,
        "dropped": 3,
        "films_with_dropped": 3,
        "dropped_by_name": {"Dramady": 1, "Family": 1, "Western": 1},
        "no_known_genre": {"films": 2, "by_name": {"Western": 1, "not given": 1}},
        "dropped_films": {"films": 0, "by_name": {}},
        "hints": {"Dramady": ["comedy", "drama"]},
    }
    assert format_labels(counted) == [
        "labels outside the 13 genres: 3 of 9 on 3 of 5 films dropped (Dramady 1, Family 1, Western 1)",
        "films left out, none of their genres among the 13: 2 (Western 1, not given 1)",
        "labels mapped: 2 (Science Fiction = sci-fi 2)",
        "Dramady 1: did you mean comedy and drama? It is not mapped; write it so.",
    ]


def test_films_that_are_dropped_are_counted_by_name():
    counted = count_labels(FILMS, paper_labels(), other_genres="drop_film")
    assert counted["dropped_films"] == {"films": 2, "by_name": {"Dramady": 1, "Family": 1}}
    assert "films left out by data.other_genres=drop_film: 2 (Dramady 1, Family 1)" in format_labels(counted)


def test_nothing_dropped_and_nothing_recorded():
    assert format_labels(count_labels(FILMS[1:2], paper_labels(), other_genres="drop_label")) == [
        "labels outside the 13 genres: none of 2 on 1 films"
    ]
    (line,) = format_labels(None)
    assert "not recorded" in line


def test_hostile_names_are_bounded_and_plain():
    films = [
        Entry(
            "A",
            None,
            (
                "drama",
                f"{k}\x1b[31m" + "x" * 500,
            ),
        )
        for k in range(300)
    ]
    counted = count_labels(films, paper_labels(), other_genres="drop_label")
    assert len(counted["dropped_by_name"]) == 101
    assert sum(counted["dropped_by_name"].values()) == counted["dropped"] == 300
    assert "\x1b" not in "".join(format_labels(counted))


@pytest.mark.parametrize(
    ("name", "genres"),
    [
        *(("Science Fiction", ("sci-fi",)), ("SciFi", ("sci-fi",)), ("Sci Fi", ("sci-fi",)), ("sci_fi", ("sci-fi",))),
        *(("Thriler", ("thriller",)), ("Comdey", ("comedy",)), ("Horor", ("horror",)), ("Animated", ("animation",))),
        *(("Suspense", ("thriller",)), ("Action & Adventure", ("action", "adventure")), ("Biopic", ("biography",))),
        *(("Sci-Fi & Fantasy", ("fantasy", "sci-fi")), ("Romantic Comedy", ("comedy", "romance")), ("Drama Film", ("drama",))),
        *(("TV Movie", ()), ("Foreign", ()), ("X", ()), ("12", ())),
        *((name, ()) for name in IMDB_GENRES),
    ],
)
def test_hints(name, genres):
    assert suggest_genres(name) == genres


def write_old_report(folder, **changes) -> None:
    """The report as an earlier version left it."""
    report = json.loads((folder / paths.REPORT_FILE).read_text())
    old = {name: value for name, value in report.items() if name not in ("labels", "titles_file", "other_files", "check")}
    (folder / paths.REPORT_FILE).write_text(json.dumps(with_checksum(old | changes)))


def test_the_dataset_reports_them_and_an_old_one_states_that_it_does_not(tmp_path):
    folder = make_folder(tmp_path / "posters", films=40)
    titles = [title_line(film_id(k), GENRE_SETS[k % len(GENRE_SETS)]) for k in range(1, 41)]
    titles[0] = title_line(film_id(1), "Comedy,Scien Fiction,Science Fiction", year="soon")
    titles[1] = title_line(film_id(2), "Western")
    write_titles(folder / "title.basics.tsv.gz", titles)
    (folder / "images" / "notes.txt").touch()
    built = build_dataset(folder, tmp_path / "data", progress=False)
    family = sum("Family" in GENRE_SETS[k % len(GENRE_SETS)] for k in range(3, 41))
    assert built.report["labels"]["dropped_by_name"] == {"Family": family, "Scien Fiction": 1, "Western": 1}
    text = format_report(built.report)
    assert f"on {family + 2} of 40 films dropped (Family {family}, Scien Fiction 1, Western 1)" in text
    assert "films left out, none of their genres among the 13: 1 (Western 1)" in text
    assert "Scien Fiction 1: did you mean sci-fi?" in text
    assert "labels mapped: 1 (Science Fiction = sci-fi 1)" in text
    assert "startYear is no year: the year is unknown, the film is kept: 1\n    title.basics.tsv.gz:2: 'soon'" in text
    assert "1 file skipped (1 .txt)" in text
    page = to_markdown("", "", [Section("", [b for b in _dataset_blocks(open_dataset(built.dir)) if isinstance(b, Text)])])
    assert "Labels outside the 13 genres:" in page
    assert "did you mean sci-fi?" in page

    (folder / "images" / "more.nfo").touch()  # no input of the dataset, but counted
    write_old_report(built.dir)
    again = build_dataset(folder, tmp_path / "data", progress=False)
    assert again.reason is None
    text = format_report(again.report)
    assert "labels outside the 13 genres: not recorded" in text
    assert "2 files skipped (1 .nfo, 1 .txt)" in text
    page = to_markdown("", "", [Section("", [b for b in _dataset_blocks(open_dataset(built.dir)) if isinstance(b, Text)])])
    assert "not recorded" in page

    # One that lost lines of the titles file, which may be read now, is built again, to the same rows.
    write_old_report(built.dir, left_out={"titles file line": {"count": 1, "first": [["title.basics.tsv.gz:2", "startYear"]]}})
    rebuilt = build_dataset(folder, tmp_path / "data", progress=False)
    assert "an earlier version left out lines of the titles file" in (rebuilt.reason or "")
    assert rebuilt.report["row_hash"] == built.report["row_hash"]


def test_a_folder_without_a_known_genre_gets_the_hint(tmp_path):
    folder = make_folder(tmp_path / "posters", films=6)
    write_titles(folder / "title.basics.tsv.gz", [title_line(film_id(k), "Scien Fiction") for k in range(1, 7)])
    with pytest.raises(InputError, match="Scien Fiction: did you mean sci-fi"):
        build_dataset(folder, tmp_path / "data", progress=False)
