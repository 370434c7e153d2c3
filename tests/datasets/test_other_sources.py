"""Class folders, MM-IMDb, media libraries and Hugging Face's folders: read right, broken parts recorded, kinds detected."""

import importlib.util
import json
import pathlib

import pytest
from tables import FILMS, TCONSTS, draw_pictures

from posterfusion_jax.datasets.sources.detect import detect_source
from posterfusion_jax.datasets.sources.mm_imdb import MM_IMDB23, OTHER_GENRES
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.datasets.sources.registry import SOURCES, make_source
from posterfusion_jax.errors import InputError


def read(kind: str, folder: pathlib.Path):
    source = make_source(SourceOptions(kind=kind, folder=str(folder), pictures_dir=str(folder.parent / "pictures")))
    pictures = source.list_pictures()
    entries = source.read_entries(pictures.posters)
    return source, {poster: entries.of(poster) for poster in pictures.posters}, pictures, "\n".join(entries.how)


def reasons(pictures) -> dict[str, list[str]]:
    return {kind: [item.what for item in items] for kind, items in pictures.left_out.items()}


def class_folders(folder: pathlib.Path) -> pathlib.Path:
    """Labels as folders; the first film lies in each of its genres' folders."""
    draw_pictures(folder / "draw", [f"{title.replace(':', '')} ({year})" for _, title, year, _ in FILMS])
    for picture, (*_, labels) in zip(sorted((folder / "draw").iterdir(), key=by_film), FILMS, strict=True):
        for label in labels:
            (folder / "genres" / label).mkdir(parents=True, exist_ok=True)
            (folder / "genres" / label / picture.name).write_bytes(picture.read_bytes())
    return folder / "genres"


def by_film(picture: pathlib.Path) -> int:
    return next(k for k, (_, title, *_) in enumerate(FILMS) if picture.name.startswith(title.replace(":", "") + " ("))


def test_class_folders(tmp_path):
    folder = class_folders(tmp_path)
    (folder / "beside.jpg").write_bytes((tmp_path / "draw" / "Alien (1979).jpg").read_bytes())
    (folder / "Drama" / "notes.txt").touch()
    source, posters, pictures, how = read("class_folders", folder)
    assert {(entry.title, entry.year): set(entry.labels) for entry in posters.values()} == {
        (title.replace(":", ""), year): set(labels) for _, title, year, labels in FILMS
    }
    assert "12 pictures lie in several folders" in how
    assert reasons(pictures) == {"picture in no class folder": ["beside"]}
    assert dict(pictures.other_files) == {".txt": 1}
    assert source.decisions() == {}
    assert detect_source(folder)[0] == "class_folders"


def test_class_folders_below_a_split(tmp_path):
    for split in ("train", "val", "test"):
        for label in ("Action", "Comedy"):
            draw_pictures(tmp_path / split / label, [f"{split}{label}{k}" for k in range(3)])
    for k, file in enumerate(sorted(tmp_path.rglob("*.jpg"))):
        file.write_bytes(file.read_bytes() + bytes([k]))
    source, posters, _, how = read("class_folders", tmp_path)
    assert sorted((entry.split, *entry.labels) for entry in posters.values()) == sorted(
        (split, label) for split in ("train", "validation", "test") for label in ("Action", "Comedy") for _ in range(3)
    )
    assert source.decisions() == {"data.split_by": "column"}
    assert "for 18 posters" in how
    assert detect_source(tmp_path)[0] == "class_folders"


def mm_imdb(folder: pathlib.Path) -> pathlib.Path:
    draw_pictures(folder / "dataset", [tconst[2:] for tconst in TCONSTS], suffix=".jpeg")
    for tconst, (_, title, year, labels) in zip(TCONSTS, FILMS, strict=True):
        about = {"title": title, "year": year, "genres": [*labels, "News"], "plot": ["A plot that is on no poster."]}
        (folder / "dataset" / f"{tconst[2:]}.json").write_text(json.dumps(about))
    split = {"train": TCONSTS[:6], "dev": TCONSTS[6:9], "test": TCONSTS[9:]}
    (folder / "split.json").write_text(json.dumps({name: [film[2:] for film in films] for name, films in split.items()}))
    return folder


