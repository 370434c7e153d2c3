"""Compare OCR engines on a folder of posters.

    python launch/ocr_quality.py --posters=DIR --records=DIR/ocr.jsonl
    python launch/ocr_quality.py --posters=DIR --records=a.jsonl:gemini \\
        --records=b.jsonl:rapidocr@3.10.0 --reference=true.jsonl
    python launch/ocr_quality.py --posters=DIR --sample=350 --engine=rapidocr \\
        --engine=rapidocr:min_side=480 --engine=tesseract:psm=11 \\
        --keep=runs/ocr_quality --out=comparison.json

Measured are the words of the titles that were found, error rates against a
reference, and seconds per poster. DIR holds title.basics.tsv.gz and images/
(data/README.md). --records names existing records,
[NAME=]FILE[:ENGINE[@VERSION]]; without an engine, each engine in the file is
compared. --engine reads the posters now, [NAME=]ENGINE[:OPTION=VALUE,...] with
the options of the engine's class, one thread each and interleaved, so that the
seconds can be compared; --keep is the folder of these records, and an
interrupted run resumes. Each set is compared with the first, those of --engine
before those of --records. --reference names the records that count as right,
best typed by a person; without it the error rates state how far a set is from
the first. Without the scripts of the repository: python -m
posterfusion_jax.cli.ocr_quality.
"""

import argparse
import ast
import hashlib
import json
import pathlib
import re
import sys
from collections.abc import Sequence

from posterfusion_jax.cli.program import make_command
from posterfusion_jax.datasets.imdb_posters.titles import find_titles, read_titles
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.compare_ocr import RecordSet, compare_ocr, format_comparison, format_pairs, read_record_sets
from posterfusion_jax.ocr.engines.base import REMOTE_ENGINES, make_engine
from posterfusion_jax.ocr.interleaved import read_interleaved, sample_posters
from posterfusion_jax.ocr.records.store import RecordWriter
from posterfusion_jax.posters.folder import PosterFile, find_posters
from posterfusion_jax.utils.console import print_message, sanitize
from posterfusion_jax.utils.user_path import path_argument

_ENGINE = re.compile(r"(?:(?P<name>[^=:]+)=)?(?P<what>(?P<engine>\w+)(?::(?P<options>\w+=[^,]+(?:,\w+=[^,]+)*))?)")


def _run(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    parser.add_argument("--posters", type=path_argument("--posters"), required=True, metavar="DIR")
    parser.add_argument("--records", action="append", default=[], metavar="[NAME=]FILE[:ENGINE[@VERSION]]")
    parser.add_argument("--engine", action="append", default=[], metavar="[NAME=]ENGINE[:OPTION=VALUE,...]")
    parser.add_argument("--keep", type=path_argument("--keep"), metavar="FOLDER", help="folder for the records of --engine")
    parser.add_argument("--reference", metavar="FILE[:ENGINE[@VERSION]]")
    parser.add_argument("--sample", type=int, metavar="FILMS", help="one poster each of this many films that all records have")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--examples", type=int, default=5, help="posters that are named in each list, with their texts")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument(
        "--out", type=path_argument("--out"), metavar="FILE.json", help="also write the figures (and examples) here"
    )
    args = parser.parse_args(arguments)
    if not args.records and not args.engine:
        parser.error("name at least one of --records and --engine")
    if args.engine and not args.keep:
        parser.error("--engine needs --keep=FOLDER for its records")
    _compare(args)
    return 0


def _compare(args: argparse.Namespace) -> None:
    sets = [records for spec in args.records for records in _read_sets(spec)]
    reference = None
    if args.reference:
        reference, *more = _read_sets(args.reference)
        if more:
            raise InputError(f"--reference={args.reference} has records of several engines. Add :ENGINE@VERSION.")
    posters = _posters_by_image(args.posters)
    titles, _ = read_titles(find_titles(args.posters), wanted={poster.film_id for poster in posters.values()})
    known = [*sets, *([reference] if reference else [])]
    usable = {sha256: poster for sha256, poster in posters.items() if all(sha256 in records.by_image for records in known)}
    if args.sample:
        sample = set(sample_posters(list(usable.values()), films=args.sample, seed=args.seed))
        posters = {sha256: poster for sha256, poster in usable.items() if poster in sample}
    if args.engine:
        sets = [*_read_now(args.engine, args.keep, list(posters.values())), *sets]
    comparison = compare_ocr(
        posters,
        {film: title.title for film, title in titles.items()},
        sets,
        reference=reference,
        examples=args.examples,
        resamples=args.resamples,
    )
    left_out = "".join(f"; {count:,} left out: {reason}" for reason, count in comparison["left_out"].items() if count)
    print_message(f"{comparison['posters']:,} posters of {comparison['films']:,} films{left_out}")
    print_message(f"error rates against {comparison['reference']}\n")
    print_message(f"{format_comparison(comparison)}\n\n{format_pairs(comparison)}")
    if args.out:
        sampled = {"films": args.sample, "seed": args.seed} if args.sample else None
        args.out.parent.mkdir(parents=True, exist_ok=True)
        # A lone surrogate in a text has no UTF-8 form; as a backslash escape it is valid JSON.
        found = json.dumps({**comparison, "sample": sampled}, indent=1, ensure_ascii=False) + "\n"
        args.out.write_bytes(found.encode(errors="backslashreplace"))


def _read_sets(spec: str) -> list[RecordSet]:
    sets, skipped = read_record_sets(spec)
    for line in skipped:
        print_message(f"left out: {sanitize(line.what)}: {sanitize(line.reason)}", error=True)
    return sets


def _posters_by_image(folder: pathlib.Path) -> dict[str, PosterFile]:
    """Return the first poster with each image, by the hash of its bytes."""
    found: dict[str, PosterFile] = {}
    for poster in find_posters(folder)[0]:
        found.setdefault(hashlib.sha256(poster.path.read_bytes()).hexdigest(), poster)
    return found


def _read_now(specs: list[str], folder: pathlib.Path, posters: list[PosterFile]) -> list[RecordSet]:
    engines, stores = {}, {}
    for spec in specs:
        parsed = _ENGINE.fullmatch(spec)
        if parsed is None:
            raise InputError(f"--engine={spec!r} is not [NAME=]ENGINE[:OPTION=VALUE,...], as in rapidocr:min_side=480.")
        if parsed["engine"] in REMOTE_ENGINES:
            raise InputError(
                f"--engine={spec!r} calls a service. Read the posters with --mode=ocr, then name the file with --records."
            )
        options = dict(item.split("=") for item in (parsed["options"] or "").split(",") if item)
        name = parsed["name"] or spec
        try:
            engines[name] = make_engine(parsed["engine"], threads=1, **{key: _value(text) for key, text in options.items()})
        except TypeError as error:
            raise InputError(f"--engine={spec!r}: {error}.") from error
        stores[name] = RecordWriter(folder / (re.sub(r"[^\w.+-]+", "_", parsed["what"]) + ".jsonl"))
    read_interleaved(posters, engines, stores)
    sets = []
    for name, store in stores.items():
        store.close()
        read, _ = read_record_sets(f"{store.path}:{engines[name].name}@{engines[name].version}")
        sets += [records._replace(name=name) for records in read]
    return sets


def _value(text: str) -> int | float | bool | str:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


main = make_command(_run, __doc__)

if __name__ == "__main__":
    sys.exit(main())
