"""What would stop a run late is found at the start, and a start that fails leaves nothing behind."""

import contextlib
import json
import pathlib
import shutil

import pytest
from imdb_folder import make_folder
from tiny_checkpoints import write_bert, write_clip

from posterfusion_jax.config.file import load
from posterfusion_jax.config.run import from_json, resolve, to_json
from posterfusion_jax.encoders.inspect import TowerSizes, inspect_encoders
from posterfusion_jax.errors import InputError
from posterfusion_jax.pipeline.encoders import load_run_towers
from posterfusion_jax.pipeline.inputs import check_inputs
from posterfusion_jax.pipeline.workdir import check_trained, lock_workdir


@pytest.fixture
def make_run(tmp_path, posters_dir, clip_folder, tiny_run):
    def make(posters=posters_dir, image=clip_folder, text=None, **changes):
        return tiny_run(tmp_path / "runs" / "one", posters, image, text or clip_folder, **{"ocr__engine": "none", **changes})

    return make


def test_sound_inputs_pass_and_nothing_is_created(make_run, tmp_path):
    for mode in (None, "ocr", "build"):
        check_inputs(make_run(), mode)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": "/nowhere/clip"}, "encoders.image: there is no folder '/nowhere/clip'"),
        ({"text": "/nowhere/clip"}, "encoders.text: there is no folder"),
        ({"image": "keras:VGG18"}, "did you mean keras:VGG19"),
        ({"image": "keras:VGG19@/nowhere.h5"}, "there is no file '/nowhere.h5'"),
        ({"text": "word2vec:/nowhere.bin"}, "there is no file or folder '/nowhere.bin'"),
        ({"encoders__max_text_tokens": 21}, "takes 3 to 20 tokens"),
        ({"features__level": "tokens", "features__image_grid": 5}, "a grid of 4 x 4 patches"),
        ({"train__fine_tune": "last_n", "train__fine_tune_layers": 3}, "encoders.image has 2 layers. Allowed are 1 to 2"),
    ],
)
def test_encoders_that_do_not_fit_are_refused(make_run, changes, message):
    for mode in (None, "features", "train"):
        run = make_run(**changes)
        if mode in ("features", "train"):
            folder = run.paths.dataset / "imdb_posters" / "by_film" / "1.1.0"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "report.json").write_text("{}")
        with pytest.raises(InputError) as error:
            check_inputs(run, mode)
        assert message in str(error.value)


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (("config.json",), "config.json"),
        (("model.safetensors",), "has none of model.safetensors"),
        (("preprocessor_config.json",), "has none of preprocessor_config.json"),
        (("vocab.json", "tokenizer.json"), "has none of tokenizer.json"),
    ],
)
def test_a_folder_that_lacks_files_is_refused(make_run, clip_folder, tmp_path, gone, message):
    folder = shutil.copytree(clip_folder, tmp_path / "clip")
    for name in gone:
        (folder / name).unlink(missing_ok=True)
    with pytest.raises(InputError, match=message):
        check_inputs(make_run(image=folder, text=folder), None)


def test_a_model_of_another_kind_is_refused(make_run, bert_folder):
    with pytest.raises(InputError, match=r"encoders.image=.* is a model of the type 'bert'"):
        check_inputs(make_run(image=bert_folder), None)


def test_widths_that_cannot_be_added_are_refused(make_run, bert_folder):
    run = make_run(text=bert_folder, model__name="addition")
    with pytest.raises(InputError, match="they are 24 and 32 wide"):
        check_inputs(run, None)
    check_inputs(make_run(text=bert_folder, model__name="addition", model__align=16), None)


def test_zero_shot_needs_a_clip(make_run, bert_folder, tmp_path):
    folder = write_clip(tmp_path / "clip")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "blip"}))
    changes = {"model__zero_shot_prompts": ("a {genre}",), "model__zero_shot_neutral": ("a poster",)}
    with pytest.raises(InputError, match="is of the kind 'blip'"):
        check_inputs(make_run(image=folder, text=folder, model__name="zero_shot", **changes), None)


