"""Show or compact a file of OCR records; the program is posterfusion_jax/cli/ocr_records.py."""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parent.parent))  # for a checkout that is not installed, from any folder

from posterfusion_jax.cli.ocr_records import main

if __name__ == "__main__":
    sys.exit(main())
