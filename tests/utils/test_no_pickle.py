"""No pickle is ever loaded: not by a line of this package, and not from a file that somebody hands over as something else."""

import ast
import contextlib
import json
import pathlib
import pickle
import sys

import numpy as np
import pytest
from load_checkpoint import load_image
from tiny_checkpoints import write_clip

from posterfusion_jax.encoders.checkpoint_files import CheckpointFiles
from posterfusion_jax.encoders.keras_file import read_layers
from posterfusion_jax.encoders.options import EncoderOptions
from posterfusion_jax.encoders.tokenizer import load_tokenizer
from posterfusion_jax.encoders.weights import load_params
from posterfusion_jax.encoders.word2vec import load_word2vec
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.results import read_scores, write_results
from posterfusion_jax.features.store import FeatureStore
from posterfusion_jax.utils.checksums import checksum, with_checksum

ROOT = pathlib.Path(__file__).parents[2]
MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "torch",
    "gensim",
    "jsonpickle",
}
CALLS = {"eval", "exec", "compile", "__import__"}


class Trap:
    """What a hostile pickle does when it is loaded: here it makes a file."""

    def __init__(self, path: pathlib.Path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


@pytest.fixture
def trap(tmp_path):
    path = tmp_path / "sprung"
    yield Trap(path)
    assert not path.exists()


def test_no_module_of_the_package_can_unpickle_or_run_text():
    for path in (*(ROOT / "posterfusion_jax").rglob("*.py"), *(ROOT / "launch").glob("*.py"), *(ROOT / "configs").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                assert not {name.name.partition(".")[0] for name in node.names} & MODULES, where
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] not in MODULES, where
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if path.name != "file.py" or path.parent.name != "config":  # which runs the user's own config file
                assert called not in CALLS, where
            options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if called.rpartition(".")[2] == "load" and called.startswith(("np.", "numpy.")):
                assert options.get("allow_pickle") == "False", where
            assert options.get("trust_remote_code", "False") == "False", where
            if called.startswith("AutoTokenizer."):
                assert options["trust_remote_code"] == "False", where
            assert called not in ("keras.models.load_model", "keras.saving.load_model", "pd.read_pickle"), where


def test_features_and_scores(tmp_path, trap):
    store = FeatureStore(tmp_path / "features", {"level": "pooled", "image": {}, "text": {}, "dtype": "float32"}, ["a", "b"])
    arrays = {"image_pooled": np.zeros((2, 3)), "text_pooled": np.zeros((2, 3)), "has_text": np.ones(2, bool)}
    store.write_shard(0, arrays)
    file = tmp_path / "features" / "shard-00000" / "text_pooled.npy"
    for content in (pickle.dumps(trap), None):
        if content is None:
            np.save(file, np.array([trap, trap], object), allow_pickle=True)
        else:
            file.write_bytes(content)
        sums = file.with_name("checksums.json")  # right ones: they are no protection against a stranger
        sums.write_text(json.dumps(with_checksum({p.stem: checksum(p.read_bytes()) for p in file.parent.glob("*.npy")})))
        with pytest.raises(InputError, match=r"text_pooled\.npy cannot be read.*never loaded.*Remove .*shard-00000"):
            FeatureStore(store.folder, store.passport, ["a", "b"]).read(np.array([0, 1]))
    write_results(tmp_path / "results", "test", {}, {"scores": np.zeros(3)})
    scores = tmp_path / "results" / "test_scores.npz"
    assert read_scores(tmp_path / "results", "test")["scores"].tolist() == [0, 0, 0]
    scores.write_bytes(pickle.dumps(trap))
    with pytest.raises(InputError, match=r"test_scores\.npz cannot be read.*--mode=evaluate"):
        read_scores(tmp_path / "results", "test")
    np.savez(scores, scores=np.array([trap], object), allow_pickle=True)
    with pytest.raises(InputError, match=r"test_scores\.npz cannot be read"):
        read_scores(tmp_path / "results", "test")
    scores.write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(InputError, match=r"test_scores\.npz cannot be read"):
        read_scores(tmp_path / "results", "test")


@pytest.mark.parametrize("name", ["model.safetensors", "flax_model.msgpack", "pytorch_model.bin", "model.bin"])
@pytest.mark.parametrize("protocol", [2, 4, 5, "zip"])
def test_pretrained_weights(tmp_path, trap, name, protocol):
    data = b"PK\x03\x04" + pickle.dumps(trap) if protocol == "zip" else pickle.dumps(trap, protocol=protocol)
    (tmp_path / name).write_bytes(data)
    source = CheckpointFiles(name="x", folder=tmp_path, revision=None, field="encoders.image")
    with pytest.raises(InputError, match=r"Python pickle, which is never loaded: convert it.*safetensors"):
        load_params(source, {})


@pytest.mark.parametrize("shard", ["../x.safetensors", "/etc/x.safetensors", "a/b.safetensors", "x.bin", "..", ""])
def test_an_index_of_weights_leads_to_files_of_its_folder_only(tmp_path, shard):
    (tmp_path / "x.safetensors").write_bytes(b"")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": shard}}))
    source = CheckpointFiles(name="x", folder=folder, revision=None, field="encoders.image")
    with pytest.raises(InputError, match=r"encoders\.image: .*index\.json names .*no \.safetensors file of its folder"):
        load_params(source, {})
    for broken in ("[]", '{"weight_map": 5}', '{"weight_map": {"a": 5}}', '{"weight_map": {"a": "x.safetensors", "b": ["y"]}}'):
        (folder / "model.safetensors.index.json").write_text(broken)
        with pytest.raises(InputError, match=r"index\.json cannot be read"):
            load_params(source, {})


@pytest.mark.parametrize("where", ["tokenizer_config.json", "config.json"])
def test_code_in_a_folder_of_a_model_is_not_run(tmp_path, trap, where):
    folder = write_clip(tmp_path / "model")
    (folder / "trap.py").write_text(
        f"import pathlib\npathlib.Path({str(trap.path)!r}).touch()\nclass Tokenizer: pass\nclass Config: pass"
    )
    settings = json.loads((folder / where).read_text())
    settings["auto_map"] = {"AutoTokenizer": ["trap.Tokenizer", "trap.Tokenizer"], "AutoConfig": "trap.Config"}
    settings["tokenizer_class"] = "Tokenizer"
    (folder / where).write_text(json.dumps(settings))
    with contextlib.suppress(InputError):
        load_tokenizer(folder)
    load_image(folder)


def test_word_vectors(tmp_path, trap):
    file = tmp_path / "vectors.bin"
    for protocol in (0, 2, 4):
        file.write_bytes(pickle.dumps(trap, protocol=protocol))
        with pytest.raises(InputError, match=r"word2vec's binary format begins with"):
            load_word2vec(f"word2vec:{file}", EncoderOptions())


@pytest.fixture
def h5py():
    return pytest.importorskip("h5py", reason="h5py is not installed (the extra cnn)")


def write_h5(h5py, path, *, layer="conv", name="conv/kernel:0"):
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer]
        file.create_group(layer).attrs["weight_names"] = [name]
        return path


