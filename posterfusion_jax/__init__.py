"""PosterFusion: the genres of a film from its poster alone, the picture and the words on it.

Names are imported when they are first used, so importing the package loads neither JAX nor TensorFlow nor PyTorch.

Example::

    import posterfusion_jax as pf

    model = pf.load("runs/mine")
    for prediction in model.predict(["poster.jpg"]):
        print(prediction.file, prediction.genres)

    run = pf.resolve(pf.load_config("paper", {"data.posters_dir": "my_posters"}), workdir="runs/mine")
    results = pf.pipeline.run_all(run)
"""

from typing import TYPE_CHECKING

from posterfusion_jax.utils.lazy import attach
from posterfusion_jax.utils.telemetry import disable_telemetry

if TYPE_CHECKING:
    from posterfusion_jax import encoders, losses, metrics, models, ocr, pipeline
    from posterfusion_jax.config.api import load_config, resolve
    from posterfusion_jax.datasets.imdb_posters.reader import open_dataset
    from posterfusion_jax.encoders.load import load_towers
    from posterfusion_jax.encoders.options import EncoderOptions
    from posterfusion_jax.errors import InputError, RetryLater
    from posterfusion_jax.features.reader import open_features
    from posterfusion_jax.genres import GENRES
    from posterfusion_jax.pipeline.predict import load
    from posterfusion_jax.predict import GenreModel
    from posterfusion_jax.report.prediction import Prediction

__version__ = "0.1.0"
__all__ = [
    "GENRES",
    "EncoderOptions",
    "GenreModel",
    "InputError",
    "Prediction",
    "RetryLater",
    "__version__",
    "encoders",
    "load",
    "load_config",
    "load_towers",
    "losses",
    "metrics",
    "models",
    "ocr",
    "open_dataset",
    "open_features",
    "pipeline",
    "resolve",
]

disable_telemetry()  # here, because a library that is loaded before has already begun

__getattr__, __dir__, _ = attach(
    __name__,
    {
        "EncoderOptions": "posterfusion_jax.encoders.options:EncoderOptions",
        "GENRES": "posterfusion_jax.genres:GENRES",
        "GenreModel": "posterfusion_jax.predict:GenreModel",
        "InputError": "posterfusion_jax.errors:InputError",
        "Prediction": "posterfusion_jax.report.prediction:Prediction",
        "RetryLater": "posterfusion_jax.errors:RetryLater",
        "encoders": "posterfusion_jax.encoders",
        "load": "posterfusion_jax.pipeline.predict:load",
        "load_config": "posterfusion_jax.config.api:load_config",
        "load_towers": "posterfusion_jax.encoders.load:load_towers",
        "losses": "posterfusion_jax.losses",
        "metrics": "posterfusion_jax.metrics",
        "models": "posterfusion_jax.models",
        "ocr": "posterfusion_jax.ocr",
        "open_dataset": "posterfusion_jax.datasets.imdb_posters.reader:open_dataset",
        "open_features": "posterfusion_jax.features.reader:open_features",
        "pipeline": "posterfusion_jax.pipeline",
        "resolve": "posterfusion_jax.config.api:resolve",
    },
)
