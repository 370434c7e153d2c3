"""Odd answers that are paid for: their text is kept, and the reason states how they differ from what was asked for."""

import json
import time

import gemini_run
import pytest
from gemini_server import KEY, serve
from google.genai import types

from posterfusion_jax.ocr.engines.base import NoEngine, OcrResult
from posterfusion_jax.ocr.engines.gemini_prompt import PROMPT
from posterfusion_jax.ocr.engines.gemini_response import parse_answer
from posterfusion_jax.ocr.records.record import from_json, to_json, usable
from posterfusion_jax.ocr.records.store import load_records
from posterfusion_jax.ocr.remote.client import record_fields
from posterfusion_jax.ocr.remote.gemini_batch import BatchOptions
from posterfusion_jax.ocr.task import Task, make_record
from posterfusion_jax.ocr.text.limits import MAX_CHARACTERS
from posterfusion_jax.posters.folder import PosterFile

AS_ASKED = '{"language": "en", "lines": ["ALIEN", "IN SPACE"]}'
BOTH = ("ALIEN", "IN SPACE")
REPEATED = '{"lines": ["ALIEN"], "lines": ["IN SPACE"]}'

# words of the model, lines that are kept, and a part of the reason (None: there is no reason)
KEPT = {
    "as asked": (AS_ASKED, BOTH, None),
    "a fence": (f"```json\n{AS_ASKED}\n```", BOTH, None),
    "a fence without an end": (f"```\n{AS_ASKED}", BOTH, None),
    "more keys": ('{"lines": ["ALIEN"], "engine": "mine", "text": "x"}', ("ALIEN",), None),
    "a bare list": ('["ALIEN", "IN SPACE"]', BOTH, "a list instead of an object"),
    "one string": ('{"language": "en", "lines": "ALIEN\\nIN SPACE"}', BOTH, "`lines` is a string instead of a list"),
    "objects": ('{"lines": [{"text": "ALIEN"}, {"line": "IN SPACE"}]}', BOTH, "`lines` has entries that are no strings"),
    "objects with boxes": (
        '[{"box_2d": [1, 2, 3, 4], "label": "ALIEN"}, {"text": "IN SPACE", "confidence": 0.5}]',
        BOTH,
        "text under 'label'",
    ),
    "an object of lines": ('{"lines": {"1": "ALIEN", "2": "IN SPACE"}}', BOTH, "`lines` is an object instead of a list"),
    "nested lists": ('{"lines": [["ALIEN"], [["IN SPACE"]]]}', BOTH, "no strings"),
    "lists with boxes": ('[["ALIEN", [1, 2, 3, 4]], ["IN SPACE", [1, 2, 3, 4]]]', BOTH, "a list"),
    "numbers": ('{"lines": ["ALIEN", 1979, 2.50]}', ("ALIEN", "1979", "2.50"), None),
    "no text between": ('{"lines": ["ALIEN", null, true, NaN, {}]}', ("ALIEN",), "4 entries without text are left out"),
    "under text": ('{"text": "ALIEN\\nIN SPACE"}', BOTH, "text under 'text'"),
    "under Texts": ('{"Texts": ["ALIEN", "IN SPACE"]}', BOTH, "text under 'Texts'"),
    "under result": ('{"result": {"lines": ["ALIEN", "IN SPACE"]}}', BOTH, "text under 'result'"),
    "under ocr": ('{"ocr": ["ALIEN", "IN SPACE"], "status": "done"}', BOTH, "text under 'ocr'"),
    "under other names": ('{"title": "ALIEN", "tagline": "IN SPACE"}', BOTH, "text under 'title'; text under 'tagline'"),
    "empty lines and text": ('{"lines": [], "text": "ALIEN"}', ("ALIEN",), "text under 'text'"),
    "encoded twice": (json.dumps(AS_ASKED), BOTH, "JSON within a string"),
    "encoded three times": (json.dumps(json.dumps(AS_ASKED)), BOTH, "JSON within a string"),
    "a list in a string": ('{"lines": "[\\"ALIEN\\", \\"IN SPACE\\"]"}', BOTH, "`lines` is a string"),
    "prose around": (
        f"Here it is:\n{AS_ASKED}\nGood luck!",
        BOTH,
        "text around the JSON is left out: 'Here it is: Good luck!'",
    ),
    "prose around a fence": ('Sure:\n```json\n["ALIEN"]\n```', ("ALIEN",), "left out: 'Sure:'"),
    "several objects": (f'{AS_ASKED}\n{{"lines": ["1979"]}}', (*BOTH, "1979"), "2 JSON values instead of one"),
    "strings alone": ('"ALIEN", "IN SPACE"', BOTH, "a list"),
    "cut off": ('{"language": "en", "lines": ["ALIEN", "IN SP', ("ALIEN", "IN SP"), "broken JSON"),
    "a list cut off": ('["ALIEN", "IN SP', ("ALIEN", "IN SP"), "broken JSON"),
    "cut off after prose": ('Here: {"lines": ["ALIEN", "IN SP', ("ALIEN", "IN SP"), "left out: 'Here:'"),
    "commas": ('{"lines": ["ALIEN", "IN SPACE",],}', BOTH, "broken JSON"),
    "single quotes": ("['ALIEN', 'IT'S ALIVE']", ("ALIEN", "IT'S ALIVE"), "broken JSON"),
    "no quotes around keys": ('{lines: ["ALIEN", "IN SPACE"]}', BOTH, "broken JSON"),
    "quotes within": ('{"lines": ["THE "BEST" FILM", "B"]}', ('THE "BEST" FILM', "B"), "broken JSON"),
    "broken twice": ("{'lines': ['ALIEN']}\n{'lines': ['IN SPACE']}", BOTH, "2 JSON values"),
    "the same key twice": (REPEATED, BOTH, "`lines` occurs 2 times"),
    "entities": ('["A &amp; B"]', ("A &amp; B",), "a list"),
    "a lone surrogate": ('["\\ud83d ALIEN"]', ("\ud83d ALIEN",), "a list"),
    "a pair of surrogates": ("['\\ud83d\\ude00']", ("\N{GRINNING FACE}",), "broken JSON"),
    "plain text": ("ALIEN\n\nIN SPACE", BOTH, "plain text"),
    "plain text with brackets": ("[REC]\nALIEN [1979] {US}", ("[REC]", "ALIEN [1979] {US}"), "plain text"),
    "plain text in a fence": ("```\nALIEN\nIN SPACE\n```", BOTH, "plain text"),
    "plain capitals": ("I CANNOT READ THE TEXT", ("I CANNOT READ THE TEXT",), "plain text"),
    "a number": ("17", ("17",), "a number instead of an object"),
    "the prompt first": (f"{PROMPT}\n{AS_ASKED}", BOTH, "the prompt was repeated, which is left out"),
    "the prompt as a line": (json.dumps({"lines": [PROMPT, "ALIEN"]}), ("ALIEN",), "the prompt was repeated"),
}

