"""Compare OCR engines on a folder of posters; the program is posterfusion_jax/cli/ocr_quality.py."""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parent.parent))  # for a checkout that is not installed, from any folder

from posterfusion_jax.cli.ocr_quality import main

if __name__ == "__main__":
    sys.exit(main())
