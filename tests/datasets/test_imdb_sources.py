"""The fingerprint of what a dataset is made from."""

import hashlib
import json
import pathlib
from collections import Counter

import pytest
from imdb_folder import film_id, make_folder, record_line, write_poster
from PIL import Image

from posterfusion_jax.datasets.imdb_posters import image_check, join
from posterfusion_jax.datasets.imdb_posters.hashing import hash_json
from posterfusion_jax.datasets.imdb_posters.imdb_posters_dataset_builder import Builder
from posterfusion_jax.datasets.imdb_posters.inputs import collect_inputs
from posterfusion_jax.datasets.imdb_posters.options import BuildOptions
from posterfusion_jax.datasets.sources.imdb_folder import ImdbFolderSource
from posterfusion_jax.ocr.records.record import to_json
from posterfusion_jax.ocr.records.store import load_records


def files_of(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def hash_at_once(value) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@pytest.mark.parametrize("rows", [[], [["a", 1]], [{"b": 1, "a": None}, ["\u00e9", 2.5], "x"]])
def test_an_iterator_hashes_as_the_list_does(rows):
    assert hash_json(rows) == hash_json(iter(rows)) == hash_at_once(rows)
    assert hash_json([iter(rows), ["rest"], []]) == hash_json([rows, ["rest"], []]) == hash_at_once([rows, ["rest"], []])


def test_the_fingerprint_is_that_of_version_1_1_0(tmp_path):
    """Recomputed from all hashes and all records at once, as it was when datasets of this version were first built."""
    folder = make_folder(tmp_path)
    copy = write_poster(folder / "images" / f"{film_id(1)}_1.jpg", 0)
    (folder / "images" / f"{film_id(1)}_7.jpg").write_bytes(copy)
    (folder / "images" / "cover.jpg").touch()
    with (folder / "ocr.jsonl").open("a") as file:
        file.write(record_line(copy, "NEWER", engine="gemini") + "\nno record\n")
    sources = collect_inputs(ImdbFolderSource(folder), BuildOptions(preferred_engines=("gemini",)))
    sha256_of = {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "images").glob("tt*")}
    records = load_records([folder / "ocr.jsonl"])
    found = {sha256: records.find(sha256, prefer=("gemini",)) for sha256 in sha256_of.values()}
    lines = sorted((sha256, to_json(record)) for sha256, record in found.items() if record is not None)
    misnamed, bad = list(sources.left_out["file name"]), list(sources.left_out["OCR record line"])
    assert (len(misnamed), len(bad)) == (1, 1)
    assert sources.fingerprint["posters"] == hash_at_once([sorted(sha256_of.items()), misnamed, []])
    assert sources.fingerprint["OCR records"] == hash_at_once([lines, bad])
    assert sources.texts[hashlib.sha256(copy).hexdigest()][0] == "NEWER"
    assert sum(poster.sha256 == hashlib.sha256(copy).hexdigest() for poster in sources.posters) == 2
    assert dict(sources.texts).keys() == {sha256 for sha256, _ in lines}


def test_a_first_build_reads_each_file_to_check_it_and_to_store_it(tmp_path, monkeypatch):
    from posterfusion_jax.datasets.imdb_posters.build import build_dataset

    read = []
    for module in (image_check, join):
        monkeypatch.setattr(module, "read_bytes", lambda file, whole=module.read_bytes: read.append(str(file)) or whole(file))
    folder = make_folder(tmp_path / "posters")
    files = {str(path): 2 for path in (folder / "images").iterdir()}
    build_dataset(folder, tmp_path / "data", progress=False)
    assert Counter(read) == files
    read.clear()
    assert build_dataset(folder, tmp_path / "data", progress=False).reason is None
    assert Counter(read) == dict.fromkeys(files, 1)


def test_a_dataset_is_the_same_whether_images_are_checked_while_hashing_or_later_or_by_other_workers(tmp_path):
    from posterfusion_jax.datasets.imdb_posters.build import build_dataset

    folder = make_folder(tmp_path / "posters")
    images = folder / "images"
    whole = (images / f"{film_id(2)}_1.jpg").read_bytes()
    (images / f"{film_id(2)}_8.jpg").write_bytes(whole[: len(whole) // 2])
    (images / f"{film_id(3)}_8.jpg").write_bytes(whole)
    (images / f"{film_id(4)}_8.jpg").write_bytes(b"no image")
    Image.new("CMYK", (40, 60), (9, 99, 199, 20)).save(images / f"{film_id(5)}_8.jpg")
    (images / "tt9999999_1.jpg").write_bytes(b"no film")
    first = build_dataset(folder, tmp_path / "first", progress=False)
    build_dataset(folder, tmp_path / "second", BuildOptions(split_seed=1), progress=False)
    second = build_dataset(folder, tmp_path / "second", progress=False)
    assert second.reason == "options changed"

    class OtherWorkers(Builder, skip_registration=True):
        name = Builder.name

        def check_images(self, paths):
            checked.extend(paths)
            return [image_check.check_image(path) for path in checked]

    checked = []
    third = build_dataset(folder, tmp_path / "third", make_builder=lambda staging: OtherWorkers, progress=False)
    assert checked
    assert files_of(first.dir) == files_of(second.dir) == files_of(third.dir)
    kinds = {kind: found["count"] for kind, found in first.report["left_out"].items()}
    assert kinds == {"no title row": 1, "same bytes, other film": 2, "unreadable image": 2}
