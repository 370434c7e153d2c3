"""Whatever single bit of a file flips, reading it tells the file, or gives what was written."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from token_store import write_token_store

from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.checkpoints.meta import read_latest_meta
from posterfusion_jax.datasets.imdb_posters.build import build_dataset
from posterfusion_jax.datasets.imdb_posters.reader import open_dataset
from posterfusion_jax.datasets.synthetic import generator
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.results import read_results, read_scores, write_results
from posterfusion_jax.features.store import FeatureStore
from posterfusion_jax.ocr.records.record import OcrRecord, from_json, to_json
from posterfusion_jax.train.metric_writer import METRICS_FILE, Writers, read_history
from posterfusion_jax.utils.checksums import checksum_matches, read_checked_json, with_checksum
from posterfusion_jax.utils.disk_full import is_disk_full

FLIPS = 60


def flipped(data, rng):
    changed = bytearray(data)
    changed[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def told_or_the_same(file, read, expected, *, flips=FLIPS, names=()):
    """Flips single bits of a file; returns how often that was told."""
    rng, data, printed = np.random.default_rng(0), file.read_bytes(), 0
    for _ in range(flips):
        file.write_bytes(flipped(data, rng))
        try:
            found = read()
        except InputError as error:
            message = str(error)
        else:
            np.testing.assert_equal(found, expected)
            continue
        printed += 1
        assert any(name in message for name in (file.name, *names)), message
    file.write_bytes(data)
    np.testing.assert_equal(read(), expected)
    return printed


def test_a_seal_is_whole_and_no_other_contents_are():
    fields = {"a": [1, 2.5, None], "b": {"c": "ä"}}
    assert checksum_matches(json.loads(json.dumps(with_checksum(fields))))
    assert not checksum_matches({**with_checksum(fields), "a": [1, 2.25, None]})
    assert checksum_matches(fields)  # others wrote none


def test_results_and_their_arrays(tmp_path):
    scores = np.random.default_rng(1).random((20, 13)).astype(np.float32)
    write_results(tmp_path, "test", {"loss": 0.25, "metrics": {"f1_macro": 0.5}}, {"scores": scores})
    results = {"loss": 0.25, "metrics": {"f1_macro": 0.5}}

    def read():  # one flip in 60 makes "check" the name of another field, which nobody reads
        found = read_results(tmp_path, "test")
        return {name: found[name] for name in results}

    assert told_or_the_same(tmp_path / "test.json", read, results) > FLIPS / 2
    printed = told_or_the_same(tmp_path / "test_scores.npz", lambda: read_scores(tmp_path, "test"), {"scores": scores})
    assert printed > FLIPS / 2


def test_a_history(tmp_path):
    writers = Writers(tmp_path, resumed_epoch=0)
    for epoch in (1, 2, 3):
        writers.write(epoch, {"train_loss": 1 / epoch})
    writers.close()
    file, whole = tmp_path / METRICS_FILE, read_history(tmp_path)
    assert [entry["epoch"] for entry in whole] == [1, 2, 3]
    lines = file.read_bytes()
    file.write_bytes(lines.replace(b"0.5", b"0.7"))
    with pytest.raises(InputError, match=f"{METRICS_FILE}:2 is damaged"):
        read_history(tmp_path)
    file.write_bytes(lines[:-9])  # torn by a kill
    assert read_history(tmp_path) == whole[:2]


def test_a_record_of_ocr():
    record = OcrRecord(sha256="a" * 64, status="ok", text="NIGHT OF THE", engine="gemini", confidences=(0.5,), lines=("x",))
    line, rng = to_json(record).encode(), np.random.default_rng(2)
    assert from_json(line.decode()) == record
    for _ in range(300):
        changed = flipped(line, rng)
        try:
            assert from_json(changed.decode()) == record
        except ValueError:
            continue
    with pytest.raises(ValueError, match="damaged"):
        from_json(line.decode().replace("NIGHT", "MIGHT"))
    fields = json.loads(line)
    del fields["check"]  # records of others have none
    assert from_json(json.dumps(fields)) == record


def test_a_shard_of_features(tmp_path):
    store = write_token_store(tmp_path / "features", 40)
    rows = np.arange(40)
    whole = store.read(rows)

    def read():
        return FeatureStore(store.folder, store.passport, store.poster_ids).read(rows)

    for file in ("image_tokens.npy", "text_tokens_mask.npy", "checksums.json"):
        assert told_or_the_same(store.folder / "shard-00000" / file, read, whole, names=("shard-00000",)) > FLIPS / 2
    assert told_or_the_same(store.folder / "passport.json", read, whole, names=("passport.json", "features.dir")) > FLIPS / 2
    (store.folder / "shard-00000" / "checksums.json").unlink()
    assert store.missing_shards() == [0]  # a version before this one wrote none: it is computed again


def test_a_checkpoint(tmp_path):
    state = {"params": {"kernel": jnp.asarray(np.random.default_rng(3).normal(size=(40, 30)), jnp.float32)}}
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, state, {"epoch": 1, "threshold": 0.25}, rank=0.5)
    checkpoints.save(2, state, {"epoch": 2, "threshold": 0.75}, rank=0.75)
    checkpoints.close()

    def read():
        assert read_latest_meta(tmp_path)["threshold"] == 0.75
        again = Checkpoints(tmp_path)
        try:
            best = again.best
            whole = again.read_state(best, state)["params"]["kernel"]
            alone = again.read_params(best, state["params"])["kernel"]
            return best, again.read_meta(best)["threshold"], np.asarray(whole), np.asarray(alone)
        finally:
            again.close()

    expected = read()
    assert expected[:2] == (1, 0.25)
    for name in ("meta/metadata", "metrics/metrics"):
        assert told_or_the_same(tmp_path / "epoch_1" / name, read, expected, flips=20, names=("epoch_1",)) > 10
    file = tmp_path / "epoch_1" / "meta" / "metadata"
    meta = read_checked_json(file, fix="")
    [name] = meta["arrays"]
    file.write_text(json.dumps(with_checksum({**meta, "arrays": {name: "00000000"}})))  # as if the arrays were others
    with pytest.raises(InputError, match=f"epoch_1 is damaged .the checksum of {name}"):
        read()


def test_the_best_checkpoint_cannot_be_changed_by_a_digit(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for epoch, rank in ((1, 0.5), (2, 0.75)):
        checkpoints.save(epoch, {"w": jnp.zeros(3)}, {"epoch": epoch}, rank=rank)
    checkpoints.close()
    file = tmp_path / "epoch_1" / "metrics" / "metrics"
    assert b"0.5" in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(b"0.5", b"0.9"))
    with pytest.raises(InputError, match="epoch_1 is damaged"):
        Checkpoints(tmp_path)


def test_a_dataset(tmp_path):
    generator.draw_folder(tmp_path / "posters", films=20, width=120)
    folder = build_dataset(tmp_path / "posters", tmp_path / "dataset", progress=False).dir

    def read():
        dataset = open_dataset(folder)
        rows = {split: [dataset.row(split, k) for k in range(len(of))] for split, of in dataset.splits.items()}
        return {"rows": rows, "report": dataset.report}

    expected = read()
    files = ("report.json", "dataset_info.json", "features.json", "imdb_posters-test.array_record-00000-of-00001")
    printed = sum(told_or_the_same(folder / name, read, expected, flips=20, names=("by_film",)) for name in files)
    assert printed > 30


def test_a_file_that_is_no_json_or_gone_is_told(tmp_path):
    file = tmp_path / "report.json"
    for content in (b"", b"[1]", b'{"a": 1', b"\xff\xfe"):
        file.write_bytes(content)
        with pytest.raises(InputError, match=r"report\.json is damaged .* Build it again\."):
            read_checked_json(file, fix="Build it again.")
    file.unlink()
    with pytest.raises(InputError, match=r"report\.json is damaged"):
        read_checked_json(file, fix="Build it again.")


def test_full_disks_are_known_by_what_libraries_say():
    wrapped = RuntimeError("could not save")
    wrapped.__cause__ = OSError("1000 requested and 512 written")
    assert is_disk_full(wrapped)
    assert is_disk_full(OSError(28, "No space left on device"))
    assert is_disk_full(ValueError("RESOURCE_EXHAUSTED: ... [Errno 28] No space left on device"))
    assert not is_disk_full(OSError(13, "Permission denied"))
