"""Kills, signals, full disks and flipped bytes in every stage of a small run, and what came of them.

    python tests/fault_campaign.py [--kills=200] [--signals=24] [--flips=20] [--root=DIR] [--out=FILE.json]

The run: drawn posters, RapidOCR, a tiny CLIP, features, three epochs, results, report. It is first done unbroken, stage by
stage. Then, from the state before each stage:

- kill -9 at a random moment of the stage, and the same command again, several times, the last time to the end;
- SIGTERM at a random moment: exit status 143, then the same;
- a disk (tmpfs, root only) with room for a part of what the stage writes: exit status 2 and a message, then room, and the same;
- a flipped bit in a file that the stage reads: an error that names the file, or the very result of the unbroken run.

"Recovered" are those after which records, dataset, features, parameters, metrics and report are those of the unbroken run bit
for bit (but for times in records and logs); "lost" are the others. A command that ends before its moment is not counted.

Commands run in forks of a process that has imported the package, which saves seconds a command; JAX starts in the fork.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["HF_HUB_OFFLINE"] = "1"
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]

import numpy as np  # noqa: E402 (after the paths)

STAGES = ("ocr", "build", "features", "train", "evaluate", "report")
READS = {  # stage -> what it reads of the run's own files
    "build": ("posters/ocr.jsonl",),
    "features": ("run/dataset/**/*",),
    "train": ("run/features/**/*", "run/dataset/**/*"),
    "evaluate": ("run/checkpoints/**/*", "run/features/**/*"),
    "report": ("run/results/*", "run/logs/metrics.jsonl", "run/checkpoints/**/*"),
}
WRITES = {
    "ocr": ("posters/ocr.jsonl",),
    "build": ("run/dataset",),
    "features": ("run/features",),
    "train": ("run/checkpoints", "run/logs"),
    "evaluate": ("run/results",),
    "report": ("run/report",),
}
_TIMES = ("time", "seconds", "check")
_ATTEMPTS = 4  # kills in a row before the command is let run to its end


class Ended(NamedTuple):
    """How a command ended: status (negative: the signal), what it printed, seconds."""

    status: int
    printed: str
    seconds: float


class Bench:
    """A place in which the run can be put back to the state before any stage."""

    def __init__(self, root: pathlib.Path):
        self.place, self._kept, self._log = root / "place", root / "kept", root / "log"
        self._clip = root / "clip"
        self.seconds: dict[str, float] = {}
        self._digests: dict[str, str] = {}

    def prepare(self) -> None:
        """The unbroken run, stage by stage."""
        import tiny_checkpoints

        from posterfusion_jax.datasets.synthetic import generator

        self._clip.mkdir(parents=True)
        ended = self._fork(
            lambda: (
                tiny_checkpoints.write_clip(self._clip),
                generator.draw_folder(self.place / "posters", films=24, width=160),
            )
        )
        assert ended.status == 0, ended.printed
        for stage in STAGES:
            shutil.copytree(self.place, self._kept / stage)
            ended = self.run(stage)
            assert ended.status == 0, ended.printed
            self.seconds[stage], self._digests[stage] = ended.seconds, self.digest(stage)
        print({stage: round(seconds, 1) for stage, seconds in self.seconds.items()}, "seconds unbroken", flush=True)

    def before(self, stage: str) -> None:
        """Puts the place back."""
        for path in self.place.iterdir():
            shutil.rmtree(path)
        shutil.copytree(self._kept / stage, self.place, dirs_exist_ok=True)

    def is_recovered(self, stage: str) -> bool:
        """Whether what the stage wrote is what it wrote unbroken."""
        return self.digest(stage) == self._digests[stage]

    def run(self, stage: str, *, stop_after: float | None = None, with_signal: int = signal.SIGKILL) -> Ended:
        """The stage's command, to its end or until a signal."""
        settings = {
            "data.posters_dir": self.place / "posters",
            "encoders.image": self._clip,
            "encoders.text": self._clip,
            "model.dim": 16,
            "model.heads": 2,
            "model.smsam_layers": 1,
            "train.max_epochs": 6,
            "train.batch_size": 4,
            "evaluate.bootstrap": 100,
            "ocr.min_side": 160,
        }
        flags = [f"--config.{name}={value}" for name, value in settings.items()]
        flags = [f"--config={ROOT}/configs/base.py", f"--workdir={self.place / 'run'}", f"--mode={stage}", *flags]

        def main() -> None:
            from absl import app

            from posterfusion_jax import main as program

            sys.argv = ["posterfusion", *flags]  # config_flags looks there
            app.run(program.main, argv=sys.argv, flags_parser=program._parse_flags)

        return self._fork(main, stop_after=stop_after, with_signal=with_signal)

    def _fork(self, do, *, stop_after: float | None = None, with_signal: int = signal.SIGKILL) -> Ended:
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            os.setsid()
            log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            status = 1
            try:
                do()
                status = 0
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else int(end.code is not None)
            except BaseException as error:
                import traceback

                traceback.print_exception(error)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        if stop_after is not None:
            time.sleep(stop_after)
            os.kill(child, with_signal)
        _, status = os.waitpid(child, 0)
        ended = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # OCR's processes, which a kill leaves behind
        printed = self._log.read_text(errors="replace") if self._log.exists() else ""
        return Ended(os.waitstatus_to_exitcode(status), printed, ended - started)

    def digest(self, stage: str) -> str:
        """Of all that the stage leaves, but for times."""
        found = hashlib.sha256()
        if stage == "ocr":
            records = [json.loads(line) for line in (self.place / "posters" / "ocr.jsonl").read_text().splitlines()]
            output = sorted(json.dumps({k: v for k, v in record.items() if k not in _TIMES}) for record in records)
            return hashlib.sha256("\n".join(output).encode()).hexdigest()
        for file in sorted(path for name in WRITES[stage] for path in (self.place / name).rglob("*") if path.is_file()):
            name = str(file.relative_to(self.place))
            if name.endswith(("lock", ".index")) or "tensorboard" in name:
                continue
            if "checkpoints" in name:  # Orbax's own files name times and random numbers
                if not name.endswith("meta/metadata"):
                    continue
                content = json.loads(file.read_text())  # with a checksum of every array
                del content["check"]
            elif name.endswith("metrics.jsonl"):
                lines = map(json.loads, file.read_text().splitlines())
                content = [{k: v for k, v in line.items() if k not in _TIMES} for line in lines]
            elif name.endswith(".npz"):
                with np.load(file) as arrays:
                    content = {key: hashlib.sha256(arrays[key].tobytes()).hexdigest() for key in arrays}
            else:
                content = hashlib.sha256(file.read_bytes()).hexdigest()
            found.update(json.dumps([name, content], sort_keys=True).encode())
        return found.hexdigest()


