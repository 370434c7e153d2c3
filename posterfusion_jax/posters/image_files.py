"""List the files below a folder: images by suffix or, under any other suffix, by their first bytes; the rest by kind."""

import os
import pathlib
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from posterfusion_jax.posters.decode import FORMATS, SUFFIXES, USUAL_SUFFIXES

NOT_LISTED = "a folder that cannot be listed"
LINK_TO_FOLDER = "a link to a folder; those are not followed"
NO_IMAGE = f"not an image in a format that is read ({', '.join(FORMATS)})"
HIDDEN = "hidden"
# Known not to be posters; these files are not opened.
_TEXTS = (".txt", ".md", ".log", ".json", ".jsonl", ".csv", ".tsv", ".xml", ".html", ".htm", ".yaml", ".yml", ".ini", ".db")
_ABOUT_FILMS = (".nfo", ".xmp", ".url", ".lnk", ".srt", ".sub", ".mp3", ".mp4", ".mkv", ".avi", ".mov")
_PACKED = (".zip", ".gz", ".bz2", ".xz", ".rar", ".7z", ".tar", ".tgz", ".npy", ".npz")
_DOCUMENTS = (".pdf", ".doc", ".docx", ".xlsx", ".py", ".exe")
_UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".opdownload", ".tmp")
_OTHER_SUFFIXES = frozenset((*_TEXTS, *_ABOUT_FILMS, *_PACKED, *_DOCUMENTS, *_UNFINISHED))
_HEAD_BYTES = 64
_MOST_KINDS = 50  # counted separately; in a folder every file may have another suffix
_LONGEST_KIND = 16  # characters
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # bytes; two letters alone would also start a text


class ListedFile(NamedTuple):
    """Hold a file or folder that was found.

    Attributes:
      stem: its name without image suffixes.
      path: its path.
      fault: why it cannot be read; "" where no reason is known.
      other: the kind of a file that is no image, such as ".txt"; "" for an image.
      rank: 1 for an image that is recognized by its content or has an unusual or a second suffix, else 0.
    """

    stem: str
    path: str
    fault: str = ""
    other: str = ""
    rank: int = 0


class OtherFiles(Counter[str]):
    """Count the files that are no posters, by kind; beyond 50 kinds the rest is one."""

    def add(self, kind: str) -> None:
        """Count one file."""
        kind = kind if len(kind) <= _LONGEST_KIND else "other"
        self[kind if kind in self or len(self) < _MOST_KINDS else "other"] += 1


def list_files(folder: str | pathlib.Path, *, sub_folders: bool = True) -> Iterator[ListedFile]:
    """Yield every file below a folder, and the folders that cannot be searched, in no particular order.

    A file is opened only where its suffix is neither an image's nor one that is known to be none.
    """
    unread = [os.fspath(folder)]
    while unread:
        current = unread.pop()
        try:
            with os.scandir(current) as entries:
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False):
                        yield _classify(entry)
                    elif sub_folders:
                        unread.append(entry.path)
        except OSError as error:
            yield ListedFile("", current, f"{NOT_LISTED}: {error.strerror or error}")


def find_images(folder: str | pathlib.Path) -> tuple[list[pathlib.Path], list[tuple[str, str]], OtherFiles]:
    """Find all images below a folder.

    Returns:
      The images in the order of their paths, those included that cannot be read; the folders that are not searched, each with
      the reason; and how many other files there are, by kind.
    """
    images, folders, others = [], [], OtherFiles()
    for file in list_files(folder):
        if file.fault.startswith((NOT_LISTED, LINK_TO_FOLDER)):
            folders.append((file.path, file.fault))
        elif file.other:
            others.add(file.other)
        else:
            images.append(pathlib.Path(file.path))
    return sorted(images), sorted(folders), others


def kind_of_name(name: str) -> tuple[str | None, str]:
    """Return a file's kind by its name alone, and its stem.

    The kind is "" for an image, such as ".txt" for another file, and None where only the content can show it.
    """
    stem, dot, suffix = name.rpartition(".")
    suffix = (dot + suffix).lower() if stem else ""
    if name.startswith("."):
        return HIDDEN, stem
    if suffix in _OTHER_SUFFIXES or name.lower() == "thumbs.db":
        return suffix, stem
    return "" if suffix in SUFFIXES else None, stem_of(name)


