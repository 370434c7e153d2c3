import pathlib
import types

import huggingface_hub
import pytest
import requests
from huggingface_hub.errors import RepositoryNotFoundError
from tiny_checkpoints import write_clip

from posterfusion_jax.encoders.clip import load_clip
from posterfusion_jax.encoders.source import locate
from posterfusion_jax.errors import InputError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def hub(monkeypatch, *, files=(), error=None, folder=None):
    """A hub that has `files`, or answers every question with `error`; returns what was downloaded."""
    asked = []

    def model_info(self, repo, *, revision, timeout):
        if error:
            raise error
        return types.SimpleNamespace(sha=COMMIT, siblings=[types.SimpleNamespace(rfilename=name) for name in files])

    def snapshot_download(repo, *, revision, allow_patterns):
        asked.append((repo, revision, allow_patterns))
        return str(folder)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    if not error:
        monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return asked


def test_local_folders(tmp_path, monkeypatch):
    assert locate(str(tmp_path), field="encoders.image").revision is None
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate("~", field="encoders.image").folder == tmp_path
    for name in ("./nowhere", "/no/where", "some/thing/deeper", "~/nowhere", ""):
        with pytest.raises(InputError, match=r"encoders\.text: there is no folder"):
            locate(name, field="encoders.text")


@pytest.mark.parametrize(
    ("files", "weights"),
    [
        (("flax_model.msgpack", "pytorch_model.bin", "tf_model.h5"), ["flax_model.msgpack"]),  # as clip-vit-base-patch32
        (("flax_model.msgpack", "model.safetensors"), ["model.safetensors"]),
        (("model.safetensors.index.json",), ["model.safetensors.index.json", "model-*.safetensors"]),
    ],
)
def test_one_form_of_the_weights_is_downloaded(monkeypatch, tmp_path, files, weights):
    asked = hub(monkeypatch, files=("config.json", *files), folder=tmp_path / COMMIT)
    found = locate("openai/clip@v1", field="encoders.image")
    ((repo, revision, patterns),) = asked
    assert (repo, revision, found.revision, found.name) == ("openai/clip", COMMIT, COMMIT, "openai/clip@v1")
    assert [pattern for pattern in patterns if pattern.startswith(("model", "flax", "pytorch", "tf"))] == weights


@pytest.mark.parametrize("error", [requests.exceptions.ConnectionError("x"), requests.exceptions.Timeout("x"), None])
def test_unreachable_hub(monkeypatch, tmp_path, error):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    if error:
        hub(monkeypatch, error=error)  # without: HF_HUB_OFFLINE, which the tests run under
    with pytest.raises(InputError, match=r"encoders\.image is 'openai/clip'.*cannot be reached.*encoders\.image=FOLDER"):
        locate("openai/clip", field="encoders.image")


def test_cached_model_needs_no_hub(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    model = tmp_path / "models--openai--tiny"
    write_clip(model / "snapshots" / COMMIT)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(COMMIT)
    image, text = load_clip("openai/tiny")
    assert (image.passport["source"], image.passport["revision"]) == ("openai/tiny", COMMIT)
    assert text.name == "openai/tiny"


def test_unknown_model(monkeypatch):
    response = requests.Response()
    response.status_code = 404
    hub(monkeypatch, error=RepositoryNotFoundError("no such", response=response))
    with pytest.raises(InputError, match=r"neither a folder here nor a model that the hub shows"):
        locate("openai/cilp", field="encoders.image")
    monkeypatch.undo()
    with pytest.raises(InputError, match="neither a folder here"):
        locate("not a name", field="encoders.image")


def test_broken_json(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json cannot be read as JSON"):
        locate(str(tmp_path), field="encoders.image").read_json("config.json")
    with pytest.raises(InputError, match=r"has no other\.json; copy it"):
        locate(str(pathlib.Path(tmp_path)), field="encoders.image").read_json("other.json")
