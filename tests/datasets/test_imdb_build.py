"""The whole way from a folder to rows: what is built, when it is built again, and what survives a kill."""

import gzip
import hashlib
import json
import logging
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from imdb_folder import film_id, make_folder, record_line, title_line, write_poster, write_titles

from posterfusion_jax.datasets.imdb_posters import paths, shards
from posterfusion_jax.datasets.imdb_posters.build import build_dataset
from posterfusion_jax.datasets.imdb_posters.options import parse_options
from posterfusion_jax.datasets.imdb_posters.reader import open_dataset
from posterfusion_jax.datasets.imdb_posters.report import format_report
from posterfusion_jax.datasets.imdb_posters.split_file import read_split_file
from posterfusion_jax.errors import InputError

# tensorflow-datasets 4.9.10 asks protobuf 6, which Beam needs, for a deprecated attribute.
pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")

POSTERS, FILMS = 80, 40  # of `make_folder`


def build(posters_dir, data_dir, **options):
    return build_dataset(posters_dir, data_dir, parse_options(options), progress=False)


def files_of(folder: pathlib.Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def posters_dir(tmp_path_factory) -> pathlib.Path:
    """Read-only by agreement: a test that changes it takes `own_posters`."""
    return make_folder(tmp_path_factory.mktemp("posters"))


@pytest.fixture
def own_posters(posters_dir, tmp_path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(posters_dir, tmp_path / "posters"))


@pytest.fixture(scope="module")
def built(posters_dir, tmp_path_factory):
    return build(posters_dir, tmp_path_factory.mktemp("data"))


def test_every_poster_is_a_row_with_its_own_bytes(posters_dir, built):
    dataset = open_dataset(built.dir)
    rows = [row for split in dataset.splits.values() for row in split]
    assert len(rows) == POSTERS
    assert {row["poster_id"] for row in rows} == {path.stem for path in (posters_dir / "images").iterdir()}
    for row in rows:
        data = (posters_dir / "images" / f"{row['poster_id']}.jpg").read_bytes()
        assert row["image"] == data
        assert row["image_sha256"] == hashlib.sha256(data).hexdigest()
        assert (row["title"], row["year"]) == (f"Film {int(row['film_id'][2:])}", 1999)
        assert row["labels"].dtype == np.uint8
        assert (row["text"] == f"FILM {int(row['film_id'][2:])}") == (row["ocr_status"] == "ok")
    assert {row["ocr_status"] for row in rows} == {"ok", "missing"}


def test_films_do_not_leak_and_the_split_is_recorded(built):
    dataset = open_dataset(built.dir)
    recorded = read_split_file(built.dir / paths.SPLITS_FILE)
    for name in paths.SPLITS:
        assert {recorded.splits[film] for film in dataset.columns(name)["film_id"]} == {name}
    assert len(recorded.splits) == FILMS
    assert built.report["leak_share"] == 0.0
    assert built.report["split"]["sha256"] == recorded.sha256


def test_columns_are_the_rows_without_images(built):
    dataset = open_dataset(built.dir)
    columns = dataset.columns("train")
    assert "image" not in columns
    assert columns is dataset.columns("train")
    assert columns["labels"].shape == (len(dataset.splits["train"]), 13)
    assert (columns["labels"].dtype, columns["year"].dtype) == (np.uint8, np.int32)
    row = dataset.row("train", 7)
    assert all(columns[name][7] == row[name] for name in ("poster_id", "film_id", "title", "text", "year"))
    assert dataset.row("train", -1)["poster_id"] == columns["poster_id"][-1]
    with pytest.raises(IndexError, match="row 99 of"):
        dataset.row("test", 99)


def test_report_counts_and_table(built):
    report = built.report
    assert sum(split["posters"] for split in report["splits"].values()) == POSTERS
    assert sum(split["films"] for split in report["splits"].values()) == FILMS
    drama = sum(split["genres"]["drama"]["films"] for split in report["splits"].values())
    assert drama == sum(film % 6 in (0, 1) for film in range(1, FILMS + 1))
    assert sum(split["ocr"]["missing"] for split in report["splits"].values()) == POSTERS // 2
    text = format_report(report)
    assert "text: missing 40, ok 40; 40 of 80 posters (50.0%) have an empty text" in text
    assert "of the same film in train: 0.0%" in text
    assert "left out: nothing" in text


def test_equal_folders_elsewhere_give_equal_bytes(built, own_posters, tmp_path):
    again = build(own_posters, tmp_path / "data")
    assert files_of(again.dir) == files_of(built.dir)
    assert open_dataset(again.dir).fingerprint == open_dataset(built.dir).fingerprint


def test_equal_inputs_are_found_and_nothing_is_written(posters_dir, built):
    before = {path: path.stat().st_mtime_ns for path in built.dir.rglob("*")}
    again = build(posters_dir, built.dir.parents[2])
    assert again.reason is None
    assert again.report == built.report
    assert {path: path.stat().st_mtime_ns for path in built.dir.rglob("*")} == before


def test_changed_inputs_are_built_anew_and_the_reason_is_said(own_posters, tmp_path):
    def reason(**options):
        return build(own_posters, tmp_path / "data", **options).reason

    assert reason() == "there is none yet"
    first = build(own_posters, tmp_path / "data").report["row_hash"]
    assert reason(split_seed=1) == "options changed"
    write_poster(own_posters / "images" / f"{film_id(1)}_9.jpg", 999)
    assert reason(split_seed=1) == "posters changed"
    with (own_posters / "ocr.jsonl").open("a") as file:
        file.write(record_line((own_posters / "images" / f"{film_id(1)}_9.jpg").read_bytes(), "NEW") + "\n")
    assert reason(split_seed=1) == "OCR records changed"
    write_titles(own_posters / "title.basics.tsv.gz", [title_line(film_id(i), "Drama") for i in range(1, 41)])
    assert reason(split_seed=1) == "titles file changed"
    assert reason(split_seed=1) is None
    assert build(own_posters, tmp_path / "data", split_seed=1).report["row_hash"] != first
    target = paths.dataset_dir(tmp_path / "data", "film")
    assert sorted(path.name for path in target.parent.iterdir()) == [".lock", paths.VERSION]


def test_a_failed_build_leaves_the_former_dataset_whole(own_posters, tmp_path, monkeypatch):
    former = build(own_posters, tmp_path / "data")
    files = files_of(former.dir)

    def fail(poster):
        raise RuntimeError("the power is gone")

    with monkeypatch.context() as patch:
        patch.setattr(shards, "image_bytes", fail)
        with pytest.raises(RuntimeError, match="the power is gone"):
            build(own_posters, tmp_path / "data", split_seed=1)
    assert files_of(former.dir) == files
    assert build(own_posters, tmp_path / "data").reason is None


def test_what_a_killed_build_left_is_cleared_away(own_posters, built, tmp_path):
    target = paths.dataset_dir(tmp_path / "data", "film")
    staging = target.parent / ".building" / paths.NAME / "by_film"
    staging.mkdir(parents=True)
    (staging / "half").write_text("half")
    shutil.copytree(built.dir, target.parent / ".replaced")  # killed between the two renames
    again = build(own_posters, tmp_path / "data")
    assert again.reason == "there is none yet"
    assert files_of(again.dir) == files_of(built.dir)
    assert sorted(path.name for path in target.parent.iterdir()) == [".lock", paths.VERSION]


def test_a_process_that_is_killed_while_building_does_no_harm(own_posters, built, tmp_path):
    script = f"""
import os, signal
from posterfusion_jax.datasets.imdb_posters import build, shards as module
whole, count = module.image_bytes, 0
def image_bytes(poster):
    global count
    count += 1
    if count == 70:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(poster)
module.image_bytes = image_bytes
build.build_dataset({str(own_posters)!r}, {str(tmp_path / "data")!r}, progress=False)
"""
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=120)
    assert killed.returncode == -9, killed.stderr
    assert not paths.dataset_dir(tmp_path / "data", "film").exists()
    again = build(own_posters, tmp_path / "data")
    assert files_of(again.dir) == files_of(built.dir)


