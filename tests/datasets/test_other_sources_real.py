"""Real posters, where a developer has them, turned by links into other layouts: every label is that of the IMDb reader."""

import importlib.util
import json
import pathlib
from collections import defaultdict

import pytest

from posterfusion_jax.datasets.sources.detect import detect_source
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.datasets.sources.registry import make_source

pytestmark = pytest.mark.real

FILMS = 300


@pytest.fixture(scope="module")
def films(shared_dir):
    """IMDb id -> entry and files of the first films."""
    source = make_source(SourceOptions(kind="folder", folder=str(shared_dir / "posters")))
    posters = source.list_pictures().posters
    entries = source.read_entries(posters)
    files = defaultdict(list)
    for poster in posters:
        files[poster.film_id].append(poster.path.resolve())
    chosen = sorted(film for film in files if film in entries.by_key and entries.by_key[film].labels)[:FILMS]
    return {film: (entries.by_key[film], files[film]) for film in chosen}


def link(file: pathlib.Path, target: pathlib.Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.symlink_to(target)


def read(kind: str, folder: pathlib.Path):
    """IMDb id -> labels, titles; and the number of posters."""
    assert detect_source(folder)[0] == kind
    source = make_source(SourceOptions(kind=kind, folder=str(folder), pictures_dir=str(folder.parent / "pictures")))
    pictures = source.list_pictures()
    entries = source.read_entries(pictures.posters)
    labels = defaultdict(set)
    for poster in pictures.posters:
        labels[poster.film_id].add(frozenset(entries.of(poster).labels))
    return dict(labels), len(pictures.posters), {kind: len(items) for kind, items in pictures.left_out.items()}


def expected(films):
    return {film: {frozenset(entry.labels)} for film, (entry, _) in films.items()}


def test_class_folders(films, tmp_path):
    for entry, files in films.values():
        for label in entry.labels:
            for file in files:
                link(tmp_path / label / file.name, file)
    labels, posters, left_out = read("class_folders", tmp_path)
    assert labels == expected(films)
    assert posters == sum(len(files) for _, files in films.values())
    assert left_out == {}


def test_mm_imdb(films, tmp_path):
    for film, (entry, files) in films.items():
        link(tmp_path / "dataset" / f"{film[2:]}.jpeg", files[0])
        about = {"genres": list(entry.labels), "title": entry.title, "year": entry.year, "plot": ["A plot."]}
        (tmp_path / "dataset" / f"{film[2:]}.json").write_text(json.dumps(about))
    ids = [film[2:] for film in films]
    (tmp_path / "split.json").write_text(json.dumps({"train": ids[:200], "dev": ids[200:250], "test": ids[250:]}))
    assert read("mm_imdb", tmp_path) == (expected(films), len(films), {})


def test_a_media_library(films, tmp_path):
    names = ("poster", "folder", "cover", "movie-poster")
    for k, (film, (entry, files)) in enumerate(films.items()):
        folder = tmp_path / film
        link(folder / f"{names[k % 4]}.jpg", files[0])
        genres = (
            "".join(f"<genre>{label}</genre>" for label in entry.labels)
            if k % 2
            else f"<genre>{' / '.join(entry.labels)}</genre>"
        )
        text = f"<movie>{genres}<uniqueid type='imdb'>{film}</uniqueid></movie>\nhttps://www.imdb.com/title/{film}/"
        (folder / "movie.nfo").write_text(text, encoding="utf-8-sig" if k % 3 else "utf-8")
    assert read("nfo", tmp_path) == (expected(films), len(films), {})


def test_a_data_set_of_hugging_face(films, tmp_path):
    spec = importlib.util.find_spec("datasets")
    if spec is None or spec.origin is None:
        pytest.skip("datasets is not installed: pip install datasets")
    datasets = pytest.importorskip("datasets")
    columns = {
        "imdb_id": list(films),
        "genres": [[{"id": k, "name": label} for k, label in enumerate(entry.labels)] for entry, _ in films.values()],
        "image": [{"bytes": files[0].read_bytes(), "path": None} for _, files in films.values()],
    }
    whole = datasets.Dataset.from_dict(columns).cast_column("image", datasets.Image())
    whole.train_test_split(0.2, seed=0).save_to_disk(str(tmp_path / "set"))
    assert read("hugging_face", tmp_path / "set") == (expected(films), len(films), {})
