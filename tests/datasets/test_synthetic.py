"""The folder of drawn posters: its shape, that it is always the same, and that it survives being interrupted."""

import collections
import gzip
import itertools
import json
import pathlib
import re

import pytest
from PIL import Image

from posterfusion_jax.datasets.synthetic import generator
from posterfusion_jax.datasets.synthetic.drawing.vocabulary import GENRE_WORDS
from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import GENRES, canonical_genre
from posterfusion_jax.posters import decode
from posterfusion_jax.posters.folder import find_posters

FILMS = 20


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("drawn") / "posters"
    generator.draw_folder(folder, films=FILMS, seed=3, width=120)
    return folder


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A finished folder of 700 films of which only the words and the cues were made, for statistics."""
    folder = tmp_path_factory.mktemp("planned") / "posters"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generator, "draw_poster", lambda rng, content, width: Image.new("RGB", (2, 3)))
        generator.draw_folder(folder, films=700, width=120)
    return folder


def read_cues(folder: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in (folder / generator.CUES_FILE).read_text("utf-8").splitlines()]


def read_titles(folder: pathlib.Path) -> list[list[str]]:
    text = gzip.decompress((folder / "title.basics.tsv.gz").read_bytes()).decode()
    return [line.split("\t") for line in text.splitlines()]


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_folder_has_the_shape_of_a_users_data(drawn):
    posters, skipped = find_posters(drawn)
    assert not skipped
    assert [p.poster_id for p in posters] == sorted(row["poster_id"] for row in read_cues(drawn))
    assert {p.film_id for p in posters} == {f"tt{9_000_001 + i}" for i in range(FILMS)}
    assert {decode.read_poster(p.path).size for p in posters} == {(120, 180)}
    assert {path.name for path in drawn.iterdir()} == {"title.basics.tsv.gz", "images", "cues.jsonl", "drawn.json"}


def test_titles_file_is_as_imdb_publishes_it(planned):
    header, *rows = read_titles(planned)
    expected = "tconst titleType primaryTitle originalTitle isAdult startYear endYear runtimeMinutes genres"
    assert header == expected.split()
    genres_of = {row["film_id"]: row["genres"] for row in read_cues(planned)}
    others = set()
    for row in rows:
        assert len(row) == 9
        assert row[6] == r"\N"
        assert re.fullmatch(r"\d{4}", row[5])
        assert row[7] == r"\N" or row[7].isdigit()
        spelled = row[8].split(",")
        assert 1 <= len(spelled) <= 3
        assert spelled == sorted(spelled)
        known = [canonical_genre(genre) for genre in spelled if canonical_genre(genre)]
        assert sorted(known, key=GENRES.index) == genres_of[row[0]]
        others |= {genre for genre in spelled if not canonical_genre(genre)}
    assert {"Family", "Music"} <= others
    assert any(row[7] == r"\N" for row in rows)


def test_same_arguments_draw_the_same_bytes_and_another_seed_does_not(drawn, tmp_path):
    generator.draw_folder(tmp_path / "again", films=3, seed=3, width=120)
    generator.draw_folder(tmp_path / "other", films=3, seed=4, width=120)
    again, other, whole = contents(tmp_path / "again"), contents(tmp_path / "other"), contents(drawn)
    pictures = [name for name in again if name.endswith(".jpg")]
    # Film i does not depend on the number of films: a smaller folder is the beginning of a larger one.
    assert all(again[name] == whole[name] for name in pictures)
    assert whole["cues.jsonl"].startswith(again["cues.jsonl"])
    assert read_titles(drawn)[:4] == read_titles(tmp_path / "again")
    assert all(again[name] != other.get(name) for name in pictures)


def test_posters_of_a_film_differ_and_share_its_title(drawn):
    by_film = collections.defaultdict(list)
    for row in read_cues(drawn):
        by_film[row["film_id"]].append(row)
    titles = {row[0]: row[2] for row in read_titles(drawn)[1:]}
    for film_id, rows in by_film.items():
        assert all(titles[film_id] in row["text"] for row in rows)
        pixels = {(drawn / "images" / f"{row['poster_id']}.jpg").read_bytes() for row in rows}
        assert len(pixels) == len(rows)


def test_drawing_again_leaves_a_finished_folder_alone(drawn):
    before = {path: path.stat().st_mtime_ns for path in drawn.rglob("*")}
    generator.draw_folder(drawn, films=FILMS, seed=3, width=120)
    assert before == {path: path.stat().st_mtime_ns for path in drawn.rglob("*")}


@pytest.mark.parametrize("changed", [{"films": 21}, {"seed": 4}, {"width": 150}])
def test_other_arguments_need_another_folder(drawn, changed):
    with pytest.raises(InputError, match="Name another folder"):
        generator.draw_folder(drawn, **({"films": FILMS, "seed": 3, "width": 120} | changed))


@pytest.mark.parametrize(
    ("argument", "value"), [("films", 0), ("films", 100_000), ("seed", -1), ("width", 119), ("width", 1201)]
)
def test_arguments_out_of_range_are_named(tmp_path, argument, value):
    with pytest.raises(InputError, match=f"{argument}={value}"):
        generator.draw_folder(tmp_path / "posters", **{argument: value})
    assert not (tmp_path / "posters").exists()


def test_a_folder_with_somebodys_posters_is_not_drawn_into(tmp_path):
    (tmp_path / "title.basics.tsv.gz").write_bytes(b"precious")
    with pytest.raises(InputError, match="not drawn by this project"):
        generator.draw_folder(tmp_path, films=1)
    assert contents(tmp_path) == {"title.basics.tsv.gz": b"precious"}


def test_a_file_in_the_folders_place_is_a_user_error(tmp_path):
    (tmp_path / "posters").write_text("a file")
    with pytest.raises(InputError, match="cannot be drawn into"):
        generator.draw_folder(tmp_path / "posters", films=1)


def test_an_interrupted_folder_is_unfinished_and_carries_on(drawn, tmp_path, monkeypatch):
    folder = tmp_path / "posters"
    save, saved = Image.Image.save, []

    def fail_in_mid_write(image, path, *args, **kwargs):
        if len(saved) == 5:
            pathlib.Path(path).write_bytes(b"half a pic")
            raise KeyboardInterrupt
        saved.append(path)
        save(image, path, *args, **kwargs)

    monkeypatch.setattr(Image.Image, "save", fail_in_mid_write)
    with pytest.raises(KeyboardInterrupt):
        generator.draw_folder(folder, films=FILMS, seed=3, width=120)
    monkeypatch.undo()

    for path in (folder / "images").glob("*.jpg"):
        decode.read_poster(path)  # whatever has its name is whole
    with pytest.raises(InputError, match="not a finished folder"):
        generator.bayes_optimal_report(folder)
    with pytest.raises(InputError, match="Name another folder"):
        generator.draw_folder(folder, films=FILMS, seed=4, width=120)

    first = min((folder / "images").glob("*.jpg"))
    written = first.stat().st_mtime_ns
    generator.draw_folder(folder, films=FILMS, seed=3, width=120)
    assert first.stat().st_mtime_ns == written
    assert contents(folder) == contents(drawn)


def test_printed_words_are_those_of_the_cues(planned):
    genre_of = {word: genre for genre, words in GENRE_WORDS.items() for word in words}
    titles_with_a_word = 0
    for row in read_cues(planned):
        on_poster = re.findall(r"[a-z]+", " ".join(row["text"]).lower())
        assert {genre_of[word] for word in on_poster if word in genre_of} == set(row["words"])
        assert sorted(word for word in on_poster if word in genre_of) == sorted(itertools.chain(*row["printed"].values()))
        titles_with_a_word += any(len(words) == 2 for words in row["printed"].values())
    assert titles_with_a_word > 600


def test_both_cues_together_are_far_better_than_either(planned):
    reports = generator.bayes_optimal_report(planned)
    best = {name: report["f1_macro"] for name, report in reports.items()}
    assert best["both"] > 0.88
    assert best["both"] > max(best["picture"], best["words"]) + 0.15
    assert 0.6 < best["picture"] < 0.8
    assert 0.6 < best["words"] < 0.8
    assert reports["both"]["num_posters"] == len(read_cues(planned))


def test_bayes_optimal_report_of_some_posters(planned):
    ids = [row["poster_id"] for row in read_cues(planned)]
    assert generator.bayes_optimal_report(planned, ids[:900])["both"]["num_posters"] == 900
    assert generator.bayes_optimal_report(planned, ids) == generator.bayes_optimal_report(planned)
    with pytest.raises(InputError, match="tt0000000_1"):
        generator.bayes_optimal_report(planned, ["tt0000000_1"])
    with pytest.raises(InputError, match="empty"):
        generator.bayes_optimal_report(planned, [])
