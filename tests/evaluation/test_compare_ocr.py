"""Record sets against each other: which are found in a file, which figures come out, what is printed and refused."""

import hashlib
import json
import pathlib
import subprocess
import sys

import pytest
from imdb_folder import make_folder

from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.compare_ocr import compare_ocr, format_comparison, format_pairs, read_record_sets
from posterfusion_jax.ocr.records.record import OcrRecord, to_json
from posterfusion_jax.posters.folder import PosterFile

ROOT = pathlib.Path(__file__).parents[2]
TITLES = {"tt1": "Alien", "tt2": "Star Wars", "tt3": "The Thing", "tt4": "..."}
GOOD = {"tt1_1": "ALIEN in space", "tt1_2": "alien", "tt2_1": "STAR WARS", "tt3_1": "THE THING"}
BAD = {"tt1_1": "ALIEN in spoce", "tt1_2": "", "tt2_1": "STARWARS", "tt3_1": None}


def sha(poster_id: str) -> str:
    return hashlib.sha256(poster_id.encode()).hexdigest()


def record(poster_id, text, *, engine="good", version="1", model=None, seconds: float | None = 0.5) -> OcrRecord:
    """A text of None is a failure."""
    status = "error" if text is None else "ok" if text else "empty"
    return OcrRecord(
        sha256=sha(poster_id),
        status=status,
        text=text or "",
        engine=engine,
        engine_version=version,
        model_version=model,
        poster_id=poster_id,
        seconds=seconds,
    )


def write(path, *records: OcrRecord):
    path.write_text("".join(to_json(each) + "\n" for each in records))
    return path


def posters(*poster_ids: str) -> dict[str, PosterFile]:
    return {sha(name): PosterFile(name, name.split("_")[0], pathlib.Path(f"{name}.jpg")) for name in poster_ids}


@pytest.fixture
def file(tmp_path):
    """Two engines' records of the same four posters."""
    good = [record(poster_id, text) for poster_id, text in GOOD.items()]
    bad = [record(poster_id, text, engine="bad", seconds=0.1) for poster_id, text in BAD.items()]
    return write(tmp_path / "ocr.jsonl", *good, *bad)


@pytest.fixture
def sets(file):
    return read_record_sets(str(file))[0]


def test_a_file_holds_a_set_for_each_engine(file):
    sets, skipped = read_record_sets(str(file))
    assert [(one.name, one.engine, one.version, len(one.by_image)) for one in sets] == [
        ("good", "good", "1", 4),
        ("bad", "bad", "1", 4),
    ]
    assert skipped == []
    assert sets[0].file == "ocr.jsonl"
    assert [one.name for one in read_record_sets(f"{file}:bad")[0]] == ["bad"]
    assert [one.name for one in read_record_sets(f"mine={file}:bad@1")[0]] == ["mine"]


def test_versions_of_one_engine_are_sets_of_their_own(tmp_path):
    file = write(
        tmp_path / "a:b=c.jsonl",  # a name that looks like a choice is still a file
        record("tt1_1", "old", version="1", model="m"),
        record("tt1_1", "new", version="2", model="m"),
        record("tt1_1", "large", version="2", model="l"),
    )
    assert [one.name for one in read_record_sets(str(file))[0]] == ["good 1 m", "good 2 m", "good 2 l"]
    assert [one.by_image[sha("tt1_1")].text for one in read_record_sets(f"{file}:good@m")[0]] == ["old", "new"]
    with pytest.raises(InputError, match=r"several sets.*good 1 m; good 2 l; good 2 m"):
        read_record_sets(f"x={file}:good@2")
    with pytest.raises(InputError, match="no such records"):
        read_record_sets(f"{file}:good@3")


def test_the_last_usable_record_of_an_image_counts(tmp_path):
    texts = [None, "first", "second", None]
    file = write(tmp_path / "a.jsonl", *(record("tt1_1", text) for text in texts), record("tt1_2", None))
    (only,), _ = read_record_sets(str(file))
    assert [only.by_image[sha(name)].text for name in ("tt1_1", "tt1_2")] == ["second", ""]


def test_lines_that_are_no_records_are_told(file):
    file.write_text(file.read_text() + "{}\n")
    assert "sha256" in read_record_sets(str(file))[1][0].reason


