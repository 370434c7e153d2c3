"""A file is called damaged, and its removal advised, only where damage is proven; any other failure leaves it alone."""

import errno
import json
import pathlib

import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from token_store import write_token_store

from posterfusion_jax.checkpoints.files import LIST, find_damage
from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.checkpoints.meta import read_latest_meta, saved_epochs
from posterfusion_jax.datasets.imdb_posters import reader
from posterfusion_jax.datasets.imdb_posters.build import build_dataset
from posterfusion_jax.datasets.imdb_posters.reader import open_dataset
from posterfusion_jax.datasets.synthetic import generator
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.results import read_results, read_scores, write_results
from posterfusion_jax.features import store as store_module
from posterfusion_jax.features.store import FeatureStore
from posterfusion_jax.train.metric_writer import METRICS_FILE, read_history
from posterfusion_jax.utils.checksums import read_checked_json, unreadable

STATE = {"params": {"kernel": jnp.arange(12.0).reshape(3, 4)}, "step": jnp.asarray(7, jnp.int32)}
SYSTEM = [  # errors of the system, and what is advised
    (errno.EACCES, "right to read"),
    (errno.EPERM, "right to read"),
    (errno.EMFILE, "ulimit"),
    (errno.ENFILE, "ulimit"),
    (errno.ENOMEM, "memory"),
    (errno.EIO, "disk or network"),
    (errno.ESTALE, "disk or network"),
    (errno.ETIMEDOUT, "disk or network"),
    (errno.EINTR, "disk or network"),
]
LIBRARY = [
    TypeError("restore() got an unexpected keyword argument 'item'"),
    AttributeError("module 'tensorstore' has no attribute 'TensorStore'"),
    NotImplementedError("Conversion for SomeSharding has not been implemented."),
    RuntimeError("RESOURCE_EXHAUSTED: Too many open files"),
    ValueError("Topology mismatch detected. The checkpoint was saved with a different topology than the current one."),
    ImportError("libzstd.so.1: cannot open shared object file"),
    MemoryError(),
    Exception("UNKNOWN"),
]


def refusal(call):
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


def is_left_alone(message):
    assert "could not be read" in message, message
    assert "damaged" not in message
    assert not any(word in message.lower() for word in ("remove", "delete", "rebuilt", "again from"))
    return True


def fails_with(error):
    def fail(*_, **__):
        raise error

    return fail


@pytest.mark.parametrize(("number", "advice"), SYSTEM)
def test_an_error_of_the_system_is_no_damage(tmp_path, monkeypatch, number, advice):
    file = tmp_path / "x.json"
    file.write_text("{}")
    monkeypatch.setattr(pathlib.Path, "read_bytes", fails_with(OSError(number, "some words")))
    message = refusal(lambda: read_checked_json(file, fix="Remove it."))
    assert is_left_alone(message)
    assert advice in message


@pytest.mark.parametrize("error", LIBRARY, ids=lambda error: type(error).__name__)
def test_an_error_of_a_library_is_no_damage(error):
    message = str(unreadable("x", error))
    assert is_left_alone(message)
    assert type(error).__name__ in message


@pytest.fixture
def saved(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, STATE, {"epoch": 1}, rank=0.5)
    checkpoints.close()
    return tmp_path


def read_state(folder):
    checkpoints = Checkpoints(folder)
    try:
        return checkpoints.read_state(1, STATE)
    finally:
        checkpoints.close()


@pytest.mark.parametrize("error", [*LIBRARY, OSError(errno.EACCES, "no"), OSError(errno.EIO, "no")], ids=repr)
@pytest.mark.parametrize("what", ["metadata", "restore"])
def test_a_sound_checkpoint_is_never_called_damaged(saved, monkeypatch, error, what):
    monkeypatch.setattr(ocp.PyTreeCheckpointHandler, what, fails_with(error))
    message = refusal(lambda: read_state(saved))
    assert is_left_alone(message)
    assert "epoch_1" in message
    monkeypatch.undo()
    np.testing.assert_array_equal(read_state(saved)["params"]["kernel"], STATE["params"]["kernel"])


def test_a_full_disk_stays_one(saved, monkeypatch):
    monkeypatch.setattr(ocp.PyTreeCheckpointHandler, "restore", fails_with(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        read_state(saved)


def test_every_file_that_is_read_is_listed(saved):
    listed = json.loads((saved / "epoch_1" / LIST).read_text())["files"]
    assert "meta/metadata" in listed
    assert any(name.startswith("state/ocdbt.process_0/d/") for name in listed)
    assert find_damage(saved / "epoch_1") is None
    assert saved_epochs(saved) == [1]


@pytest.mark.parametrize(
    ("spoil", "proof"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:-1] + b"!"), "the checksum of state/manifest.ocdbt"),
        (lambda file: file.write_bytes(file.read_bytes()[:-9]), "state/manifest.ocdbt has"),
        (lambda file: file.write_bytes(b""), "state/manifest.ocdbt has 0 bytes of"),
        (lambda file: file.unlink(), "state/manifest.ocdbt is missing"),
    ],
)
def test_damage_is_proven_by_the_list(saved, spoil, proof):
    spoil(saved / "epoch_1" / "state" / "manifest.ocdbt")
    message = refusal(lambda: read_state(saved))
    assert f"epoch_1 is damaged ({proof}" in message
    assert "Remove" in message


