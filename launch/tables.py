"""Prints the paper's Tables I to IV with our figures beside the paper's, from the summaries of launch/reproduce.py.

python launch/tables.py --results=data/results/tables
python launch/tables.py --results=data/results/tables --rule=metrics_tuned_per_genre --only=table_iii
"""

import argparse
import json
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parent.parent))  # for `configs`, from whatever folder this is started

from configs.tables import TABLES
from posterfusion_jax.paper_tables import TITLES, format_genres, format_table
from posterfusion_jax.summary import RULES

ROOT = pathlib.Path(__file__).parent.parent


def main() -> int:
    """Prints the tables; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=pathlib.Path, required=True, help="folder of summaries, <system>.json")
    parser.add_argument("--rule", choices=RULES, default="metrics", help="threshold: 0.5, tuned, or tuned per genre")
    parser.add_argument("--only", choices=[*TABLES, "table_iv"], help="one table")
    args = parser.parse_args()
    summaries = {path.stem: json.loads(path.read_text()) for path in sorted(args.results.glob("*.json"))}
    if not summaries:
        print(f"error: --results={args.results} holds no summaries. Run launch/reproduce.py with --out first.", file=sys.stderr)
        return 2
    printed = json.loads((ROOT / "data" / "paper_tables.json").read_text())
    hits = printed["hit_ratio"]
    for name, rows in TABLES.items():
        if args.only in (None, name):
            figures = {row: {**values, **_hit(row, hits)} for row, values in printed.get(name, {}).items()}
            print(format_table(TITLES[name], rows, summaries, figures, rule=args.rule), end="\n\n")
    if args.only in (None, "table_iv") and "ours_l4" in summaries:
        print(format_genres(summaries["ours_l4"], printed["table_iv"], rule=args.rule))
    return 0


def _hit(row: str, hits: dict[str, float]) -> dict[str, float]:
    """The paper's hit ratio of a row, where its text or Fig. 4 gives one."""
    name = "ours" if row == "ours_l4" else row
    return {"hit_ratio": hits[name]} if name in hits else {}


if __name__ == "__main__":
    sys.exit(main())
