"""Switch off the usage reports of libraries, before any of these libraries is loaded."""

import os

VARIABLES = {
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime: a device id and an event store in the home folder, uploads to its vendor
    "HF_HUB_DISABLE_TELEMETRY": "1",  # huggingface_hub, transformers and hf_xet: versions and a session id with each request
    "DO_NOT_TRACK": "1",  # the common switch of many tools
    "ENABLE_RUNTIME_UPTIME_TELEMETRY": "0",  # libtpu, for which JAX sets 1 where the variable is absent
}


def disable_telemetry() -> None:
    """Set the environment variables that switch usage reports off, for this process and its children.

    The libraries read them when they are loaded, so this runs when the package is imported, and again right before a module
    of this project imports onnxruntime or rapidocr. Values that are already set are replaced: the promise that nothing is
    sent does not depend on the shell.
    """
    os.environ.update(VARIABLES)
