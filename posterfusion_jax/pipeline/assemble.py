"""Assembly of a classifier and its data from a config, shared by training, evaluation and the report."""

import dataclasses
import functools
from typing import Any

from posterfusion_jax.config.choices import MISSING_TEXT, WITHOUT_TITLE
from posterfusion_jax.config.run import Run
from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset
from posterfusion_jax.input_pipeline.ablations import ablate_text, replace_texts
from posterfusion_jax.input_pipeline.sources import BatchSource, LivePosters, StoredFeatures
from posterfusion_jax.losses.asymmetric import Loss, make_loss
from posterfusion_jax.models.classifier import Classifier
from posterfusion_jax.pipeline.classifier import feature_classifier, live_classifier
from posterfusion_jax.pipeline.encoders import check_encoders, load_run_towers, passports
from posterfusion_jax.pipeline.features import open_run_store, open_run_texts
from posterfusion_jax.train.trainer import Trainer
from posterfusion_jax.utils.choose import choose


@dataclasses.dataclass(frozen=True, eq=False)
class RunComponents:
    """Hold a classifier with its data.

    Attributes:
      run: the run.
      classifier: the model.
      inputs: what its batches are made of.
      encoders: {"image": passport, "text": passport}.
      genres: names of the labels.
    """

    run: Run
    classifier: Classifier
    inputs: StoredFeatures | LivePosters
    encoders: dict[str, Any]
    genres: tuple[str, ...]

    @functools.cached_property
    def loss(self) -> Loss:
        """Return the loss of the config."""
        return make_run_loss(self.run)

    def split(self, name: str, *, text: str = "own") -> BatchSource:
        """Return the batches of a split, ablated according to data.text_control.

        Args:
          name: name of the split.
          text: a further ablation: "empty" or "shuffled" (`input_pipeline.ablations.ablate_text`), or "without_title": without
            the words of its title. "own": none.

        Raises:
          InputError: "shuffled" where one group has more than half of the posters.
        """
        changes = (self.run.config.data.text_control, text)
        source = self.inputs.source(name)
        if WITHOUT_TITLE in changes:
            source = replace_texts(source, self.inputs.texts_without_title(name))
        for change in changes:
            if change not in ("own", WITHOUT_TITLE):
                source = ablate_text(source, change)
        return source

    def truncation(self, name: str) -> dict[str, Any] | None:
        """Return the truncation rate of the texts of a split (`features.truncation`); None if it was not recorded."""
        return self.inputs.truncation(name, without_title=self.run.config.data.text_control == WITHOUT_TITLE)

    def make_trainer(self) -> Trainer:
        """Return the trainer of the config's section `train`."""
        splits = self.split("train"), self.split("validation")
        return Trainer(self.classifier, self.loss, *splits, self.run.config.train, self.genres)


def assemble(run: Run, dataset: PosterDataset, encoders: dict[str, Any] | None) -> RunComponents:
    """Build the classifier of a run and the batches of its splits.

    Args:
      run: the run.
      dataset: its dataset.
      encoders: passports of the checkpoint, or None for those of the encoders in the config.

    Raises:
      InputError: features are missing, or were made with other encoders, or the head does not fit the labels.
    """
    labels = len(dataset.genres)
    encode_empty = choose("model.missing_text", run.config.model.missing_text, MISSING_TEXT)
    if run.live:
        towers = load_run_towers(run, dataset)
        loaded = passports(*towers)
        check_encoders(loaded, encoders or loaded)
        inputs = LivePosters(dataset, *towers, encode_empty=encode_empty)
        return RunComponents(run, live_classifier(run, *towers, labels=labels), inputs, loaded, dataset.genres)
    encoders = encoders or passports(*load_run_towers(run, dataset))
    store = open_run_store(run, dataset, encoders)
    image_width, text_width = store.widths
    classifier = feature_classifier(run, labels=labels, image_width=image_width, text_width=text_width)
    titleless = open_run_texts(run, dataset, encoders) if run.without_title else None
    inputs = StoredFeatures(dataset, store, titleless, encode_empty=encode_empty)
    return RunComponents(run, classifier, inputs, encoders, dataset.genres)


def make_run_loss(run: Run) -> Loss:
    """Return the loss of the config's section `loss`."""
    loss = run.config.loss
    return make_loss(
        loss.preset,
        gamma_pos=loss.gamma_pos,
        gamma_neg=loss.gamma_neg,
        margin=loss.margin,
        stop_gradient=loss.stop_gradient,
    )
