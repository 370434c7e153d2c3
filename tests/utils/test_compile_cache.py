"""Where compiled programs are kept, and that a user without a home folder gets one warning instead of a traceback."""

import logging
import os

import pytest

from posterfusion_jax.utils import compilation_cache


@pytest.fixture(autouse=True)
def _undecided(monkeypatch):
    for name in (*compilation_cache._DECIDED, "HOME", "XDG_CACHE_HOME", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"):
        monkeypatch.setenv(name, "x")  # so that what is set below is taken back
        monkeypatch.delenv(name)


@pytest.mark.parametrize("name", ["HOME", "XDG_CACHE_HOME"])
def test_they_are_kept_in_the_users_cache(tmp_path, monkeypatch, caplog, name):
    monkeypatch.setenv("HOME", str(tmp_path / "absent"))
    monkeypatch.setenv(name, str(tmp_path))
    compilation_cache.enable_compilation_cache()
    caches = tmp_path / ".cache" if name == "HOME" else tmp_path
    assert os.environ[compilation_cache.FOLDER].startswith(str(caches / "posterfusion" / "xla-"))
    assert caplog.messages == []


@pytest.mark.parametrize("name", compilation_cache._DECIDED)
def test_a_decision_of_the_users_stays(monkeypatch, caplog, name):
    monkeypatch.setenv(name, "mine")
    compilation_cache.enable_compilation_cache()
    expected = os.path.abspath("mine") if name == compilation_cache.FOLDER else "mine"
    assert os.environ[name] == expected
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "HOME is not set, and this user has none"),
        ({"HOME": ""}, "HOME='' is no folder"),
        ({"HOME": "{tmp}/absent"}, "absent' is no folder"),
        ({"HOME": "relative"}, "HOME='relative' is no folder"),
        ({"HOME": "{tmp}/file"}, "file' is no folder"),
        ({"HOME": "{tmp}/sealed"}, "sealed/.cache/posterfusion/xla-"),
        ({"HOME": "{tmp}/absent", "XDG_CACHE_HOME": "relative"}, "absent' is no folder"),
        ({"HOME": "{tmp}", "XDG_CACHE_HOME": "{tmp}/file"}, "file/posterfusion/xla-"),
        ({"HOME": "{tmp}", "XDG_CACHE_HOME": "{tmp}/open"}, "others can write it"),
    ],
)
def test_without_a_folder_there_is_one_warning_and_no_cache(tmp_path, monkeypatch, caplog, variables, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "relative").mkdir()
    (tmp_path / "sealed").mkdir()
    (tmp_path / "sealed" / ".cache").touch()  # as root, no mode keeps a folder from being written
    shared = tmp_path / "open" / "posterfusion" / f"xla-{compilation_cache._processor()}"
    shared.mkdir(parents=True)
    shared.chmod(0o777)
    if "HOME" not in variables:
        monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # of a uid without a line in /etc/passwd
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp=tmp_path))
    with caplog.at_level(logging.WARNING):
        compilation_cache.enable_compilation_cache()
    [message] = caplog.messages
    assert message.startswith("Compiled programs are not kept")
    assert words in message
    assert compilation_cache.FOLDER in message
    assert compilation_cache.FOLDER not in os.environ
    assert list((tmp_path / "relative").iterdir()) == []
