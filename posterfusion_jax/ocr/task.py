"""Read one poster with an engine and make its record."""

import datetime
import hashlib
import time
from typing import Any, NamedTuple

from posterfusion_jax.ocr.engines.base import Engine, RemoteEngine
from posterfusion_jax.ocr.records.record import OcrRecord
from posterfusion_jax.ocr.text.limits import MAX_REASON, cut_lines, describe_bounds
from posterfusion_jax.posters.decode import UnreadableImage, decode_poster, read_bytes
from posterfusion_jax.posters.folder import PosterFile


class Task(NamedTuple):
    """Describe a poster to read, for the `attempt`-th time."""

    poster: PosterFile
    sha256: str
    attempt: int


class EngineLabels(NamedTuple):
    """Hold the names by which records cite an engine (see `engines.base.Engine`)."""

    name: str
    version: str
    model_version: str | None


def run_engine(engine: Engine, task: Task) -> OcrRecord:
    """Read one poster with an engine.

    Any fault of the image or the engine becomes a record with the status "error" and the reason.
    """
    started = time.monotonic()
    found: dict[str, Any] = {}
    try:
        data = read_bytes(task.poster.path)
        found["sha256"] = hashlib.sha256(data).hexdigest()  # the file may have changed since it was listed
        image = decode_poster(data)
        found["source_width"], found["source_height"] = image.size
        result = engine.read(image)
        found["lines"], found["confidences"], found["boxes"] = result.lines, result.confidences, result.boxes
        found["status"] = "ok" if result.lines else "empty"
    except UnreadableImage as error:
        found["reason"] = f"unreadable image: {error}"
    except Exception as error:  # an engine must not end a run over thousands of posters
        found["reason"] = f"{type(error).__name__}: {error}".removesuffix(": ")
    return make_record(engine, task, seconds=round(time.monotonic() - started, 3), **found)


def make_record(engine: Engine | RemoteEngine | EngineLabels, task: Task, **found: Any) -> OcrRecord:
    """Make the record of a task, limited as `ocr.text.limits` defines.

    Args:
      engine: gives the labels of the record.
      task: gives the poster and the number of the attempt.
      **found: fields of the record; without a status it is "error".
    """
    found = _limit_text(found)
    fields = {
        "sha256": task.sha256,
        "status": "error",
        "text": "\n".join(found.get("lines", ())),
        "poster_id": task.poster.poster_id,
        "film_id": task.poster.film_id,
        "engine": engine.name,
        "engine_version": engine.version,
        "model_version": engine.model_version,
        "attempts": task.attempt,
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    return OcrRecord(**(fields | found))


def _limit_text(found: dict[str, Any]) -> dict[str, Any]:
    if found.get("reason"):
        found["reason"] = found["reason"][:MAX_REASON]
    lines = found.get("lines", ())
    kept = cut_lines(lines)
    if kept != tuple(lines):
        reason = f"cut after {describe_bounds()}"
        found["reason"] = f"{found['reason']}; {reason}" if found.get("reason") else reason
        found |= {name: tuple(found[name])[: len(kept)] for name in ("confidences", "boxes") if found.get(name)}
    return {**found, "lines": kept}
