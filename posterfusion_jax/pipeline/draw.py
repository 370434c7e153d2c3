"""Draw the synthetic posters of a run, before its first stage."""

from posterfusion_jax.config.data_rules import SYNTHETIC
from posterfusion_jax.config.run import Run
from posterfusion_jax.datasets.synthetic import generator


def draw_posters(run: Run) -> None:
    """Draw the missing synthetic posters if data.source is "synthetic"."""
    data = run.config.data
    if data.source == SYNTHETIC:
        generator.draw_folder(
            run.paths.posters, films=data.drawn_films, seed=data.drawn_seed, width=data.drawn_width, progress=True
        )
