"""The public Python API: a lazy import, a model in memory, and the stages as functions."""

import importlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import typing

import numpy as np
import pytest
from PIL import Image
from tiny_runs import read_with

import posterfusion_jax as pf
from posterfusion_jax.ocr.engines.base import NoEngine
from posterfusion_jax.pipeline import predict as prediction_stage

ROOT = pathlib.Path(__file__).parent.parent


def python(code, *flags, stdin=None, cwd=None):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *flags, *(["-c", code] if code else [])]
    done = subprocess.run(command, env=environment, input=stdin, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory, posters_dir, clip_folder, tiny_run):
    """A finished run on tokens, with OCR records in its posters' folder and no engine."""
    changes = {"features__level": "tokens", "features__image_grid": 2, "train__max_epochs": 1, "ocr__engine": "none"}
    run = tiny_run(tmp_path_factory.mktemp("api"), posters_dir, clip_folder, **changes)
    pf.pipeline.run_all(run)
    return run


@pytest.fixture(scope="module")
def model(run):
    return pf.load(run.paths.workdir)


@pytest.fixture(scope="module")
def files(posters_dir):
    return sorted((posters_dir / "images").iterdir())[:3]


HEAVY = ("jax", "flax", "numpy", "PIL", "tensorflow", "torch", "ml_collections", "transformers")


def test_the_import_loads_nothing_heavy():
    code = f"import sys, os, posterfusion_jax as pf; dir(pf); print([m for m in {HEAVY} if m in sys.modules])"
    assert python(code) == "[]\n"
    code = "import posterfusion_jax, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    assert python(code) == "1\n"


@pytest.mark.parametrize(
    "use",
    [
        "pf.GENRES, pf.InputError, pf.Prediction, pf.__version__",
        "pf.load_config('paper')",
        "pf.pipeline, pf.losses, pf.metrics, pf.models, pf.encoders, pf.ocr",
        "pf.metrics.multilabel_report, pf.metrics.register, pf.losses.register",
        "pf.encoders.register_image_tower, pf.ocr.register_engine",
        "pf.resolve(pf.load_config('quickstart'), 'w')",
    ],
)
def test_these_names_need_no_jax(use):
    heavy = ("jax", "tensorflow", "torch")
    assert python(f"import sys, posterfusion_jax as pf; {use}; print([m for m in {heavy} if m in sys.modules])") == "[]\n"


def test_every_public_name_exists_and_is_listed():
    for package in (pf, pf.losses, pf.metrics, pf.models, pf.encoders, pf.ocr, pf.pipeline):
        assert set(package.__all__) <= set(dir(package))
        for name in package.__all__:
            value = getattr(package, name)
            assert isinstance(value, str | tuple | dict) or typing.get_origin(value) or value.__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        pf.lode  # noqa: B018


@pytest.mark.parametrize("name", ["load", "load_config", "resolve", "load_towers", "open_features", "GenreModel"])
def test_docstrings_have_an_example(name):
    assert "Example::" in getattr(pf, name).__doc__


def test_stages_have_an_example_and_stay_functions():
    for name in pf.pipeline.__all__:
        with_modules = importlib.util.find_spec(f"posterfusion_jax.pipeline.{name}")
        if with_modules:
            importlib.import_module(f"posterfusion_jax.pipeline.{name}")
        assert callable(getattr(pf.pipeline, name))
        assert "Example::" in getattr(pf.pipeline, name).__doc__
    code = "import posterfusion_jax.pipeline.train, posterfusion_jax as pf; print(callable(pf.pipeline.train))"
    assert python(code) == "True\n"


def test_results_are_returned(run):
    results = pf.pipeline.evaluate(run)
    assert set(results) == {"validation", "test"}
    assert 0 <= results["test"]["metrics"]["f1_macro"] <= 1
    assert (run.paths.report / "report.md").is_file()


def test_a_run_is_asked_for_by_its_type(run):
    with pytest.raises(pf.InputError, match=r"posterfusion_jax.resolve"):
        pf.pipeline.train(str(run.paths.workdir))