def stem_of(name: str) -> str:
    """Return a file's name without its suffix, of any kind, and the image suffixes before it ("a" of "a.jpeg.jpg")."""
    stem, _, _ = name.rpartition(".")
    if not stem:
        return name
    while True:
        inner, dot, suffix = stem.rpartition(".")
        if not inner or (dot + suffix).lower() not in SUFFIXES:
            return stem
        stem = inner


def format_other_files(counts: Mapping[str, int]) -> str:
    """Return one line such as "3 files skipped (2 .txt, 1 hidden)"; "" where there are none."""
    total = sum(counts.values())
    if not total:
        return ""
    kinds = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return f"{total:,} file{'s' * (total > 1)} skipped ({', '.join(f'{count:,} {shown(kind)}' for kind, count in kinds)})"


def shown(name: str) -> str:
    """Return a file's name with everything that is not printable as a backslash escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def _classify(entry: os.DirEntry[str]) -> ListedFile:
    fault = _fault(entry)
    if fault == LINK_TO_FOLDER:
        return ListedFile(entry.name, entry.path, fault)
    kind, stem = kind_of_name(entry.name)
    if kind:
        return ListedFile(stem, entry.path, fault, kind)
    stem_alone, dot, suffix = entry.name.rpartition(".")
    suffix = (dot + suffix).lower()
    if kind == "":
        return ListedFile(stem, entry.path, fault, rank=int(suffix not in USUAL_SUFFIXES or stem != stem_alone))
    return _sniff(ListedFile(stem, entry.path, fault, rank=1), suffix if stem_alone and len(suffix) > 1 else "no suffix")


def _sniff(file: ListedFile, kind: str) -> ListedFile:
    """Return the file with what its first bytes show; `kind` is its kind if it is no image."""
    if file.fault:
        return file._replace(other=kind)
    try:
        with open(file.path, "rb", buffering=0, opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as opened:
            head = opened.read(_HEAD_BYTES) or b""
    except OSError as error:
        return file._replace(fault=f"cannot be read: {error.strerror or error}", other=kind)
    if _is_readable_format(head):
        return file
    foreign = _foreign_format(head)
    if foreign:
        return file._replace(fault=f"{foreign}, an image format that is not read; convert it to JPEG or PNG")
    return file._replace(fault=NO_IMAGE if head else "the file is empty (0 bytes)", other=kind)


def _is_readable_format(head: bytes) -> bool:
    """Return whether a file with this beginning has one of `posters.decode.FORMATS`."""
    if head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return True
    if head[:4] == b"RIFF":
        return head[8:12] == b"WEBP"
    if head[:2] == b"BM":
        return int.from_bytes(head[14:18], "little") in _BMP_HEADERS
    return head[4:8] == b"ftyp" and (b"avif" in head[8:] or b"avis" in head[8:])


def _foreign_format(head: bytes) -> str:
    """Return the name of an image format that is not read; "" if it is none."""
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"):
        return "HEIC"
    if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL \r\n")):
        return "JPEG XL"
    if head.startswith((b"\0\0\0\x0cjP  \r\n", b"\xff\x4f\xff\x51")):
        return "JPEG 2000"
    if head.startswith(b"8BPS"):
        return "Photoshop"
    return "SVG" if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<svg") else ""


def _fault(entry: os.DirEntry[str]) -> str:
    """Return why the target of the entry cannot be read."""
    try:
        if entry.is_file(follow_symlinks=False):  # known from the listing, without another file system call
            return ""
        mode = entry.stat().st_mode
    except FileNotFoundError:
        return "a link that leads to no file"
    except OSError as error:  # a link to itself, or through a folder without permission
        return f"cannot be read: {error.strerror or error}"
    if stat.S_ISREG(mode):
        return ""
    return LINK_TO_FOLDER if stat.S_ISDIR(mode) else "a pipe, a socket or a device, not a file"
