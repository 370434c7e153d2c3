"""Expand the paths that users give: home folders and environment variables; refuse URLs.

Every flag, config field and file name that holds a path is expanded here once, where it enters. The rules, in this order:

1. `scheme://...` (and `gs:/...`, a URL that lost a slash) is refused: only local paths are read and written. So is a
   name that no file system takes, of more than 255 bytes.
2. `~` and `~/...` are the home folder, also where a file of the name `~` exists; write `./~` for such a file.
3. What exists as written is taken as written: the whole path, or the longest leading part of it that is a folder.
4. `~user/...` is the home folder of that user; `$NAME` and `${NAME}` are environment variables; `$$` is a `$`.

What cannot be expanded is refused by its name.
"""

import argparse
import os
import pathlib
import re
from collections.abc import Callable

from posterfusion_jax.errors import InputError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|(?:gs|s3|s3a|az|hf|hdfs|https?|ftps?|file|abfss?|wasbs?|dbfs):/")
_LONGEST_NAME, _LONGEST_PATH = 255, 4096  # bytes
_VARIABLE = re.compile(r"\$(?:(\$)|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})", re.ASCII)


def expand_path(text: str | os.PathLike[str], field: str) -> str:
    """Return a path with `~`, `~user`, `$NAME` and `${NAME}` replaced, by the rules of this module.

    The result is not made absolute, and an empty text stays empty. Do not expand a result again: it may hold a literal `$`.

    Args:
      text: the path as the user wrote it.
      field: the flag or config field, for messages, such as "--workdir" or "data.posters_dir".

    Raises:
      InputError: a URL, an undefined variable, an unknown user, or an unknown home folder.
    """
    text = os.fspath(text)
    check_local(text, field)
    _check_length(text, field)
    if text == "~" or text.startswith("~/"):
        return _home(text, field).rstrip("/") + _expand_variables(text[1:], text, field)
    if os.path.lexists(text):
        return text
    existing = _existing_part(text) if set("~$") & set(text) else ""
    if text.startswith("~") and not existing:
        user, slash, rest = text[1:].partition("/")
        return _home_of(user, text, field) + _expand_variables(slash + rest, text, field)
    return existing + _expand_variables(text[len(existing) :], text, field)


def check_local(text: str, field: str) -> None:
    """Refuse a URL. Arguments as those of `expand_path`.

    Raises:
      InputError: `text` is a URL; the message has the fix.
    """
    if _URL.match(text):
        local = text.removeprefix("file://")
        way_out = "Mount it, or copy it to a local folder, and name that."
        if local != text:
            way_out = f"Write {local!r}."
        elif field.startswith("encoders."):
            way_out = "Give the name that the model has on its hub, as in owner/model, or a local folder with its files."
        raise InputError(
            f"{field}: {text!r} is a URL; only local paths can be read and written. {way_out} A local file or folder of that "
            f"name is written './{text}'."
        )


def _check_length(text: str, field: str) -> None:
    longest = max(text.split("/"), key=len)
    size = len(os.fsencode(longest))
    if size > _LONGEST_NAME:
        raise InputError(
            f"{field}: the name {longest[:40] + '...'!r} has {size} bytes, more than the {_LONGEST_NAME} that file systems "
            "allow. Give a shorter one."
        )
    if len(os.fsencode(text)) >= _LONGEST_PATH:
        raise InputError(f"{field}: a path of {len(text):,} characters is longer than systems allow. Give a shorter one.")


def _home(text: str, field: str) -> str:
    home = os.environ.get("HOME") or _home_by_uid()
    if home is None:
        raise InputError(
            f"{field}: {text!r} names the home folder, and there is none: HOME is not set and user {os.getuid()} is unknown "
            "to the system. Set HOME, or write the whole path."
        )
    return home


def _home_by_uid() -> str | None:
    import pwd  # not on every system

    try:
        return pwd.getpwuid(os.getuid()).pw_dir or None
    except KeyError:
        return None


def _home_of(user: str, text: str, field: str) -> str:
    import pwd

    try:
        return pwd.getpwnam(user).pw_dir
    except (KeyError, ValueError, UnicodeError):
        raise InputError(
            f"{field}: {text!r} names the home folder of the user {user!r}, whom the system does not know. Write the whole "
            f"path; a file or folder named {'~' + user!r} in the current folder is './~{user}'."
        ) from None


def _existing_part(text: str) -> str:
    """Return the longest leading part of a path, up to a slash, that is a folder as written."""
    slashes = [place for place, character in enumerate(text) if character == "/"]
    return next((text[:place] for place in reversed(slashes) if os.path.isdir(text[:place])), "")


def _expand_variables(text: str, whole: str, field: str) -> str:
    def value(found: re.Match[str]) -> str:
        dollar, bare, braced = found.groups()
        name = bare or braced
        if dollar:
            return "$"
        if not os.environ.get(name):
            state = "is empty" if name in os.environ else "is not set"
            raise InputError(
                f"{field}: the environment variable {name!r} in {whole!r} {state}. Set it, or write the whole path; a $ that "
                "belongs to the name is written $$."
            )
        return os.environ[name]

    return _VARIABLE.sub(value, text)


def path_argument(flag: str) -> Callable[[str], pathlib.Path]:
    """Return a `type` for argparse: a path by `expand_path`, refused with its message.

    Args:
      flag: its name, for the message.
    """

    def parse(text: str) -> pathlib.Path:
        try:
            path = pathlib.Path(expand_path(text, flag))
            return path.absolute() if str(path).startswith("~") else path  # pathlib drops the ./ of ./~
        except InputError as error:
            raise argparse.ArgumentTypeError(str(error).removeprefix(f"{flag}: ")) from None

    return parse


def quote_path(path: pathlib.Path) -> str:
    """Return an expanded path, made absolute, as a text that `expand_path` maps back to it."""
    return str(path.absolute()).replace("$", "$$")
