"""Compare two systems on the same test posters, as `posterfusion compare` does."""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parent.parent))  # for a checkout that is not installed, from any folder

from posterfusion_jax.cli.compare import main

if __name__ == "__main__":
    sys.exit(main())