def test_large_splits_go_to_several_shards_in_the_same_order(posters_dir, built, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "_SHARD_BYTES", 10_000)
    sharded = build(posters_dir, tmp_path)
    assert len(list(sharded.dir.glob("*-train.array_record-*"))) > 2
    expected = open_dataset(built.dir).columns("train")["poster_id"]
    assert open_dataset(sharded.dir).columns("train")["poster_id"] == expected
    assert sharded.report["row_hash"] == built.report["row_hash"]


def test_split_by_poster_leaks_and_the_report_says_so(posters_dir, tmp_path):
    built = build(posters_dir, tmp_path, split_by="poster")
    assert built.dir == tmp_path / "imdb_posters" / "by_poster" / paths.VERSION
    assert built.report["leak_share"] > 0.4
    assert [split["posters"] for split in built.report["splits"].values()] == [64, 8, 8]


def test_a_recorded_split_is_followed_and_gives_the_same_rows(posters_dir, built, tmp_path):
    recorded = built.dir / paths.SPLITS_FILE
    again = build(posters_dir, tmp_path, split_by="file", split_file=str(recorded))
    assert again.report["row_hash"] == built.report["row_hash"]
    assert again.report["config"] == "by_file"


def test_a_foreign_split_leaves_out_what_it_does_not_name(posters_dir, tmp_path):
    path = tmp_path / "split.csv"
    rows = [f"{film_id(film)},{'test' if film > 35 else 'train'}" for film in range(1, 39)]
    path.write_text("film_id,split\n" + "\n".join(rows) + "\ntt7654321,train\n")
    report = build(posters_dir, tmp_path / "data", split_by="file", split_file=str(path)).report
    assert list(report["splits"]) == ["train", "test"]
    assert report["splits"]["test"]["films"] == 3
    assert report["left_out"]["not in the split file"]["count"] == 39 % 3 + 1 + 40 % 3 + 1
    assert report["left_out"]["split file id without poster"]["first"][0][0] == "tt7654321"
    assert "tt7654321: in the split file, but no usable poster" in format_report(report)


