"""README.md: its tables are the numbers of data/results, its links lead somewhere, its commands are those that exist."""

import json
import pathlib
import re
import subprocess
import sys

import pytest
from fault_campaign import format_table

from posterfusion_jax.evaluation.compare_ocr import format_comparison

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
RESULTS = sorted((ROOT / "data" / "results").glob("*.json"))


def table_rows(results: dict) -> list[str]:
    """One row a system: mean and standard deviation over seeds, per cent."""
    rows = []
    for name, cell in results["cells"].items():
        figures = [cell["metrics"]["f1_macro"], cell["metrics_tuned_per_genre"]["f1_macro"]]
        figures += [cell["metrics"]["mean_average_precision"], cell["metrics"]["hit_ratio"]]
        cells = [f"{100 * f['mean']:.1f} ± {100 * f['std']:.1f}" for f in figures]
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return rows


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_tables_are_the_numbers_of_the_results_files(path):
    assert f"data/results/{path.name}" in README
    for row in table_rows(json.loads(path.read_text())):
        assert row in README, row


def test_tables_of_all_systems_are_what_the_command_prints():
    printed = subprocess.run(
        [sys.executable, "launch/tables.py", "--compact"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert printed.returncode == 0, printed.stderr
    for table in printed.stdout.strip().split("\n\n"):
        assert table in README


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_name_several_seeds(path):
    for cell in json.loads(path.read_text())["cells"].values():
        assert len(cell["seeds"]) >= 3


def test_no_results_file_names_a_folder_of_a_machine():
    for path in (ROOT / "data" / "results").rglob("*.json"):
        assert '"/' not in path.read_text(), path


def test_the_table_of_speed_is_what_the_command_prints():
    printed = subprocess.run([sys.executable, "-m", "benchmarks.all"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout.strip() in README


def test_benchmarks_page_names_every_record_and_shows_its_floor():
    page = (ROOT / "benchmarks" / "README.md").read_text()
    for path in (ROOT / "data" / "results" / "benchmarks").glob("*.json"):
        assert f"`{path.stem}`" in page, path
        record = json.loads(path.read_text())
        assert set(record) >= {"inputs", "ours", "rivals", "ratios", "same_result", "rounds", "hardware", "versions", "command"}
    printed = subprocess.run(
        [sys.executable, "-m", "benchmarks.all", "--figures"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout.strip() in page


def test_benchmarks_page_has_the_tables_of_sizes_and_of_bfloat16():
    page = (ROOT / "benchmarks" / "README.md").read_text()
    folder = ROOT / "data" / "results" / "benchmarks"
    for size in json.loads((folder / "dataset_scale.json").read_text())["figures"]["sizes"]:
        cells = [f"{size['posters']:,}", f"{size['build_s']:.1f}", f"{size['posters_per_s']:,}", str(size["peak_anonymous_mb"])]
        cells += [f"{size['built_again_s']:.1f}", str(size["read_peak_rss_mb"])]
        assert f"| {' | '.join(cells)} |" in page
    for run, metrics in json.loads((folder / "bfloat16.json").read_text())["same_result"]["metrics"].items():
        cells = [f"{metric['float32']:.2f} ({metric['difference']:+.2f})" for metric in metrics.values()]
        assert f"| {run.partition('/')[0]} | {' | '.join(cells)} |" in page


def test_the_page_on_reliability_shows_the_campaign_of_record_and_nothing_was_lost():
    record = json.loads((ROOT / "data" / "results" / "reliability" / "faults.json").read_text())
    assert format_table(record["faults"]) in (ROOT / "docs" / "reliability.md").read_text()
    assert set(record["faults"]) == {"kill -9", "SIGTERM", "full disk", "flipped bit"}
    assert sum(counts["tried"] for counts in record["faults"]["kill -9"].values()) >= 200
    assert all(counts["lost"] == 0 for stages in record["faults"].values() for counts in stages.values())


def test_the_table_of_ocr_engines_has_the_numbers_of_the_results_file():
    page = (ROOT / "docs" / "ocr.md").read_text()
    results = ROOT / "data" / "results" / "ocr"
    assert format_comparison(json.loads((results / "engines.json").read_text())) in page
    for path in results.glob("*.json"):
        assert f"results/ocr/{path.name}" in page
        comparison = json.loads(path.read_text())
        assert not any(one.get("errors", {}).get("worst") for one in comparison["sets"])  # no text of a poster
        assert not any(pair["only_a_posters"] + pair["only_b_posters"] for pair in comparison["pairs"])


def test_links_and_pictures_lead_to_files():
    folders = ("data", "launch", "benchmarks")
    for page in (ROOT / "README.md", ROOT / "docs" / "ocr.md", *(ROOT / folder / "README.md" for folder in folders)):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_files_of_the_map_exist():
    for name in re.findall(r"`((?:posterfusion_jax|configs|launch|tests|data)/[\w./]+)`", README):
        assert (ROOT / name).exists(), name


def test_no_placeholder_is_left():
    assert not re.findall(r"@[A-Z_]+@", README)
