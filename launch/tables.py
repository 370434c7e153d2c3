"""Print the paper's Tables I to IV with our figures next to the paper's, from the summaries of launch/reproduce.py.

    python launch/tables.py --results=data/results/tables
    python launch/tables.py --results=data/results/tables --rule=metrics_tuned_per_genre --only=table_iii
    python launch/tables.py --results=data/results/tables --compact
    python launch/tables.py --results=data/results/tables --page=runs/page [--run=runs/mine]

--results is a folder with by_film/ and optionally by_poster/ (one summary per system, from reproduce.py --out), and
comparisons/ (from compare.py --out). The tables are printed in Markdown; --compact prints the two of the README. --page writes
them with charts as one self-contained HTML page, in Markdown, and as PNG and SVG; --run adds the report of one run.
"""

import argparse
import json
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

sys.path.append(str(pathlib.Path(__file__).parent.parent))  # so that the package is found from any current folder

from posterfusion_jax.configs.tables import COMPARISONS, TABLES
from posterfusion_jax.errors import InputError
from posterfusion_jax.report.page import Section, table_to_markdown, write_page
from posterfusion_jax.report.paper_tables import (
    OURS,
    THRESHOLDS,
    TITLES,
    Printed,
    comparison_table,
    genre_table,
    missing_of,
    overview,
    printed_of,
    subtitle_of,
    system_sections,
    table_of,
)
from posterfusion_jax.utils.console import print_message, sanitize_logging
from posterfusion_jax.utils.user_path import path_argument

ROOT = pathlib.Path(__file__).parent.parent
SPLITS = ("by_film", "by_poster")


def main() -> int:
    """Print the tables or write the page; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--results", type=path_argument("--results"), default=ROOT / "data" / "results" / "tables", help="folder, see above"
    )
    parser.add_argument("--rule", choices=THRESHOLDS, default="metrics", help="threshold: 0.5, tuned, or tuned per genre")
    parser.add_argument("--only", choices=[*TABLES, "table_iv"], help="print one table")
    parser.add_argument("--compact", action="store_true", help="all systems and comparisons in two narrow tables")
    parser.add_argument("--page", type=path_argument("--page"), help="folder to write the page into")
    parser.add_argument(
        "--run", type=path_argument("--run"), metavar="WORKDIR", help="only with --page: also the report of this run"
    )
    args = parser.parse_args()
    sanitize_logging()
    by_split = {split: found for split in SPLITS if (found := _read(args.results / split))}
    if not by_split:
        fix = f"Run launch/reproduce.py with --out={args.results}/by_film first."
        print_message(f"error: --results={args.results} has no by_film/*.json. {fix}", error=True)
        return 2
    summaries = next(iter(by_split.values()))
    printed = printed_of(json.loads((ROOT / "data" / "paper_tables.json").read_text()))
    found = _read(args.results / "comparisons")
    comparisons = {name: found[name] for name in COMPARISONS if name in found}
    if args.compact:
        print_message(table_to_markdown(overview(TABLES, by_split, printed)))
        if comparisons:
            print_message("\n" + table_to_markdown(comparison_table(comparisons)))
        return 0
    if args.page:
        sections = system_sections(TABLES, by_split, printed, comparisons, rule=args.rule)
        try:
            sections += _run_sections(args.run) if args.run else []
        except InputError as error:
            print_message(f"error: {error}", error=True)
            return 2
        title = "Genres from posters: the paper's tables, measured"
        print_message(write_page(args.page, "tables", title, subtitle_of(summaries, args.rule), sections))
        return 0
    print_tables(summaries, printed, rule=args.rule, only=args.only)
    return 0


def print_tables(summaries: Mapping[str, Any], printed: Printed, *, rule: str, only: str | None) -> None:
    """Print Tables I to IV in Markdown, or only one of them."""
    for name, rows in TABLES.items():
        if only in (None, name):
            print_message(f"### {TITLES[name]}\n\n{table_to_markdown(table_of(name, rows, summaries, printed, rule=rule))}\n")
            missing = missing_of(rows, summaries)
            if missing:
                print_message(f"Not run: {', '.join(missing)}.\n")
    if only in (None, "table_iv") and OURS in summaries:
        print_message(f"### Table IV: the genres\n\n{table_to_markdown(genre_table(summaries[OURS], printed, rule=rule))}")


def _run_sections(workdir: pathlib.Path) -> list[Section]:
    from posterfusion_jax.pipeline.report import report_sections  # imports jax, which the tables alone do not need
    from posterfusion_jax.pipeline.workdir import saved_run

    _, _, sections = report_sections(saved_run(workdir))
    return [Section(f"{workdir.name}: {section.title}", section.blocks) for section in sections]


def _read(folder: pathlib.Path) -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


if __name__ == "__main__":
    sys.exit(main())
