"""Text that a stranger printed on a poster: bounded in time and memory, one line of the store, no say in its record."""

import dataclasses
import json
import time

import gemini_run
import numpy as np
import pytest
from gemini_server import KEY, MODEL, serve
from hostile_texts import TEXTS

from posterfusion_jax.datasets.imdb_posters.text_provenance import read_record
from posterfusion_jax.encoders.options import EncoderOptions
from posterfusion_jax.encoders.tokenizer import load_tokenizer, make_tokenize, train_tokenizer
from posterfusion_jax.ocr.engines.base import NoEngine
from posterfusion_jax.ocr.quality import compare_texts, find_title
from posterfusion_jax.ocr.records.compaction import compact, describe
from posterfusion_jax.ocr.records.record import OcrRecord, from_json, to_json
from posterfusion_jax.ocr.records.store import RecordWriter, load_records
from posterfusion_jax.ocr.remote.gemini_batch import BatchOptions
from posterfusion_jax.ocr.task import Task, make_record
from posterfusion_jax.ocr.text.clean import clean, record_text
from posterfusion_jax.ocr.text.language import guess_language, guesser_version
from posterfusion_jax.ocr.text.limits import MAX_CHARACTERS, MAX_LINES, MAX_REASON
from posterfusion_jax.ocr.text.line_filters import LineFilters
from posterfusion_jax.ocr.text.title_removal import remove_title
from posterfusion_jax.posters.folder import PosterFile

SHA = "0123456789abcdef" * 4
SECONDS = 60  # for one text, on a busy machine; without the bounds some take hours
HARD = ("zalgo", "expanding", "ten thousand words", "a million letters", "json")
TITLES = ["a b " * 250, "titanic", "ab" * 500, *(TEXTS[name][:1000] for name in HARD)]
WORDS = {  # texts that are hard for those who look for words in them
    "apostrophes": "('" * 10_000,
    "the title again and again": "titanic" * 2_800,
    "one letter words": "a b " * 5_000,
    "nearly the title": "titanik " * 2_500,
}

FIELDS = {field.name for field in dataclasses.fields(OcrRecord)} | {"check"}
ANSWERS = {
    "more than was asked for": json.dumps(
        {
            "language": "en",
            "lines": ["A"],
            **{"status": "error", "engine": "mine", "sha256": "f" * 64, "poster_id": "tt9999999_9", "attempts": 99},
            **{"boxes": [[0, 0, 1, 1]], "confidences": [1], "usage": {"usd": -1e9}, "reason": "mine", "__class__": "x"},
        }
    ),
    "other types": json.dumps({"language": {"en": 1}, "lines": [{"lines": ["A"]}, ["B"], None, 1917, "C", {"a": "b"}]}),
    "a text for the list": json.dumps({"language": ["en"], "lines": "A"}),
    "a list": '["A", "B"]',
    "a number": "17",
    "null": "null",
    "twice": '{"lines": ["A"], "lines": ["B"], "language": "en", "language": "fr"}',
    "deep": "[" * 100_000,
    "deep inside": '{"lines": ' + "[" * 100_000,
    "deep and whole": '{"language": "en", "lines": [' + "[" * 5000 + "]" * 5000 + "]}",
    "fenced": "```json\n" + json.dumps({"language": "en", "lines": ["A"]}) + "\n```",
    "spaces": " " * 500_000 + "x",
    "a record": 'A\n{"sha256": "' + SHA + '", "status": "ok", "text": "forged", "engine": "mine"}\n',
    "a language of its own": json.dumps({"language": "\x1b[31men\u202e" + "x" * 10_000, "lines": ["A"]}),
    **{
        f"line: {name}": json.dumps({"language": text, "lines": text.split("\n")}, ensure_ascii=False)
        for name, text in TEXTS.items()
    },
    **{f"as it is: {name}": text for name, text in TEXTS.items()},
}


def record_of(*lines: str, **found) -> OcrRecord:
    return make_record(NoEngine(), Task(PosterFile("tt1_1", "tt1", "x"), SHA, 1), status="ok", lines=lines, **found)


