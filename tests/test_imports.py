"""Every module of the package imports without the optional packages."""

import pathlib
import pkgutil
import subprocess
import sys
import tomllib

import posterfusion_jax

ROOT = pathlib.Path(__file__).resolve().parents[1]
IMPORT_NAMES = {"apache-beam": ("apache_beam", "grpc"), "keras": ("keras", "h5py")}

PROGRAM = """
import importlib.machinery, sys
missing, names = sys.argv[1].split(","), sys.argv[2:]
find_spec = importlib.machinery.PathFinder.find_spec

class Finder(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in missing else find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = Finder
failed = []
for name in names:
    try:
        importlib.import_module(name)
    except Exception as error:
        failed.append(f"{name}: {type(error).__name__}: {error}")
sys.exit("\\n".join(failed) or 0)
"""


def optional_packages() -> list[str]:
    """Return the import names of the packages of the extras that posterfusion_jax uses."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    packages = {line.split(">")[0].split("[")[0] for extra in ("ocr", "cnn", "beam", "hf", "tfds") for line in extras[extra]}
    return sorted({name for package in packages for name in IMPORT_NAMES.get(package, (package,))})


def module_names() -> list[str]:
    found = pkgutil.walk_packages(posterfusion_jax.__path__, "posterfusion_jax.", onerror=lambda name: None)
    return [module.name for module in found if not module.name.startswith("posterfusion_jax.configs")]


def test_the_extras_are_known():
    assert {"apache_beam", "rapidocr", "keras", "datasets", "tensorflow"} <= set(optional_packages())


def test_every_module_imports_without_optional_packages():
    names = module_names()
    assert {"posterfusion_jax.beam.pipeline", "posterfusion_jax.beam.ocr", "posterfusion_jax.beam.build"} <= set(names)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, ",".join(optional_packages()), *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
