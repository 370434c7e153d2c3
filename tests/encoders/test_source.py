import contextlib
import hashlib
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
from functools import partial

import huggingface_hub
import pytest
import requests
from huggingface_hub.errors import RepositoryNotFoundError
from load_checkpoint import load_pair
from tiny_checkpoints import write_clip

from posterfusion_jax.encoders.checkpoint_files import resolve_checkpoint
from posterfusion_jax.errors import InputError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LOCATE = """
from posterfusion_jax.encoders.checkpoint_files import resolve_checkpoint
found = resolve_checkpoint("openai/tiny", field="encoders.image")
print(found.revision, *sorted(path.name for path in found.folder.iterdir()))
"""


def blob(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sibling(path):
    """What the hub tells of a file: the sha256 of weights, Git's hash of all else."""
    data = path.read_bytes()
    printed = {"rfilename": path.name, "size": len(data), "blobId": blob(data)}
    if path.suffix in (".msgpack", ".safetensors"):
        printed["lfs"] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "pointerSize": 100}
    return printed


@contextlib.contextmanager
def hub(folder, sent=lambda name, data: data):
    """A model hub on this machine with one model, openai/tiny. Yields its address and the list of what it was asked for.

    Args:
      sent: (name, bytes of a file) -> what goes out in its place.
    """
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.command, self.path))
            file, headers, body = folder / pathlib.Path(self.path).name, {}, b""
            if self.path.startswith("/api/models/openai/tiny"):
                body = json.dumps(
                    {"id": "openai/tiny", "sha": COMMIT, "siblings": list(map(sibling, folder.iterdir()))}
                ).encode()
            elif self.path.startswith("/openai/tiny/resolve/") and file.is_file():
                body = sent(file.name, file.read_bytes())
                headers = {"ETag": f'"{hashlib.sha1(body).hexdigest()}"', "X-Repo-Commit": COMMIT}
            self.send_response(200 if body else 404)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_HEAD(self):
            self.do_GET()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


@pytest.mark.parametrize(
    ("files", "weights"),
    [
        (("flax_model.msgpack", "pytorch_model.bin", "tf_model.h5"), ["flax_model.msgpack"]),  # as clip-vit-base-patch32 has
        (("flax_model.msgpack", "model.safetensors"), ["model.safetensors"]),
        (
            ("model.safetensors.index.json", "model-00001-of-00001.safetensors"),
            ["model-00001-of-00001.safetensors", "model.safetensors.index.json"],
        ),
    ],
)
def test_one_form_of_the_weights_is_downloaded_and_found_again_without_the_hub(tmp_path, files, weights):
    repository = tmp_path / "repository"
    repository.mkdir()
    for name in ("config.json", "README.md", *files):
        (repository / name).write_text(f"content of {name}")
    with hub(repository) as (address, asked):
        settings = {
            "HF_ENDPOINT": address,
            "HF_HOME": str(tmp_path / "cache"),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
        }
        run = partial(subprocess.run, [sys.executable, "-c", LOCATE], text=True, env=os.environ | settings, check=True)
        online = run(capture_output=True).stdout.split()
        assert sum(command == "GET" and "/resolve/" in path for command, path in asked) == 1 + len(weights)
    assert online == [COMMIT, "config.json", *weights]
    assert run(capture_output=True).stdout.split() == online


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_download_that_is_not_the_hubs_file_is_refused_and_removed(tmp_path, name):
    repository = tmp_path / "repository"
    repository.mkdir()
    for file in ("config.json", "model.safetensors"):
        (repository / file).write_text(f"content of {file}")
    settings = {"HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    run = partial(subprocess.run, [sys.executable, "-c", LOCATE], text=True, capture_output=True)
    with hub(repository, lambda file, data: data[:-1] + b"X" if file == name else data) as (address, _):
        for _ in range(2):  # what was removed is not taken for a file of the cache
            done = run(env=os.environ | settings | {"HF_ENDPOINT": address})
            assert f"encoders.image: {name} as it was downloaded is not the hub's file" in done.stderr
    with hub(repository) as (address, _):
        done = run(env=os.environ | settings | {"HF_ENDPOINT": address})
        assert done.stdout.split() == [COMMIT, "config.json", "model.safetensors"], done.stderr


def unreachable(monkeypatch, error):
    def model_info(self, repo, *, revision, timeout, files_metadata):
        raise error

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)


def test_local_folders(tmp_path, monkeypatch):
    assert resolve_checkpoint(str(tmp_path), field="encoders.image").revision is None
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve_checkpoint("~", field="encoders.image").folder == tmp_path
    for name in ("./nowhere", "/no/where", "some/thing/deeper", "~/nowhere", ""):
        with pytest.raises(InputError, match=r"encoders\.text: there is no folder"):
            resolve_checkpoint(name, field="encoders.text")


@pytest.mark.parametrize("error", [requests.exceptions.ConnectionError("x"), requests.exceptions.Timeout("x"), None])
def test_unreachable_hub(monkeypatch, tmp_path, error):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    if error:
        unreachable(monkeypatch, error)  # without: HF_HUB_OFFLINE, which the tests run under
    with pytest.raises(InputError, match=r"encoders\.image is 'openai/clip'.*cannot be reached.*encoders\.image=FOLDER"):
        resolve_checkpoint("openai/clip", field="encoders.image")


def test_cached_model_needs_no_hub(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    model = tmp_path / "models--openai--tiny"
    write_clip(model / "snapshots" / COMMIT)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(COMMIT)
    image, text = load_pair("openai/tiny")
    assert (image.passport["source"], image.passport["revision"]) == ("openai/tiny", COMMIT)
    assert text.name == "openai/tiny"


def test_unknown_model(monkeypatch):
    response = requests.Response()
    response.status_code = 404
    unreachable(monkeypatch, RepositoryNotFoundError("no such", response=response))
    with pytest.raises(InputError, match=r"neither a folder here nor a model that the hub shows"):
        resolve_checkpoint("openai/cilp", field="encoders.image")
    monkeypatch.undo()
    with pytest.raises(InputError, match="neither a folder here"):
        resolve_checkpoint("not a name", field="encoders.image")


def test_broken_json(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json cannot be read as JSON"):
        resolve_checkpoint(str(tmp_path), field="encoders.image").read_json("config.json")
    with pytest.raises(InputError, match=r"has no other\.json; copy it"):
        resolve_checkpoint(str(pathlib.Path(tmp_path)), field="encoders.image").read_json("other.json")