def kill_often(bench: Bench, stage: str, count: int, clock: random.Random, *, with_signal: int) -> dict[str, int]:
    """Stops the stage's command `count` times, and lets it end after every few."""
    tried = recovered = lost = 0
    wanted = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143}[with_signal]
    for _ in range(10 * count):
        if tried == count:
            break
        bench.before(stage)
        row = 0
        for _ in range(3 * _ATTEMPTS):
            ended = bench.run(stage, stop_after=clock.uniform(0, bench.seconds[stage]), with_signal=with_signal)
            if ended.status == 0:  # it was done before its moment
                break
            if ended.status != wanted and not (with_signal == signal.SIGTERM and ended.status == -signal.SIGTERM):
                print(f"{stage}: status {ended.status} after {with_signal!r}\n{ended.printed[-1500:]}", flush=True)
                lost += 1
            row += 1
            if row == min(_ATTEMPTS, count - tried):
                break
        ended = bench.run(stage)
        tried += row
        if ended.status == 0 and bench.is_recovered(stage):
            recovered += row
        else:
            print(f"{stage}: not recovered, status {ended.status}\n{ended.printed[-1500:]}", flush=True)
            lost += row
    return {"tried": tried, "recovered": recovered, "lost": lost}


def fill_the_disk(bench: Bench, stage: str, rooms: tuple[float, ...]) -> dict[str, int]:
    """Runs the stage with room for these shares of what it writes, and then with room for all."""
    bench.before(stage)
    bench.run(stage)
    used = _size(bench.place)
    bench.before(stage)
    needed = used - _size(bench.place)
    tried = recovered = lost = 0
    ballast = bench.place / "ballast"
    for room in rooms:
        bench.before(stage)
        ballast.mkdir()
        free = shutil.disk_usage(bench.place).free - int(room * needed)
        with (ballast / "file").open("wb") as file, contextlib.suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, max(free // 4096 * 4096, 4096))
        ended = bench.run(stage)
        shutil.rmtree(ballast)
        if ended.status == 0:
            continue  # it needed less than that
        tried += 1
        output = ended.status == 2 and ("disk is full" in ended.printed or "No space left" in ended.printed)
        again = bench.run(stage)
        if output and again.status == 0 and bench.is_recovered(stage):
            recovered += 1
        else:
            print(f"{stage}: room {room}: status {ended.status}, then {again.status}", flush=True)
            print(ended.printed[-1500:], again.printed[-800:], sep="\n", flush=True)
            lost += 1
    return {"tried": tried, "recovered": recovered, "lost": lost}


def flip_bits(bench: Bench, stage: str, count: int, clock: random.Random) -> dict[str, int]:
    """Runs the stage on files of which one has one other bit."""
    tried = named = without_effect = lost = 0
    bench.before(stage)
    files = [path for name in READS[stage] for path in sorted(bench.place.glob(name)) if path.is_file() and path.stat().st_size]
    files = [path for path in files if path.name != "lock" and "tensorboard" not in str(path)]
    for k in range(count):
        bench.before(stage)
        file = files[k % len(files)] if k < len(files) else clock.choice(files)
        data = bytearray(file.read_bytes())
        data[clock.randrange(len(data))] ^= 1 << clock.randrange(8)
        file.write_bytes(data)
        ended = bench.run(stage)
        tried += 1
        names = [part for part in file.relative_to(bench.place).parts if part not in ("run", "posters")]
        if ended.status == 0 and bench.is_recovered(stage):
            without_effect += 1
        elif ended.status in (0, 2) and any(name in ended.printed for name in names) and "Traceback" not in ended.printed:
            named += 1
        else:
            print(f"{stage}: {file.relative_to(bench.place)}: status {ended.status}\n{ended.printed[-1500:]}", flush=True)
            lost += 1
    return {"tried": tried, "named": named, "without_effect": without_effect, "lost": lost}


def _size(folder: pathlib.Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextlib.contextmanager
def small_disk(folder: pathlib.Path, megabytes: int):
    """A tmpfs at `folder`, if that is allowed; yields whether it is."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    mounted = shutil.which("mount") is not None and subprocess.run(command, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)


def campaign(root: pathlib.Path, *, kills: int, signals: int, flips: int, rooms: tuple[float, ...]) -> dict[str, dict]:
    """All of it. Returns fault -> stage -> counts; "full disk" is absent where no tmpfs may be mounted."""
    _import_all()
    clock = random.Random(0)
    with small_disk(root / "place", 256) as mounted:
        bench = Bench(root)
        bench.prepare()
        parts = [count // len(STAGES) + (k < count % len(STAGES)) for count in (kills, signals) for k in range(len(STAGES))]
        table: dict[str, dict] = {"kill -9": {}, "SIGTERM": {}}
        for k, stage in enumerate(STAGES):
            table["kill -9"][stage] = kill_often(bench, stage, parts[k], clock, with_signal=signal.SIGKILL)
            table["SIGTERM"][stage] = kill_often(bench, stage, parts[len(STAGES) + k], clock, with_signal=signal.SIGTERM)
            print(stage, {fault: table[fault][stage] for fault in table}, flush=True)
        if mounted and rooms:
            table["full disk"] = {stage: fill_the_disk(bench, stage, rooms) for stage in STAGES}
        elif rooms:
            print("no full disks: a tmpfs cannot be mounted here (root only)", flush=True)
        table["flipped bit"] = {stage: flip_bits(bench, stage, flips, clock) for stage in READS}
    return table


def _import_all() -> None:
    """What a command imports, so that its forks need not. No JAX computation may have begun before a fork."""
    import posterfusion_jax.utils.compilation_cache

    posterfusion_jax.utils.compilation_cache.enable_compilation_cache()
    import posterfusion_jax.main
    import posterfusion_jax.pipeline.build
    import posterfusion_jax.pipeline.evaluate
    import posterfusion_jax.pipeline.features
    import posterfusion_jax.pipeline.ocr
    import posterfusion_jax.pipeline.report
    import posterfusion_jax.pipeline.train
    import posterfusion_jax.pipeline.workdir


def format_table(table: dict[str, dict]) -> str:
    """As Markdown."""
    out = io.StringIO()
    print("| fault | stage | tried | recovered | named | without effect | lost |\n|---|---|---:|---:|---:|---:|---:|", file=out)
    for fault, stages in table.items():
        for stage, counts in stages.items():
            cells = [str(counts.get(name, "")) for name in ("tried", "recovered", "named", "without_effect", "lost")]
            print(f"| {fault} | {stage} | {' | '.join(cells)} |", file=out)
    return out.getvalue()


def main() -> int:
    """Prints the table; returns 1 where something was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--signals", type=int, default=24)
    parser.add_argument("--flips", type=int, default=20, help="a stage")
    rooms = "0,0.05,0.3,0.6,0.9"
    parser.add_argument("--rooms", default=rooms, help="on a full disk, shares of what a stage writes, separated by commas")
    parser.add_argument("--root", type=pathlib.Path, help="folder to work in; default: one of the system's for such files")
    parser.add_argument("--out", type=pathlib.Path, help="also write the counts here, as JSON")
    args = parser.parse_args()
    root = args.root or pathlib.Path(tempfile.mkdtemp(prefix="faults"))
    started = time.monotonic()
    table = campaign(
        root,
        kills=args.kills,
        signals=args.signals,
        flips=args.flips,
        rooms=tuple(map(float, filter(None, args.rooms.split(",")))),
    )
    print(format_table(table), f"{time.monotonic() - started:.0f} s", sep="\n")
    if args.out:
        flags = f"--kills={args.kills} --signals={args.signals} --flips={args.flips}"
        about = {"command": f"python tests/fault_campaign.py {flags}", "date": time.strftime("%Y-%m-%d")}
        args.out.write_text(json.dumps({**about, "faults": table}, indent=1) + "\n")
    return int(any(counts["lost"] for stages in table.values() for counts in stages.values()))


if __name__ == "__main__":
    sys.exit(main())
