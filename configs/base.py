"""The defaults of every field, under the name by which configs have always imported them: `from configs import base`.

They are documented in `posterfusion_jax/config/defaults.py`. A config that shall load from any folder, whatever other package
`configs` is on the path, imports them as `from posterfusion_jax.config import defaults`.
"""

from posterfusion_jax.config.defaults import get_config

__all__ = ["get_config"]
