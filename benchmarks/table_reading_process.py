"""Read the table of benchmarks/table_reading.py in a process of its own, and print the figures as JSON."""

import json
import pathlib
import sys

from benchmarks.table_reading import read

if __name__ == "__main__":
    print(json.dumps(read(pathlib.Path(sys.argv[1]))))
