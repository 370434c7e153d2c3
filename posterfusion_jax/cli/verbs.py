"""The verbs of the console command `posterfusion`, and their help."""

import difflib
import importlib
import textwrap
from collections.abc import Callable, Sequence
from typing import NamedTuple

import posterfusion_jax
from posterfusion_jax.cli.program import UNUSABLE, run_program
from posterfusion_jax.config.overrides import split_overrides
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.console import print_message

_WIDTH = 80
_HELP = ("--help", "-h", "-help", "--helpshort")


class Verb(NamedTuple):
    """One verb.

    Attributes:
      purpose: one line.
      flags: keys of `_FLAGS`; empty for a program of its own in `posterfusion_jax.cli`, which describes its flags itself.
      examples: arguments after the verb.
      mode: value of the flag --mode that the verb sets; None: every stage that is missing.
      files: how the files are called that the verb takes; "": it takes none.
    """

    purpose: str
    flags: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    mode: str | None = None
    files: str = ""


_FLAGS = {  # flag of posterfusion_jax.main -> how it is written, and its meaning
    "config": (
        "--config=NAME",
        "the run's config: a name such as paper or tables:gmu, or a file; default recommended with --table or --images",
    ),
    "table": ("--table=FILE", "labels of your own posters: CSV, TSV, JSON, JSON lines, Parquet"),
    "images": ("--images=FOLDER", "their pictures; without --table a folder whose kind is found out"),
    "config.": ("--config.X.Y=VALUE", "change a field of the config, such as --config.train.batch_size=64"),
    "workdir": ("--workdir=FOLDER", "folder of the run; default runs/<name of the table, the images or the config>"),
    "retry": ("--retry=STATUS,...", "read posters with these statuses again: error, blocked, recitation, max_tokens, empty"),
    "threshold": ("--threshold=RULE", "fixed (default), tuned or tuned_per_genre (both fitted on validation)"),
    "json": ("--json", "print one JSON object per poster instead of text"),
}
_RUN = ("config", "table", "images", "config.", "workdir")
VERBS = {
    "train": Verb(
        "run every stage that is missing, up to the report",
        _RUN,
        ("--config=quickstart", "--table=labels.csv --images=DIR", "--config=paper --config.data.posters_dir=DIR"),
    ),
    "predict": Verb(
        "print the genres of posters",
        ("workdir", "threshold", "json", "config", "config."),
        ("--workdir=runs/mine poster.jpg", "--workdir=runs/mine folder/ --json --threshold=tuned_per_genre"),
        mode="predict",
        files="POSTER_OR_FOLDER...",
    ),
    "ocr": Verb(
        "read the text on the posters",
        (*_RUN, "retry"),
        ("--config=paper --config.data.posters_dir=DIR", "--config=paper --config.data.posters_dir=DIR --retry=error"),
        mode="ocr",
    ),
    "build": Verb(
        "build the dataset from posters, titles and texts",
        _RUN,
        ("--table=labels.csv --images=DIR", "--config=paper --config.data.posters_dir=DIR"),
        mode="build",
    ),
    "features": Verb(
        "encode posters and texts with frozen encoders",
        _RUN,
        ("--config=paper --config.data.posters_dir=DIR",),
        mode="features",
    ),
    "evaluate": Verb(
        "write the metrics of a trained run",
        ("workdir", "config", "config."),
        ("--workdir=runs/mine",),
        mode="evaluate",
    ),
    "report": Verb(
        "write the report of a trained run: tables, charts",
        ("workdir", "config", "config."),
        ("--workdir=runs/mine",),
        mode="report",
    ),
    "compare": Verb("compare two systems on the same test posters"),
    "sweep": Verb("train a grid of configs over several seeds"),
    "folds": Verb("cross-validate a config: every poster tested once"),
    "reproduce": Verb("train the systems of the paper's tables"),
    "tables": Verb("print the paper's tables with measured metrics"),
}
_GROUPS = {
    "a run": ("train", "predict"),
    "one stage of a run": ("ocr", "build", "features", "evaluate", "report"),
    "several runs": ("compare", "sweep", "folds", "reproduce", "tables"),
}
_EXAMPLES = (
    "train --config=quickstart",
    "train --table=labels.csv --images=DIR",
    "predict --workdir=runs/paper poster.jpg",
)


