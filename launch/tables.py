"""Print the paper's tables with measured metrics, as `posterfusion tables` does."""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parent.parent))  # for a checkout that is not installed, from any folder

from posterfusion_jax.cli.tables import main

if __name__ == "__main__":
    sys.exit(main())
