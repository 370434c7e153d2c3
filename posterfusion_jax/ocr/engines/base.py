"""Define the interface of every OCR engine, their names, and the choice of one.

A new engine is one file with a class that has the attributes and the method of `Engine`; a config names it as
"package.module:Class". Engines that ask a service, `RemoteEngine`, are in `REMOTE_ENGINES`.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from PIL import Image

from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.registry import Registry, accepted, check_callable

_CLASSES = {  # name -> module and class; imported only if asked for
    "rapidocr": "posterfusion_jax.ocr.engines.rapidocr:RapidOcrEngine",
    "tesseract": "posterfusion_jax.ocr.engines.tesseract:TesseractEngine",
    "gemini": "posterfusion_jax.ocr.engines.gemini:GeminiEngine",
    "none": "posterfusion_jax.ocr.engines.base:NoEngine",
}
OCR_ENGINES: Registry[type] = Registry("ocr.engine", "OCR engine", _CLASSES)
ENGINES = tuple(_CLASSES)
REMOTE_ENGINES = ("gemini",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OcrResult:
    """Hold what an engine found on a poster: its lines in reading order.

    `confidences` are in [0, 1]; `boxes` are (x0, y0, x1, y1) as fractions of the image's width and height. Both are
    empty or as long as `lines`. `status` is one of `record.STATUSES`, None for "ok" or, without lines, "empty"; `reason`
    explains any other one. The other fields are those of `record.OcrRecord`.
    """

    lines: tuple[str, ...] = ()
    confidences: tuple[float, ...] = ()
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    status: str | None = None
    reason: str | None = None
    language: str | None = None
    model_version: str | None = None  # if only the answer states it
    usage: "Usage | None" = None


class Engine(Protocol):
    """Read the words on an upright RGB poster. The same image always gives the same result."""

    name: str
    version: str
    model_version: str | None

    def read(self, image: Image.Image) -> OcrResult:
        """Return the lines on an upright RGB image."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Usage:
    """Count what answers of a service cost; sums with `+`."""

    answers: int = 1
    input_tokens: int = 0
    output_tokens: int = 0  # including those of thinking
    usd: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            answers=self.answers + other.answers,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            usd=self.usd + other.usd,
        )


class RemoteEngine(Protocol):
    """Send requests to a service.

    `ocr.remote.client` decides when: it handles the limits, the budget, and a busy service.

    Attributes:
      name: of the engine, as records cite it.
      version: of the engine, as records cite it.
      model_version: of the model, None if only the answers state it.
      prompt_version: of the prompt, as records cite it.
      fallback_levels: the number of ways to make a request, the best first. The next one is tried when an answer's status is
        one of `fallback_statuses`.
      fallback_statuses: these statuses.
      worst_case: the most that one answer can cost.
    """

    name: str
    version: str
    model_version: str | None
    prompt_version: str
    fallback_levels: int
    fallback_statuses: tuple[str, ...]
    worst_case: Usage

    def prepare(self, data: bytes) -> Any:
        """Convert the bytes of a poster file to the argument of `request`. Called in a separate thread.

        Raises:
          posters.decode.UnreadableImage: the file is not a readable image.
        """

    async def request(self, image: Any, *, level: int) -> OcrResult:
        """Make one request.

        Raises:
          ServiceBusy: the service could not answer now.
          RequestRejected: it will not answer for this poster.
          ServiceExhausted: it will not answer for any poster.
          InputError: none of these, and the user can fix the cause (a wrong key, for instance).
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class ServiceBusy(Exception):
    """Signal that the service could not answer; the same request may be repeated.

    Attributes:
      wait: seconds for which the service wants no request at all, None if it gave none.
    """

    def __init__(self, reason: str, wait: float | None = None):
        super().__init__(reason)
        self.wait = wait


class RequestRejected(Exception):
    """Signal that the service does not accept this poster; repeating the request would not help."""


class ServiceExhausted(Exception):
    """Signal that all requests would fail for now, for instance because the day's quota is used up."""


class NoEngine:
    """Read nothing: for prediction from the image alone."""

    name = "none"
    version = ""
    model_version: str | None = None

    def __init__(self, **options: Any):
        del options  # it accepts those of every engine

    def read(self, image: Image.Image) -> OcrResult:
        """Return a result without lines."""
        return OcrResult()


def make_engine(name: str, **options: Any) -> Any:
    """Make the engine of this name, an `Engine` or, for one of `REMOTE_ENGINES`, a `RemoteEngine`.

    Args:
      name: one of `OCR_ENGINES`, or "package.module:Class".
      **options: keyword arguments of the engine's class, such as `threads` and `min_confidence`; "none" takes any.

    Raises:
      InputError: an unknown name, an option out of range, or the engine is not installed.
    """
    cls = OCR_ENGINES.get(name)
    return cls(**options) if name in ENGINES else cls(**accepted(cls, options))


def register_engine(name: str, engine: type | None = None) -> Any:
    """Register an OCR engine, which configs then name in `ocr.engine`.

    Args:
      name: letters, digits, "_", "-" and ".".
      engine: a class with the attributes and the method of `Engine`, in a module that worker processes can import. Without it
        a decorator is returned.

    Raises:
      InputError: the name has other characters, or is taken.

    Example::

        pf.ocr.register_engine("mine", MyEngine)
    """
    return OCR_ENGINES.register(name, engine)


def importable_name(name: str) -> str:
    """Return the name by which a worker process, which knows no registered engines, finds an engine.

    Raises:
      InputError: no such engine, or one that is defined in the main program.
    """
    if name in ENGINES:
        return name
    cls = check_callable(OCR_ENGINES.get(name), "ocr.engine", name)
    if cls.__module__ == "__main__" or "." in cls.__qualname__:
        raise InputError(
            f"ocr.engine={name!r} is defined in the main program or inside a function; OCR worker processes import it by its "
            "name. Put it into a module of its own."
        )
    return f"{cls.__module__}:{cls.__qualname__}"


def record_name(name: str) -> str:
    """Return the name that an engine's records have. Raises InputError where a user's class has none."""
    if name in ENGINES:
        return name
    label = getattr(OCR_ENGINES.get(name), "name", None)
    if not isinstance(label, str) or not label or label in ENGINES:
        raise InputError(
            f"ocr.engine={name!r}: its class must have an attribute `name`, a str that no built-in engine has; it is {label!r}."
        )
    return label


@dataclasses.dataclass(frozen=True, kw_only=True)
class EngineChoice:
    """Name an engine and its options, from which it is made in this process or in a worker.

    Attributes:
      name: one of `OCR_ENGINES`, or "package.module:Class".
      options: keyword arguments of the engine, other than `threads`.
      make: makes the engine from its name and options; must be picklable.
    """

    name: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    make: Callable[..., Any] = make_engine

    @property
    def is_remote(self) -> bool:
        """Return whether the engine is a `RemoteEngine`."""
        return self.name in REMOTE_ENGINES

    def load(self, *, threads: int) -> Any:
        """Return the engine. Raises InputError as `make_engine` does."""
        return self.make(self.name, threads=threads, **self.options)

    def maker(self, *, threads: int) -> Callable[[], Any]:
        """Return a maker of the engine that can be sent to a worker process.

        Raises:
          InputError: no such engine, or one that workers cannot import.
        """
        name = importable_name(self.name) if self.make is make_engine else self.name
        return functools.partial(self.make, name, threads=threads, **self.options)