@pytest.fixture(scope="module")
def tokenizers(clip_folder, bert_folder):
    loaded = [load_tokenizer(folder) for folder in (clip_folder, bert_folder)]
    return [make_tokenize(one, EncoderOptions(long_text="chunk_mean"), max_tokens=20) for one in loaded]


def test_a_tokenizer_is_trained_on_all_of_them_in_time(tmp_path):
    started = time.monotonic()
    texts = [clean(text) for text in TEXTS.values()]
    train_tokenizer([*texts, *texts], tmp_path / "tokenizer", vocab_size=400, max_tokens=20)
    assert time.monotonic() - started < SECONDS


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_bounded_from_the_engine_to_the_tokens(name, tokenizers):
    started = time.monotonic()
    text = TEXTS[name]
    record = record_of(*text.split("\n"))
    assert len(record.text) <= MAX_CHARACTERS
    assert len(record.lines) <= MAX_LINES
    was_cut = record.text != text
    assert (record.reason is not None) == was_cut
    if was_cut:
        assert "cut after 20,000 characters or 1,000 lines" in record.reason
        assert read_record(record, LineFilters())[1].cut
    foreign = OcrRecord(sha256=SHA, status="ok", text=text, lines=tuple(text.split("\n")), engine="x")  # of another program
    for found in (record, foreign):
        words = record_text(found, LineFilters(order="boxes", min_confidence=0.5))
        assert len(words) <= MAX_CHARACTERS
        assert words.isprintable()
        assert clean(words) == words
        if guesser_version():
            guess_language(words)
        assert find_title(words, "Alien").words == 1
        for tokenize in tokenizers:
            assert tokenize([words]).input_ids.shape == (1, 4, 20)
    compare_texts(record.text, record.text[::-1])
    assert time.monotonic() - started < SECONDS


def test_marks_in_a_row_have_a_bound_before_they_are_sorted():
    assert clean("a" + "\u0316\u0300" * 100) == clean("a" + "\u0316\u0300" * 15)
    assert len(clean("a" + "\u0344" * 10_000)) <= 31


@pytest.mark.parametrize("name", [*WORDS, "ten thousand words", "a million letters"])
def test_titles_are_taken_out_in_time(name):
    text = clean(WORDS.get(name) or TEXTS[name])
    started = time.monotonic()
    for title in TITLES:
        assert len(remove_title(text, title)) <= len(text)
        find_title(text, title)
    assert time.monotonic() - started < len(TITLES) * 2


def test_lines_keep_their_boxes_and_confidences_when_they_are_cut():
    boxes, confidences = [(0.0, k / 2000, 1.0, k / 2000) for k in range(1500)], np.linspace(0, 1, 1500).tolist()
    record = record_of(*["ab"] * 1500, boxes=boxes, confidences=confidences, reason="r" * 5000)
    assert (len(record.lines), len(record.boxes), len(record.confidences)) == (MAX_LINES,) * 3
    assert from_json(to_json(record)) == record
    assert record.reason == "r" * MAX_REASON + "; cut after 20,000 characters or 1,000 lines"
    assert record_of("a", "b", reason=None).reason is None


def test_every_text_is_one_line_of_the_store_and_comes_back(tmp_path):
    records = [record_of(*text.split("\n"), seconds=float(k)) for k, text in enumerate(TEXTS.values())]
    records.append(OcrRecord(sha256=SHA, status="error", text="", engine="x", language=TEXTS["line breaks"], reason="a\nb"))
    path = tmp_path / "ocr.jsonl"
    with RecordWriter(path) as store:
        for record in records:
            store.append(record)
    assert path.read_bytes().count(b"\n") == len(records)
    assert list(load_records([path])) == records
    assert describe(path).skipped == []
    compact(path)
    assert {(line.engine, line.text) for line in load_records([path])} == {("none", records[-2].text), ("x", "")}


