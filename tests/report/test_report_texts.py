"""The report's words on texts: tables of engines, statuses and languages, and how many texts the encoder cut."""

from posterfusion_jax.report.page import Table, Text
from posterfusion_jax.report.text_statistics import text_blocks

SPREAD = {"median": 6, "p90": 33, "max": 1191}
DESCRIBED = {
    "empty": {"posters": 1300, "empty": 40},
    "empty_by_status": {"empty": {"posters": 40, "empty": 40}, "ok": {"posters": 1260, "empty": 0}},
    "empty_by_engine": {"gemini": {"posters": 20, "empty": 20}, "rapidocr": {"posters": 1280, "empty": 20}},
    "words": SPREAD,
    "words_by_engine": {"gemini": None, "rapidocr": SPREAD},
    "characters": SPREAD,
    "long": {"over_words": 40, "texts": 63, "share": 0.05},
    "languages": {"en": 1000, **{f"l{k}": 20 for k in range(13)}},
    "languages_named": 0,
    "language_guesser": "py3langid 0.4.0",
    "rules": {},
    "rules_changed": 0,
    "rules_not_applied": {},
}
ABOUT = {
    "split": "test",
    "cut_texts": {"texts": 130, "cut": 9, "share": 9 / 130},
    "config": {"encoders": {"long_text": "head_tail"}},
    "encoders": {"text": {"max_tokens": 77}},
}


def sentences(blocks) -> str:
    return " ".join(block.text for block in blocks if isinstance(block, Text))


def test_tables_of_engines_statuses_and_languages():
    engines, statuses, languages = (block for block in text_blocks(DESCRIBED, ABOUT) if isinstance(block, Table))
    assert engines.rows == [["gemini", "20", "20", "", "", ""], ["rapidocr", "1,280", "20", "6", "33", "1,191"]]
    assert statuses.rows == [["empty", "40", "40"], ["ok", "1,260", "0"]]
    assert languages.rows[0] == ["en", "1,000", "79.4"]
    assert languages.rows[-1] == ["others", "40", "3.2"]
    assert "py3langid" in languages.caption


def test_cut_texts_are_told_with_the_policy():
    printed = sentences(text_blocks(DESCRIBED, ABOUT))
    assert "5.0 % of all texts have more than 40 words" in printed
    assert "max_text_tokens=77 with encoders.long_text='head_tail' cuts 9 of the 130 texts (6.9 %) of the test split" in printed
    assert "was not recorded" in sentences(text_blocks(DESCRIBED, {**ABOUT, "cut_texts": None}))


def test_rules_are_told_only_where_there_are_some():
    assert "Rules" not in sentences(text_blocks(DESCRIBED, ABOUT))
    ruled = {**DESCRIBED, "rules_changed": 1200, "rules_not_applied": {"credits": 15, "order": 0}}
    printed = sentences(text_blocks(ruled, ABOUT))
    assert "credits, order. They change 1,200 texts." in printed
    assert "Not applied for lack of boxes or confidences: credits in 15 records" in printed


def test_what_is_not_known_is_said():
    (only,) = text_blocks(None, ABOUT)
    assert "Build it again" in sentences([only])
    unguessed = {**DESCRIBED, "language_guesser": None, "languages": {"en": 2}}
    assert [block.caption for block in text_blocks(unguessed, ABOUT) if isinstance(block, Table)][-1].endswith(
        "none was detected"
    )
    assert len([block for block in text_blocks({**DESCRIBED, "languages": {}}, ABOUT) if isinstance(block, Table)]) == 2
