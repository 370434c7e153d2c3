"""Make Apache Beam pipelines from Beam's flags, and access files in any location that Beam can open. Beam is optional."""

import contextlib
import hashlib
import io
import json
import os
import pathlib
import shutil
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, cast

from posterfusion_jax.errors import InputError

try:
    import apache_beam as beam  # pyright: ignore[reportMissingImports]
    import grpc  # pyright: ignore[reportMissingImports, reportMissingModuleSource]
    from apache_beam.io.filesystems import FileSystems  # pyright: ignore[reportMissingImports]
    from apache_beam.options.pipeline_options import (  # pyright: ignore[reportMissingImports]
        PipelineOptions,
        TypeOptions,
        WorkerOptions,
    )
    from apache_beam.runners.portability import abstract_job_service, local_job_service  # pyright: ignore[reportMissingImports]
    from apache_beam.runners.portability.fn_api_runner import worker_handlers  # pyright: ignore[reportMissingImports]
except ImportError as error:
    beam = grpc = FileSystems = PipelineOptions = TypeOptions = WorkerOptions = cast(Any, None)
    abstract_job_service = local_job_service = worker_handlers = cast(Any, None)
    DoFn: Any = object
    _missing: str | None = str(error)
else:
    DoFn = beam.DoFn
    _missing = None

_JOB_SERVERS = ("PortableRunner", "FlinkRunner", "SparkRunner")  # these forward flags that Beam does not know to a server

_R = TypeVar("_R")


def require_beam() -> None:
    """Check that Apache Beam is installed.

    Raises:
      InputError: it is not, or one of its modules cannot be imported.
    """
    if _missing:
        raise InputError(
            f"Apache Beam is not installed ({_missing}). Install it in an environment of its own, because it needs older "
            "versions of Pillow and protobuf than constraints.txt: pip install 'posterfusion-jax[beam,ocr]' (in a checkout: "
            "pip install -e '.[beam,ocr]', without -c constraints.txt)."
        )


def _file_systems() -> Any:
    require_beam()
    return FileSystems


def make_pipeline(flags: Sequence[str]) -> Any:
    """Make a pipeline that runs at the end of its `with` block, and raises its errors.

    Workers log from WARNING on, unless `--default_sdk_harness_log_level` sets another level.

    Raises:
      InputError: a flag that Beam does not know, a wrong value, or one that the runner requires is missing.
    """
    require_beam()
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):  # argparse prints all of its help
            options = PipelineOptions(list(flags))
            known = options.get_all_options()
            unknown = sorted(options.get_all_options(retain_unknown_options=True).keys() - known.keys())
    except SystemExit as error:
        raise InputError(f"wrong Beam flag: {messages.getvalue().splitlines()[-1]}") from error
    positional = [flag for flag in flags if not flag.startswith("--")]
    if positional or (unknown and known["runner"] not in _JOB_SERVERS):
        wrong = positional[0] if positional else f"--{unknown[0]}"
        raise InputError(f"{wrong!r} is a flag neither of this command nor of Beam. Beam's flags have the form --name=value.")
    if not known["default_sdk_harness_log_level"]:
        options.view_as(WorkerOptions).default_sdk_harness_log_level = "WARNING"
    if known["runner"] in (None, "DirectRunner"):
        for module in (abstract_job_service, local_job_service, worker_handlers):
            module.grpc = _LoopbackGrpc()
    # With unsafe triggers allowed (none is used here), Beam's DirectRunner does not try Prism first, a runner that it would
    # download and that ignores --direct_running_mode (apache-beam 2.77, runners/direct/direct_runner.py).
    options.view_as(TypeOptions).allow_unsafe_triggers = True
    try:
        return beam.Pipeline(options=options)
    except ValueError as error:
        raise InputError(f"Beam's flags: {' '.join(str(error).split())}") from error


