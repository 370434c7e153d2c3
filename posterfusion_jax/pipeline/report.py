"""Stage "report": pages, pictures and a model card from results files."""

import shlex
from typing import Any

import jax
import numpy as np

from posterfusion_jax.config.run import Run
from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset
from posterfusion_jax.datasets.synthetic import generator
from posterfusion_jax.encoders.preprocess import resize_poster
from posterfusion_jax.evaluation.results import check_arrays, genres_of, read_scores
from posterfusion_jax.genres import PAPER_GENRES, check_same_genres
from posterfusion_jax.pipeline.assemble import assemble
from posterfusion_jax.pipeline.classifier import best_meta, open_checkpoints, read_params
from posterfusion_jax.pipeline.dataset import open_run_dataset
from posterfusion_jax.pipeline.evaluate import read_evaluated
from posterfusion_jax.posters.decode import decode_poster
from posterfusion_jax.report.examples import choose_examples
from posterfusion_jax.report.model_card import format_card
from posterfusion_jax.report.page import Section, write_page
from posterfusion_jax.report.run_report import format_summary, run_sections, subtitle_of
from posterfusion_jax.train.metric_writer import read_history
from posterfusion_jax.utils.console import print_message

_SHOWN_SIZE = 224  # pixels, width and height of the image under an attention map


def report(run: Run) -> None:
    """Write pages, pictures and a model card, and print a summary with the command for predictions."""
    results, best, sections = report_sections(run)
    page = write_page(run.paths.report, "report", "Genres from posters", subtitle_of(results[list(results)[-1]]), sections)
    dataset = open_run_dataset(run)
    card = format_card(results, dataset=dataset.report, groups=dataset.count_groups())
    (run.paths.report / "model_card.md").write_text(card, encoding="utf-8")
    print_message(format_summary(results, best_achievable=best))
    print_message(f"\nrun directory: {run.paths.workdir}\npictures:      {run.paths.report}\nreport:        {page}")
    workdir = shlex.quote(str(run.paths.workdir))
    print_message(f"predict:       posterfusion predict --workdir={workdir} POSTER.jpg")


def report_sections(run: Run) -> tuple[dict[str, dict[str, Any]], dict[str, Any] | None, list[Section]]:
    """Return results files by split, the best achievable scores of drawn posters, and the sections of the page.

    Raises:
      InputError: the run is not evaluated.
    """
    results = read_evaluated(run)
    dataset = open_run_dataset(run)
    last = list(results)[-1]
    arrays = read_scores(run.paths.results, last)
    place = run.paths.results / f"{last}.json"
    genres = genres_of(results[last], place=place)
    check_arrays(arrays, genres, place=run.paths.results / f"{last}_scores.npz")
    check_same_genres(dataset.genres, genres, place_here=f"the dataset {dataset.dir}", place_there=place)
    threshold = results[last]["thresholds"]["fixed"]
    examples = choose_examples(arrays, threshold=threshold, force_top1=run.config.evaluate.force_top1)
    best = None
    if run.config.data.source == "synthetic" and genres != PAPER_GENRES:
        print_message("report: without best achievable scores, which are known for the paper's genres only")
    elif run.config.data.source == "synthetic":
        best = generator.bayes_optimal_report(run.paths.posters, dataset.columns(last)["poster_id"])
    attention = _attention(run, dataset, last, examples.evenly)
    history = read_history(run.paths.logs)
    sections = run_sections(results, arrays, history, dataset, examples=examples, attention=attention, best_achievable=best)
    return results, best, sections


def _attention(run: Run, dataset: PosterDataset, split: str, rows: list[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return pixels [s, s, 3] and the attention of the words on the grid of patches [p, p], per row; empty without a grid.

    Pooled features have one image token, on which every weight is 1, and networks without patches have no grid.
    """
    if run.config.features.level != "tokens" or run.config.model.name != "fusion":
        return []
    with open_checkpoints(run) as checkpoints:
        best, meta = best_meta(checkpoints, run.paths.workdir)
        model = assemble(run, dataset, meta["encoders"])
        params = read_params(checkpoints, best, model.classifier)
    weights = jax.jit(model.classifier.attention)(params, model.split(split).load(np.array(rows)))
    if weights is None:
        return []
    patches = np.asarray(weights)[:, 1:]  # the class token comes first
    grid = round(patches.shape[1] ** 0.5)
    if grid < 2 or grid * grid != patches.shape[1]:
        return []
    resize = run.config.encoders.resize
    pixels = [resize_poster(decode_poster(dataset.row(split, row)["image"]), size=_SHOWN_SIZE, how=resize) for row in rows]
    return list(zip(pixels, patches.reshape(-1, grid, grid), strict=True))
