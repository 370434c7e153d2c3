"""A split file without test is trained with, and that is stated; one without validation is refused at the start."""

import dataclasses
import re
from typing import NamedTuple

import pytest
from imdb_folder import film_id

from posterfusion_jax.config.run import from_json, to_json
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.results import read_scores
from posterfusion_jax.pipeline.build import build
from posterfusion_jax.pipeline.evaluate import evaluate, read_evaluated
from posterfusion_jax.pipeline.features import extract_features
from posterfusion_jax.pipeline.inputs import check_inputs
from posterfusion_jax.pipeline.multi_seed import results_of, run_seeds
from posterfusion_jax.pipeline.predict import load_model
from posterfusion_jax.pipeline.report import report
from posterfusion_jax.pipeline.splits import check_result_split, check_split_file
from posterfusion_jax.pipeline.train import train_model

FILMS = 40


def write_split(path, **sizes):
    """The first films into the first split, and so on."""
    films = iter(range(1, FILMS + 1))
    lines = [f"{film_id(next(films))},{split}" for split, size in sizes.items() for _ in range(size)]
    path.write_text("\n".join(["film_id,split", *lines, ""]))
    return path


@pytest.fixture
def make_run(tmp_path, posters_dir, clip_folder, tiny_run):
    def make(file, **changes):
        options = {"data__split_by": "file", "data__split_file": str(file), "ocr__engine": "none", **changes}
        return tiny_run(tmp_path / "run", posters_dir, clip_folder, **options)

    return make


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"train": 30, "test": 10}, "has train, test and no validation split"),
        ({"validation": 30, "test": 10}, "has validation, test and no train split"),
        ({"train": 40}, "has train and no validation split"),
        ({"test": 40}, "no train split"),
    ],
)
def test_a_file_without_a_needed_split_is_refused_at_the_start(make_run, tmp_path, sizes, message):
    run = make_run(write_split(tmp_path / "split.csv", **sizes))
    with pytest.raises(InputError, match=message):
        check_inputs(run, None)
    assert not run.paths.workdir.exists()


def test_a_split_of_films_without_posters_is_refused_at_the_start(make_run, tmp_path):
    file = write_split(tmp_path / "split.csv", train=30, test=10)
    file.write_text(file.read_text() + "tt7777777,validation\n")
    with pytest.raises(InputError, match=r"no validation split \(names none of it that has a poster"):
        check_inputs(make_run(file), None)


def test_no_split_that_is_to_be_evaluated_is_refused_at_the_start(make_run, tmp_path):
    file = write_split(tmp_path / "split.csv", train=30, validation=10)
    with pytest.raises(InputError, match=r"evaluate.splits=\('test',\) names no split .* which has train, validation"):
        check_inputs(make_run(file, evaluate__splits=("test",)), None)


@pytest.mark.parametrize("content", [None, "film_id,split\nx,train\n", "film_id,split\ntt0000001,tarin\n"])
def test_a_file_that_cannot_be_used_is_refused_at_the_start(make_run, tmp_path, content):
    file = tmp_path / "split.csv"
    if content is not None:
        file.write_text(content)
    for mode in (None, "build"):
        with pytest.raises(InputError, match=r"data.split_file="):
            check_inputs(make_run(file), mode)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_dataset_without_validation_is_refused_before_its_features(make_run, tmp_path, capsys, split):
    other = "test" if split == "validation" else "validation"
    sizes = {"train": 30, other: 10} if split == "validation" else {"train": 30, "validation": 9, "test": 1}
    run = make_run(write_split(tmp_path / "split.csv", **sizes))
    check_inputs(run, "build")
    build(run)
    for stage in (extract_features, train_model):
        with pytest.raises(InputError, match="no validation split" if split == "validation" else "all of one film"):
            stage(run)
    assert not run.paths.features.exists()
    assert ("no validation split (early stopping" in capsys.readouterr().out) == (split == "validation")


