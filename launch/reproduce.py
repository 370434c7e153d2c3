"""Train the systems of the paper's tables over several seeds, as `posterfusion reproduce` does."""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parent.parent))  # for a checkout that is not installed, from any folder

from posterfusion_jax.cli.reproduce import main

if __name__ == "__main__":
    sys.exit(main())
