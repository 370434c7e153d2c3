"""Find an encoder's files in a local folder, or in a model hub through its cache."""

import dataclasses
import hashlib
import json
import pathlib
from typing import Any

import huggingface_hub
from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils.tqdm import disable_progress_bars

from posterfusion_jax.encoders.contents import explain_lack
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.progress import bar_class, draws_in_place
from posterfusion_jax.utils.user_path import expand_path

# The first of these that a checkpoint has is read; the other formats (PyTorch pickles, TensorFlow) are never downloaded.
WEIGHT_FILES = ("model.safetensors", "model.safetensors.index.json", "flax_model.msgpack")
TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "merges.txt", "vocab.txt"),
)
SMALL_FILES = ("config.json", "preprocessor_config.json", "processor_config.json", *TOKENIZER_FILES)
_LFS = b"version https://git-lfs.github.com/spec/"  # with which the pointer of Git LFS begins, left for a file not fetched


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckpointFiles:
    """Describe a folder on this machine that holds a checkpoint's files.

    Attributes:
      name: as the user gave it.
      folder: the folder of the files (for a hub name, the snapshot in the hub's cache).
      revision: the hub's commit; None for a local folder.
      field: the config field that names it, for messages.
    """

    name: str
    folder: pathlib.Path
    revision: str | None
    field: str

    @property
    def label(self) -> str:
        """Return the name in results: the hub name, or the last part of the folder's path."""
        return self.name if self.revision else self.folder.resolve().name

    def read_json(self, name: str) -> dict[str, Any]:
        """Return a JSON file of the checkpoint. Raises InputError if it is missing or invalid."""
        path = self.folder / name
        try:
            self.check_fetched(path)
            value = json.loads(path.read_text(encoding="utf-8-sig"))
        except FileNotFoundError as error:
            raise InputError(
                f"{self.field}: {self.folder} has no {name}; copy it from the original checkpoint. {explain_lack(self.folder)}"
            ) from error
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{self.field}: {path} cannot be read as JSON: {error}") from error
        if not isinstance(value, dict):
            raise InputError(f"{self.field}: {path} is no JSON object; copy it from the original checkpoint")
        return value

    def check_fetched(self, path: pathlib.Path) -> None:
        """Check that a file is not a pointer of Git LFS. Raises InputError if it is."""
        with path.open("rb") as file:
            start = file.read(len(_LFS))
        if start == _LFS:
            raise InputError(
                f"{self.field}: {path} is a Git LFS pointer, not the file itself. Fetch the files with `git lfs pull` in that "
                "folder, or with `hf download`"
            )


def resolve_checkpoint(name: str, *, field: str) -> CheckpointFiles:
    """Find a checkpoint, and download the needed files when `name` is a hub name.

    Args:
      name: a local folder, or a hub name such as "openai/clip-vit-base-patch32", also with a commit, branch or tag:
        "openai/clip-vit-base-patch32@main". A model already in the hub's cache is found without a connection.
      field: the config field that the user set, for messages.

    Downloads are verified by the hub's hash.

    Raises:
      InputError: no such folder; no such model; a file that is not the hub's; the hub cannot be reached and the model is not in
        its cache.
    """
    folder = pathlib.Path(expand_path(name, field))
    if name and folder.is_dir():
        return CheckpointFiles(name=name, folder=folder, revision=None, field=field)
    if name and folder.is_file():
        raise InputError(
            f"{field}: {name!r} is a file; give the folder that holds it with the other files of the checkpoint (networks of "
            "keras.applications are keras:NAME, word vectors word2vec:FILE)"
        )
    if not name or name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise InputError(f"{field}: there is no folder {name!r}; give a local folder or a hub name such as owner/model")
    return _from_hub(name, field=field)


def _from_hub(name: str, *, field: str) -> CheckpointFiles:
    if huggingface_hub.constants.HF_HUB_CACHE.startswith("~"):  # it would create a folder of this name in the current one
        raise InputError(f"{field} is {name!r}, a model of the hub, but there is no home folder to keep it in: set HF_HOME.")
    repo, _, revision = name.partition("@")
    try:
        info = huggingface_hub.HfApi().model_info(repo, revision=revision or None, timeout=10, files_metadata=True)
        present = {sibling.rfilename: sibling for sibling in info.siblings or ()}
        weights = [file for file in WEIGHT_FILES if file in present][:1]
        shards = ["model-*.safetensors"] if weights == ["model.safetensors.index.json"] else []
        wanted = [*SMALL_FILES, *weights, *shards]
        cached = [file for file in present if _is_cached(repo, file, info.sha)]
        # By the user's revision, not by info.sha: only then does the cache record the commit of the name, without
        # which it cannot be found again when there is no connection.
        if not draws_in_place():
            disable_progress_bars("huggingface_hub")  # the hub's bars of single files; this package's bar counts files
        bars: Any = bar_class()
        folder = huggingface_hub.snapshot_download(repo, revision=revision or None, allow_patterns=wanted, tqdm_class=bars)
        for file in present:
            if file not in cached:
                _check_hash(pathlib.Path(folder) / file, present[file], field=field)
    except (HFValidationError, RepositoryNotFoundError, RevisionNotFoundError, GatedRepoError) as error:
        raise InputError(
            f"{field} is {name!r}, which is neither a folder here nor a model that the hub shows to you "
            f"({type(error).__name__}); give a folder or owner/model (gated models need `hf auth login`)"
        ) from error
    except OSError as error:  # no connection, offline mode, a refusing proxy: requests' errors are OSErrors
        folder = _from_cache(repo, revision, reason=error, name=name, field=field)
    return CheckpointFiles(name=name, folder=pathlib.Path(folder), revision=pathlib.Path(folder).name, field=field)


def _is_cached(repo: str, file: str, commit: str | None) -> bool:
    return isinstance(huggingface_hub.try_to_load_from_cache(repo, file, revision=commit), str)


def _check_hash(path: pathlib.Path, expected: RepoSibling, *, field: str) -> None:
    """Check a downloaded file by the hub's hash: a large file's sha256, a small one's of Git.

    Raises:
      InputError: it differs from the hub's file; it is removed, so that the next start downloads it again.
    """
    wanted = expected.lfs.sha256 if expected.lfs else expected.blob_id
    if not wanted or not path.is_file():  # not every mirror of the hub has hashes; not every file is downloaded
        return
    if expected.lfs:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    else:
        data = path.read_bytes()
        found = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    if found != wanted:
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise InputError(
            f"{field}: {path.name} as it was downloaded is not the hub's file (hash {found} instead of {wanted}). It is "
            "removed; start the same command again."
        )


def _from_cache(repo: str, revision: str, *, reason: OSError, name: str, field: str) -> str:
    try:
        return huggingface_hub.snapshot_download(repo, revision=revision or None, local_files_only=True)
    except OSError as error:
        raise InputError(
            f"{field} is {name!r}: there is no such folder here, the model hub cannot be reached "
            f"({type(reason).__name__}), and its cache does not hold the model. Fetch it where there is a connection with "
            f"`hf download {repo} --local-dir FOLDER`, copy the folder here and set --config.{field}=FOLDER "
            f"(needed: config.json, {WEIGHT_FILES[0]} or {WEIGHT_FILES[2]}, the tokenizer's files, and for images "
            "preprocessor_config.json or processor_config.json)"
        ) from error