class _LoopbackGrpc:
    """Wrap grpc so that its servers accept only connections from this machine.

    Beam's local runner serves its worker processes on all interfaces, without authentication: any client that reaches the ports
    may send pickles, and read any file of this machine (apache-beam 2.77, runners/portability/fn_api_runner/
    worker_handlers.py, GrpcServer). Its workers connect to "localhost".
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(grpc, name)

    def server(self, *args: Any, **options: Any) -> Any:
        server = grpc.server(*args, **options)
        add_port = server.add_insecure_port
        server.add_insecure_port = lambda address: add_port(address.replace("[::]", "localhost"))
        return server


def map_items(
    function: Callable[[Any], _R], items: Iterable[Any], *, flags: Sequence[str], folder: str | pathlib.Path
) -> list[_R]:
    """Apply `function` to every item, in the workers of a Beam pipeline.

    Args:
      function: picklable; from JSON values to JSON values, because others may have written the files.
      items: JSON values.
      flags: Beam's.
      folder: for the exchanged items and results; all workers see it under this name.

    Returns:
      The results in the order of the items.
    """
    folder = join(folder, f"beam-{uuid.uuid4().hex}")
    write_lines(join(folder, "items"), (json.dumps(pair) for pair in enumerate(items)))
    with make_pipeline(flags) as pipeline:
        _ = (
            pipeline
            | beam.io.ReadFromText(join(folder, "items"))
            | beam.Reshuffle()
            | beam.Map(_apply, function=function)
            | beam.io.WriteToText(join(folder, "results"))
        )
    results = dict(json.loads(line) for line in read_lines(join(folder, "results-*")))
    remove_folder(folder)
    return [results[index] for index in range(len(results))]


def _apply(line: str, function: Callable[[Any], Any]) -> str:
    index, item = json.loads(line)
    return json.dumps([index, function(item)])


def join(folder: str | pathlib.Path, name: str) -> str:
    """Return the path of a file in a folder; a local folder becomes absolute, since workers run elsewhere.

    Raises:
      InputError: the folder's name has characters that make it a pattern.
    """
    if set(str(folder)) & set("*?["):
        raise InputError(
            f"the folder {str(folder)!r} has one of the characters *?[ in its name, which Beam interprets as a pattern. "
            "Choose another folder."
        )
    return f"{absolute(str(folder)).rstrip('/')}/{name}"


def absolute(path: str) -> str:
    """Return a local path as an absolute one, any other unchanged."""
    return path if is_remote(path) else os.path.abspath(path)


def is_remote(path: str) -> bool:
    """Return whether a path is in an object store or another file system of Beam, such as gs://bucket/a.jpg."""
    return "://" in path


def match(pattern: str) -> list[str]:
    """Return the files that match a pattern (`*`, and `**` across folders), sorted; a path without wildcards is a pattern, too.

    Raises:
      InputError: the package for the file system is missing, or it cannot be reached.
    """
    if not is_remote(pattern) and os.path.isfile(pattern):
        return [pattern]
    file_systems = _file_systems()
    try:
        return sorted(found.path for found in file_systems.match([pattern])[0].metadata_list)
    except Exception as error:  # the type depends on the file system
        raise InputError(
            f"{pattern!r} cannot be listed: {error}. For gs:// install apache-beam[gcp], for s3:// apache-beam[aws], "
            "and check the credentials."
        ) from error


def read_bytes(path: str) -> bytes:
    """Return the bytes of one file."""
    with _file_systems().open(path, compression_type=beam.io.filesystem.CompressionTypes.UNCOMPRESSED) as file:
        return file.read()


def sha256_of(path: str) -> str:
    """Return the hash of one file's bytes, in hexadecimal."""
    return hashlib.sha256(read_bytes(path)).hexdigest()


def read_lines(pattern: str) -> list[str]:
    """Return the lines of all files that match, without their line breaks."""
    return [line.decode() for path in match(pattern) for line in read_bytes(path).split(b"\n") if line]


def write_lines(path: str, lines: Iterable[str]) -> None:
    """Write a file, replacing an existing one; its folder is created."""
    write_bytes(path, "".join(line + "\n" for line in lines).encode())


def write_bytes(path: str, data: bytes) -> None:
    """Write a file, replacing an existing one; its folder is created.

    Raises:
      InputError: it cannot be written.
    """
    file_systems = _file_systems()
    try:
        if not is_remote(path):
            pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        with file_systems.create(path, compression_type=beam.io.filesystem.CompressionTypes.UNCOMPRESSED) as file:
            file.write(data)
    except Exception as error:  # the type depends on the file system
        raise InputError(f"{path!r} cannot be written: {error}. Choose a location that you may write.") from error


def remove(paths: Sequence[str]) -> None:
    """Remove files."""
    if paths:
        _file_systems().delete(list(paths))


def remove_folder(folder: str) -> None:
    """Remove a folder and its contents."""
    if is_remote(folder):
        remove(match(f"{folder}/**"))
    else:
        shutil.rmtree(folder)
