"""What the text is worth without the film's title: as a control of evaluation, and trained on; cached and live."""

import imdb_folder
import numpy as np
import pytest

from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.results import read_results
from posterfusion_jax.pipeline.assemble import assemble
from posterfusion_jax.pipeline.build import build
from posterfusion_jax.pipeline.dataset import open_run_dataset
from posterfusion_jax.pipeline.evaluate import evaluate
from posterfusion_jax.pipeline.features import extract_features
from posterfusion_jax.pipeline.predict import predict
from posterfusion_jax.pipeline.report import report
from posterfusion_jax.pipeline.train import train_model

WORDS = ("DAWN", "", "RAIN", "SNOW", "SAND")
ALL = ("text_empty", "text_shuffled", "image_mean", "text_without_title")
FEW = {"train__max_epochs": 2, "evaluate__splits": ("test",)}
LIVE = {"train__fine_tune": "last_n", "train__fine_tune_layers": 1, "train__max_epochs": 1}


@pytest.fixture(scope="module")
def start(tmp_path_factory, clip_folder, bert_folder, tiny_run):
    """A function that makes runs on one dataset and one folder of features."""
    root = tmp_path_factory.mktemp("controls")
    posters = imdb_folder.make_folder(root / "posters", read_every=1, words=WORDS)
    places = {"data__dataset_dir": str(root / "dataset"), "features__dir": str(root / "features"), "ocr__engine": "none"}

    def start(name, **changes):
        return tiny_run(root / name, posters, clip_folder, bert_folder, **{**places, **FEW, **changes})

    build(start("build"))
    return start


def test_the_control_is_left_out_unless_named_and_can_be_added_later(start, capsys):
    run = start("own")
    for stage in (extract_features, train_model, evaluate):
        stage(run)
    before = read_results(run.paths.results, "test")
    assert list(before["controls"]) == ["text_empty", "text_shuffled", "image_mean"]
    assert not (run.paths.features / "without_title").exists()

    added = start("own", evaluate__controls=ALL)
    with pytest.raises(InputError, match=r"without_title' lacks .* parts. Compute them with --mode=features"):
        evaluate(added)
    capsys.readouterr()
    for stage in (extract_features, train_model, evaluate):
        stage(added)
    printed = capsys.readouterr().out
    posters = sum(open_run_dataset(run).report["splits"][split]["posters"] for split in ("train", "validation", "test"))
    assert f"features: {run.paths.features}: 0 posters encoded, {posters} found" in printed
    assert f"{posters} texts encoded without their titles, 0 found" in printed
    assert "training: up to date, finished" in printed
    after = read_results(run.paths.results, "test")
    assert set(after["controls"]) == set(ALL)
    assert after["metrics"] == before["metrics"]
    scores = {name: after["controls"][name]["metrics"]["brier"] for name in ("text_empty", "text_without_title")}
    assert len({after["metrics"]["brier"], *scores.values()}) == 3


@pytest.mark.parametrize("live", [{}, pytest.param(LIVE, marks=pytest.mark.slow)], ids=["cached", "live"])
def test_a_run_on_such_texts_reads_them_everywhere(start, live):
    run = start(f"trained_{len(live)}", data__text_control="without_title", evaluate__controls=ALL, **live)
    for stage in (extract_features, train_model, evaluate):
        stage(run)
    results = read_results(run.paths.results, "test")
    assert results["controls"]["text_without_title"]["metrics"]["brier"] == results["metrics"]["brier"]
    assert results["controls"]["text_empty"]["metrics"]["brier"] != results["metrics"]["brier"]
    report(run)
    assert "Trained and tested with data.text_control=&#39;without_title&#39;" in (run.paths.report / "report.html").read_text()
    dataset = open_run_dataset(run)
    left = dataset.texts_without_title("train")
    batch = assemble(run, dataset, results["encoders"]).split("train").load(np.arange(len(left)))
    seen = batch["use_text"] if live else batch["text_mask"]
    np.testing.assert_array_equal(seen, [bool(text) for text in left])
    with pytest.raises(InputError, match=r"data\.text_control='without_title'"):
        list(predict(run, ["poster.jpg"]))


def test_live_texts_are_tokenised_anew_and_pictures_are_shared(start):
    run = start("live", evaluate__controls=ALL, **LIVE)
    dataset = open_run_dataset(run)
    model = assemble(run, dataset, None)
    rows = np.arange(4)
    own, titleless = (model.split("test", text=text).load(rows) for text in ("own", "without_title"))
    np.testing.assert_array_equal(own["images"], titleless["images"])
    assert (own["input_ids"] != titleless["input_ids"]).any(axis=(1, 2)).all()
    np.testing.assert_array_equal(titleless["use_text"], [bool(text) for text in dataset.texts_without_title("test")[:4]])


def test_features_of_another_text_encoder_do_not_serve(start, clip_folder):
    changes = {"evaluate__controls": ALL, "features__dir": ""}
    extract_features(start("other", **changes))
    other = start("other", **changes, encoders__max_text_tokens=5)
    with pytest.raises(InputError, match=r"text.max_tokens is 24 there, 5 now"):
        extract_features(other)
