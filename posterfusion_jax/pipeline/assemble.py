"""Assembly of a classifier and its data from a config, shared by training, evaluation and the report."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import optax

from posterfusion_jax.config.choices import MISSING_TEXT, WITHOUT_TITLE
from posterfusion_jax.config.run import Run
from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset
from posterfusion_jax.features.store import FeatureStore
from posterfusion_jax.input_pipeline.ablations import AblatedSource, TextOverrideSource
from posterfusion_jax.input_pipeline.batch_order import steps_per_epoch
from posterfusion_jax.input_pipeline.sources import BatchSource, FeatureSource, PosterSource, StoredFeatures, Texts, TokenTexts
from posterfusion_jax.losses.asymmetric import make_loss
from posterfusion_jax.models.classifier import Classifier
from posterfusion_jax.pipeline.classifier import feature_classifier, live_classifier
from posterfusion_jax.pipeline.encoders import check_encoders, load_run_towers, passports
from posterfusion_jax.pipeline.features import open_run_store, open_run_texts, print_truncation, truncation_stats
from posterfusion_jax.train.step import Loss, make_optimizer
from posterfusion_jax.utils.choose import choose


class RunComponents(NamedTuple):
    """Hold a classifier with its data.

    Attributes:
      classifier: the model.
      source: split -> its batches, ablated according to data.text_control.
      without_title: split -> the same with the words of the film's title removed from the texts.
      cut_texts: split -> truncation rate of the texts of the run (`features.truncation_stats`); None if not recorded.
      encoders: {"image": passport, "text": passport}.
    """

    classifier: Classifier
    source: Callable[[str], BatchSource]
    without_title: Callable[[str], BatchSource]
    cut_texts: Callable[[str], dict[str, Any] | None]
    encoders: dict[str, Any]


def assemble(run: Run, dataset: PosterDataset, encoders: dict[str, Any] | None) -> RunComponents:
    """Build the classifier of a run and the sources of its splits.

    Args:
      run: the run.
      dataset: its dataset.
      encoders: passports of the checkpoint, or None for those of the encoders in the config.

    Raises:
      InputError: features are missing, or were made with other encoders.
    """
    encode_empty = choose("model.missing_text", run.config.model.missing_text, MISSING_TEXT)
    if not run.live and encoders is not None:
        return _assemble_from_store(run, dataset, open_run_store(run, dataset, encoders), encoders, encode_empty)
    image_tower, text_tower = load_run_towers(run, dataset)
    loaded = passports(image_tower, text_tower)
    if not run.live:
        return _assemble_from_store(run, dataset, open_run_store(run, dataset, loaded), loaded, encode_empty)
    check_encoders(loaded, encoders or loaded)

    @functools.cache
    def own(split: str) -> PosterSource:
        source = PosterSource(dataset, split, image_tower, text_tower, encode_empty=encode_empty)
        print_truncation(truncation_stats(source.texts, source.truncated), text_tower.max_tokens, f"{split} texts")
        return source

    @functools.cache
    def titleless(split: str) -> TokenTexts:
        left = dataset.texts_without_title(split)
        texts = TokenTexts(left, text_tower, encode_empty=encode_empty)
        print_truncation(truncation_stats(left, texts.truncated), text_tower.max_tokens, f"{split} texts without titles")
        return texts

    def cut_texts(split: str) -> dict[str, Any]:
        if run.config.data.text_control == WITHOUT_TITLE:
            return truncation_stats(dataset.texts_without_title(split), titleless(split).truncated)
        return truncation_stats(own(split).texts, own(split).truncated)

    return _make_components(run, live_classifier(run, image_tower, text_tower), own, titleless, cut_texts, loaded)


def _assemble_from_store(
    run: Run, dataset: PosterDataset, store: FeatureStore, encoders: dict[str, Any], encode_empty: bool
) -> RunComponents:
    image_width, text_width = store.widths
    classifier = feature_classifier(run, image_width=image_width, text_width=text_width)
    texts = open_run_texts(run, dataset, encoders) if run.without_title else None

    def own(split: str) -> BatchSource:
        return FeatureSource(dataset, split, store, encode_empty=encode_empty)

    def titleless(split: str) -> Texts:
        assert texts is not None
        return StoredFeatures(dataset.columns(split)["poster_id"], texts, encode_empty=encode_empty)

    def cut_texts(split: str) -> dict[str, Any] | None:
        titleless_run = run.config.data.text_control == WITHOUT_TITLE
        noted = (texts if titleless_run and texts is not None else store).cut_texts
        if noted is None:
            return None
        columns = dataset.columns(split)
        read = dataset.texts_without_title(split) if titleless_run else columns["text"]
        return truncation_stats(read, len(set(noted) & set(columns["poster_id"])))

    return _make_components(run, classifier, own, titleless, cut_texts, encoders)


def _make_components(
    run: Run,
    classifier: Classifier,
    own: Callable[[str], BatchSource],
    titleless: Callable[[str], Texts],
    cut_texts: Callable[[str], dict[str, Any] | None],
    encoders: dict[str, Any],
) -> RunComponents:
    control = run.config.data.text_control

    def without_title(split: str) -> BatchSource:
        return controlled(TextOverrideSource(own(split), titleless(split)))

    def controlled(source: BatchSource) -> BatchSource:
        return source if control in ("own", WITHOUT_TITLE) else AblatedSource(source, text=control)

    def source(split: str) -> BatchSource:
        return without_title(split) if control == WITHOUT_TITLE else controlled(own(split))

    return RunComponents(classifier, source, without_title, cut_texts, encoders)


def make_run_optimizer(run: Run, classifier: Classifier, *, train_posters: int) -> optax.GradientTransformation:
    """Return the optimizer of the config's section `train`, for a training split of `train_posters` posters."""
    steps = steps_per_epoch(train_posters, run.config.train.batch_size)
    return make_optimizer(run.config.train, classifier.groups, steps_per_epoch=steps)


def loss_of(run: Run) -> Loss:
    """Return the loss of the config's section `loss`."""
    loss = run.config.loss
    return make_loss(
        loss.preset,
        gamma_pos=loss.gamma_pos,
        gamma_neg=loss.gamma_neg,
        margin=loss.margin,
        stop_gradient=loss.stop_gradient,
    )
