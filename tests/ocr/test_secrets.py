"""The key of a service stays where it came from, whatever goes wrong on the way."""

import logging
import pathlib
import re

import gemini_run
import pytest
from gemini_server import KEY, MODEL, serve

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.engines.base import make_engine
from posterfusion_jax.ocr.engines.gemini_options import GeminiOptions
from posterfusion_jax.ocr.remote import client
from posterfusion_jax.ocr.remote.client import Limits
from posterfusion_jax.ocr.remote.gemini_batch import BatchOptions
from posterfusion_jax.ocr.summary import format_summary


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    monkeypatch.setattr(client, "_FIRST_PAUSE", 0.01)


def read(folder: pathlib.Path, caplog, **options) -> str:
    """All that a run says, writes and logs, on the most talkative level, and the exception that it ends with."""
    caplog.set_level(logging.DEBUG)
    if not (folder / "images").exists():
        gemini_run.write_posters(folder, 2)
    try:
        said = format_summary(gemini_run.read(folder, limits=Limits(tries=2), **options))
    except Exception as error:
        said, chain = "", [error]
        while chain:
            link = chain.pop()
            said += f"{link!r} {link}"
            chain += [other for other in (link.__cause__, None if link.__suppress_context__ else link.__context__) if other]
    written = [path.read_bytes().decode(errors="replace") for path in folder.rglob("*") if path.is_file()]
    return "\n".join([said, *written])


WEATHER = ("ok", "key", "403", "404", "400", "503", "429day", "recitation")


@pytest.mark.parametrize(
    ("weather", "batch"),
    [*((weather, None) for weather in (*WEATHER, "malformed", "drop")), *((weather, BatchOptions()) for weather in WEATHER)],
)
def test_in_every_weather(tmp_path, monkeypatch, caplog, weather, batch):
    with serve(weather) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        server.batches.orders["create"] = [weather] if weather == "key" else []
        said = read(tmp_path, caplog, batch=batch)
        if batch and weather != "key":
            server.batches.finish()
            said += read(tmp_path, caplog, batch=batch)
    assert KEY not in said
    assert KEY not in caplog.text
    assert said.strip()


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "http://nowhere.invalid", "http://[", "file:///etc/passwd"])
def test_where_nobody_answers(tmp_path, monkeypatch, caplog, address):
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", address)
    said = read(tmp_path, caplog)
    assert KEY not in said
    assert KEY not in caplog.text


@pytest.mark.parametrize("how", ["{key}", "{{'x-goog-api-key': '{key}'}}", "https://x/?key={key}&a=b", "a\n{key}\nb"])
def test_an_exception_that_holds_the_request_is_told_without_the_key(tmp_path, monkeypatch, caplog, how):
    from google.genai import models

    async def fails(self, **_):
        raise RuntimeError(how.format(key=KEY))

    monkeypatch.setattr(models.AsyncModels, "generate_content", fails)
    said = read(tmp_path, caplog)
    assert KEY not in said
    assert "<key>" in said


@pytest.mark.parametrize("key", ["AIza\u201cquoted\u201d", "two words", "line\nbreak", "AIza\x00", "AIza'x"])
def test_what_can_be_no_key_is_refused_and_not_shown(monkeypatch, key):
    monkeypatch.setattr("os.environ", {"GOOGLE_API_KEY": key})
    with pytest.raises(InputError, match=r"GOOGLE_API_KEY contains characters that no key has") as caught:
        make_engine("gemini", options=GeminiOptions(model=MODEL))
    assert not any(part in str(caught.value) for part in re.findall(r"\w{4,}", key) if part != "line")


def test_space_around_a_key_is_none_of_it(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("GOOGLE_API_KEY", f" {KEY}\r\n")
    with serve() as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        said = read(tmp_path, caplog)
    assert len(server.answered) == 2
    assert KEY not in said
