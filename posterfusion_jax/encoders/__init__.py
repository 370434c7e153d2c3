"""Load encoders of poster pictures and poster texts behind one small interface (`tower.py`).

`transformers` imports PyTorch and TensorFlow wherever they happen to be installed, which costs seconds and memory (on a GPU
they also fight JAX for it), although the Flax models need neither. The two switches are read when `transformers` is first
imported, so they are set here, before any module of this package does that. Somebody who wants them sets the variables first.
"""

import os

os.environ.setdefault("USE_TORCH", "0")
os.environ.setdefault("USE_TF", "0")
