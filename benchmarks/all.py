"""Print the table of all measured questions, from data/results/benchmarks; measure them again with `--run`.

    python -m benchmarks.all                       prints the table of the record
    python -m benchmarks.all --run                 measures all questions (about two hours on two cores), then prints it
    python -m benchmarks.all --run=train_fusion    only these, separated by commas
    python -m benchmarks.all --figures             what else was measured: floors, shares of them, memory

Some questions need a folder of posters (--posters) or another Python with torch (--torch-python); without them they are left
out, and named. Baselines that are not installed are left out, or their question is; each script names the command that installs
them.
"""

import argparse
import json
import subprocess
import sys
from typing import Any, NamedTuple

from benchmarks.record import FOLDER, ROOT
from posterfusion_jax.utils.user_path import path_argument


class Question(NamedTuple):
    """Hold a reader's question, the script that answers it, and its flags in the run of record."""

    title: str
    script: str
    flags: tuple[str, ...] = ()


QUESTIONS = {  # by the name of the record
    "train_fusion": Question("training the paper's fusion, pooled features", "train_fusion"),
    "train_tokens_50": Question("training it on 50 image and 77 text tokens from disk", "train_tokens"),
    "train_tokens_197": Question(
        "training it on 197 image and 77 text tokens from disk", "train_tokens", ("--image-tokens=197", "--posters=128")
    ),
    "ten_seeds_ours_l4": Question("ten seeds of the fusion", "ten_seeds"),
    "ten_seeds_clip_add": Question("ten seeds of addition", "ten_seeds", ("--system=clip_add",)),
    "ten_runs_clip_add": Question("ten seeds of addition, as whole programs", "ten_runs", ("--posters={posters}",)),
    "ten_runs_table_iii": Question(
        "ten seeds of all of Table III, as a whole program",
        "ten_runs",
        ("--posters={posters}", "--only=table_iii", "--together"),
    ),
    "extract": Question("JPEGs to stored features, CLIP B/32", "extract"),
    "extract_bfloat16": Question(
        "JPEGs to stored features, CLIP B/32 in bfloat16", "extract", ("--dtype=bfloat16", "--torch-python={torch_python}")
    ),
    "encoder": Question("CLIP B/32's image tower alone", "encoder"),
    "encoder_bfloat16": Question(
        "CLIP B/32's image tower alone, in bfloat16", "encoder", ("--dtype=bfloat16", "--torch-python={torch_python}")
    ),
    "dataset_build": Question("building a dataset", "dataset_build"),
    "dataset_read": Question("reading it at random, decoded", "dataset_read"),
    "predict_one": Question("one prediction, from the start of the process", "predict"),
    "predict_folder": Question("predictions of a folder, from the start of the process", "predict", ("--count=96",)),
    "ocr_throughput": Question("OCR of a folder, offline", "ocr_throughput", ("--count=80",)),
    "ocr_store": Question("100,000 OCR records: open, and 10,000 lookups", "ocr_store", ("--records=100000",)),
}


def main() -> None:
    """Measure if requested, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--run", nargs="?", const=",".join(QUESTIONS), metavar="NAMES", help="measure these first; default: all"
    )
    parser.add_argument(
        "--posters",
        type=path_argument("--posters"),
        metavar="DIR",
        help="a poster folder, for the questions about whole programs",
    )
    parser.add_argument("--torch-python", metavar="PYTHON", help="one that has torch, for the questions about bfloat16")
    parser.add_argument("--figures", action="store_true", help="print what else was measured, in place of the table")
    args = parser.parse_args()
    failed = []
    for name in args.run.split(",") if args.run else ():
        if name not in QUESTIONS:
            parser.error(f"--run={name}: there is no such question. There are: {', '.join(QUESTIONS)}.")
        print(f"-- {name}", flush=True)
        if not _measure(QUESTIONS[name], {"posters": args.posters, "torch_python": args.torch_python}):
            failed.append(name)
    print(figures() if args.figures else table())
    if failed:
        sys.exit(f"not measured, the table has their former figures: {', '.join(failed)}")


def _measure(question: Question, given: dict[str, str | None]) -> bool:
    """Run the script of a question; return whether it could run. `given` fills the flags."""
    lacking = [name for name, value in given.items() if not value and any(f"{{{name}}}" in flag for flag in question.flags)]
    if lacking:
        print(f"left out: it needs {', '.join('--' + name.replace('_', '-') for name in lacking)}", flush=True)
        return False
    flags = [flag.format(**given) for flag in question.flags]
    command = [sys.executable, "-m", f"benchmarks.{question.script}", *flags, "--write"]
    return subprocess.run(command, cwd=ROOT).returncode == 0


def table() -> str:
    """Return Markdown with one row per compared side, and the questions without a record."""
    rows = ["| question | ours | other | | times as fast | rounds | date |", "|---|---:|---|---:|---:|---:|---|"]
    missing = []
    for name, question in QUESTIONS.items():
        path = FOLDER / f"{name}.json"
        if not path.is_file():
            missing.append(f"`{name}`")
            continue
        record = json.loads(path.read_text())
        others = [(side, _shown(of), f"**{record['ratios'][side]:.2f}**") for side, of in record["rivals"].items()]
        for other in others or [("", "", "")]:
            cells = (f"{question.title} (`{name}`)", _shown(record["ours"]), *other, str(record["rounds"]), record["date"])
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([*rows, *(["", f"Not measured yet: {', '.join(missing)}."] if missing else [])])


def figures() -> str:
    """Return Markdown with each record's figures and how it was checked that all sides computed the same."""
    lines = []
    for name in QUESTIONS:
        path = FOLDER / f"{name}.json"
        if path.is_file():
            record = json.loads(path.read_text())
            lines.append(f"`{name}`: {record['hardware']}, `{record['command']}`")
            lines += [f"- {key}: {_plain(value)}" for key, value in record.get("figures", {}).items()]
            lines += [f"- same result: {key}: {_plain(value)}" for key, value in record["same_result"].items()] + [""]
    return "\n".join(lines).strip()


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(of)}" for key, of in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _shown(figure: dict[str, Any]) -> str:
    rates = [(value, key.removesuffix("_per_s")) for key, value in figure.items() if key.endswith("_per_s")]
    if rates:
        value, things = rates[0]
        return f"{value:,.0f} {things}/s" if value >= 100 else f"{value:.1f} {things}/s"
    return f"{figure['median_s']:,.3g} s"


if __name__ == "__main__":
    main()
