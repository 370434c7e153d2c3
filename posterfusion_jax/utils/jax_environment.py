"""Check environment variables that change what JAX computes.

The same command must give the same numbers, independent of variables left over in a shell. Variables that would
break that, or that are for debugging, are ignored with a note; those that legitimately change numbers are
noted and recorded in checkpoints and results; values that JAX would crash on are refused in one line. Importing
this module imports no JAX.
"""

import os
import re
import subprocess
import sys
import traceback
import warnings
from collections.abc import MutableMapping
from typing import Any, NamedTuple

from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.console import print_message

Environment = MutableMapping[str, str]


class Pinned(NamedTuple):
    """Describe a variable that commands ignore.

    Attributes:
      value: that all commands compute with.
      why: the effect of another value.
      option: the name in `jax.config`; None where JAX has none any more.
    """

    value: Any
    why: str
    option: str | None


def _pin(variable: str, value: Any, why: str, *, option: bool = True) -> tuple[str, Pinned]:
    return variable, Pinned(value, why, variable.lower() if option else None)


_DEBUG = "it is for finding errors in programs, and stops or slows correct ones"
PINNED = dict(
    (
        _pin("JAX_ENABLE_X64", False, "models, features and checkpoints are 32 bits wide"),
        _pin("JAX_DEFAULT_DTYPE_BITS", 32, "models, features and checkpoints are 32 bits wide", option=False),
        _pin("JAX_EXPLICIT_X64_DTYPES", "warn", "models, features and checkpoints are 32 bits wide"),
        _pin("JAX_DEFAULT_PRNG_IMPL", "threefry2x32", "a seed would give other random numbers"),
        _pin("JAX_THREEFRY_PARTITIONABLE", True, "a seed would give other random numbers"),
        _pin("JAX_RANDOM_SEED_OFFSET", 0, "a seed would give other random numbers"),
        _pin("JAX_ENABLE_CUSTOM_PRNG", False, "a seed would give other random numbers"),
        _pin("JAX_LEGACY_PRNG_KEY", "allow", _DEBUG),
        _pin("JAX_DEBUG_KEY_REUSE", False, _DEBUG),
        _pin("JAX_NUMPY_DTYPE_PROMOTION", "standard", _DEBUG),
        _pin("JAX_NUMPY_RANK_PROMOTION", "allow", _DEBUG),
        _pin("JAX_ALLOW_F16_REDUCTIONS", True, _DEBUG),
        _pin("JAX_DISABLE_JIT", False, "programs that are not compiled round in another order"),
        _pin("JAX_NO_TRACING", False, _DEBUG),
        _pin("JAX_NO_EXECUTION", False, _DEBUG),
        _pin("JAX_CHECK_TRACER_LEAKS", False, _DEBUG),
        _pin("JAX_DEBUG_NANS", False, f"{_DEBUG}; losses are checked in any case"),
        _pin("JAX_DEBUG_INFS", False, f"{_DEBUG}; losses are checked in any case"),
        *(
            _pin(f"JAX_TRANSFER_GUARD{way}", "allow", _DEBUG)
            for way in ("", "_HOST_TO_DEVICE", "_DEVICE_TO_DEVICE", "_DEVICE_TO_HOST")
        ),
        _pin("JAX_RAISE_PERSISTENT_CACHE_ERRORS", False, "a cache that cannot be used costs time, and nothing else"),
    )
)
RECORDED = ("JAX_DEFAULT_MATMUL_PRECISION", "XLA_FLAGS")  # they may change numbers, and users have reasons to set them
PLATFORMS = ("JAX_PLATFORMS", "JAX_PLATFORM_NAME", "JAX_DEFAULT_DEVICE")
FRACTIONS = ("XLA_PYTHON_CLIENT_MEM_FRACTION", "XLA_CLIENT_MEM_FRACTION")
_NO_BACKEND = re.compile(r"Un(known backend|able to initialize backend)")
_CACHE = re.compile(r"JAX_(COMPILATION_CACHE|PERSISTENT_CACHE|ENABLE_COMPILATION_CACHE)\w*")  # JAX warns of bad values itself
_ONLY_DEVICES = re.compile(r"--xla_force_host_platform_device_count=\d+")  # of XLA_FLAGS: does not change numbers


def prepare(environ: Environment | None = None, *, computes: bool = True) -> None:
    """Ignore, check and note the variables, and print one line for each. Called once, by programs.

    Args:
      environ: `os.environ`, unless a test gives another.
      computes: whether the program will need a device.

    Raises:
      InputError: a variable has a value with which JAX cannot run here; the message names both.
    """
    environ = os.environ if environ is None else environ
    _check_python(environ)
    for variable in PINNED:
        _set_aside(variable, environ)
    for variable in RECORDED:
        if value := _recorded_value(variable, environ):
            print_message(f"note: {variable}={value!r} may change numbers; checkpoints and results record it.", error=True)
    for variable in FRACTIONS:
        _check_fraction(variable, environ)
    if computes:
        _check_xla_flags(environ)
        _check_jax(environ)


def recorded(environ: Environment | None = None) -> dict[str, str]:
    """Return the variables that may have changed numbers, for checkpoints and results; empty where none is set.

    Settings of `jax.config` by the process count, too.
    """
    environ = os.environ if environ is None else environ
    found = {variable: value for variable in RECORDED if (value := _recorded_value(variable, environ))}
    jax = sys.modules.get("jax")
    precision = jax.config.jax_default_matmul_precision if jax is not None else None
    return found | {"JAX_DEFAULT_MATMUL_PRECISION": str(precision)} if precision else found