def test_mm_imdb(tmp_path):
    folder = mm_imdb(tmp_path)
    (folder / "dataset" / f"{TCONSTS[3][2:]}.json").write_text("{")
    (folder / "dataset" / f"{TCONSTS[4][2:]}.json").unlink()
    (folder / "dataset" / "0000001.json").write_text('{"genres": ["Drama"]}')
    source, posters, pictures, how = read("mm_imdb", folder)
    assert [poster.film_id for poster in posters] == sorted(set(TCONSTS) - {TCONSTS[3], TCONSTS[4]})
    films = {tconst: (title, year, (*labels, "News")) for tconst, (_, title, year, labels) in zip(TCONSTS, FILMS, strict=True)}
    assert all(entry[:3] == films[poster.film_id] and entry.text is None for poster, entry in posters.items())
    assert [entry.split for entry in posters.values()].count("test") == 3
    assert source.decisions() == {"data.split_by": "column"}
    assert reasons(pictures) == {
        "JSON file": [f"dataset/{TCONSTS[3][2:]}.json", f"dataset/{TCONSTS[4][2:]}.json"],
        "no picture": ["dataset/0000001.json"],
    }
    assert dict(pictures.other_files) == {}
    assert "outside the 23 of the set's authors are Adult 0, News 10, Reality-TV 0, Talk-Show 0 (0 films have no other)" in how
    assert "split: split.json, 10 films; 0 films are not in it, and 2 of its ids have no film here" in how
    assert len(set(MM_IMDB23) - set(OTHER_GENRES)) == 23
    assert detect_source(folder)[0] == "mm_imdb"
    (folder / "split.json").write_text("[1]")
    with pytest.raises(InputError, match=r"split\.json' is not the split of MM-IMDb"):
        read("mm_imdb", folder)


def test_mm_imdb_2(tmp_path):
    """Without a split; with other suffixes, a list of files and a plot that is one text."""
    draw_pictures(tmp_path / "dataset", [tconst[2:] for tconst in TCONSTS[:3]])
    for k, tconst in enumerate(TCONSTS[:3]):
        about = {"genres": ["News"] if k == 2 else ["Drama", "Reality-TV"], "plot": "A plot.", "cast": [], "year": "c. 20"}
        (tmp_path / "dataset" / f"{tconst[2:]}.json").write_text(json.dumps(about))
    (tmp_path / "list.txt").write_text("\n".join(f"dataset/{tconst[2:]}.json" for tconst in TCONSTS))
    source, posters, pictures, how = read("mm_imdb", tmp_path)
    assert {poster.film_id: tuple(entry) for poster, entry in posters.items()} == {
        TCONSTS[0]: ("", None, ("Drama", "Reality-TV"), "", None),
        TCONSTS[1]: ("", None, ("Drama", "Reality-TV"), "", None),
        TCONSTS[2]: ("", None, ("News",), "", None),
    }
    assert dict(pictures.other_files) == {".txt": 1}
    assert "split: there is no split.json" in how
    assert "News 1, Reality-TV 2, Talk-Show 0 (1 films have no other)" in how
    assert source.decisions() == {}
    assert detect_source(tmp_path)[0] == "mm_imdb"


def test_mm_imdb_in_two_splits(tmp_path):
    folder = mm_imdb(tmp_path)
    films = [tconst[2:] for tconst in TCONSTS]
    (folder / "split.json").write_text(json.dumps({"train": films[:9], "dev": [], "test": films[7:11]}))
    source = make_source(SourceOptions(kind="mm_imdb", folder=str(folder)))
    posters = source.list_pictures().posters
    entries = source.read_entries(posters)
    splits = {poster.film_id[2:]: entries.by_key[poster.poster_id].split for poster in posters}
    assert splits == dict.fromkeys(films[:9], "train") | dict.fromkeys(films[9:11], "test") | {films[11]: ""}
    assert entries.notes["film in several splits, the first counts"]["count"] == 2


NFO = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<movie><title>{title}</title><year>{year}</year>{genres}<uniqueid type="tmdb">1</uniqueid>
<uniqueid type="imdb" default="true">{tconst}</uniqueid></movie>
https://www.imdb.com/title/{tconst}/"""


def library(folder: pathlib.Path) -> pathlib.Path:
    names = ("poster", "folder", "cover", "movie-poster", "movie")
    for k, (tconst, (_, title, year, labels)) in enumerate(zip(TCONSTS, FILMS, strict=True)):
        film = folder / f"{title.replace(':', '')} ({year})"
        draw_pictures(film, [names[k % 5]])
        (film / f"{names[k % 5]}.jpg").write_bytes((film / f"{names[k % 5]}.jpg").read_bytes() + bytes([k]))
        genres = " / ".join(labels) if k % 2 else "</genre><genre>".join(labels)
        text = NFO.format(title=title, year=year, genres=f"<genre>{genres}</genre>", tconst=tconst)
        (film / "movie.nfo").write_text(text, "utf-8-sig" if k % 3 else "utf-8")
    return folder