def run_command(arguments: Sequence[str], start: Callable[[Sequence[str]], None]) -> int:
    """Run the command `posterfusion`.

    Args:
      arguments: without the program's name. Flags without a verb go to `start` as they are.
      start: runs `posterfusion_jax.main` with the flags of a verb, and exits.

    Returns:
      The exit status: 2 also without any argument, after the help.
    """
    first, rest = (arguments[0], list(arguments[1:])) if arguments else ("", [])
    if first in _HELP or (first == "help" and not rest):
        return run_program(lambda: _print(format_help()))
    if first == "--version":
        return run_program(lambda: _print(f"posterfusion {posterfusion_jax.__version__}"))
    if first == "help":
        first, rest = rest[0], ["--help"]
    if first in VERBS and not VERBS[first].flags:
        program = importlib.import_module(f"posterfusion_jax.cli.{first}")
        return program.main(rest, name=f"posterfusion {first}")
    if first in VERBS and _asks_for_help(rest):
        return run_program(lambda: _print(format_verb_help(first)))
    if not first.startswith("-"):
        problem = run_program(lambda: _check(first, rest))
        if problem:
            return problem
        mode = VERBS[first].mode
        start([*([f"--mode={mode}"] if mode else []), *rest])
    else:
        start(arguments)
    return 0


def format_help() -> str:
    """Return the help of the command: one screen, 80 columns."""
    lines = ["usage: posterfusion VERB [FLAGS]", "", "Film genres from posters: train, evaluate and use a model."]
    for group, verbs in _GROUPS.items():
        lines += ["", f"{group}:", *(f"  {verb:<11}{VERBS[verb].purpose}" for verb in verbs)]
    lines += ["", "examples:", *(f"  posterfusion {example}" for example in _EXAMPLES)]
    return "\n".join([*lines, "", "posterfusion VERB --help lists the flags of a verb."])


def format_verb_help(name: str) -> str:
    """Return the help of a verb with flags of `posterfusion_jax.main`: its flags and no others."""
    verb = VERBS[name]
    usage = " ".join(["usage: posterfusion", name, "[FLAGS]", verb.files]).rstrip()
    lines = [usage, "", f"{verb.purpose[0].upper()}{verb.purpose[1:]}.", "", "flags:"]
    for flag in verb.flags:
        written, meaning = _FLAGS[flag]
        first, *more = textwrap.wrap(meaning, _WIDTH - 24)
        lines += [f"  {written:<20}  {first}", *(" " * 24 + line for line in more)]
    lines += ["", "examples:"]
    for example in verb.examples:
        parts = textwrap.wrap(example, _WIDTH - 24 - len(name), break_on_hyphens=False, break_long_words=False)
        lines.append(f"  posterfusion {name} " + " \\\n      ".join(parts))
    if "config." in verb.flags:
        lines += ["", "Every field of a config, with its meaning: config/defaults.py of the package."]
    return "\n".join(lines)


def _print(text: str) -> int:
    print_message(text)
    return 0


def _asks_for_help(arguments: Sequence[str]) -> bool:
    flags = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return any(argument in _HELP for argument in flags)


def _check(name: str, arguments: Sequence[str]) -> int:
    """Check the verb and that its flags are flags of this verb; what no verb knows is left to the parser of flags.

    Returns:
      0, or the exit status where no verb was given.

    Raises:
      InputError: an unknown verb, or a flag of another verb.
    """
    if not name:
        print_message(format_help(), error=True)
        return UNUSABLE
    if name not in VERBS:
        near = difflib.get_close_matches(name, VERBS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(f"{name!r} is no verb of posterfusion.{hint} There are {', '.join(VERBS)}.")
    _, rest = split_overrides(arguments)
    for argument in rest[: rest.index("--")] if "--" in rest else rest:
        flag = argument.lstrip("-").partition("=")[0]
        flag = flag.removeprefix("no") if flag.removeprefix("no") in _FLAGS else flag
        if not argument.startswith("-") or flag in VERBS[name].flags:
            continue
        if flag == "mode":
            raise InputError("--mode is replaced by the verb: leave it out, or use python -m posterfusion_jax.main.")
        if flag in _FLAGS:
            others = [verb for verb in VERBS if flag in VERBS[verb].flags]
            raise InputError(f"--{flag} is no flag of posterfusion {name}, but of {', '.join(others)}.")
    return 0