def test_a_split_of_other_films_is_refused(posters_dir, tmp_path):
    (tmp_path / "split.json").write_text('{"tt7654321": "train"}')
    with pytest.raises(InputError, match="names none of the 80 posters"):
        build(posters_dir, tmp_path, split_by="file", split_file=str(tmp_path / "split.json"))
    (tmp_path / "split.json").write_text(json.dumps({film_id(1): "test"}))
    with pytest.raises(InputError, match=r"no poster of data\.posters_dir into train"):
        build(posters_dir, tmp_path, split_by="file", split_file=str(tmp_path / "split.json"))


def test_bad_items_are_left_out_named_and_counted(own_posters, tmp_path):
    images = own_posters / "images"
    for number in range(7):
        (images / f"tt999999{number}.jpg").write_bytes(write_poster(tmp_path / "spare.jpg", 500 + number))
    (images / f"{film_id(1)}_8.png").write_bytes(b"\x89PNG\r\n\x1a\n garbage")
    (images / "cover.jpg").write_bytes(b"")
    with (own_posters / "ocr.jsonl").open("a") as file:
        file.write('{"sha256": "0123')  # a write that was cut short
    with gzip.open(own_posters / "title.basics.tsv.gz", "a") as file:
        file.write(b"tt0000041\tmovie\n")
    built = build(own_posters, tmp_path / "data")
    left_out = built.report["left_out"]
    assert {kind: found["count"] for kind, found in left_out.items()} == {
        "file name": 1,
        "OCR record line": 1,
        "titles file line": 1,
        "no title row": 7,
        "unreadable image": 1,
    }
    assert len(left_out["no title row"]["first"]) == 5
    lines = [json.loads(line) for line in (built.dir / paths.LEFT_OUT_FILE).read_text().splitlines()]
    assert sum(line["kind"] == "no title row" for line in lines) == 7
    text = format_report(built.report)
    assert "left out, no title row: 7" in text
    assert "all of them in left_out.jsonl" in text
    assert "ocr.jsonl:41" in text
    assert str(own_posters) not in json.dumps(built.report)


