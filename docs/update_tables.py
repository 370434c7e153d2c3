"""Writes the tables of the pages that come from results files and tests, between their markers.

    python docs/update_tables.py            updates the pages, prints which changed
    python docs/update_tables.py --check    changes nothing; exit status 1 if a page is not up to date

A table is marked in a page by `<!-- table: NAME -->` above and `<!-- end of table -->` below it.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "helpers")]
RESULTS = ROOT / "data" / "results"
PAGES = ("README.md", "docs/results.md", "docs/benchmarks.md", "docs/image-formats.md", "docs/reliability.md", "docs/ocr.md")
MARKED = re.compile(r"(<!-- table: ([\w-]+) -->\n\n?)(.*?)(\n\n?<!-- end of table -->)", re.DOTALL)
HEADLINE = {  # row of the README -> system of configs/tables.py
    "linear probe on both": "linear_probe",
    "picture alone": "image_clip",
    "addition": "clip_add",
    "GMU": "gmu",
    "the paper's fusion, here": "ours_l4",
}
SPEED = (  # rows of the README: title, record, baseline
    ("train the fusion, pooled features", "train_fusion", "PyTorch compiled"),
    ("JPEGs to CLIP B/32 features", "extract", "recipe, float32"),
    ("predict one poster, from process start", "predict_one", "PyTorch"),
    ("train on 197 image tokens", "train_tokens_197", "PyTorch eager"),
)


def headline_table() -> str:
    """Returns the README's table of six rows, per cent."""
    rows = ["| system | macro F1 at 0.5 | macro F1 tuned | mAP | hit ratio |", "|---|---:|---:|---:|---:|"]
    for title, system in HEADLINE.items():
        summary = _read(RESULTS / "tables" / "by_film" / f"{system}.json")
        figures = [summary["metrics"]["f1_macro"], summary["metrics_tuned_per_genre"]["f1_macro"]]
        figures += [summary["metrics"]["mean_average_precision"], summary["metrics"]["hit_ratio"]]
        rows.append(
            f"| {title} | " + " | ".join(f"{100 * f['mean']:.1f} ± {100 * (f['high'] - f['mean']):.1f}" for f in figures) + " |"
        )
    paper = _read(ROOT / "data" / "paper_tables.json")
    rows.append(
        f"| the paper, its own posters | {paper['table_i']['ours']['f1_macro']:.2f} | | | {paper['hit_ratio']['ours']:.2f} |"
    )
    return "\n".join(rows)


def quickstart_table() -> str:
    """Returns the table of the quickstart's systems: mean and standard deviation over seeds, per cent."""
    rows = ["| | macro F1 at 0.5 | macro F1 tuned | mAP | hit ratio |", "|---|---:|---:|---:|---:|"]
    for name, cell in _read(RESULTS / "quickstart.json")["cells"].items():
        figures = [cell["metrics"]["f1_macro"], cell["metrics_tuned_per_genre"]["f1_macro"]]
        figures += [cell["metrics"]["mean_average_precision"], cell["metrics"]["hit_ratio"]]
        rows.append(f"| {name} | " + " | ".join(f"{100 * f['mean']:.1f} ± {100 * f['std']:.1f}" for f in figures) + " |")
    return "\n".join(rows)


def speed_table() -> str:
    """Returns the README's four rows of speed."""
    rows = ["| task | ours | baseline | | speed-up |", "|---|---:|---|---:|---:|"]
    for title, name, baseline in SPEED:
        record = _read(RESULTS / "benchmarks" / f"{name}.json")
        ours, other = _rate(record["ours"]), _rate(record["rivals"][baseline])
        label = {"recipe, float32": "PyTorch recipe"}.get(baseline, baseline)
        rows.append(f"| {title} | {ours} | {label} | {other} | {record['ratios'][baseline]:.2f} |")
    return "\n".join(rows)


def benchmark_table() -> str:
    """Returns what `python -m benchmarks.all` prints."""
    from benchmarks.all import table

    return table()


def system_table() -> str:
    """Returns the first table of `launch/tables.py --compact`: all systems."""
    return _compact_tables()[0]


def comparison_table() -> str:
    """Returns the second table of `launch/tables.py --compact`: differences between two systems."""
    return _compact_tables()[1]


def fault_table() -> str:
    """Returns the table of the fault campaign of record."""
    from fault_campaign import format_table

    return format_table(_read(RESULTS / "reliability" / "faults.json")["faults"])


def engine_table() -> str:
    """Returns the comparison of OCR engines."""
    from posterfusion_jax.evaluation.compare_ocr import format_comparison

    return format_comparison(_read(RESULTS / "ocr" / "engines.json"))


def image_kinds_table() -> str:
    """Returns the outcome of each kind of image file, as the tests expect it."""
    from odd_image_kinds import format_kinds

    return format_kinds()


def entries_table() -> str:
    """Returns the outcome of links, pipes and the like, as the tests expect it."""
    from odd_files import format_entries

    return format_entries()


def names_table() -> str:
    """Returns the outcome of odd file names, as the tests expect it."""
    from odd_files import format_names

    return format_names()


TABLES: dict[str, Callable[[], str]] = {
    "headline": headline_table,
    "quickstart": quickstart_table,
    "speed": speed_table,
    "systems": system_table,
    "comparisons": comparison_table,
    "benchmarks": benchmark_table,
    "faults": fault_table,
    "engines": engine_table,
    "image-kinds": image_kinds_table,
    "entries": entries_table,
    "names": names_table,
}


def updated(text: str) -> str:
    """Returns a page with each marked table as it is made today.

    Raises:
      KeyError: a marker has a name that is not in `TABLES`.
    """
    return MARKED.sub(lambda match: f"{match[1]}{TABLES[match[2]]().strip()}{match[4]}", text)


def main() -> int:
    """Updates or checks the pages; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args().check
    stale = []
    for name in PAGES:
        path = ROOT / name
        before = path.read_text(encoding="utf-8")
        after = updated(before)
        if after != before:
            stale.append(name)
            if not check:
                path.write_text(after, encoding="utf-8")
    print(f"{'not up to date' if check else 'updated'}: {', '.join(stale)}" if stale else "all tables are up to date")
    return int(check and bool(stale))


def _compact_tables() -> list[str]:
    command = [sys.executable, "launch/tables.py", "--compact"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    return printed.stdout.strip().split("\n\n")


def _rate(figure: dict[str, Any]) -> str:
    value = figure.get("posters_per_s")
    if value is None:
        return f"{figure['median_s']:,.3g} s"
    return f"{value:,.0f} posters/s" if value >= 100 else f"{value:.1f} posters/s"


def _read(path: pathlib.Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
