"""Show the contents of a file of OCR records, or remove the records that no longer count.

    python launch/ocr_records.py show my_posters/ocr.jsonl
    python launch/ocr_records.py compact my_posters/ocr.jsonl

show counts the records by engine, engine version and status, counts the superseded ones, and lists the lines that are not
records. compact keeps, for each image, engine and engine version, the newest usable record, else the newest failure, and moves
lines that are not records to FILE.rejected; lookups give the same results afterwards. An array or a file in UTF-16 becomes one
of JSON lines. It refuses while a run writes to FILE.
Exit status 2 and a message if the file cannot be used.
"""

import argparse
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parent.parent))  # so that the package is found from any current folder

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.records.compaction import REJECTED_SUFFIX, compact, describe
from posterfusion_jax.utils.console import print_message, sanitize, sanitize_logging
from posterfusion_jax.utils.user_path import path_argument

_SHOWN_LINES = 10


def main() -> int:
    """Run one command; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("show", "compact"))
    parser.add_argument(
        "file", type=path_argument("FILE"), metavar="FILE", help="JSON lines, such as the ocr.jsonl of a folder of posters"
    )
    args = parser.parse_args()
    sanitize_logging()
    try:
        print_message(_show(args.file) if args.command == "show" else _compact(args.file))
    except InputError as error:
        print_message(f"error: {error}", error=True)
        return 2
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


if __name__ == "__main__":
    sys.exit(main())