EMPTY = {
    "as asked": ('{"language": "", "lines": []}', None),
    "empty strings": ('{"lines": ["", " "]}', None),
    "a note": ('{"lines": [], "note": "there is no text"}', None),
    "an empty string": ('{"lines": ""}', "it states that there is no text"),
    "null for lines": ('{"lines": null}', "`lines` is null instead of a list"),
    "an empty list": ("[]", "a list instead of an object"),
    "a string": ('""', "a string instead of an object"),
    "white space": ('"  \\n"', "it states that there is no text"),
    "null": ("null", "null instead of an object"),
    "an empty object": ("{}", "an object without `lines`"),
}

ERROR = {
    "nothing": ("", "an answer without text (finish reason STOP)"),
    "white space": (" \n\t", "an answer without text (finish reason STOP)"),
    "true": ("true", "an answer in which nothing is text: 'true'"),
    "an error": ('{"error": "no image"}', 'nothing is text: \'{"error": "no image"}\''),
    "boxes": ('{"lines": [{"box_2d": [1, 2, 3, 4]}]}', "box_2d"),
    "brackets": ("[" * 100_000, "nothing is text: '[[["),
    "cut before the text": ('{"language": "en", "lin', "broken JSON"),
    "the prompt alone": (PROMPT.replace(" ", "\n"), "the prompt was repeated"),
}

REFUSALS = (
    "I'm sorry, but I can't transcribe this image.",
    "I cannot read the text on this poster.",
    "I\N{RIGHT SINGLE QUOTATION MARK}m unable to help with that request.",
    "Unfortunately, I am not able to see the picture.",
)


def candidate(*parts, finish="STOP"):
    return {"content": {"parts": list(parts), "role": "model"}, "finishReason": finish}


def read(*candidates) -> OcrResult:
    response = {"candidates": candidates, "usageMetadata": {"candidatesTokenCount": 9}}
    return parse_answer(types.GenerateContentResponse.model_validate(response), prices=(1.0, 1.0))


def read_text(text: str, finish: str = "STOP") -> OcrResult:
    return read(candidate({"text": text}, finish=finish))


@pytest.mark.parametrize("name", KEPT)
def test_text_is_kept_and_the_reason_states_what_was_odd(name):
    text, lines, reason = KEPT[name]
    found = read_text(text)
    assert (found.status, found.lines) == (None, lines)
    if reason is None:
        assert found.reason is None
    else:
        assert found.reason.startswith("the answer was not the JSON asked for (")
        assert reason in found.reason
        assert found.reason.endswith("; its text is kept")


