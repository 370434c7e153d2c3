"""Train a grid of configs over several seeds, as `posterfusion sweep` does."""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parent.parent))  # for a checkout that is not installed, from any folder

from posterfusion_jax.cli.sweep import main

if __name__ == "__main__":
    sys.exit(main())