def test_a_media_library(tmp_path):
    folder = library(tmp_path / "films")
    for name, content in {
        "Bomb (2000)": '<!DOCTYPE x [<!ENTITY a "aaaa">]><movie><title>&a;</title></movie>',
        "Broken (2001)": "<movie><title>Broken</movie>",
        "Link (2002)": "https://www.imdb.com/title/tt0133093/",
    }.items():
        draw_pictures(folder / name, ["poster"])
        (folder / name / "movie.nfo").write_text(content)
    (folder / "No poster (2003)").mkdir()
    (folder / "No poster (2003)" / "movie.nfo").write_text(NFO.format(title="x", year=1, genres="", tconst="tt0000001"))
    draw_pictures(folder / "No file (2004)", ["poster"])
    _, posters, pictures, how = read("nfo", folder)
    assert {poster.film_id: set(entry.labels) for poster, entry in posters.items()} == {
        tconst: set(labels) for tconst, (*_, labels) in zip(TCONSTS, FILMS, strict=True)
    }
    assert {entry.title: entry.year for entry in posters.values()} == {title: year for _, title, year, _ in FILMS}
    assert reasons(pictures) == {
        "NFO file": ["Bomb (2000)/movie.nfo", "Broken (2001)/movie.nfo", "Link (2002)/movie.nfo"],
        "picture without an NFO file": ["No file (2004)/poster.jpg"],
        "no picture": ["No poster (2003)/movie.nfo"],
    }
    assert "group: IMDb's id of 12 films" in how
    assert detect_source(folder)[0] == "nfo"


def test_a_data_set_of_hugging_face(tmp_path):
    if importlib.util.find_spec("datasets") is None or importlib.util.find_spec("datasets").origin is None:
        pytest.skip("datasets is not installed: pip install datasets")
    import datasets  # pyright: ignore[reportMissingImports]

    draw_pictures(tmp_path / "drawn", TCONSTS)
    files = [str(tmp_path / "drawn" / f"{tconst}.jpg") for tconst in TCONSTS]
    names = sorted({label for *_, labels in FILMS for label in labels})
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "title": datasets.Value("string"),
            "genres": datasets.Sequence(datasets.ClassLabel(names=names)),
            "imdb_id": datasets.Value("string"),
        }
    )
    columns = {
        "image": files,
        "title": [title for _, title, *_ in FILMS],
        "genres": [[names.index(label) for label in labels] for *_, labels in FILMS],
        "imdb_id": TCONSTS,
    }
    whole = datasets.Dataset.from_dict(columns, features=features)
    datasets.DatasetDict({"train": whole.select(range(8)), "test": whole.select(range(8, 12))}).save_to_disk(
        str(tmp_path / "set")
    )
    source, posters, _, how = read("hugging_face", tmp_path / "set")
    assert {poster.film_id: entry.labels for poster, entry in posters.items()} == {
        tconst: labels for tconst, (*_, labels) in zip(TCONSTS, FILMS, strict=True)
    }
    assert source.unit == "film"
    assert {pathlib.Path(poster.file).read_bytes() for poster in posters} == {pathlib.Path(file).read_bytes() for file in files}
    assert "12 of them written to files now" in how
    assert "0 of them written" in read("hugging_face", tmp_path / "set")[3]
    assert detect_source(tmp_path / "set")[0] == "hugging_face"


def test_a_folder_of_films_is_detected(tmp_path):
    from imdb_folder import make_folder

    assert detect_source(make_folder(tmp_path / "posters"))[0] == "folder"


@pytest.mark.parametrize("kind", ["class_folders", "mm_imdb", "nfo"])
def test_a_folder_of_another_kind_is_refused_with_what_is_expected(tmp_path, kind):
    draw_pictures(tmp_path / "own", ["a", "b"])
    with pytest.raises(InputError, match=r"own' has (no|pictures in 0)"):
        read(kind, tmp_path / "own")
    with pytest.raises(
        InputError, match=r"is of no known kind: it holds 'a.jpg', 'b.jpg'; 2 pictures, 2 of them in no class folder"
    ):
        detect_source(tmp_path / "own")
    (tmp_path / "own" / "labels.csv").write_text("id,genre\n")
    with pytest.raises(InputError, match=r"Is 'labels.csv' the table of their labels"):
        detect_source(tmp_path / "own")


def test_an_unknown_source_is_named():
    with pytest.raises(
        InputError, match=r"data.source='nfos' is not a known source; choose one of folder, table, .*Did you mean 'nfo'"
    ):
        SOURCES.get("nfos")
