"""Real posters, where a developer has them, in the forms of other sources: the labels are those of IMDb's file."""

import hashlib
import importlib.util
import json
import os
import pathlib

import pytest
from source_forms import read

from posterfusion_jax.datasets.sources.detect import detect_source
from posterfusion_jax.datasets.sources.imdb_folder import ImdbFolderSource
from posterfusion_jax.datasets.sources.mm_imdb import MM_IMDB23

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def films(shared_dir):
    """Film -> its first poster's file, and its entry; without files that belong to two films."""
    source = ImdbFolderSource(shared_dir / "posters")
    posters = source.list_pictures().posters
    entries = source.read_entries(posters)
    found, taken = {}, {}
    for poster in posters:
        if poster.film_id not in found:
            found[poster.film_id] = (pathlib.Path(poster.file).absolute(), entries.of(poster))
            taken.setdefault(hashlib.sha256(poster.path.read_bytes()).hexdigest(), []).append(poster.film_id)
    twice = {film for same in taken.values() if len(same) > 1 for film in same}
    assert len(found) > 400
    return {film: pair for film, pair in found.items() if film not in twice}


def labels(films) -> dict[str, set[str]]:
    return {film: set(entry.labels) for film, (_, entry) in films.items()}


def test_class_folders(films, tmp_path):
    for film, (file, entry) in films.items():
        for label in entry.labels:
            (tmp_path / label).mkdir(exist_ok=True)
            os.symlink(file, tmp_path / label / f"{film}_1{file.suffix}")
    found = read("class_folders", tmp_path)
    assert {poster.film_id: set(entry.labels) for poster, entry in found.posters.items()} == labels(films)
    assert found.left_out == {}
    assert detect_source(tmp_path)[0] == "class_folders"


def test_mm_imdb(films, tmp_path):
    (tmp_path / "dataset").mkdir()
    for film, (file, entry) in films.items():
        os.symlink(file, tmp_path / "dataset" / f"{film[2:]}.jpeg")
        about = {"genres": list(entry.labels), "title": entry.title, "year": entry.year, "plot": ["unused"]}
        (tmp_path / "dataset" / f"{film[2:]}.json").write_text(json.dumps(about))
    ids = [film[2:] for film in films]
    (tmp_path / "split.json").write_text(json.dumps({"train": ids[:-40], "dev": ids[-40:-20], "test": ids[-20:]}))
    found = read("mm_imdb", tmp_path)
    assert {poster.film_id: set(entry.labels) for poster, entry in found.posters.items()} == {
        film: found & set(MM_IMDB23) for film, found in labels(films).items()
    }
    assert {poster.film_id: (entry.title, entry.year) for poster, entry in found.posters.items()} == {
        film: (entry.title, entry.year) for film, (_, entry) in films.items()
    }
    assert detect_source(tmp_path)[0] == "mm_imdb"


def test_a_library(films, tmp_path):
    from xml.sax.saxutils import escape

    names = ("poster", "folder", "cover", "movie-poster", "movie")
    for k, (film, (file, entry)) in enumerate(films.items()):
        (tmp_path / film).mkdir()
        os.symlink(file, tmp_path / film / f"{names[k % 5]}{file.suffix}")
        genres = "".join(f"<genre>{label}</genre>" for label in entry.labels)
        title = f"<title>{escape(entry.title)}</title><year>{entry.year}</year>"
        (tmp_path / film / "movie.nfo").write_text(
            f'<?xml version="1.0" encoding="UTF-8"?>\n<movie>{title}{genres}<uniqueid type="imdb">{film}</uniqueid></movie>\n'
            f"https://www.imdb.com/title/{film}/\n",
            encoding="utf-8",
        )
    found = read("nfo", tmp_path)
    assert {poster.film_id: set(entry.labels) for poster, entry in found.posters.items()} == labels(films)
    assert {entry.title for entry in found.posters.values()} == {entry.title for _, entry in films.values()}
    assert found.left_out == {}
    assert detect_source(tmp_path)[0] == "nfo"


def test_a_folder_of_hugging_face(films, tmp_path):
    spec = importlib.util.find_spec("datasets")
    if spec is None or spec.origin is None:
        pytest.skip("datasets is not installed: pip install datasets")
    import datasets  # pyright: ignore[reportMissingImports]

    datasets.disable_progress_bars()
    some = dict(list(films.items())[:300])
    columns = {
        "id": list(range(len(some))),
        "imdb_id": list(some),
        "title": [entry.title for _, entry in some.values()],
        "genres": [[{"id": 0, "name": label} for label in entry.labels] for _, entry in some.values()],
        "image": [str(file) for file, _ in some.values()],
    }
    datasets.Dataset.from_dict(columns).cast_column("image", datasets.Image()).save_to_disk(str(tmp_path / "set"))
    found = read("hugging_face", tmp_path / "set")
    assert {poster.film_id: set(entry.labels) for poster, entry in found.posters.items()} == labels(some)
    assert {poster.path.read_bytes() for poster in found.posters} == {file.read_bytes() for file, _ in some.values()}
    assert detect_source(tmp_path / "set")[0] == "hugging_face"