@pytest.mark.parametrize("name", EMPTY)
def test_an_answer_that_states_that_there_is_no_text_is_empty(name):
    text, reason = EMPTY[name]
    found = read_text(text)
    assert (found.status, found.lines) == (None, ())
    assert record_fields(found, found.usage)["status"] == "empty"
    assert found.reason is None if reason is None else reason in found.reason
    assert "is kept" not in (found.reason or "")


@pytest.mark.parametrize("name", ERROR)
def test_an_answer_in_which_nothing_is_text_is_an_error_that_quotes_it(name):
    text, reason = ERROR[name]
    found = read_text(text)
    assert (found.status, found.lines) == ("error", ())
    assert reason in found.reason
    assert len(found.reason) < 500


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_is_kept_and_not_used(text):
    found = read_text(text)
    assert (found.status, found.lines) == ("blocked", (text,))
    assert "declined" in found.reason
    record = make_record(NoEngine(), Task(PosterFile("tt1_1", "tt1", "x"), "0" * 64, 1), **record_fields(found, found.usage))
    assert not usable(record)
    assert from_json(to_json(record)).text == text


def test_cut_off_answers_of_every_form_keep_their_text():
    for text in ('{"lines": ["ALIEN", "IN SP', '["ALIEN", "IN SP', "ALIEN\nIN SP", "{'lines': ['ALIEN', 'IN SP"):
        found = read_text(text, "MAX_TOKENS")
        assert (found.status, found.lines) == ("max_tokens", ("ALIEN", "IN SP"))
        assert found.reason.startswith("cut off after 9 tokens (ocr.gemini.max_output_tokens)")


@pytest.mark.parametrize(("finish", "status"), [("SAFETY", "blocked"), ("RECITATION", "recitation")])
def test_text_of_a_withheld_answer_is_kept_and_not_used(finish, status):
    found = read_text('["ALIEN"]', finish)
    assert (found.status, found.lines) == (status, ("ALIEN",))
    assert found.reason.endswith("; the text that came with it is kept and not used")


def test_parts_and_candidates():
    assert read(candidate({"text": AS_ASKED[:20]}, {"text": AS_ASKED[20:]})).lines == BOTH
    thought = {"text": "The poster reads ALIEN.", "thought": True}
    assert read(candidate(thought, {"text": AS_ASKED})).lines == BOTH
    alone = read(candidate(thought))
    assert (alone.status, alone.lines) == ("error", ())
    assert "thoughts alone" in alone.reason
    call = read(candidate({"functionCall": {"name": "f", "args": {"lines": ["ALIEN"]}}}))
    assert (call.status, call.lines) == (None, ("ALIEN",))
    assert "a function call" in call.reason
    picture = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
    mixed = read(candidate({"text": AS_ASKED}, picture))
    assert (mixed.lines, "1 parts without text are left out" in mixed.reason) == (BOTH, True)
    second = read(candidate({"text": ""}), candidate({"text": AS_ASKED}))
    assert (second.status, second.lines) == (None, BOTH)
    assert "answer 2 of 2" in second.reason
    assert "finish reason OTHER" in read_text(AS_ASKED, "OTHER").reason


@pytest.mark.parametrize(
    "text",
    [
        *('["' * 50_000, '{"a":' * 50_000, "[1," * 50_000, "[[1]" * 30_000, "{'" * 50_000, '"' * 100_000, "[]" * 50_000),
        *("{" * 100_000, "```" + " " * 200_000, '{"a":' * 900 + "1" + "}" * 900, '["' + "x" * 1_000_000, "sorry " * 20_000),
        '{"language": "en", "lines": [' + "[" * 5000 + "]" * 5000 + "]}",
    ],
)
def test_hostile_answers_are_read_in_time_and_bounded(text):
    started = time.monotonic()
    found = read_text(text)
    record = make_record(NoEngine(), Task(PosterFile("tt1_1", "tt1", "x"), "0" * 64, 1), **record_fields(found, found.usage))
    assert len(record.text) <= MAX_CHARACTERS
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("how", ["single questions", "a batch"])
def test_single_questions_and_batches_keep_the_same(tmp_path, monkeypatch, how):
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    gemini_run.write_posters(tmp_path, len(KEPT))
    names, of_image = iter(KEPT), {}

    def weather(image, before):
        of_image.setdefault(image, next(names, None))
        return f"say:{KEPT[of_image[image]][0]}"

    with serve(weather) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        options = {"temperatures": (0.0,), "timeout": 30.0, **({"batch": BatchOptions()} if how == "a batch" else {})}
        gemini_run.read(tmp_path, **options)
        if how == "a batch":
            server.batches.finish()
            gemini_run.read(tmp_path, **options)
    found = {of_image[record.sha256]: record for record in load_records([tmp_path / "ocr.jsonl"])}
    assert found.keys() == KEPT.keys()
    for name, (_, lines, _) in KEPT.items():
        assert (found[name].status, found[name].lines) == ("ok", lines)
