"""Show a file of OCR records, or remove the records that no longer count.

    python launch/ocr_records.py show my_posters/ocr.jsonl
    python launch/ocr_records.py compact my_posters/ocr.jsonl

show counts the records by engine, engine version and status, and the
superseded ones, and lists the lines that are not records. compact keeps, for
each image, engine and engine version, the newest usable record, else the
newest failure, and moves lines that are not records to FILE.rejected; lookups
give the same answers afterwards. An array or a file in UTF-16 becomes a file
of JSON lines. It refuses while a run writes to FILE. Without the scripts of
the repository: python -m posterfusion_jax.cli.ocr_records.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from posterfusion_jax.cli.program import make_command
from posterfusion_jax.ocr.records.compaction import REJECTED_SUFFIX, compact, describe
from posterfusion_jax.utils.console import print_message, sanitize
from posterfusion_jax.utils.user_path import path_argument

_SHOWN_LINES = 10


def _run(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    parser.add_argument("command", choices=("show", "compact"))
    parser.add_argument(
        "file", type=path_argument("FILE"), metavar="FILE", help="JSON lines, such as the ocr.jsonl of a folder of posters"
    )
    args = parser.parse_args(arguments)
    print_message(_show(args.file) if args.command == "show" else _compact(args.file))
    return 0


def _show(file: pathlib.Path) -> str:
    contents = describe(file)
    rows = [("engine", "version", "status", "records")]
    rows += [(*map(sanitize, kind), f"{count:,}") for kind, count in contents.counts.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([*map(str.ljust, row[:-1], widths), row[-1].rjust(widths[-1])]) for row in rows]
    total = sum(contents.counts.values())
    lines += ["", f"{total:,} records of {contents.images:,} images, {contents.superseded:,} of them superseded"]
    lines.append(f"{len(contents.skipped):,} lines that are not records")
    lines += [f"  {sanitize(line.what)}: {sanitize(line.reason)}" for line in contents.skipped[:_SHOWN_LINES]]
    if len(contents.skipped) > _SHOWN_LINES:
        lines.append(f"  and {len(contents.skipped) - _SHOWN_LINES:,} more")
    return "\n".join(lines)


def _compact(file: pathlib.Path) -> str:
    done = compact(file)
    if not (done.superseded or done.rejected or done.form):
        return f"nothing to do: all {done.kept:,} records count"
    text = f"written as JSON lines ({done.form}); " if done.form else ""
    text += f"{done.kept:,} records kept, {done.superseded:,} superseded ones removed; "
    text += f"{done.bytes_before / 1e6:,.1f} MB before, {done.bytes_after / 1e6:,.1f} MB now"
    if done.rejected:
        text += f"\n{done.rejected:,} lines that are not records moved to {file}{REJECTED_SUFFIX}"
    return text


main = make_command(_run, __doc__)

if __name__ == "__main__":
    sys.exit(main())