def test_without_a_test_split_validation_is_evaluated_and_that_is_stated(make_run, tmp_path, capsys):
    run = make_run(write_split(tmp_path / "split.csv", train=30, validation=10), train__max_epochs=1)
    check_inputs(run, None)
    for stage in (build, extract_features, train_model, evaluate, report):
        stage(run)
    said = capsys.readouterr().out
    assert "evaluation: no test split in this dataset; only validation is evaluated" in said
    assert "no test split (it has the scores that may be published)" in said
    assert list(read_evaluated(run)) == ["validation"]
    card = (run.paths.report / "model_card.md").read_text()
    assert "not of a test split" in card
    assert "this dataset has no test split" in card
    assert "of the test posters" not in card + (run.paths.report / "report.md").read_text()
    table = run.paths.results / "predictions_validation.csv"
    written = table.read_bytes()
    assert written.count(b"\n") == 1 + len(read_scores(run.paths.results, "validation")["poster_ids"])
    evaluate(run)
    assert capsys.readouterr().out.endswith("evaluation: validation is up to date\n")
    table.unlink()  # as a run of an earlier version has none
    evaluate(run)
    assert "validation is up to date; to have predictions_validation.csv, too, remove " in capsys.readouterr().out


def with_fractions(run, *fractions, **changes):
    """The run with these shares of train, validation and test, and other changes of its section `data`."""
    data = dataclasses.replace(run.config.data, split_fractions=fractions, **changes)
    return dataclasses.replace(run, config=dataclasses.replace(run.config, data=data))


def test_shares_without_test_train_and_evaluate_validation(tmp_path, posters_dir, clip_folder, tiny_run, capsys):
    run = tiny_run(tmp_path / "run", posters_dir, clip_folder, ocr__engine="none", train__max_epochs=1)
    run = with_fractions(run, 0.8, 0.2, 0.0)
    check_inputs(run, None)
    for stage in (build, extract_features, train_model, evaluate, report):
        stage(run)
    printed = capsys.readouterr().out
    assert "evaluation: no test split in this dataset; only validation is evaluated" in printed
    assert "no positive poster in train of adventure, animation" in printed
    assert list(read_evaluated(run)) == ["validation"]
    card = (run.paths.report / "model_card.md").read_text()
    assert "this dataset has no test split" in card
    predictions = list(load_model(run).predict([posters_dir / "images" / "tt0000001_1.jpg"]))
    assert predictions[0].error is None


def test_a_split_file_of_another_source_has_any_ids(make_run, tmp_path):
    class Ids(NamedTuple):
        poster_id: str
        film_id: str

    file = tmp_path / "split.csv"
    file.write_text("id,split\nbook 1,train\nbook 2,validation\nbook 3,test\n")
    run = with_fractions(make_run(file), 0.8, 0.1, 0.1, source="table")
    posters = [Ids(f"book {book}__{k}", f"book {book}") for book in (1, 3) for k in range(2)]
    check_split_file(run, to_train=True)  # without posters: the ids are not looked up
    check_result_split(run, "test")
    with pytest.raises(InputError, match="has train, test and no validation split"):
        check_split_file(run, to_train=True, posters=posters)
    check_split_file(run, to_train=True, posters=[*posters, Ids("x", "book 2")])


def test_results_of_a_split_whose_share_is_0_are_refused_at_the_start(tmp_path, posters_dir, clip_folder, tiny_run):
    run = tiny_run(tmp_path / "run", posters_dir, clip_folder, ocr__engine="none", evaluate__splits=("test",))
    run = with_fractions(run, 0.9, 0.1, 0.0)
    with pytest.raises(
        InputError, match=r"evaluate.splits=\('test',\) names no split of data.split_fractions=\(0.9, 0.1, 0.0\)"
    ):
        check_inputs(run, None)
    with pytest.raises(InputError, match=r"--split=test: data.split_fractions=.* has no such split, only train, validation"):
        check_result_split(run, "test")
    assert not run.paths.workdir.exists()


def test_seeds_whose_results_are_wanted_of_a_missing_split_do_not_start(make_run, tmp_path):
    run = make_run(write_split(tmp_path / "split.csv", train=30, validation=10))
    config = from_json(to_json(run.config))
    with pytest.raises(InputError, match=r"--split=test: data.split_file has no such split, only train, validation"):
        run_seeds(config, tmp_path / "root", [0], split="test")
    with pytest.raises(InputError, match=r"--split=train: there will be no results .*evaluate.splits"):
        check_result_split(run, "train")
    assert not (tmp_path / "root").exists()


def test_results_that_are_not_there_are_explained(make_run, tmp_path):
    run = make_run(write_split(tmp_path / "split.csv", train=30, validation=10))
    with pytest.raises(InputError, match=re.escape("it is not in evaluate.splits, or the dataset has none")):
        results_of([run], "test")
