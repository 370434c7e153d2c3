"""A whole run: numbered stages with their times, three lines where everything is finished, and messages that are never lost."""

import shutil

import pytest

from posterfusion_jax.cli import stages
from posterfusion_jax.cli.stages import STAGES, format_duration, run_stages
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.results import read_results
from posterfusion_jax.report.run_report import format_summary
from posterfusion_jax.utils.console import print_message


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (3.14, "3.1 s"), (99.9, "99.9 s"), (99.96, "1 min 40 s"), (725, "12 min 5 s"), (3599.6, "1 h 0 min")],
)
def test_durations(seconds, text):
    assert format_duration(seconds) == text


@pytest.fixture(scope="module")
def finished(tmp_path_factory, posters_dir, clip_folder, tiny_run):
    run = tiny_run(tmp_path_factory.mktemp("run"), posters_dir, clip_folder, train__max_epochs=1, ocr__engine="none")
    run_stages(run, None)
    return run


def titles(out):
    return [line for line in out.splitlines() if line.startswith("[")]


def test_a_finished_run_prints_three_lines(finished, capsys):
    before = {path: path.stat().st_mtime_ns for path in finished.paths.workdir.rglob("*") if path.is_file()}
    run_stages(finished, None)
    assert capsys.readouterr().out.splitlines() == [
        "everything up to date",
        f"run directory: {finished.paths.workdir}",
        f"report:        {finished.paths.report / 'report.html'}",
    ]
    assert {path: path.stat().st_mtime_ns for path in before} == before


def lose_one_result(run):
    (run.paths.results / "validation.json").unlink()


def lose_report(run):
    (run.paths.report / "model_card.md").unlink()


def lose_features(run):
    shutil.rmtree(run.paths.features)


@pytest.mark.parametrize("lose", [lose_one_result, lose_report, lose_features])
def test_what_is_missing_is_made_again_with_all_messages(finished, lose, capsys):
    lose(finished)
    run_stages(finished, None)
    out = capsys.readouterr().out
    assert "everything up to date" not in out
    assert [line.split()[:2] for line in titles(out)] == [
        [f"[{number}/6]", mode] for number, mode in enumerate(STAGES, start=1) for _ in range(2)
    ]
    assert all(line.endswith(" s") for line in titles(out)[1::2])
    assert "training: up to date" in out
    assert "run directory:" in out
    run_stages(finished, None)
    assert capsys.readouterr().out.startswith("everything up to date\n")


def test_one_stage_has_no_number(finished, capsys):
    run_stages(finished, "evaluate")
    out = capsys.readouterr().out
    assert out.count("is up to date") == 2
    assert titles(out) == []


def test_messages_before_an_error_are_not_lost(finished, capsys, monkeypatch):
    def fail(run):
        print_message("half of it")
        raise InputError("broken")

    load = stages._load_stage
    monkeypatch.setattr(stages, "_load_stage", lambda mode: fail if mode == "features" else load(mode))
    with pytest.raises(InputError, match="broken"):
        run_stages(finished, None)
    out = capsys.readouterr().out
    assert out.endswith("[3/6] features ...\nhalf of it\n")
    assert titles(out)[0] == "[1/6] ocr ..."


def test_the_row_to_report_is_marked(finished):
    results = {split: read_results(finished.paths.results, split) for split in ("validation", "test")}
    text = format_summary(results, best_achievable=None)
    marked = [line for line in text.splitlines() if " * " in line]
    assert len(marked) == 1
    assert marked[0].startswith("test       per genre * ")
    assert "* the row to report: test posters, one threshold per genre tuned on validation" in text
    assert max(map(len, text.splitlines())) <= 80
    only = format_summary({"validation": results["validation"]}, best_achievable=None)
    assert "\nvalidation per genre * " in only


def test_numbers_of_any_size_fit_the_table(finished):
    result = read_results(finished.paths.results, "test")
    for rule in ("metrics", "metrics_tuned", "metrics_tuned_per_genre"):
        result[rule] |= {
            "f1_macro": 1.0,
            "f1_macro_present": 1.0,
            "f1_micro": 1.0,
            "hit_ratio": 1.0,
            "mean_average_precision": 1.0,
        }
        result["intervals"][rule] |= {"f1_macro": [1.0, 1.0], "f1_macro_present": [1.0, 1.0], "hit_ratio": [0.999, 1.0]}
    text = format_summary({"validation": result, "test": result}, best_achievable=None)
    assert max(map(len, text.splitlines())) <= 80
    assert " 100.00 [100-100]   100.00 " in text