def test_predictions_of_files_images_and_arrays_are_equal(model, files):
    opened = [Image.open(file) for file in files]
    arrays = [np.asarray(image.convert("RGB")) for image in opened]
    texts = ["ONE", "TWO", ""]
    expected = model.predict(files, texts)
    for images in (list(map(str, files)), opened, arrays, [files[0], opened[1], arrays[2]], iter(files)):
        for a, b in zip(model.predict(images, texts), expected, strict=True):
            assert (a.text, a.genres, a.error) == (b.text, b.genres, None)
            assert a.scores == pytest.approx(b.scores, abs=1e-6)
    assert [p.text for p in expected] == texts
    assert list(expected[0].scores) == list(model.genres) == list(pf.GENRES)


@pytest.mark.parametrize("as_input", [str, lambda file: file, Image.open, lambda file: np.asarray(Image.open(file))])
def test_a_single_image_is_a_list_of_one(model, files, as_input):
    assert len(model.predict(as_input(files[0]), "A TITLE")) == 1


def test_predictions_equal_those_of_the_command_line(run, model, files):
    command_line = list(prediction_stage.predict(run, [str(file) for file in files]))
    in_memory = model.predict(files, texts=[""] * 3)
    for a, b in zip(command_line, in_memory, strict=True):
        assert a.scores == pytest.approx(b.scores, abs=1e-6)
        assert (a.file, a.genres) == (b.file, b.genres)


def test_what_is_no_image_has_an_error_in_its_place(model, files, tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    images = [
        *("missing.jpg", tmp_path / "text.jpg", tmp_path, None, 3, "$NO_SUCH_VARIABLE/a.jpg"),
        *(np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)),
        files[0],
    ]
    found = model.predict(images)
    assert [p.error is None for p in found] == [False] * 9 + [True]
    assert "uint8 [height, width, 3]" in found[7].error
    assert found[3].file == "image 3"
    embedded = model.embed(images, texts=[""] * 10)
    assert np.isnan(embedded["image"][:9]).all()
    assert np.isfinite(embedded["image"][9]).all()


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1", "LA", "I;16"])
def test_pil_images_of_other_modes(model, files, mode):
    grey = Image.open(files[0]).convert("L")
    image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    assert model.predict(image, "")[0].error is None


def test_nothing_to_predict_is_an_empty_list(model):
    assert model.predict([]) == model.predict([], texts=[]) == []
    assert model.embed([])["image"].shape == (0, 16) or model.embed([])["image"].shape[0] == 0


@pytest.mark.parametrize("texts", [["a"], "a", [None, None], False, [1, 2], 5])
def test_texts_that_do_not_match_are_refused(model, files, texts):
    with pytest.raises(pf.InputError, match="texts"):
        model.predict(files[:2], texts)


@pytest.mark.parametrize("threshold", ["best", 0, 1.0, True, None])
def test_unknown_thresholds_are_refused(model, files, threshold):
    with pytest.raises(pf.InputError, match="threshold"):
        model.predict(files, threshold=threshold)


def test_thresholds(model, files):
    for threshold in ("fixed", "tuned", "tuned_per_genre"):
        assert model.predict(files, threshold=threshold)
    none, every = (model.predict(files[0], "", threshold=threshold)[0] for threshold in (1 - 1e-9, 1e-9))
    assert (none.genres, every.genres) == ([], list(model.genres))


def test_ocr_reads_files_and_images_alike(run, files, monkeypatch):
    model = pf.load(run.paths.workdir)
    paths = []

    def read(given):
        paths.extend(given)
        return read_with(NoEngine())(given)

    object.__setattr__(model, "read_words", read)
    model.predict([files[0], Image.open(files[1]), np.asarray(Image.open(files[2])), "missing.jpg", None])
    assert [path.suffix for path in paths] == [".jpg", ".png", ".png", ".jpg"]
    assert not paths[1].exists()


