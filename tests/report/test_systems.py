"""The paper's tables with ours beside them, and the page over systems."""

import json
import pathlib

from posterfusion_jax.evaluation.aggregate import GENRE_METRICS, METRICS, RULES
from posterfusion_jax.genres import GENRES
from posterfusion_jax.report.page import Cards, Cell, Chart, Table, Text, table_to_markdown
from posterfusion_jax.report.paper_tables import (
    COLUMNS,
    OURS,
    genre_table,
    missing_of,
    overview,
    printed_of,
    subtitle_of,
    system_sections,
    table_of,
)

PAPER = json.loads((pathlib.Path(__file__).parents[2] / "data" / "paper_tables.json").read_text())
PRINTED = printed_of(PAPER)


def over_seeds(mean, half=0.01):
    return {"mean": mean, "low": mean - half, "high": mean + half, "std": half / 2, "values": [mean] * 3, "runs": 3}


def summary(model, level):
    """A summary all of whose figures are `level`."""
    metrics = {metric: over_seeds(level) for metric in METRICS}
    genres = {genre: {metric: over_seeds(level) for metric in GENRE_METRICS} for genre in GENRES}
    bins = {
        "edges": [0, 0.5, 1],
        "count": [30, 10],
        "mean_score": [0.2, 0.7],
        "positive_share": [0.1, None],
    }
    calibration = {"brier": over_seeds(0.1), "ece": over_seeds(0.05), "bins_first_seed": bins}
    return {
        "model": model,
        "split": "test",
        "seeds": [0, 1, 2],
        "best_epochs": [4, 5, 6],
        "monitor": "loss",
        "dataset": {"posters": {"test": 466}, "films": {"test": 178}, "leak_share": 0.0, "split": {"rule": "by film"}},
        "encoders": {"image": {"family": "clip", "source": "b16"}, "text": {"family": "bert", "source": "<i>minilm"}},
        **dict.fromkeys(RULES, metrics),
        "per_genre": dict.fromkeys(RULES, genres),
        "controls": {"text_empty": {rule: {metric: over_seeds(level / 2) for metric in METRICS} for rule in RULES}},
        "calibration": {"raw": calibration, "fitted": calibration},
    }


SUMMARIES = {"gmu": summary("gmu", 0.5), OURS: summary("fusion", 0.6)}
ROWS = {"gmu": "gmu", "centralnet": "centralnet", "ours": OURS}


def cell(table, row, column):
    line = next(line for line in table.rows if line[0] == row)
    return line[list(table.columns).index(column)]


def test_cells_hold_ours_and_the_papers_figure_with_the_difference():
    table = table_of("table_i", ROWS, SUMMARIES, PRINTED)
    assert cell(table, "gmu", "macro F1") == Cell("50.00 ± 1.00", "51.98, -1.98")
    assert cell(table, "ours", "macro F1") == Cell("60.00 ± 1.00", "68.23, -8.23", "best")
    assert cell(table, "gmu", "Hamming loss") == Cell("0.5000 ± 0.0100", "0.1455, +0.3545", "best")  # lower is better
    assert cell(table, "ours", "hit ratio").note == "87.55, -27.55"
    assert [row[0] for row in table.rows] == ["gmu", "ours"]
    assert missing_of(ROWS, SUMMARIES) == ["centralnet"]


def test_rows_that_the_paper_lacks_have_no_note():
    table = table_of("ours_too", {"linear_probe": "gmu"}, SUMMARIES, PRINTED)
    assert cell(table, "linear_probe", "macro F1") == Cell("50.00 ± 1.00")


def test_another_threshold_rule_gives_its_figures():
    tuned = {**SUMMARIES["gmu"], "metrics_tuned": {metric: over_seeds(0.7) for metric in METRICS}}
    table = table_of("table_i", {"gmu": "gmu"}, {"gmu": tuned}, PRINTED, rule="metrics_tuned")
    assert cell(table, "gmu", "macro F1").text == "70.00 ± 1.00"


