"""Keep compiled programs between runs: compiling one takes seconds, loading it a tenth of a second."""

import hashlib
import logging
import os
import pathlib
import platform

from posterfusion_jax.utils.path_alias import plain_path

FOLDER = "JAX_COMPILATION_CACHE_DIR"
_DECIDED = (FOLDER, "JAX_ENABLE_COMPILATION_CACHE")  # JAX's own variables: if one is set, the user has decided
_KEPT_FROM_S = "0.2"  # seconds: programs that compile faster are not kept
_CPU = ("vendor_id", "model name", "flags", "CPU implementer", "CPU part", "Features")  # of /proc/cpuinfo, x86 and Arm


def enable_compilation_cache() -> None:
    """Make JAX, which must not be imported yet, keep its compiled programs in the user's cache folder.

    JAX names each program by everything it was made from, including JAX's version, but not by the processor. So each
    processor model has its own folder: machines that share a home folder may differ in their instructions.
    """
    if any(name in os.environ for name in _DECIDED):
        given = os.environ.get(FOLDER)
        if given and "://" not in given:
            os.environ[FOLDER] = str(plain_path(given))
        return
    caches = _cache_folder()
    if caches is None:
        logging.warning(
            "Compiled programs are not kept: %s. Name a folder in %s.",
            f"HOME={os.environ['HOME']!r} is no folder" if "HOME" in os.environ else "HOME is not set, and this user has none",
            FOLDER,
        )
        return
    folder = caches / "posterfusion" / f"xla-{_processor()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.stat()
        writable = os.access(folder, os.W_OK | os.X_OK)
        ours = about.st_uid == os.getuid() and not about.st_mode & 0o022
    except OSError:
        writable = ours = False
    if not writable or not ours:  # programs in it are executed
        why = "others can write it" if writable else "it cannot be written"
        logging.warning("Compiled programs are not kept in %s: %s; name another folder in %s.", folder, why, FOLDER)
        return
    os.environ[FOLDER] = str(plain_path(folder))  # XLA takes text only, and etils some folders for buckets
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", _KEPT_FROM_S)


def _cache_folder() -> pathlib.Path | None:
    """Return the user's folder for caches; None for a user without a home folder, as in a container with a foreign uid.

    A relative XDG_CACHE_HOME is ignored, as its specification demands, and a missing home folder is not created:
    that of system users is often /nonexistent.
    """
    named = pathlib.Path(os.environ.get("XDG_CACHE_HOME", ""))
    if named.is_absolute():
        return named
    home = pathlib.Path(os.environ.get("HOME", os.path.expanduser("~")))  # "~" for a uid without a line in /etc/passwd
    return home / ".cache" if home.is_absolute() and os.path.isdir(home) else None


def _processor() -> str:
    about = [platform.machine(), platform.processor()]
    info = pathlib.Path("/proc/cpuinfo")
    if info.is_file():
        about += sorted({line for line in info.read_text().splitlines() if line.partition(":")[0].strip() in _CPU})
    return hashlib.sha256("\n".join(about).encode()).hexdigest()[:12]
