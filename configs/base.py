"""The defaults of every field, for configs that import them with `from configs import base`.

`posterfusion_jax/config/defaults.py` documents them. To load from any folder, also where another package `configs` is on the
path, a config imports them with `from posterfusion_jax.config import defaults`.
"""

from posterfusion_jax.config.defaults import get_config

__all__ = ["get_config"]
