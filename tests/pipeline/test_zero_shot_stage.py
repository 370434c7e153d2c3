"""Zero-shot CLIP from posters to results and predictions, against transformers' own logits."""

import jax
import numpy as np
import pytest
from tiny_checkpoints import clip_config, clip_params, write_clip
from tiny_runs import read_with

from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.config.run import from_json, to_json
from posterfusion_jax.encoders.hf_compat import default_promotion
from posterfusion_jax.encoders.preprocess import resize_poster
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.results import read_results, read_scores
from posterfusion_jax.genres import GENRES
from posterfusion_jax.metrics.thresholds import fit_thresholds
from posterfusion_jax.ocr.engines.base import OcrResult
from posterfusion_jax.pipeline import predict as prediction
from posterfusion_jax.pipeline.build import build
from posterfusion_jax.pipeline.dataset import open_run_dataset
from posterfusion_jax.pipeline.evaluate import evaluate
from posterfusion_jax.pipeline.features import extract_features, load_run_towers
from posterfusion_jax.pipeline.multi_seed import run_seeds
from posterfusion_jax.pipeline.ocr import read_words
from posterfusion_jax.pipeline.predict import predict
from posterfusion_jax.pipeline.report import report
from posterfusion_jax.pipeline.train import train_model
from posterfusion_jax.posters.decode import decode_poster

# isort: split
from transformers import CLIPConfig, FlaxCLIPModel

SHORT = {  # the tiny tokenizer reads letters, at most 18
    "model__name": "zero_shot",
    "model__zero_shot_prompts": ("a {genre}",),
    "model__zero_shot_neutral": ("a poster",),
    "train__max_epochs": 3,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory, posters_dir, clip_folder, tiny_run):
    run = tiny_run(tmp_path_factory.mktemp("zero_shot"), posters_dir, clip_folder, **SHORT)
    for stage in (read_words, build, extract_features, train_model, evaluate, report):
        stage(run)
    return run


def test_logits_are_those_of_transformers_less_the_neutral_column(run):
    dataset, (image_tower, text_tower) = open_run_dataset(run), load_run_towers(run, None)
    rows = [dataset.row("test", i) for i in range(len(dataset.splits["test"]))]
    images = np.stack([resize_poster(decode_poster(row["image"]), size=image_tower.image_size, how="crop") for row in rows])
    pixels = ((images / 255 - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4]).astype(np.float32).transpose(0, 3, 1, 2)
    tokens = text_tower.tokenize([*(f"a {genre}" for genre in GENRES), "a poster"])
    with default_promotion():
        reference = FlaxCLIPModel(CLIPConfig(**clip_config()), _do_init=False)
        ask = jax.jit(lambda params, ids, mask: reference(ids, pixels, mask, params=params).logits_per_image)
        logits = np.asarray(ask(clip_params(), tokens.input_ids[:, 0], tokens.attention_mask[:, 0]), np.float64)
    expected = logits[:, :-1] - logits[:, -1:]
    scores = read_scores(run.paths.results, "test")
    assert list(scores["poster_ids"]) == [row["poster_id"] for row in rows]
    found = np.log(scores["scores"].astype(np.float64) / (1 - scores["scores"]))
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_results_are_like_those_of_every_other_head(run):
    results, scores = read_results(run.paths.results, "test"), read_scores(run.paths.results, "validation")
    assert results["model"] == "zero_shot"
    assert results["checkpoint"]["epoch"] == 0
    fitted = fit_thresholds(scores["scores"], scores["labels"])
    assert results["thresholds"] == {name: fitted[name] for name in ("fixed", "tuned", "tuned_per_genre")}
    assert results["checkpoint"]["validation"]["validation_loss"] == read_results(run.paths.results, "validation")["loss"]
    for control in ("text_empty", "text_shuffled"):  # it reads no text
        assert results["controls"][control]["metrics"]["brier"] == results["metrics"]["brier"]
    assert results["controls"]["image_mean"]["metrics"]["brier"] != results["metrics"]["brier"]
    page = (run.paths.report / "report.html").read_text()
    assert "seed 0, not trained. Picture: clip" in page
    assert "<h2>Training</h2>" not in page
    assert set(results["calibration"]) == {"raw", "fitted"}  # its scores come from no loss


def test_a_second_start_finds_it_done(run, capsys):
    train_model(run)
    evaluate(run)
    assert "embedded prompts are up to date" in capsys.readouterr().out
    checkpoints = Checkpoints(run.paths.checkpoints)
    assert (checkpoints.latest, checkpoints.best) == (0, 0)
    checkpoints.close()


def test_prediction_of_a_file_equals_evaluation_of_the_poster(run, monkeypatch):
    class NoWords:
        name, version, model_version = "rapidocr", "0", None

    def read(self, image):
        return OcrResult(lines=())

    monkeypatch.setattr(prediction, "read_files", read_with(NoWords()))
    evaluated = read_scores(run.paths.results, "test")
    files = [str(run.paths.posters / "images" / f"{poster_id}.jpg") for poster_id in evaluated["poster_ids"]]
    predicted = [list(p.scores.values()) for p in predict(run, files, threshold="tuned")]
    np.testing.assert_allclose(predicted, evaluated["scores"], atol=1e-5)


def test_all_seeds_are_the_same(run, tmp_path):
    config = from_json(to_json(run.config))
    config.data.dataset_dir, config.features.dir = str(run.paths.dataset), str(run.paths.features)
    runs = run_seeds(config, tmp_path, [0, 7])
    results = [read_results(one.paths.results, "test") for one in runs]
    assert [one["seed"] for one in results] == [0, 7]
    assert results[0]["metrics"] == results[1]["metrics"] == read_results(run.paths.results, "test")["metrics"]
    assert not (tmp_path / "training_together").exists()


def test_other_prompts_are_another_run(run, posters_dir, clip_folder, tiny_run):
    changed = {**SHORT, "model__zero_shot_prompts": ("{genre}",)}
    with pytest.raises(InputError, match=r"model.zero_shot_prompts: .*a \{genre\}.* there"):
        train_model(tiny_run(run.paths.workdir, posters_dir, clip_folder, **changed))


def test_towers_that_are_not_one_clip_are_refused(run, tmp_path, posters_dir, bert_folder, tiny_run):
    places = {"data__dataset_dir": str(run.paths.dataset)}
    image_only = write_clip(tmp_path / "image_only", drop=("text_model", "text_projection"))
    half = tiny_run(tmp_path / "a", posters_dir, image_only, **SHORT, **places)
    with pytest.raises(InputError, match="lacks 37 of the text tower's 37"):
        train_model(half)
    drawn = tiny_run(tmp_path / "b", posters_dir, image_only, **SHORT, **places, encoders__allow_random=("text",))
    extract_features(drawn)
    with pytest.raises(InputError, match=r"one pretrained CLIP, but the text tower of 'image_only' has random weights"):
        train_model(drawn)
    with pytest.raises(InputError, match=r"encoders.image=.* and encoders.text=.* must be the same"):
        tiny_run(tmp_path / "c", posters_dir, image_only, bert_folder, **SHORT, **places)
