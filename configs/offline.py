"""Pretrained encoders from two local folders: the image tower of CLIP B/16 and the sentence encoder MiniLM.

    python -m posterfusion_jax.main --config=configs/offline.py --config.data.posters_dir=DIR \\
        --config.encoders.image=CLIP_FOLDER --config.encoders.text=MINILM_FOLDER

No hub is asked for anything. A CLIP folder without a text tower is enough, since only its image tower is loaded. The widths
differ (512 and 384); the alignment of Eq. 2 brings them together. README.md, "What has been measured", has the results.
"""

from posterfusion_jax.config import defaults


def get_config():
    config = defaults.get_config()
    config.encoders.image = "weights/clip-vit-b16"
    config.encoders.text = "weights/minilm"
    config.encoders.max_text_tokens = 77  # as CLIP
    return config
