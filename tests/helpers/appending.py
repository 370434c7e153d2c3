"""Appends records until it is killed, and prints the text of each when `append` has returned; the tests kill it."""

import sys

from records_for_tests import record, sha

from posterfusion_jax.ocr.records import indexed_file
from posterfusion_jax.ocr.records.store import RecordWriter


def main(path: str, name: str) -> None:
    """Goes on after the records that are there already, as a run does."""
    indexed_file.RECENT_BYTES = 50_000  # the index is written to all the time
    with RecordWriter(path, sync_every=20) as store:
        k = 0
        while True:
            image = f"{name}{k}"
            if store.newest(sha(image), name) is None:
                store.append(record(image, image + " " * (k * 97 % 20_000), engine=name))
                print(image, flush=True)
            k += 1


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
