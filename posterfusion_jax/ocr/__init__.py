"""Words on posters: engines, records, and the text that the model gets.

Example::

    pf.ocr.register_engine("mine", MyEngine)  # then --config.ocr.engine=mine
"""

from typing import TYPE_CHECKING

from posterfusion_jax.utils.lazy import attach

if TYPE_CHECKING:
    from posterfusion_jax.ocr.engines.base import OcrResult, register_engine

__all__ = ["OcrResult", "register_engine"]
__getattr__, __dir__, _ = attach(__name__, {name: f"posterfusion_jax.ocr.engines.base:{name}" for name in __all__})
