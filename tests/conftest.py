"""Strict JAX, two CPU devices, one cache of compiled programs, and the folders of optional material."""

import atexit
import os
import pathlib
import shutil
import signal
import tempfile

# A shell without job control starts what it puts into the background with Ctrl-C ignored, and so would all our children be.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["HF_HUB_OFFLINE"] = "1"  # no test asks a hub for anything

if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # one cache of compiled programs for all workers and their child processes
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="posterfusion-tests-xla-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)

import shape_checks

shape_checks.install()  # before the imports that load the package

import imdb_folder  # noqa: E402
import jax  # noqa: E402
import jaxtyping  # noqa: E402
import pytest  # noqa: E402
import tiny_checkpoints  # noqa: E402
import tiny_runs  # noqa: E402

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

ROOT = pathlib.Path(__file__).resolve().parent.parent


_LONGEST = ("test_faults.py", "test_notebooks.py", "test_main.py", "test_pipeline.py", "test_x64.py", "test_loop.py")


def pytest_collection_modifyitems(items):
    """Start the files that take longest first, so that no worker is left alone with one of them at the end."""
    items.sort(key=lambda item: _LONGEST.index(item.path.name) if item.path.name in _LONGEST else len(_LONGEST))


@pytest.fixture
def unchecked_shapes():
    """Calls reach the package as they do outside tests, for tests of what it does with unsuitable arguments."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def shared_dir() -> pathlib.Path:
    """The folder with the paper's tables and real posters, where a developer has one beside the checkout."""
    folder = pathlib.Path(os.environ.get("POSTERFUSION_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no folder {folder} with real posters (set POSTERFUSION_SHARED)")
    return folder


@pytest.fixture(scope="session")
def weights_dir() -> pathlib.Path:
    """Local folders of pretrained encoders (clip-vit-b16, minilm, ...), named by POSTERFUSION_WEIGHTS."""
    folder = os.environ.get("POSTERFUSION_WEIGHTS")
    if not folder:
        pytest.skip("POSTERFUSION_WEIGHTS does not name a folder of pretrained encoders")
    return pathlib.Path(folder)


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory) -> pathlib.Path:
    """A tiny CLIP with random weights, in the files of a real one."""
    return tiny_checkpoints.write_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory) -> pathlib.Path:
    """A tiny BERT with random weights, in the files of a real one."""
    return tiny_checkpoints.write_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def posters_dir(tmp_path_factory) -> pathlib.Path:
    """Forty films with one to three coloured posters each, in the shape of a user's folder; all have been read."""
    return imdb_folder.make_folder(tmp_path_factory.mktemp("posters"), read_every=1)


@pytest.fixture(scope="session")
def tiny_run():
    """Makes runs small enough for tests."""
    return tiny_runs.tiny_run