def refused(path, match):
    with pytest.raises(InputError, match=match):
        read_layers(path, count=1, field="encoders.image")


def test_keras_weights_are_arrays_and_nothing_else_of_the_file_counts(tmp_path, trap, h5py):
    path = write_h5(h5py, tmp_path / "a.h5")
    code = {"class_name": "Lambda", "config": {"function": {"class_name": "__lambda__", "config": {"code": "4wAA"}}}}
    with h5py.File(path, "a") as file:
        file["conv"]["conv/kernel:0"] = np.ones((2, 3), np.float32)
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": [code]}})
    [(name, [kernel])], rest = read_layers(path, count=1, field="encoders.image")
    assert (name, kernel.tolist(), rest) == ("conv", [[1, 1, 1], [1, 1, 1]], [])
    for content in (pickle.dumps(trap), b"PK\x03\x04 a .keras file is a zip", b""):
        (tmp_path / "b.h5").write_bytes(content)
        refused(tmp_path / "b.h5", r"encoders\.image: .*b\.h5 cannot be read as a \.h5 file of weights")


def test_keras_weights_do_not_lead_out_of_their_file(tmp_path, h5py):
    with h5py.File(tmp_path / "private.h5", "w") as file:
        file["secret"] = np.ones(3, np.float32)
    (tmp_path / "private.bin").write_bytes(bytes(12))
    links = {"external": h5py.ExternalLink(str(tmp_path / "private.h5"), "/secret"), "soft": h5py.SoftLink("/elsewhere")}
    for what, link in links.items():
        path = write_h5(h5py, tmp_path / f"{what}.h5")
        with h5py.File(path, "a") as file:
            file["elsewhere"] = np.ones(3, np.float32)
            file["conv"].create_group("conv")["kernel:0"] = link
        refused(path, "'conv/conv/kernel:0' is a link")
        with h5py.File(path, "a") as file:
            file["model_weights"] = link
        refused(path, "'model_weights' is a link")
    raw = write_h5(h5py, tmp_path / "raw.h5", name="k")
    with h5py.File(raw, "a") as file:
        file["conv"].create_dataset("k", (3,), "f4", external=[(str(tmp_path / "private.bin"), 0, 12)])
    refused(raw, "lie in another file")
    virtual = write_h5(h5py, tmp_path / "virtual.h5", name="k")
    with h5py.File(virtual, "a") as file:
        layout = h5py.VirtualLayout((3,), "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "private.h5"), "secret", (3,))
        file["conv"].create_virtual_dataset("k", layout)
    refused(virtual, "lie in another file")
    endless = write_h5(h5py, tmp_path / "endless.h5", name="k")
    with h5py.File(endless, "a") as file:
        file["conv"].create_dataset("k", (1 << 20, 1 << 20), "f4", chunks=(1 << 10, 1 << 10))
    refused(endless, r"has 1,099,511,627,776 values")


def test_the_trap_would_have_been_seen(tmp_path):
    path = tmp_path / "sprung"
    pickle.loads(pickle.dumps(Trap(path)))
    assert path.exists()
    assert "torch" not in sys.modules