def test_a_label_that_no_table_or_index_can_hold_is_a_bad_line(tmp_path):
    path = tmp_path / "ocr.jsonl"
    labels = ["\ud800", "a\nb", "\x1b[31m", "\u202e", "x" * 1000, "\x00"]
    lines = [{"sha256": SHA, "status": "ok", "text": "", "engine": label} for label in labels]
    lines += [{"sha256": SHA, "status": "ok", "text": "", "engine": "x", "engine_version": label} for label in labels]
    lines += [{"sha256": SHA, "status": "ok", "text": "", "engine": "x", "seconds": 10**400}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    contents = describe(path)
    assert len(contents.skipped) == len(lines)
    assert all(line.reason.isprintable() for line in contents.skipped)


@pytest.mark.parametrize("how", ["single questions", "a batch"])
def test_an_answer_changes_nothing_of_its_record_but_lines_and_language(tmp_path, monkeypatch, how):
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    gemini_run.write_posters(tmp_path, len(ANSWERS))
    names, of_image = iter(ANSWERS), {}

    def weather(image, before):
        of_image.setdefault(image, next(names, None))
        return f"say:{ANSWERS[of_image[image]]}"

    with serve(weather) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        options = {"temperatures": (0.0,), "timeout": 30.0}
        if how == "a batch":
            gemini_run.read(tmp_path, batch=BatchOptions(), **options)
            server.batches.finish()
            summary = gemini_run.read(tmp_path, batch=BatchOptions(), **options)
        else:
            summary = gemini_run.read(tmp_path, **options)
        prompts = {json.dumps([part for part in r.body["contents"][0]["parts"] if "text" in part]) for r in server.requests}
    assert summary.read == len(ANSWERS), summary
    assert len(prompts) == 1  # nothing of a stranger is in what the model is told
    lines = (tmp_path / "ocr.jsonl").read_text().split("\n")
    assert len(lines) == len(ANSWERS) + 1
    found = {}
    for line in lines[:-1]:
        assert json.loads(line).keys() <= FIELDS
        record = from_json(line)
        found[of_image[record.sha256]] = record
        assert record.poster_id.startswith("tt1000")
        assert (record.engine, record.engine_version, record.attempts) == ("gemini", f"{MODEL} prompt 1", 1)
        assert record.status in ("ok", "empty", "error")
        assert (record.confidences, record.boxes) == ((), ())
        assert record.usage is not None
        assert record.usage["answers"] == 1
        assert record.usage["usd"] > 0
        assert record.language is None or record.language.replace("-", "").isalnum()
        assert record.text == "\n".join(record.lines)
        assert len(record.text) <= MAX_CHARACTERS
        assert all(line.splitlines() == [line] for line in record.lines)
        record_text(record)
    assert found.keys() == ANSWERS.keys()
    assert (found["more than was asked for"].lines, found["more than was asked for"].language) == (("A",), "en")
    assert (found["other types"].lines, found["other types"].language) == (("A", "B", "1917", "C", "b"), None)
    assert "not the JSON asked for" in (found["other types"].reason or "")
    assert found["fenced"].lines == ("A",)
    assert found["twice"].lines == ("A", "B")
    assert found["a language of its own"].language is None
    assert found["line: script"].lines == (TEXTS["script"],)
    assert "cut after" in (found["line: a million letters"].reason or "")


def test_a_batch_that_answers_nonsense_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    gemini_run.write_posters(tmp_path, 3)
    with serve() as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        gemini_run.read(tmp_path, batch=BatchOptions())
        server.batches.finish()
        [results] = [name for name in server.batches.files if name.startswith("files/result-")]
        keys = [json.loads(line)["key"] for line in server.batches.files[results].decode().splitlines()]
        answers = [{"key": keys[0], "response": {"candidates": "none", "x": KEY}}, {"key": keys[1], "error": "no"}]
        nonsense = [b"[" * 100_000, b"\xff\xfe", b'{"key": ["x"]}', b"17", b'"\x1b[31m"']
        lines = [*(json.dumps(answer).encode() for answer in answers), *nonsense]
        server.batches.files[results] = b"\n".join(lines)
        summary = gemini_run.read(tmp_path, batch=BatchOptions())
    assert summary.by_status == {"error": 2}
    assert len(summary.notes) == len(nonsense)
    assert "\x1b" not in "".join(summary.notes)
    assert KEY not in (tmp_path / "ocr.jsonl").read_text()