def test_without_a_list_nothing_is_proven(saved):
    (saved / "epoch_1" / LIST).unlink()  # as versions before this one left it
    np.testing.assert_array_equal(read_state(saved)["params"]["kernel"], STATE["params"]["kernel"])
    file = saved / "epoch_1" / "state" / "manifest.ocdbt"
    file.write_bytes(file.read_bytes()[:-9])
    message = refusal(lambda: read_state(saved))
    assert is_left_alone(message)
    assert "epoch_1" in message


def test_a_spoilt_list_spoils_nothing(saved):
    (saved / "epoch_1" / LIST).write_bytes(b"\xff")
    assert find_damage(saved / "epoch_1") is None
    read_state(saved)


def test_a_checkpoint_is_read_on_other_devices(saved):
    file = saved / "epoch_1" / "state" / "_sharding"
    there = json.loads(file.read_text())
    assert there  # where each array lay: not read any more
    file.write_text(
        json.dumps(dict.fromkeys(there, json.dumps({"sharding_type": "SingleDeviceSharding", "device_str": "TPU_9"})))
    )
    np.testing.assert_array_equal(read_state(saved)["params"]["kernel"], STATE["params"]["kernel"])


def test_another_kind_of_number_is_refused_by_name(saved):
    checkpoints = Checkpoints(saved)
    with pytest.raises(InputError, match=r"step is \[\] of whole numbers there, the config makes it \[\]\."):
        checkpoints.read_state(1, STATE | {"step": jnp.zeros(())})
    checkpoints.close()


def test_a_folder_of_checkpoints_that_cannot_be_listed(saved, monkeypatch):
    monkeypatch.setattr(pathlib.Path, "iterdir", fails_with(OSError(errno.EACCES, "Permission denied")))
    assert is_left_alone(refusal(lambda: read_latest_meta(saved)))


def test_features(tmp_path, monkeypatch):
    store = write_token_store(tmp_path / "features", 20)

    def read():
        return FeatureStore(store.folder, store.passport, store.poster_ids).read(np.arange(20))

    for error in (OSError(errno.EMFILE, "Too many open files"), OSError(errno.EACCES, "no"), OSError(errno.EIO, "no")):
        monkeypatch.setattr(store_module, "_file_checksum", fails_with(error))
        assert is_left_alone(refusal(read))
        monkeypatch.undo()
    monkeypatch.setattr(np, "load", fails_with(OSError(errno.ENOMEM, "Cannot allocate memory")))
    assert is_left_alone(refusal(read))
    monkeypatch.undo()
    file = store.folder / "shard-00000" / "image_tokens.npy"
    file.write_bytes(b"")
    assert "is damaged" in refusal(read)
    file.unlink()
    assert "is damaged" in refusal(read)


def test_wide_features_are_rounded(tmp_path):
    store = FeatureStore(tmp_path / "f", {"level": "pooled", "dtype": "float32", "image": {}, "text": {}}, ["a", "b"])
    wide = np.full((2, 3), 0.1, np.float64)
    store.write_shard(0, {"image_pooled": wide, "text_pooled": wide, "has_text": np.ones(2, bool)})
    assert store.read(np.arange(2))["image"].dtype == np.float32


def test_results_and_history(tmp_path, monkeypatch):
    write_results(tmp_path, "test", {"loss": 0.25}, {"scores": np.zeros((2, 13))})
    (tmp_path / METRICS_FILE).write_text('{"epoch": 1}\n')
    monkeypatch.setattr(pathlib.Path, "read_bytes", fails_with(OSError(errno.EIO, "Input/output error")))
    assert is_left_alone(refusal(lambda: read_results(tmp_path, "test")))
    assert is_left_alone(refusal(lambda: read_history(tmp_path)))
    monkeypatch.setattr(np, "load", fails_with(ImportError("no zlib")))
    assert is_left_alone(refusal(lambda: read_scores(tmp_path, "test")))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("dataset")
    generator.draw_folder(root / "posters", films=20, width=120)
    return build_dataset(root / "posters", root / "dataset", progress=False).dir


@pytest.mark.parametrize("error", LIBRARY, ids=lambda error: type(error).__name__)
def test_a_sound_dataset_is_never_called_damaged(dataset, monkeypatch, error):
    monkeypatch.setattr(reader.tfds, "builder_from_directory", fails_with(error))
    assert is_left_alone(refusal(lambda: open_dataset(dataset)))
    monkeypatch.undo()

    class Rows(list):
        __getitem__ = fails_with(error)

    opened = open_dataset(dataset)
    monkeypatch.setattr(opened.splits["test"], "_source", Rows([b""]))
    assert is_left_alone(refusal(lambda: opened.row("test", 0)))


def test_damage_of_a_dataset_is_proven(dataset, tmp_path):
    import shutil

    def spoilt(name, change):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(dataset, copy)
        [file] = copy.glob(name)
        change(file)

        def read():
            opened = open_dataset(copy)
            return [opened.row("test", k) for k in range(len(opened.splits["test"]))]

        return refusal(read)

    def halve(file):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    for name, change in (
        ("*test.array_record*", halve),
        ("*test.array_record*", pathlib.Path.unlink),
        ("dataset_info.json", halve),
        ("report.json", pathlib.Path.unlink),
    ):
        message = spoilt(name, change)
        assert "is damaged" in message or "no dataset in" in message, (name, message)


def test_each_advice_to_remove_follows_a_proof():
    """`damaged` is called by name in few places; what catches all exceptions must not lead to it."""
    package = pathlib.Path(reader.__file__).parents[2]
    for file in package.rglob("*.py"):
        lines = file.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            if line.strip().startswith("except Exception") or line.strip().startswith("except (OSError"):
                assert "damaged(" not in lines[number + 1], f"{file}:{number + 2}"
