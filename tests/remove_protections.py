"""Removes each protection that the README promises, one at a time, and sees that a test fails.

    python tests/remove_protections.py [--only=WORD]

Works on a copy of the tree. Prints a table: promise, what was removed, the test that tells. Returns 1 where no test did, or
where the code that a protection was has changed, so that this list must follow.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = "posterfusion_jax"
_SECONDS = 120  # a test: without a protection it may wait for ever


class Protection(NamedTuple):
    """One piece of code, what it becomes when it is gone, and the tests that must tell."""

    promise: str
    what: str
    file: str
    code: str
    gone: str
    tests: str


PROTECTIONS = (
    Protection(
        "killed anywhere",
        "checkpoints are gone on with",
        "train/loop.py",
        "state = checkpoints.read_state(latest, state)",
        "checkpoints.read_state(latest, state)",
        "tests/test_pipeline.py -k training_that_stopped",
    ),
    Protection(
        "killed anywhere",
        "a shard gets its name when it is whole",
        "features/store.py",
        'partial = self.folder / f"partial-{shard:05d}"',
        "partial = self._shard(shard)",
        "tests/features/test_features.py",
    ),
    Protection(
        "killed anywhere",
        "a torn last line of records is cut off",
        "ocr/records/store.py",
        "        file.truncate(size - len(last))",
        "        pass",
        "tests/ocr/test_ocr_store_kills.py tests/ocr/test_ocr_store.py",
    ),
    Protection(
        "SIGTERM and Ctrl-C",
        "SIGTERM is a Ctrl-C",
        "utils/signals.py",
        "    signal.signal(signal.SIGTERM, as_ctrl_c)\n",
        "",
        "tests/utils/test_interrupts.py",
    ),
    Protection(
        "SIGTERM and Ctrl-C",
        "a Ctrl-C in a destructor is sent again",
        "utils/signals.py",
        "    sys.unraisablehook = resend\n",
        "",
        "tests/utils/test_interrupts.py",
    ),
    Protection(
        "SIGTERM and Ctrl-C",
        "the steps of an unfinished epoch are kept",
        "train/loop.py",
        "                outputs.partial_epoch.save(epoch, state, losses, outputs.meta)\n",
        "",
        "tests/train/test_loop.py",
    ),
    Protection(
        "a full disk",
        "a full disk is a message",
        "utils/disk_full.py",
        "    while error is not None:",
        "    while False:",
        "tests/utils/test_integrity.py tests/ocr/test_ocr_store.py",
    ),
    Protection(
        "a damaged file",
        "checksums of records, results and passports",
        "utils/checksums.py",
        "        return fields[CHECK] == _check_of({name: value for name, value in fields.items() if name != CHECK})",
        "        return True",
        "tests/utils/test_integrity.py",
    ),
    Protection(
        "a damaged file",
        "checksums of features",
        "features/store.py",
        "            if found != stored.get(name):",
        "            if False:",
        "tests/utils/test_integrity.py",
    ),
    Protection(
        "a damaged file",
        "checksums of a checkpoint's arrays",
        "checkpoints/manager.py",
        "            if found != expected.get(name):",
        "            if False:",
        "tests/utils/test_integrity.py",
    ),
    Protection(
        "a damaged file",
        "the rank by which the best is chosen",
        "checkpoints/manager.py",
        '        if noted != {"rank": rank, "epoch": epoch}:',
        "        if False:",
        "tests/utils/test_integrity.py",
    ),
    Protection(
        "one process a workdir",
        "the lock",
        "pipeline/workdir.py",
        "            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "            pass",
        "tests/pipeline/test_workdir_lock.py",
    ),
    Protection(
        "any file may lie among the posters",
        "pixels are bounded",
        "posters/decode.py",
        "    if pixels > MAX_PIXELS:",
        "    if False:",
        "tests/posters/test_images.py tests/posters/test_odd_images.py",
    ),
    Protection(
        "any file may lie among the posters",
        "scans are bounded",
        "posters/decode.py",
        "    if pixels * scans > MAX_SCANNED:",
        "    if False:",
        "tests/posters/test_odd_images.py",
    ),
    Protection(
        "any file may lie among the posters",
        "errors in images that Pillow has opened are refusals",
        "posters/decode.py",
        "        raise\n    except Exception as error:",
        "        raise\n    except UnreadableImage as error:",
        "tests/posters/test_images.py",
    ),
    Protection(
        "any file may lie among the posters",
        "errors of decoders are refusals",
        "posters/decode.py",
        'pixels allowed") from error\n    except Exception as error:',
        'pixels allowed") from error\n    except UnreadableImage as error:',
        "tests/posters/test_odd_images.py tests/posters/test_images_fuzz.py",
    ),
    Protection(
        "any file may lie among the posters",
        "pipes and devices are not waited for",
        "posters/decode.py",
        "flags | os.O_NONBLOCK",
        "flags",
        "tests/posters/test_odd_images.py tests/posters/test_images.py",
    ),
    Protection(
        "text stays text",
        "terminals get no control characters",
        "utils/console.py",
        "        shown = _escape(shown)\n",
        "        pass\n",
        "tests/utils/test_terminal.py",
    ),
    Protection(
        "text stays text",
        "pages are escaped",
        "report/page.py",
        "        autoescape=True,",
        "        autoescape=False,",
        "tests/report",
    ),
    Protection(
        "text stays text",
        "texts are bounded",
        "ocr/text/limits.py",
        "        kept.append(line[:left])",
        "        kept.append(line)",
        "tests/ocr/test_hostile_texts.py",
    ),
    Protection(
        "keys stay secret",
        "messages are printed without the key",
        "ocr/engines/gemini.py",
        'return text.replace(self._secret, "<key>") if self._secret else text',
        "return text",
        "tests/ocr/test_secrets.py",
    ),
    Protection(
        "no pickle is loaded",
        "weights are looked at first",
        "utils/safe_arrays.py",
        "        return file.read(4).startswith((*_PROTOCOLS, _ZIP))",
        "        return False",
        "tests/utils/test_no_pickle.py tests/encoders",
    ),
    Protection(
        "no pickle is loaded",
        "arrays are read without objects",
        "utils/safe_arrays.py",
        'np.load(path, mmap_mode="r", allow_pickle=False)',
        "np.load(path, allow_pickle=True)",
        "tests/utils/test_no_pickle.py",
    ),
)


def tells(protection: Protection, tree: pathlib.Path) -> str:
    """The first test that fails without the protection; "" where none does."""
    path = tree / PACKAGE / protection.file
    original = path.read_text()
    if original.count(protection.code) != 1:
        sys.exit(f"{protection.file} has {protection.code!r} {original.count(protection.code)} times, not once")
    path.write_text(original.replace(protection.code, protection.gone))
    try:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "--tb=no", f"--timeout={_SECONDS}"]
        command += protection.tests.split()
        environment = os.environ | {"PYTHONPATH": str(tree), "JAX_PLATFORMS": "cpu"}
        ended = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    finally:
        path.write_text(original)
    if ended.returncode not in (0, 1):
        sys.exit(f"{protection.what}: pytest ended with {ended.returncode}\n{ended.stdout[-2000:]}")
    failed = [
        line.removeprefix("FAILED ").partition(" - ")[0] for line in ended.stdout.splitlines() if line.startswith("FAILED ")
    ]
    return failed[0] if failed else ""


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="protections whose promise or name has this in it")
    args = parser.parse_args()
    untold = 0
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder)
        for name in files:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name, follow_symlinks=False)
        print("| promise | removed | told by |\n|---|---|---|", flush=True)
        for protection in PROTECTIONS:
            if args.only in f"{protection.promise} {protection.what}":
                test = tells(protection, tree)
                untold += not test
                print(f"| {protection.promise} | {protection.what} | {f'`{test}`' if test else '**nothing**'} |", flush=True)
    return int(untold > 0)


if __name__ == "__main__":
    sys.exit(main())
