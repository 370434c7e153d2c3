"""README.md is short, its map is true, its snippet prints what it shows; published tables are the numbers of data/results."""

import json
import pathlib
import re
import subprocess
import sys

import pytest
from fault_campaign import format_table

import posterfusion_jax
from posterfusion_jax.evaluation.compare_ocr import format_comparison

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
TABLES_PAGE = (ROOT / "docs" / "results.md").read_text()
SPEED_PAGE = (ROOT / "docs" / "benchmarks.md").read_text()
INSTALL = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[ocr]' -c constraints.txt"
QUICKSTART = ".venv/bin/python -m posterfusion_jax.main --config=configs/quickstart.py"
RESULTS = sorted((ROOT / "data" / "results").glob("*.json"))


def table_rows(results: dict) -> list[str]:
    """One row per system: mean and standard deviation over seeds, per cent."""
    rows = []
    for name, cell in results["cells"].items():
        figures = [cell["metrics"]["f1_macro"], cell["metrics_tuned_per_genre"]["f1_macro"]]
        figures += [cell["metrics"]["mean_average_precision"], cell["metrics"]["hit_ratio"]]
        cells = [f"{100 * f['mean']:.1f} ± {100 * f['std']:.1f}" for f in figures]
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return rows


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_tables_are_the_numbers_of_the_results_files(path):
    assert f"data/results/{path.name}" in TABLES_PAGE
    for row in table_rows(json.loads(path.read_text())):
        assert row in TABLES_PAGE, row


def test_tables_of_all_systems_are_what_the_command_prints():
    printed = subprocess.run(
        [sys.executable, "launch/tables.py", "--compact"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert printed.returncode == 0, printed.stderr
    for table in printed.stdout.strip().split("\n\n"):
        assert table in TABLES_PAGE


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
    assert printed.stdout.strip() in SPEED_PAGE


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


def test_it_is_short():
    assert len(README.splitlines()) <= 150
    without_code = re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
    for block in re.split(r"\n\s*\n|\n(?=- )", without_code):
        if not block.lstrip().startswith(("|", "<!--")):
            words = re.sub(r"\]\([^)]*\)", "]", block).split()
            assert len(words) <= 60, " ".join(words)


def test_install_and_run_come_first():
    first = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)[0]
    assert first.splitlines() == [INSTALL, QUICKSTART]
    assert README.index(INSTALL) < README.index("## ")


def test_the_map_names_only_what_exists():
    blocks = re.findall(r"^## Map\n.*?^```\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    names = [line.split("  ")[0] for line in blocks[0].splitlines()]
    assert len(names) <= 14
    for line in names:
        first, *others = line.split(", ")
        folder = first.partition("/")[0] if first.startswith("posterfusion_jax/") else ""
        for name in [first, *(f"{folder}/{other}" if folder else other for other in others)]:
            assert (ROOT / name).is_dir(), name


def test_files_that_it_names_exist():
    for name in re.findall(r"`((?:posterfusion_jax|configs|launch|tests|data|docs)/[\w./]+)`", README):
        assert (ROOT / name).exists(), name


def test_its_configs_exist():
    for name in re.findall(r"--config=([\w:]+)", README):
        assert (ROOT / "configs" / f"{name.partition(':')[0]}.py").is_file() or name == "configs", name


@pytest.mark.skipif(not hasattr(posterfusion_jax, "GENRES"), reason="the lazy public API does not exist in this version")
def test_the_snippet_prints_what_it_shows():
    code = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)[0]
    shown = re.findall(r"^print\(.*\)  # (.*)$", code, re.MULTILINE)
    assert len(shown) == 2
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert printed.returncode == 0, printed.stderr
    assert [line.rstrip() for line in printed.stdout.splitlines()] == [line.rstrip() for line in shown]


def test_the_snippet_is_right_about_the_functions_behind_it():
    """The same with the modules that define them, whether or not the package exports them."""
    code = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)[0]
    imports = (
        "import types\nfrom posterfusion_jax.genres import GENRES\n"
        "from posterfusion_jax.losses import asymmetric\nfrom posterfusion_jax.metrics import multilabel\n"
        "pf = types.SimpleNamespace(GENRES=GENRES, losses=asymmetric, metrics=multilabel)\n"
    )
    code = re.sub(r"^import posterfusion_jax as pf.*\n", imports, code, flags=re.MULTILINE)
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout.splitlines() == re.findall(r"^print\(.*\)  # (.*)$", code, re.MULTILINE)


def test_the_second_snippet_names_what_exists():
    if not hasattr(posterfusion_jax, "GENRES"):
        pytest.skip("the lazy public API does not exist in this version")
    code = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)[1]
    for name in re.findall(r"\bpf\.(\w+)", code):
        assert hasattr(posterfusion_jax, name)


def test_it_warns_of_quickstart_models_and_names_the_systems_it_runs_on():
    assert "A quickstart model is useless on real posters" in README
    assert "Linux or macOS" in README


def test_no_placeholder_is_left():
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        assert not re.findall(r"@[A-Z_]+@|^TABLE$|TODO|FIXME", path.read_text(), re.MULTILINE), path