def test_one_seed_has_no_interval():
    one = {metric: {"mean": 0.5, "values": [0.5]} for metric in METRICS}
    table = table_of("table_i", {"gmu": "gmu"}, {"gmu": {**SUMMARIES["gmu"], "metrics": one}}, PRINTED)
    assert cell(table, "gmu", "macro F1").text == "50.00"


def test_genre_table_is_the_papers_table_iv():
    table = genre_table(SUMMARIES[OURS], PRINTED)
    assert [row[0] for row in table.rows] == list(GENRES)
    romance = next(row for row in table.rows if row[0] == "romance")
    assert [c.note.split(",")[0] for c in romance[1:]] == [
        "84.91",
        "69.33",
        "63.76",
        "75.96",
        "93.86",
    ]


def test_printed_figures_have_every_column_but_some_hit_ratios():
    for rows in PRINTED.tables.values():
        for figures in rows.values():
            assert set(COLUMNS) - {"hit_ratio"} <= set(figures)
    with_hits = {row for rows in PRINTED.tables.values() for row, figures in rows.items() if "hit_ratio" in figures}
    assert {"ours", OURS, "clip_add", "blip_add", "gmu", "centralnet"} == with_hits


def test_page_has_all_that_the_summaries_say():
    found = {"a": 0.6, "b": 0.5, "difference": 0.1, "low": 0.05, "high": 0.15, "p_value": 0.002}
    metrics = dict.fromkeys(("f1_macro", "mean_average_precision"), found)
    metrics["hit_ratio"] = {**found, "difference": -0.1, "low": -0.2, "high": 0.01}
    by_split = {"by_film": SUMMARIES, "by_poster": {OURS: summary("fusion", 0.8)}}
    comparisons = {"ours against gmu": {"metrics": metrics}}
    sections = system_sections({"table_i": ROWS}, by_split, PRINTED, comparisons, rule="metrics")
    by_title = {section.title: section.blocks for section in sections}
    texts = " ".join(block.text for blocks in by_title.values() for block in blocks if isinstance(block, Text))
    assert "Not run: centralnet." in texts
    charts = {block.name for blocks in by_title.values() for block in blocks if isinstance(block, Chart)}
    assert charts == {"hit_ratio", "reliability_ours"}
    assert not [block for blocks in by_title.values() for block in blocks if isinstance(block, Cards)]
    (compared,) = [block for block in by_title["Paired comparisons"] if isinstance(block, Table)]
    assert compared.rows[0][1] == Cell("+10.0", "+5.0 to +15.0", "good")
    assert compared.rows[0][3] == Cell("-10.0", "-20.0 to +1.0")
    (controls,) = [block for block in by_title["Ablations of the input"] if isinstance(block, Table)]
    assert controls.rows[1] == [OURS, "60.00", Cell("30.00", "-30.00")]
    (leaks,) = [block for block in by_title["Film leakage"] if isinstance(block, Table)]
    assert leaks.rows == [[OURS, *[Cell("60.00 / 80.00", "+20.00")] * 3]]
    assert "178 films" in subtitle_of(SUMMARIES, "metrics")
    assert "&lt;i&gt;minilm" in table_to_markdown(by_title["Systems"][0])


def test_overview_has_each_system_once():
    tables = {"table_i": ROWS, "table_iii": {OURS: OURS, "ours_l1": "ours_l1"}, "ours_too": {"probe": "probe"}}
    by_split = {"by_film": {**SUMMARIES, "probe": summary("linear_probe", 0.4)}, "by_poster": {OURS: summary("fusion", 0.8)}}
    assert overview(tables, by_split, PRINTED).rows == [
        ["gmu", *["50.0 ± 1.0"] * 4, "", "52.0"],
        [OURS, *["60.0 ± 1.0"] * 4, "80.0 ± 1.0", "68.2"],
        ["probe", *["40.0 ± 1.0"] * 4, "", ""],
    ]
