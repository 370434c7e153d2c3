"""Everything that writes or reads files does so in folders of any name, and only there."""

import contextlib
import os
import pathlib
import subprocess
import sys

import imdb_folder
import jax.numpy as jnp
import numpy as np
import odd_names
import pytest
from token_store import write_token_store

from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.datasets.imdb_posters.build import build_dataset
from posterfusion_jax.datasets.imdb_posters.options import BuildOptions
from posterfusion_jax.datasets.imdb_posters.reader import open_dataset
from posterfusion_jax.encoders.load import load_towers
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.results import read_results, read_scores, write_results
from posterfusion_jax.ocr.records.record import OcrRecord
from posterfusion_jax.ocr.records.store import RecordWriter, load_records
from posterfusion_jax.report.page import Section, Text, write_page
from posterfusion_jax.train.metric_writer import Writers, read_history
from posterfusion_jax.utils import path_alias
from posterfusion_jax.utils.path_alias import plain_path, user_names

STATE = {"params": {"w": jnp.arange(6.0).reshape(2, 3)}, "optimizer": {"m": jnp.ones(3)}}


@pytest.fixture(scope="module")
def few_posters(tmp_path_factory):
    return imdb_folder.make_folder(tmp_path_factory.mktemp("posters"), films=12)


@pytest.fixture(params=[*odd_names.NAMES, odd_names.COMBINED], ids=ascii)
def folder(request, tmp_path):
    folder = tmp_path / request.param
    folder.mkdir()
    return folder


def files_below(folder):
    return sorted(os.path.relpath(path, folder) for path in folder.rglob("*"))


def test_checkpoints(folder):
    with contextlib.closing(Checkpoints(folder / "checkpoints")) as checkpoints:
        checkpoints.save(1, STATE, {"config": {"name": str(folder)}}, rank=1.0)
        checkpoints.save(2, STATE, {"config": {}}, rank=2.0)
        checkpoints.wait()
    with contextlib.closing(Checkpoints(folder / "checkpoints")) as checkpoints:
        assert (checkpoints.latest, checkpoints.best) == (2, 1)
        assert checkpoints.read_meta(1)["config"]["name"] == str(folder)
        np.testing.assert_array_equal(checkpoints.read_state(1, STATE)["optimizer"]["m"], np.ones(3))
        np.testing.assert_array_equal(checkpoints.read_params(2, STATE["params"])["w"], STATE["params"]["w"])


def test_datasets(folder, few_posters):
    built = build_dataset(few_posters, folder / "dataset", progress=False)
    assert built.dir.is_relative_to(folder)
    dataset = open_dataset(built.dir)
    assert {len(list(dataset.splits[name])) for name in ("validation", "test")} <= {1, 2}
    assert build_dataset(few_posters, folder / "dataset", progress=False).reason is None
    assert sorted(path.name for path in built.dir.parent.iterdir()) == [".lock", built.dir.name]


def test_folders_of_posters(folder, tmp_path):
    posters = imdb_folder.make_folder(folder / "posters", films=12)
    options = BuildOptions(record_files=(str(folder / "posters/*.jsonl"),))
    built = build_dataset(posters, tmp_path / "dataset", options, progress=False)
    assert built.report["splits"]["train"]["posters"] > 10


def test_stores_logs_results_and_pages(folder):
    write_token_store(folder / "features", 3)
    assert write_token_store(folder / "features", 3).read(np.array([2]))["image"].shape == (1, 3, 5)
    with RecordWriter(folder / "ocr.jsonl") as store:
        store.append(OcrRecord(sha256="0" * 64, status="ok", text="ALIEN", engine="rapidocr"))
    assert [record.text for record in load_records([folder / "ocr.jsonl"])] == ["ALIEN"]
    writers = Writers(folder / "logs", resumed_epoch=0)
    writers.write(1, {"loss": 1.0})
    writers.close()
    assert read_history(folder / "logs") == [{"epoch": 1, "loss": 1.0}]
    assert any((folder / "logs" / "tensorboard").iterdir())
    write_results(folder / "results", "test", {"workdir": str(folder)}, {"scores": np.ones(2)})
    assert read_results(folder / "results", "test")["workdir"] == str(folder)
    assert read_scores(folder / "results", "test")["scores"].tolist() == [1, 1]
    assert write_page(folder / "report", "report", "Title", "", [Section("One", [Text("two")])]).is_file()


