"""How long does the offline OCR of a folder take, against calling the RapidOCR library in a plain loop?

    python -m benchmarks.ocr_throughput [--posters=DIR] [--count=120] [--rounds=5] [--write]

Ours is `ocr.run.read_posters` with its defaults: one process per core, our choice of RapidOCR's parameters, records on disk.
"rapidocr in a loop" is what the library's own documentation shows, `RapidOCR()` and then the engine called with each path: one
process, its defaults, all cores inside each model. "our parameters in a loop" is the same with the parameters of our engine,
which separates the gain of the processes from that of the parameters. Each side loads its models again, as a program
does at its start. The posters are drawn ones, or the first of those in DIR, which must also hold title.basics.tsv.gz.

"Same result": for each side the share of the films' titles' words that it found, and of each loop the share of posters with
the very text that we have and the share of our words among its own and of its words among ours. Texts differ where our
parameters do: no line is turned by 180 degrees, and each is read at its own width.
"""

import argparse
import pathlib
import tempfile
import time
from collections.abc import Callable

from benchmarks.record import write_record
from posterfusion_jax.datasets.imdb_posters.titles import find_titles, read_titles
from posterfusion_jax.datasets.synthetic import generator
from posterfusion_jax.ocr.engines.base import EngineChoice, make_engine
from posterfusion_jax.ocr.quality import compare_texts, find_title
from posterfusion_jax.ocr.records.store import RecordWriter
from posterfusion_jax.ocr.run import read_posters
from posterfusion_jax.ocr.worker_pool import available_cores
from posterfusion_jax.posters.decode import read_poster
from posterfusion_jax.posters.folder import PosterFile, find_posters
from posterfusion_jax.utils.telemetry import disable_telemetry
from posterfusion_jax.utils.user_path import path_argument

OURS = "ours"
Texts = dict[str, str]  # by poster_id


def main() -> None:
    """Time the three sides alternately."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posters", type=path_argument("--posters"), metavar="DIR", help="in place of drawn ones")
    parser.add_argument("--count", type=int, default=120, help="posters")
    parser.add_argument("--width", type=int, default=400, help="of drawn posters, pixels")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write data/results/benchmarks/ocr_throughput.json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.posters or pathlib.Path(scratch) / "drawn"
        if not args.posters:
            generator.draw_folder(folder, films=args.count, width=args.width)
        posters = find_posters(folder)[0][: args.count]
        width = read_poster(posters[0].path).width
        titles, _ = read_titles(find_titles(folder), wanted={poster.film_id for poster in posters})

        sides: dict[str, Callable[[list[PosterFile]], Texts]] = {
            OURS: _ours,
            "rapidocr in a loop": _rapidocr_in_a_loop,
            "our parameters in a loop": _our_parameters_in_a_loop,
        }
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        texts: dict[str, Texts] = {}
        for round_ in range(args.rounds):
            order = list(sides)[:: -1 if round_ % 2 else 1]
            for side in order:
                started = time.monotonic()
                texts[side] = sides[side](posters)
                seconds[side].append(time.monotonic() - started)
                print(f"round {round_ + 1}: {side}: {seconds[side][-1]:.1f} s", flush=True)

    found = {
        side: [find_title(of_side[p.poster_id], titles[p.film_id].title) for p in posters] for side, of_side in texts.items()
    }
    same: dict[str, object] = {
        f"title words found, {side}": round(sum(of.found for of in of_side) / sum(of.words for of in of_side), 4)
        for side, of_side in found.items()
    }
    for side in sides:
        if side == OURS:
            continue
        compared = [compare_texts(texts[OURS][name], text) for name, text in texts[side].items()]
        shared = sum(of.shared for of in compared)
        same |= {
            f"equal texts, {side}": round(
                sum(texts[OURS][name] == text for name, text in texts[side].items()) / len(posters), 4
            ),
            f"its words that we have, {side}": round(shared / max(1, sum(of.words for of in compared)), 4),
            f"our words that it has, {side}": round(shared / max(1, sum(of.text_words for of in compared)), 4),
        }
    write_record(
        "ocr_throughput",
        inputs={
            "posters": len(posters),
            "drawn": args.posters is None,
            "width_of_the_first": width,
            "processes": available_cores(),
        },
        seconds=seconds,
        ours=OURS,
        same_result=same,
        write=args.write,
        packages=("rapidocr", "onnxruntime", "pillow"),
    )


def _ours(posters: list[PosterFile]) -> Texts:
    with tempfile.TemporaryDirectory() as scratch, RecordWriter(pathlib.Path(scratch) / "ocr.jsonl") as store:
        read_posters(posters, store, EngineChoice(name="rapidocr"), progress=False)
        return {record.poster_id: record.text for record in store}


def _rapidocr_in_a_loop(posters: list[PosterFile]) -> Texts:
    disable_telemetry()
    import rapidocr

    engine = rapidocr.RapidOCR(params={"Global.log_level": "critical"})  # else it writes to the terminal
    return {poster.poster_id: "\n".join(engine(str(poster.path)).txts or ()) for poster in posters}


def _our_parameters_in_a_loop(posters: list[PosterFile]) -> Texts:
    engine = make_engine("rapidocr", threads=available_cores())
    return {poster.poster_id: "\n".join(engine.read(read_poster(poster.path)).lines) for poster in posters}


if __name__ == "__main__":
    main()
