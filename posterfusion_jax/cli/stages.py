"""The stages of a run: one of them, or all that are missing, in order.

A whole run numbers its stages and prints their times. Where everything is finished, it prints three lines.
"""

import contextlib
import io
import pathlib
import time
from typing import TYPE_CHECKING

from posterfusion_jax.config.choices import ZERO_SHOT
from posterfusion_jax.pipeline.stages import STAGES
from posterfusion_jax.pipeline.stages import load_stage as _load_stage
from posterfusion_jax.utils.console import print_message
from posterfusion_jax.utils.temporary_folder import check_temporary_folder

if TYPE_CHECKING:
    from posterfusion_jax.config.run import Run

# The modules of the stages are imported inside functions, so that each stage loads what it needs and no more.

_UNSEEN_BY_REPORT = ("records", "dataset", "features", "tokenizer", "checkpoints", "results")  # of `Paths`

_State = dict[pathlib.Path, tuple[int, int]]


def run_stages(run: "Run", mode: str | None) -> None:
    """Run one stage, or with `mode` None every stage that is missing, up to the report."""
    check_temporary_folder()
    if mode in (None, "ocr", "build"):
        from posterfusion_jax.pipeline.draw import draw_posters

        draw_posters(run)
    if mode is None:
        _run_all(run)
    else:
        _load_stage(mode)(run)


def _run_all(run: "Run") -> None:
    held = io.StringIO() if _seems_finished(run) else None  # messages, until a stage has something to do
    before = _state_of(run) if held is not None else {}
    for number, mode in enumerate(STAGES, start=1):
        if mode == "report" and held is not None:
            _print_finished(run)
            return
        try:
            with contextlib.nullcontext() if held is None else contextlib.redirect_stdout(held):
                _run_numbered(run, mode, f"[{number}/{len(STAGES)}] {mode}")
        except BaseException:
            _release(held)
            raise
        if held is not None and _state_of(run) != before:
            _release(held)
            held = None


def _run_numbered(run: "Run", mode: str, title: str) -> None:
    print_message(f"{title} ...")
    started = time.monotonic()
    _load_stage(mode)(run)
    print_message(f"{title:<14} ... {format_duration(time.monotonic() - started)}")


def format_duration(seconds: float) -> str:
    """Return a duration as "3.1 s", "12 min 5 s" or "1 h 3 min"."""
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _seems_finished(run: "Run") -> bool:
    """Return whether training is over and the report is newer than all results. The stages check the rest."""
    from posterfusion_jax.checkpoints.meta import read_latest_meta
    from posterfusion_jax.train.early_stopping import is_finished

    results, page, card = sorted(run.paths.results.glob("*")), _page(run), run.paths.report / "model_card.md"
    if not results or not page.is_file() or not card.is_file():
        return False
    newest = max(path.stat().st_mtime_ns for path in results)
    if not newest <= page.stat().st_mtime_ns <= card.stat().st_mtime_ns:  # the card is written last
        return False
    meta = read_latest_meta(run.paths.checkpoints)
    if meta is None or run.config.model.name == ZERO_SHOT:
        return meta is not None
    return is_finished(meta, max_epochs=run.config.train.max_epochs, patience=run.config.train.patience)


def _state_of(run: "Run") -> _State:
    """Return size and time of every file that the stages before the report write."""
    roots = [getattr(run.paths, name) for name in _UNSEEN_BY_REPORT]
    files = (path for root in roots for path in (root, *root.rglob("*")) if path.is_file())
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def _release(held: io.StringIO | None) -> None:
    if held is not None and held.getvalue():
        print_message(held.getvalue().rstrip("\n"))


def _print_finished(run: "Run") -> None:
    print_message(f"everything up to date\nrun directory: {run.paths.workdir}\nreport:        {_page(run)}")


def _page(run: "Run") -> pathlib.Path:
    return run.paths.report / "report.html"
