"""Beam's flags and files, and the message where Beam is missing."""

import importlib
import os
import sys
import threading
import time
import types

import pytest
import watched

import posterfusion_jax.beam
from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.engines.base import EngineChoice


@pytest.fixture
def without_beam(monkeypatch):
    """Imports a module of posterfusion_jax.beam as if Apache Beam were not installed."""
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    package = posterfusion_jax.beam

    def remove() -> dict[str, types.ModuleType]:
        found = {name: sys.modules.pop(f"{package.__name__}.{name}", None) for name in ("pipeline", "ocr", "build")}
        for name in found:
            package.__dict__.pop(name, None)
        return {name: module for name, module in found.items() if module is not None}

    kept = remove()
    yield lambda name: importlib.import_module(f"{package.__name__}.{name}")
    remove()
    for name, module in kept.items():
        sys.modules[f"{package.__name__}.{name}"] = module
        setattr(package, name, module)


@pytest.mark.parametrize(
    ("module", "use"),
    [
        ("pipeline", lambda pipeline, folder: pipeline.make_pipeline([])),
        ("pipeline", lambda pipeline, folder: pipeline.read_bytes(str(folder / "a.jpg"))),
        ("pipeline", lambda pipeline, folder: pipeline.write_lines(str(folder / "lines"), ["a"])),
        ("pipeline", lambda pipeline, folder: pipeline.match("gs://bucket/posters/**")),
        ("build", lambda build, folder: build.make_beam_builder([], folder)),
        ("ocr", lambda ocr, folder: ocr.list_posters(str(folder))),
        ("ocr", lambda ocr, folder: ocr.read_with_beam([], str(folder), EngineChoice(name="rapidocr"), flags=[])),
    ],
)
def test_without_beam_the_first_use_names_the_command(without_beam, tmp_path, module, use):
    imported = without_beam(module)
    with pytest.raises(InputError, match=r"Apache Beam is not installed.*pip install 'posterfusion-jax\[beam,ocr\]'"):
        use(imported, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def pipelines():
    pytest.importorskip("apache_beam", reason="apache-beam is not installed (the extra beam)")
    return importlib.import_module("posterfusion_jax.beam.pipeline")


@pytest.mark.parametrize(
    ("flag", "named"),
    [
        ("--direct_num_worker=2", "'--direct_num_worker' is a flag neither of this command nor of Beam"),
        ("--direct_num_workers=two", "invalid int value: 'two'"),
        ("posters", "'posters' is a flag neither of this command nor of Beam"),
        ("--runner=DataflowRunner", "Missing required option: project"),
    ],
)
def test_a_flag_that_does_not_fit_is_named(pipelines, flag, named):
    with pytest.raises(InputError, match=named):
        pipelines.make_pipeline([flag])


def test_flags_that_a_job_server_may_know_are_passed_on(pipelines):
    pipelines.make_pipeline(["--runner=PortableRunner", "--job_endpoint=localhost:1", "--of_the_server=1"])


def test_results_come_in_the_order_of_the_items(pipelines, tmp_path):
    items = [list(range(k)) for k in range(20)]
    assert pipelines.map_items(len, items, flags=[], folder=tmp_path) == list(range(20))
    assert pipelines.map_items(len, [], flags=[], folder=tmp_path) == []
    assert not list(tmp_path.iterdir())


def _nap(item):
    time.sleep(0.5)
    return item


def test_what_the_local_runner_serves_its_workers_only_this_machine_can_reach(pipelines, tmp_path, monkeypatch):
    folders = (watched.ROOT, watched.ROOT / "tests" / "beam", watched.ROOT / "tests" / "helpers")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))
    flags = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
    done, ports = threading.Event(), set()

    def watch():
        while not done.wait(0.05):
            ports.update(watched.listening(os.getpid()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        assert pipelines.map_items(_nap, [1, 2, 3], flags=flags, folder=tmp_path) == [1, 2, 3]
    finally:
        done.set()
        watcher.join()
    assert ports
    loopback = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}  # 127.0.0.1, ::1, both
    assert {port.partition(":")[0] for port in ports} <= loopback


def test_a_fault_in_a_worker_is_raised(pipelines, tmp_path):
    with pytest.raises(Exception, match=r"object of type 'int' has no len"):
        pipelines.map_items(len, [1], flags=[], folder=tmp_path)


def test_files(pipelines, tmp_path):
    path = pipelines.join(tmp_path / "new", "a.txt")
    pipelines.write_lines(path, ["1", "é"])
    assert pipelines.read_lines(pipelines.join(tmp_path, "**")) == ["1", "é"]
    assert pipelines.match(str(tmp_path / "none*")) == []
    assert pipelines.join("gs://bucket/folder/", "a") == "gs://bucket/folder/a"
    with pytest.raises(InputError, match=r"x\[1\].*pattern"):
        pipelines.join(tmp_path / "x[1]", "a")
    with pytest.raises(InputError, match="cannot be written"):
        pipelines.write_lines(path + "/b", ["1"])
    with pytest.raises(InputError, match=r"'nosuch://a' cannot be listed"):
        pipelines.match("nosuch://a")