@pytest.mark.parametrize("name", ["[*] {}#%$~:@&;'\"\\+=,", "e\u0301 \U0001f3ac", os.fsdecode(b"a\xffb"), "a\nb"], ids=ascii)
def test_encoders(name, tmp_path, clip_folder, bert_folder):
    folder = tmp_path / name
    folder.mkdir()
    for source in (clip_folder, bert_folder):
        (folder / source.name).symlink_to(source)
    towers = load_towers(str(folder / clip_folder.name), str(folder / bert_folder.name))
    assert [tower.width for tower in towers] == [24, 32]


def test_a_pattern_reaches_no_other_folder(tmp_path, few_posters):
    """A workdir `a*`, and one `ab` that matches it: neither reads or changes what is in the other."""
    for name in ("ab", "a*", "a?", "[a]b"):
        state = {"params": {"w": STATE["params"]["w"] + len(name)}}
        with contextlib.closing(Checkpoints(tmp_path / name / "checkpoints")) as checkpoints:
            checkpoints.save(1, state, {"config": {}}, rank=1.0)
            checkpoints.wait()
            np.testing.assert_array_equal(checkpoints.read_state(1, state)["params"]["w"], state["params"]["w"])
        (tmp_path / name / "dataset" / "x.incomplete.y").parent.mkdir()
        (tmp_path / name / "dataset" / "x.incomplete.y").touch()
    before = {name: files_below(tmp_path / name) for name in ("ab", "a?", "[a]b")}
    build_dataset(few_posters, tmp_path / "a*" / "dataset", progress=False)
    assert {name: files_below(tmp_path / name) for name in before} == before


@pytest.mark.parametrize("root", ["/gs", "/s3", "/az", "/hf", "/s3/bucket", "/gs/a b"])
def test_mounted_buckets_are_local_folders(root):
    assert not str(plain_path(f"{root}/x")).startswith(root)
    assert user_names(f"{plain_path(f'{root}/x')} is damaged") == f"{root}/x is damaged"


@pytest.mark.parametrize("path", ["/gsx/s3", "/data/gs/x", "/a b/c-d_e.f", "/caf\u00e9/\u30dd\u30b9", "/a/../b"])
def test_plain_paths_stay_as_they_are(path):
    assert str(plain_path(path)) == path


def test_messages_name_the_folder_and_not_its_link(tmp_path):
    folder = tmp_path / "posters [2024]" / "checkpoints"
    with contextlib.closing(Checkpoints(folder)) as checkpoints:
        checkpoints.save(1, STATE, {"config": {}}, rank=1.0)
        checkpoints.wait()
        for path in (folder / "epoch_1" / "state").rglob("*"):
            if path.is_file() and path.stat().st_size:
                path.write_bytes(b"damage")
        with pytest.raises(InputError, match=r"posters \[2024\]/checkpoints/epoch_1 is damaged") as raised:
            checkpoints.read_state(1, STATE)
        assert str(plain_path(tmp_path / "posters [2024]")) not in str(raised.value)


def test_links_vanish_with_their_process_and_the_folders_stay(tmp_path):
    folder = tmp_path / "a[b]"
    folder.mkdir()
    (folder / "file").touch()
    program = (
        "import os, sys\nfrom posterfusion_jax.utils.path_alias import plain_path\nlink = plain_path(sys.argv[1])\n"
        "assert os.listdir(link) == ['file'], link\nprint(link)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() != str(folder)
    assert not os.path.lexists(done.stdout.strip())
    assert (folder / "file").is_file()


def test_no_plain_temporary_folder_is_refused_with_path_sign_and_fix(tmp_path, monkeypatch):
    monkeypatch.setattr(path_alias, "_home", {})
    monkeypatch.setattr(path_alias, "_TEMPORARY", ())
    monkeypatch.setattr(path_alias.tempfile, "tempdir", str(tmp_path / "t[m]p"))
    with pytest.raises(InputError, match=r"'/data/posters \[2024\]/x' has '\['.*Set TMPDIR"):
        plain_path("/data/posters [2024]/x")
    assert plain_path("/data/x") == pathlib.Path("/data/x")