def explain(error: BaseException, environ: Environment | None = None) -> str | None:
    """Return a line for an exception that a variable caused (variable, value, fix), or None for another exception."""
    environ = os.environ if environ is None else environ
    files = [frame.filename.replace("\\", "/") for frame in traceback.extract_tb(error.__traceback__)]
    detail = " ".join(str(error).split())[:300] or type(error).__name__
    if (files and files[-1].endswith("jax/_src/xla_bridge.py")) or _NO_BACKEND.match(detail):
        for variable in PLATFORMS:
            if value := environ.get(variable):
                return (
                    f"{variable}={value!r}: JAX has no such platform here ({detail}). Unset it, set it to 'cpu', or install "
                    "JAX for that device, for example with pip install 'jax[cuda13]'."
                )
    if any(file.endswith("jax/_src/config.py") for file in files[-2:]):
        for variable, value in environ.items():
            if variable.startswith("JAX_") and (
                variable.lower() in detail.lower() or repr(value) in detail or f'"{value}"' in detail
            ):
                return f"{variable}={value!r} is not a value that JAX takes ({detail}). Unset it, or correct it."
    return None


def _set_aside(variable: str, environ: Environment) -> None:
    pinned, value = PINNED[variable], environ.pop(variable, None)
    if value is None:
        return
    if value.strip().lower() not in _spellings(pinned.value):
        print_message(f"note: {variable}={value!r} is not used: {pinned.why}.", error=True)
    jax = sys.modules.get("jax")
    if jax is not None and pinned.option is not None and environ is os.environ:  # JAX has read it already
        jax.config.update(pinned.option, pinned.value)


def _spellings(value: Any) -> tuple[str, ...]:
    """Return the spellings of a pinned value that need no note."""
    if isinstance(value, bool):
        return ("y", "yes", "t", "true", "on", "1") if value else ("n", "no", "f", "false", "off", "0", "")
    return (str(value), "")


def _recorded_value(variable: str, environ: Environment) -> str:
    value = environ.get(variable, "").strip()
    if variable == "XLA_FLAGS":
        value = " ".join(_ONLY_DEVICES.sub("", value).split())
    return value


def _check_python(environ: Environment) -> None:
    if sys.flags.optimize >= 2:
        raise InputError(
            f"PYTHONOPTIMIZE={environ.get('PYTHONOPTIMIZE', '')!r} (or -OO) removes the docstrings that transformers needs. "
            "Unset it, or set it to 1."
        )
    if any(option.partition(":")[0] == "error" for option in sys.warnoptions):
        warnings.simplefilter("default")  # libraries emit deprecation warnings
        sys.warnoptions[:] = [option for option in sys.warnoptions if option.partition(":")[0] != "error"]
        print_message("note: PYTHONWARNINGS=error (or -W error) is not used: warnings of libraries are no errors.", error=True)


def _check_fraction(variable: str, environ: Environment) -> None:
    value = environ.get(variable, "")
    if not value:
        return
    try:
        good = 0 < float(value) <= 1
    except ValueError:
        good = False
    if not good:
        raise InputError(
            f"{variable}={value!r} must be a share of the device's memory above 0 and up to 1. Unset or correct it."
        )


def _check_xla_flags(environ: Environment) -> None:
    """Try XLA's flags in another process, because XLA ends the process at an unknown flag."""
    flags = environ.get("XLA_FLAGS", "")
    if not flags.strip() or not _ONLY_DEVICES.sub("", flags).strip():
        return
    done = subprocess.run(
        [sys.executable, "-c", "from jaxlib import xla_client; xla_client.make_cpu_client()"],
        env=dict(environ),
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode and "XLA_FLAGS" in done.stderr and "Traceback" not in done.stderr:
        first = next(line for line in done.stderr.splitlines() if line.strip())
        detail = (first.partition("] ")[2] or first)[:300]
        raise InputError(f"XLA_FLAGS={flags!r}: XLA does not take it ({detail}). Unset it, or remove that flag.")


def _check_jax(environ: Environment) -> None:
    """Start JAX now where a variable may prevent it: better than after hours of OCR."""
    of_jax = {name: value for name, value in environ.items() if name.startswith("JAX_") and not _CACHE.fullmatch(name)}
    if all(value.strip() in ("", "cpu") for value in of_jax.values()):
        return
    try:
        import jax
        import jax.numpy as jnp

        jax.devices()
        square = jnp.ones((2, 2), jnp.float32)
    except Exception as error:
        line = explain(error, environ)
        if line is None:
            raise
        raise InputError(line) from error
    first, backend = of_jax.get("JAX_PLATFORMS", "").partition(",")[0].strip(), jax.default_backend()
    if first and first != backend and (first, backend) not in (("cuda", "gpu"), ("rocm", "gpu")):
        print_message(
            f"note: JAX_PLATFORMS={of_jax['JAX_PLATFORMS']!r}: there is no {first} here, so {backend} computes.", error=True
        )
    try:
        jax.jit(lambda a: a @ a)(square).block_until_ready()
    except Exception as error:
        value, detail = environ.get("JAX_DEFAULT_MATMUL_PRECISION"), " ".join(str(error).split())[:200]
        if not value:
            raise
        raise InputError(
            f"JAX_DEFAULT_MATMUL_PRECISION={value!r} is nothing that {backend} can compute with ({detail}). Unset it, or "
            "choose another, such as 'float32'."
        ) from error
