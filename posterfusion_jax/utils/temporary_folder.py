"""Check that temporary files can be written, which a container with a read-only root may prevent."""

import tempfile

from posterfusion_jax.errors import InputError


def check_temporary_folder() -> None:
    """Check that a folder for temporary files can be written, before work begins.

    Raises:
      InputError: neither TMPDIR nor one of the system's folders can be written.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise InputError(
            f"there is no folder for temporary files: {error.strerror}. Name one that can be written: TMPDIR=FOLDER."
        ) from error
