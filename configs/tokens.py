"""Attention over tokens, as the paper's prose describes it: image patches attend to words and words to patches.

    python -m posterfusion_jax.main --config=configs/tokens.py --config.data.posters_dir=DIR

As configs/paper.py, but the features are CLIP's token sequences (50 image tokens, up to 77 text tokens) instead of one vector
each, for which every attention weight would be 1. Takes about 300 kB of disk a poster in float16.

Not yet run with the weights it names; see README.md, "What has been measured".
"""

from posterfusion_jax.config import defaults


def get_config():
    config = defaults.get_config()
    config.features.level = "tokens"
    config.features.dtype = "float16"
    return config
