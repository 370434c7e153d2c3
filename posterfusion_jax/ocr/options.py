"""Define which posters an OCR run reads, and with how much of the machine or of a service."""

import dataclasses

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.records.record import STATUSES
from posterfusion_jax.ocr.remote.client import Limits
from posterfusion_jax.ocr.remote.gemini_batch import BatchOptions

REREAD = ("never", "engine", "version")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """Configure a run. Raises InputError for a value that is not allowed.

    Attributes:
      workers: processes of one thread each; 1 reads in this process with all cores. None: one per core.
        RapidOCR takes 0.5 GB per process (0.8 GB for posters of 2000 x 3000). The text does not depend on it.
      retry: statuses to read again, such as ("error",); other failures are skipped.
      reread: which posters with a usable record to read again: "never"; "engine": those without one of this engine;
        "version": those without one of this engine's present version.
      limits: of the requests of a remote engine, which does not use `workers`.
      batch: for Gemini's batch API instead of single requests; None: single requests.
    """

    workers: int | None = None
    retry: tuple[str, ...] = ()
    reread: str = "never"
    limits: Limits = dataclasses.field(default_factory=Limits)
    batch: BatchOptions | None = None

    def __post_init__(self):
        for status in self.retry:
            if status not in STATUSES:
                raise InputError(f"ocr.retry={status!r} is not a status. Allowed: {', '.join(STATUSES)}.")
        if self.reread not in REREAD:
            raise InputError(f"ocr.reread={self.reread!r} is not one of {', '.join(REREAD)}.")
        if self.workers is not None and self.workers < 1:
            raise InputError(f"ocr.workers={self.workers!r} is too few. Give at least 1, or omit it for one per core.")