def test_figures_are_those_counted_by_hand(sets):
    found = compare_ocr(posters(*GOOD, "tt4_1", "tt2_9"), TITLES, sets, resamples=200)
    assert (found["posters"], found["films"], found["reference"]) == (4, 3, "good")
    assert found["left_out"] == {"not in every set": 2, "no title": 0}
    good, bad = found["sets"]
    # Six words of titles: Alien twice, Star Wars, The Thing. The bad one finds "alien" once, and "STARWARS" spacing aside.
    assert good["title_words"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert bad["title_words"]["value"] == pytest.approx(1 / 6)
    assert 0 <= bad["title_words"]["low"] < 1 / 6 < bad["title_words"]["high"] <= 0.5
    assert bad["title_words_joined"]["value"] == pytest.approx(3 / 6)
    assert bad["title_whole"]["value"] == 0.25
    assert (bad["by_status"], bad["failed"]) == ({"empty": 1, "error": 1, "ok": 2}, 1)
    assert (bad["seconds"], bad["cpu_seconds"]) == (pytest.approx(0.1), None)
    assert (good["words"], bad["words"]) == (2.0, 1.0)
    assert (good["characters"], bad["characters"]) == (33 / 4, 20 / 4)
    assert "errors" not in good
    errors = bad["errors"]
    assert errors["posters"] == 4
    # Characters of the reference: 14, 5, 9, 9; edits: 1, 5, 1, 9. Words: 3, 1, 2, 2; edits: 1, 1, 2, 2; shared: 2, 0, 0, 0.
    assert errors["character_error_rate"]["value"] == pytest.approx(16 / 37)
    assert errors["word_error_rate"]["value"] == pytest.approx(6 / 8)
    assert errors["word_recall"]["value"] == pytest.approx(2 / 8)
    assert errors["word_precision"]["value"] == pytest.approx(2 / 4)
    assert errors["worst"][0] == {"poster_id": "tt2_1", "text": "STARWARS", "reference": "STAR WARS"}
    (pair,) = found["pairs"]
    assert (pair["a"], pair["b"], pair["only_a"], pair["only_b"]) == ("bad", "good", 0, 3)
    assert pair["title_words"]["value"] == pytest.approx(-5 / 6)
    assert pair["only_b_posters"] == ["tt1_2", "tt2_1", "tt3_1"]
    json.dumps(found, allow_nan=False)


def test_names_of_posters_and_texts_stay_out_on_demand(sets):
    found = compare_ocr(posters(*GOOD), TITLES, sets, examples=0, resamples=100)
    assert found["pairs"][0]["only_b"] == 3
    assert not any(text in json.dumps(found) for text in ("tt1", "STAR", "alien"))


def test_a_reference_of_its_own_and_posters_that_it_failed_on(sets, file, tmp_path):
    truth = write(
        tmp_path / "truth.jsonl", *(record(name, GOOD[name] if name != "tt1_2" else None, engine="eye") for name in GOOD)
    )
    (reference,), _ = read_record_sets(str(truth))
    found = compare_ocr(posters(*GOOD), TITLES, sets, reference=reference, resamples=100)
    assert found["reference"] == "eye (reference)"
    assert [one["errors"]["posters"] for one in found["sets"]] == [3, 3]
    assert found["sets"][0]["errors"]["character_error_rate"]["value"] == 0
    nothing = compare_ocr(
        posters(*GOOD),
        TITLES,
        sets,
        reference=reference._replace(by_image={sha(name): record(name, "") for name in GOOD}),
        resamples=100,
    )
    assert nothing["sets"][0]["errors"]["word_recall"] is None
    assert nothing["sets"][0]["errors"]["word_precision"]["value"] == 0
    assert format_comparison(nothing)


def test_the_table_has_the_figures_and_the_pairs_their_posters(sets):
    found = compare_ocr(posters(*GOOD), TITLES, sets, resamples=100)
    head, rule, good, bad = format_comparison(found).splitlines()
    assert len({line.count("|") for line in (head, rule, good, bad)}) == 1
    assert good.startswith("| good | 0.50 |  | 100.0 (100.0 to 100.0) | 100.0 | 100.0 | 2.0 | 0.0 | 0 |")
    assert bad.endswith("| 25.0 | 1 | 43.2 | 75.0 | 25.0 | 50.0 |")
    pairs = format_pairs(found)
    assert "title words      -83.3 (" in pairs
    assert "whole title found only by good: 3: tt1_2, tt2_1, tt3_1" in pairs
    assert "tt2_1  bad: STARWARS\n  good: STAR WARS" in pairs


def test_what_cannot_be_compared_is_refused(sets):
    with pytest.raises(InputError, match="two record sets are named 'good'"):
        compare_ocr(posters(*GOOD), TITLES, [sets[0], sets[0]])
    with pytest.raises(InputError, match=r"at least two films.*3 posters were given, 1 are not in every set, 0 have no"):
        compare_ocr(posters("tt1_1", "tt1_2", "tt2_7"), TITLES, sets)


def command(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "launch/ocr_quality.py", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300
    )


def test_the_command_reads_compares_and_goes_on(tmp_path):
    pytest.importorskip("rapidocr", reason="rapidocr is not installed (extra 'ocr')")
    folder = make_folder(tmp_path / "posters", read_every=1)
    words = [f"--posters={folder}", "--sample=4", f"--keep={tmp_path / 'keep'}", "--resamples=100", "--examples=0"]
    words += ["--engine=rapidocr:min_side=64", "--engine=mine=rapidocr:min_side=96,turn_lines=True"]
    done = command(*words, f"--reference={folder / 'ocr.jsonl'}", f"--out={tmp_path / 'out.json'}")
    assert done.returncode == 0, done.stderr
    assert "| rapidocr:min_side=64 |" in done.stdout
    assert "| mine |" in done.stdout
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["sample"] == {"films": 4, "seed": 0}
    assert written["posters"] == written["films"] == 4
    assert all(one["cpu_seconds"] >= 0 for one in written["sets"])
    files = sorted((tmp_path / "keep").glob("*.jsonl"))
    assert len(files) == 2
    before = [file.read_text() for file in files]
    again = command(*words, f"--reference={folder / 'ocr.jsonl'}")
    assert again.returncode == 0, again.stderr
    assert [file.read_text() for file in files] == before


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--records=gone.jsonl"], 2, "error: OCR records 'gone.jsonl' cannot be read"),
        (["--engine=rapidocr:min_side", "--keep=x"], 2, "is not [NAME=]ENGINE"),
        (["--engine=rapidocr:colour=red", "--keep=x"], 2, "colour"),
        (["--engine=rapidocr"], 2, "--keep"),
        (["--engine=gemini:model=m", "--keep=x"], 2, "--engine='gemini:model=m' calls a service"),
        ([], 2, "at least one of"),
    ],
)
def test_the_command_refuses_with_a_message(posters_dir, arguments, status, message):
    done = command(f"--posters={posters_dir}", *arguments)
    assert done.returncode == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr
