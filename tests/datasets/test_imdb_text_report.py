"""Statistics of a dataset's texts, from rows whose texts are known, and rules as an option of the dataset."""

import json
import pathlib

import pytest
from imdb_folder import make_folder

from posterfusion_jax.datasets.imdb_posters import text_report
from posterfusion_jax.datasets.imdb_posters.build import build_dataset
from posterfusion_jax.datasets.imdb_posters.imdb_posters_dataset_builder import PosterConfig
from posterfusion_jax.datasets.imdb_posters.join import Poster
from posterfusion_jax.datasets.imdb_posters.options import BuildOptions
from posterfusion_jax.datasets.imdb_posters.reader import open_dataset
from posterfusion_jax.datasets.imdb_posters.report import format_report
from posterfusion_jax.datasets.imdb_posters.text_provenance import UNREAD, read_record
from posterfusion_jax.datasets.imdb_posters.text_report import LONG_WORDS, describe_texts, format_texts
from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.records.record import OcrRecord
from posterfusion_jax.ocr.text.clean import record_text
from posterfusion_jax.ocr.text.line_filters import NO_RULES, LineFilters

# tensorflow-datasets 4.9.10 asks protobuf 6, which Beam needs, for a deprecated attribute.
pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")


def poster(number: int, record: OcrRecord | None, rules: LineFilters = NO_RULES) -> Poster:
    text, reading = ("", UNREAD) if record is None else read_record(record, rules)
    return Poster(
        poster_id=f"tt{number:07d}_1",
        film_id=f"tt{number:07d}",
        title="A Film",
        year=1999,
        split="",
        genres=("drama",),
        file="absent.jpg",
        sha256=f"{number:064x}",
        size=1,
        store_verbatim=True,
        text=text,
        reading=reading,
    )


def read(words: int, *, engine: str = "rapidocr", boxes: bool = True, **fields) -> OcrRecord:
    """A record of one word a line, from the bottom to the top."""
    lines = tuple(f"word{k}" for k in range(words))
    return OcrRecord(
        sha256="0" * 64,
        status=fields.pop("status", "ok" if words else "empty"),
        text="\n".join(lines),
        engine=engine,
        lines=lines,
        boxes=tuple((0.1, 1 - 0.02 * k - 0.02, 0.2, 1 - 0.02 * k) for k in range(words)) if boxes else (),
        **fields,
    )


RECORDS = [
    *[read(words) for words in (1, 2, 3, 4, 10)],
    read(0),
    read(0, status="error", reason="unreadable"),
    read(LONG_WORDS + 1, engine="gemini", boxes=False, language="en-US"),
    read(LONG_WORDS, engine="gemini", boxes=False, language="und"),
    None,
]


def described(rules: LineFilters = NO_RULES):
    found = describe_texts([poster(k, record, rules) for k, record in enumerate(RECORDS)], rules)
    assert json.loads(json.dumps(found)) == found
    return found


def test_empty_texts_by_status_and_engine():
    found = described()
    assert found["empty"] == {"posters": 10, "empty": 3}
    assert found["empty_by_status"] == {
        "empty": {"posters": 1, "empty": 1},
        "error": {"posters": 1, "empty": 1},
        "missing": {"posters": 1, "empty": 1},
        "ok": {"posters": 7, "empty": 0},
    }
    assert found["empty_by_engine"] == {"gemini": {"posters": 2, "empty": 0}, "rapidocr": {"posters": 7, "empty": 2}}


def test_lengths_are_those_of_texts_that_are_not_empty():
    found = described()
    assert found["words"] == {"median": 4, "p90": LONG_WORDS + 1, "max": LONG_WORDS + 1}
    assert found["words_by_engine"]["rapidocr"] == {"median": 3, "p90": 10, "max": 10}
    assert found["characters"]["max"] == len(record_text(RECORDS[7]))
    assert found["long"] == {"over_words": LONG_WORDS, "texts": 1, "share": 1 / 7}


def test_the_engines_language_comes_first_and_the_rest_is_guessed(monkeypatch):
    monkeypatch.setattr(text_report, "guesser_version", lambda: "a guesser 1.0")
    monkeypatch.setattr(text_report, "guess_language", lambda text: "fr" if text == "word0" else "unknown")
    found = described()
    assert found["languages"] == {"unknown": 5, "en": 1, "fr": 1}
    assert found["languages_named"] == 2
    assert "languages: unknown 5, en 1, fr 1 (guessed by a guesser 1.0, 2 named by the engine)" in format_texts(found)


def test_without_a_guesser_that_is_said(monkeypatch):
    monkeypatch.setattr(text_report, "guesser_version", lambda: None)
    found = described()
    assert (found["languages"], found["language_guesser"]) == ({"en": 1, "unknown": 1}, None)
    assert any("py3langid is not installed" in line for line in format_texts(found))


def test_rules_say_what_they_changed_and_where_they_could_not_be_applied():
    rules = LineFilters(order="boxes", min_confidence=0.5)
    found = described(rules)
    assert found["rules"]["order"] == "boxes"
    assert found["rules_changed"] == 4  # the one word of the first text keeps its place
    assert found["rules_not_applied"] == {"confidence": 7, "order": 2}
    (line,) = (line for line in format_texts(found) if line.startswith("rules"))
    assert line.startswith("rules: confidence, order; they change 4 texts; for lack of boxes or confidences not applied: ")
    assert line.endswith(": confidence to 7, order to 2")
    assert described()["rules_not_applied"] == {}
    assert not any(line.startswith("rules") for line in format_texts(described()))


def test_no_text_at_all():
    found = describe_texts([poster(0, None), poster(1, RECORDS[5])], NO_RULES)
    assert (found["words"], found["languages"], found["long"]["share"]) == (None, {}, 0.0)
    assert format_texts(found) == ["rapidocr: 1 posters, 100.0% without text"]


def add_boxes(folder: pathlib.Path) -> None:
    """Each record's second line moves above its first."""
    lines = [json.loads(line) for line in (folder / "ocr.jsonl").read_text().splitlines()]
    for record in lines:
        count = len(record["lines"])
        record["boxes"] = [[0.1, 0.9 - 0.1 * k, 0.9, 0.95 - 0.1 * k] for k in range(count)]
    (folder / "ocr.jsonl").write_text("".join(json.dumps(record) + "\n" for record in lines))


def test_rules_are_part_of_what_a_dataset_is_made_from(tmp_path):
    folder = make_folder(tmp_path / "posters", films=20, read_every=1)
    add_boxes(folder)

    def build(**options):
        return build_dataset(folder, tmp_path / "data", BuildOptions(**options), progress=False)

    plain = build()
    assert open_dataset(plain.dir).columns("train")["text"][0].startswith("FILM ")
    turned = build(text_rules=LineFilters(order="boxes"))
    assert turned.reason == "text rules changed"
    assert open_dataset(turned.dir).columns("train")["text"][0].endswith(" FILM")
    assert turned.report["row_hash"] != plain.report["row_hash"]
    assert "rules: order; they change" in format_report(turned.report)
    assert build(text_rules=LineFilters(order="boxes")).reason is None
    again = build()
    assert (again.reason, again.report["row_hash"]) == ("text rules changed", plain.report["row_hash"])


def test_a_builder_config_takes_the_rules_as_json():
    rules = PosterConfig(name="ordered", text_rules={"order": "boxes", "credits_max_height": 0.025}).options.text_rules
    assert rules == LineFilters(order="boxes", credits_max_height=0.025)
    with pytest.raises(InputError, match=r"text_rules has the field 'ordr'; allowed are order, min_confidence"):
        PosterConfig(name="bad", text_rules={"ordr": "boxes"})
