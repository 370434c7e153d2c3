"""Print the paper's Tables I to IV with measured metrics next to the paper's.

    posterfusion tables --results=data/results/tables --only=table_iii
    posterfusion tables --rule=metrics_tuned_per_genre
    posterfusion tables --compact
    posterfusion tables --page=runs/page --run=runs/mine

--results is a folder with by_film/ and, if available, by_poster/ (one summary
per system, from `posterfusion reproduce --out`), and comparisons/ (from
`posterfusion compare --out`). The tables are printed in Markdown; --compact
prints the two of the results page. --page writes them with charts as one
self-contained HTML page, in Markdown, and as PNG and SVG; --run adds the
report of one run. Results of other genres than the paper's are refused.
"""

import argparse
import importlib.resources
import json
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from posterfusion_jax.cli.program import make_command
from posterfusion_jax.configs.tables import COMPARISONS, TABLES
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.aggregate import check_paper_summaries
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
from posterfusion_jax.utils.console import print_message
from posterfusion_jax.utils.user_path import path_argument

_PAPER_TABLES = importlib.resources.files("posterfusion_jax.report") / "paper_tables.json"
_RESULTS = pathlib.Path("data", "results", "tables")
SPLITS = ("by_film", "by_poster")


def _run(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    listed = [*TABLES, "table_iv"]
    parser.add_argument(
        "--results", type=path_argument("--results"), default=_default_results(), help=f"folder, see above; default {_RESULTS}"
    )
    parser.add_argument(
        "--rule", choices=THRESHOLDS, default="metrics", metavar="RULE", help=f"thresholds: {', '.join(THRESHOLDS)}"
    )
    parser.add_argument("--only", choices=listed, metavar="TABLE", help=f"print one table: {', '.join(listed)}")
    parser.add_argument("--compact", action="store_true", help="all systems and comparisons in two narrow tables")
    parser.add_argument("--page", type=path_argument("--page"), help="folder to write the page into")
    parser.add_argument(
        "--run", type=path_argument("--run"), metavar="RUN", help="only with --page: a workdir whose report is added"
    )
    args = parser.parse_args(arguments)
    by_split = {split: found for split in SPLITS if (found := _read(args.results / split))}
    for split, summaries in by_split.items():
        check_paper_summaries(summaries, place=args.results / split)
    if not by_split:
        raise InputError(
            f"--results={args.results} has no by_film/*.json. Run launch/reproduce.py or posterfusion reproduce with "
            f"--out={args.results}/by_film first."
        )
    _show(args, by_split, printed_of(json.loads(_PAPER_TABLES.read_text(encoding="utf-8"))))
    return 0


def _default_results() -> pathlib.Path:
    """Return the results of the checkout that holds this package, otherwise those below the current folder."""
    checkout = pathlib.Path(__file__).parents[2] / _RESULTS
    return checkout if checkout.is_dir() else _RESULTS


def _show(args: argparse.Namespace, by_split: Mapping[str, dict[str, Any]], printed: Printed) -> None:
    summaries = next(iter(by_split.values()))
    found = _read(args.results / "comparisons")
    comparisons = {name: found[name] for name in COMPARISONS if name in found}
    if args.compact:
        print_message(table_to_markdown(overview(TABLES, by_split, printed)))
        if comparisons:
            print_message("\n" + table_to_markdown(comparison_table(comparisons)))
    elif args.page:
        sections = system_sections(TABLES, by_split, printed, comparisons, rule=args.rule)
        sections += _run_sections(args.run) if args.run else []
        title = "Genres from posters: the paper's tables, measured"
        print_message(write_page(args.page, "tables", title, subtitle_of(summaries, args.rule), sections))
    else:
        print_tables(summaries, printed, rule=args.rule, only=args.only)


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
    from posterfusion_jax.pipeline.report import report_sections  # brings jax, which the tables alone do not need
    from posterfusion_jax.pipeline.workdir import saved_run

    _, _, sections = report_sections(saved_run(workdir))
    return [Section(f"{workdir.name}: {section.title}", section.blocks) for section in sections]


def _read(folder: pathlib.Path) -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


main = make_command(_run, __doc__)

if __name__ == "__main__":
    sys.exit(main())