def test_features_and_attention(model, files):
    features = model.embed(files, texts=["ONE", "", "THREE"])
    assert features["image"].dtype == np.float32
    assert len(features["image"]) == len(features["text"]) == 3
    assert not features["text"][1].any()
    assert features["text"][0].any()
    weights = model.attention(files, texts=["ONE", "", "THREE"])
    assert weights.shape == (3, 5)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)


def test_the_models_sentence_names_model_and_data(run, model):
    assert "fusion" in repr(model)
    assert "epoch 1" in model.about
    assert str(run.paths.workdir) in repr(model)
    assert "no use on real posters" not in model.about


def test_a_run_on_drawn_posters_is_of_no_use_on_real_ones(run):
    drawn = pf.load_config("quickstart")
    drawn_run = pf.resolve(drawn, "w")
    meta = {"dataset": {"posters": {"train": 9}, "films": {"train": 3}}, "encoders": {}}
    assert "no use on real posters" in prediction_stage._describe_model(drawn_run, 3, meta)


def test_folders_that_cannot_be_loaded_are_explained(run, tmp_path):
    with pytest.raises(pf.InputError, match="is not a folder"):
        pf.load(tmp_path / "missing")
    with pytest.raises(pf.InputError, match="is no run"):
        pf.load(tmp_path)
    (tmp_path / "dataset").mkdir()
    with pytest.raises(pf.InputError, match="not finished: it has dataset"):
        pf.load(tmp_path)


def test_missing_encoders_are_named_with_the_way_out(run, clip_folder, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(clip_folder, moved)
    gone = {"encoders.image": str(tmp_path / "gone"), "encoders.text": str(tmp_path / "gone")}
    with pytest.raises(pf.InputError, match="overrides"):
        pf.load(run.paths.workdir, gone)
    pf.load(run.paths.workdir, {"encoders.image": moved, "encoders.text": moved})
    with pytest.raises(pf.InputError, match=r"train.batch_size"):
        pf.load(run.paths.workdir, {"train.batch_size": 3})


def test_configs_from_names_files_and_dictionaries(tmp_path):
    config = pf.load_config("paper", {"data.posters_dir": tmp_path, "model.ffn": [8, 4], "loss.margin": None})
    assert (config.data.posters_dir, config.model.ffn) == (str(tmp_path), (8, 4))
    assert pf.load_config(ROOT / "configs" / "paper.py").model.name == "fusion"
    assert pf.load_config("tables:gmu").model.name == "gmu"
    run = pf.resolve(config, tmp_path / "w")
    assert run.paths.workdir == tmp_path / "w"
    assert not run.paths.workdir.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train.lerning_rate": 1.0}, "Did you mean train.learning_rate"),
        ({"train": 3}, "is a section"),
        ({"train.batch_size": "many"}, "train.batch_size"),
        ({"model.ffn": 3}, "model.ffn"),
        ({3: 4}, "no field"),
    ],
)
def test_wrong_changes_are_explained(changes, message):
    with pytest.raises(pf.InputError, match=message):
        pf.load_config("paper", changes)


def test_datasets_and_features_open(run):
    dataset = pf.open_dataset(next(run.paths.dataset.glob("imdb_posters/by_film/*")))
    assert set(dataset.splits) == {"train", "validation", "test"}
    store = pf.open_features(run.paths.features)
    assert store.read(np.arange(2))["image"].shape[0] == 2
    with pytest.raises(pf.InputError, match="holds no features"):
        pf.open_features(run.paths.workdir)


def test_a_script_without_a_guard_and_standard_input(run, files):
    code = (
        "import json, sys\nimport posterfusion_jax as pf\n"
        f"model = pf.load({str(run.paths.workdir)!r})\n"
        f"print(json.dumps(model.predict({[str(f) for f in files]!r})[2].scores))\n"
    )
    assert set(json.loads(python(None, "-", stdin=code))) == set(pf.GENRES)