def test_records_from_other_files_and_of_the_preferred_engine(own_posters, tmp_path):
    poster = own_posters / "images" / f"{film_id(3)}_1.jpg"
    more = tmp_path / "more.jsonl"
    more.write_text(record_line(poster.read_bytes(), "BY GEMINI", engine="gemini") + "\n")
    (own_posters / "ocr.jsonl").write_text(record_line(poster.read_bytes(), "BY RAPIDOCR") + "\n")

    def text_with(engine):
        built = build(own_posters, tmp_path / "data", preferred_engines=[engine], record_files=[str(more)])
        rows = (row for split in open_dataset(built.dir).splits.values() for row in split)
        return next(row["text"] for row in rows if row["film_id"] == film_id(3))

    assert text_with("gemini") == "BY GEMINI"
    assert text_with("rapidocr") == "BY RAPIDOCR"


def test_records_in_several_files_give_the_same_dataset(own_posters, built, tmp_path):
    lines = (own_posters / "ocr.jsonl").read_text().splitlines(keepends=True)
    (own_posters / "ocr.jsonl").unlink()
    elsewhere = tmp_path / "records"
    elsewhere.mkdir()
    for folder, first in ((own_posters, lines[:30]), (elsewhere, lines[30:])):
        for k in range(2):
            (folder / f"ocr-0000{k}-of-00002.jsonl").write_text("".join(first[k::2]))
    again = build(own_posters, tmp_path / "data", record_files=[str(elsewhere / "ocr-*.jsonl")])
    assert files_of(again.dir) == files_of(built.dir)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split_by": "genre"}, r"data\.split_by='genre': allowed are film, group, poster, file, year, column"),
        ({"split_by": "file"}, r"data\.split_by='file' with data\.split_file=None"),
        ({"split_file": "splits.json"}, r"data\.split_by='film' with data\.split_file='splits\.json'"),
        ({"other_genres": "keep"}, r"data\.other_genres='keep': allowed are drop_label, drop_film"),
        ({"split_fractions": (0.9, 0.2, 0.1)}, r"data\.split_fractions"),
        ({"record_files": ["absent.jsonl"]}, r"ocr\.store='absent\.jsonl' is no file"),
    ],
)
def test_bad_options_are_named(posters_dir, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        build(posters_dir, tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_cannot_be_used(own_posters, posters_dir, tmp_path):
    (own_posters / "title.basics.tsv.gz").unlink()
    with pytest.raises(InputError, match=r"has no title\.basics\.tsv\.gz"):
        build(own_posters, tmp_path / "data")
    write_titles(own_posters / "title.basics.tsv.gz", [title_line(film_id(99), "Drama")])
    with pytest.raises(InputError, match=r"no poster of .*posters. can be used \(no title row: 80\)"):
        build(own_posters, tmp_path / "data")
    shutil.rmtree(own_posters / "images")
    with pytest.raises(InputError, match="has no folder 'images'"):
        build(own_posters, tmp_path / "data")
    (own_posters / "images").mkdir()
    with pytest.raises(InputError, match="holds no poster"):
        build(own_posters, tmp_path / "data")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"data\.dataset_dir: .* cannot be written"):
        build(posters_dir, tmp_path / "file")


def test_no_dataset_to_open(tmp_path):
    with pytest.raises(InputError, match=r"there is no dataset in .*--mode=build"):
        open_dataset(tmp_path)


def test_neither_tensorflow_nor_torch_is_imported(posters_dir, tmp_path):
    script = f"""
import sys
from posterfusion_jax.datasets.imdb_posters.build import build_dataset
from posterfusion_jax.datasets.imdb_posters.reader import open_dataset
built = build_dataset({str(posters_dir)!r}, {str(tmp_path)!r}, progress=False)
assert open_dataset(built.dir).columns("train")["text"]
print([name for name in ("tensorflow", "torch") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_building_is_announced(posters_dir, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        build(posters_dir, tmp_path)
    assert "there is none yet" in caplog.text