def test_sizes_are_those_of_the_towers(make_run, clip_folder, bert_folder):
    run = make_run(text=bert_folder)
    sizes = inspect_encoders(run.config.encoders)
    image, text = load_run_towers(run, None)
    assert sizes == {"image": TowerSizes(24, 2, 4), "text": TowerSizes(32, 3, max_tokens=24)}
    assert (image.width, text.width) == (sizes["image"].width, sizes["text"].width)


@pytest.mark.parametrize(
    ("spoil", "mode", "message"),
    [
        (lambda folder: shutil.rmtree(folder), "ocr", "has no folder 'images'"),
        (lambda folder: shutil.rmtree(folder / "images"), "build", "has no folder 'images'"),
        (lambda folder: (folder / "title.basics.tsv.gz").unlink(), None, "has no title.basics.tsv.gz"),
        (lambda folder: [p.rename(p.with_name(f"x{p.name}")) for p in (folder / "images").iterdir()], None, "no poster named"),
    ],
)
def test_a_folder_without_posters_or_titles_is_refused(make_run, tmp_path, spoil, mode, message):
    folder = make_folder(tmp_path / "posters", films=3)
    spoil(folder)
    with pytest.raises(InputError, match=message):
        check_inputs(make_run(posters=folder), mode)
    assert not (tmp_path / "runs").exists()


def test_an_engine_that_cannot_be_used_is_refused_where_posters_are_to_be_read(make_run, tmp_path, monkeypatch):
    folder = make_folder(tmp_path / "posters", films=3)
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    for engine, message in (("gemini", "needs a key"), ("tesseract", "no program of this name")):
        check_inputs(make_run(posters=folder, ocr__engine=engine), None)  # the records may be all there is to read
        (folder / "ocr.jsonl").rename(folder / "kept")
        with pytest.raises(InputError, match=message):
            check_inputs(make_run(posters=folder, ocr__engine=engine), "ocr")
        (folder / "kept").rename(folder / "ocr.jsonl")


def test_scratch_encoders_without_any_words_are_refused(tmp_path):
    config = load("quickstart", ["--config.ocr.engine=none"])
    with pytest.raises(InputError, match=r"ocr.engine='none' reads none"):
        check_inputs(resolve(config, tmp_path / "run"), None)


@pytest.mark.parametrize(
    ("field", "mode"), [("data__dataset_dir", "build"), ("features__dir", None), ("ocr__store", "ocr"), ("workdir", "build")]
)
def test_a_file_in_the_place_of_a_folder_is_refused(make_run, tmp_path, field, mode):
    (tmp_path / "file").write_text("")
    if field == "workdir":
        run = resolve(from_json(to_json(make_run().config)), tmp_path / "file" / "run")
    else:
        run = make_run(**{field: str(tmp_path / "file" / "x" / "y"), "ocr__engine": "rapidocr"})
    with pytest.raises(InputError, match=r"file' is not a folder. Name another place"):
        check_inputs(run, mode)


@pytest.mark.parametrize("mode", ["features", "train"])
def test_a_stage_without_its_dataset_is_refused(make_run, tmp_path, mode):
    with pytest.raises(InputError, match="there is no dataset in"):
        check_inputs(make_run(), mode)
    assert not (tmp_path / "runs").exists()


def test_a_workdir_without_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no checkpoint"):
        check_trained(tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("written", [False, True])
def test_a_workdir_in_which_nothing_was_written_goes_with_the_refusal(tmp_path, written):
    workdir = tmp_path / "runs" / "one"
    with contextlib.suppress(InputError), lock_workdir(workdir):
        if written:
            (workdir / "results").mkdir()
        raise InputError("no")
    assert workdir.exists() == written
    assert (tmp_path / "runs").exists() == written


def test_a_workdir_that_was_there_stays(tmp_path):
    pathlib.Path(tmp_path / "run").mkdir()
    with pytest.raises(InputError, match="no"), lock_workdir(tmp_path / "run"):
        raise InputError("no")
    assert (tmp_path / "run").is_dir()


def test_bert_texts_have_their_own_longest_length(make_run, tmp_path):
    (tmp_path / "bert").mkdir()
    folder = write_bert(tmp_path / "bert")
    check_inputs(make_run(text=folder, encoders__max_text_tokens=24), None)
    with pytest.raises(InputError, match="takes 3 to 24 tokens"):
        check_inputs(make_run(text=folder, encoders__max_text_tokens=25), None)
