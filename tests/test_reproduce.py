"""The scripts that run many systems and seeds: what they write, skip, name and refuse."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
ENVIRONMENT = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
SMALL = [
    *("--config.model.dim=16", "--config.model.heads=2", "--config.model.ffn=(16,8)", "--config.train.batch_size=8"),
    *("--config.train.max_epochs=3", "--config.ocr.engine=none", "--config.evaluate.bootstrap=100"),
]


def call(script, *flags):
    command = [sys.executable, f"launch/{script}.py", *map(str, flags)]
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=500)


@pytest.mark.slow
def test_systems_that_can_be_run_are_and_the_others_are_named(tmp_path, posters_dir, clip_folder):
    flags = [
        *("--posters", posters_dir, "--root", tmp_path / "runs", "--out", tmp_path / "out" / "by_film", "--seeds=0,5"),
        *(f"--use=clip={clip_folder}", f"--use=clip_text={clip_folder}", "--use=mobilenetv2=keras:MobileNetV2@absent.h5"),
        *("--only=gmu,image_clip,zero_shot,mobilenetv2+w2v_add", "--"),
        *("--config.model.zero_shot_prompts=('a {genre}',)", "--config.model.zero_shot_neutral=('poster',)"),
        *SMALL,
    ]
    first = call("reproduce", *flags)
    assert first.returncode == 1, first.stderr
    assert "not run: mobilenetv2+w2v_add: encoders.image" in first.stderr
    written = sorted(path.stem for path in (tmp_path / "out" / "by_film").iterdir())
    assert written == ["gmu", "image_clip", "zero_shot"]
    for name in ("gmu", "image_clip", "zero_shot"):
        summary = json.loads((tmp_path / "out" / "by_film" / f"{name}.json").read_text())
        assert summary["seeds"] == [0, 5]
        singles = [
            json.loads((tmp_path / "runs" / name / f"seed{seed}" / "results" / "test.json").read_text()) for seed in (0, 5)
        ]
        assert summary["metrics"]["f1_macro"]["values"] == [single["metrics"]["f1_macro"] for single in singles]
        assert summary["metrics"]["f1_macro"]["runs"] == 2
        assert f"{name} " in first.stdout
    gates = json.loads((tmp_path / "runs" / "gmu" / "seed5" / "results" / "test.json").read_text())["gates"]
    assert 0 < gates["image_gate"]["mean"] < 1
    again = call("reproduce", *flags)
    assert again.stdout.count("training: up to date, finished") == 4
    assert again.stdout.count("training: none for zero_shot; embedded prompts are up to date") == 2
    assert again.stdout.count("evaluation: test is up to date") == 6
    roots = [tmp_path / "runs" / name for name in ("gmu", "gmu@text_empty")]
    compared = call("compare", *roots, "--resamples=100", "--out", tmp_path / "compared.json")
    assert compared.returncode == 0, compared.stderr
    comparison = json.loads((tmp_path / "compared.json").read_text())
    assert str(tmp_path) not in json.dumps(comparison)
    assert comparison["a"]["seeds"] == comparison["b"]["seeds"] == [0, 5]
    gmu = json.loads((tmp_path / "out" / "by_film" / "gmu.json").read_text())
    assert set(gmu["calibration"]) == {"raw", "fitted"}  # its loss is cross-entropy
    assert comparison["metrics"]["f1_macro"]["a"] == pytest.approx(gmu["metrics"]["f1_macro"]["mean"])

    listed = call("compare", "--root", tmp_path / "runs", "--resamples=100", "--out", tmp_path / "out" / "comparisons")
    assert listed.returncode == 1
    assert "not compared: ours against addition: there is no folder" in listed.stderr
    assert [path.stem for path in (tmp_path / "out" / "comparisons").iterdir()] == ["GMU against the picture alone"]
    run = tmp_path / "runs" / "image_clip" / "seed5"
    paged = call("tables", "--results", tmp_path / "out", "--page", tmp_path / "page", "--run", run)
    assert paged.returncode == 0, paged.stderr
    page = (tmp_path / "page" / "tables.html").read_text()
    for title in ("Table II", "Paired comparisons", "seed5: Most confident, wrong"):
        assert f"<h2>{title}</h2>" in page
    assert str(tmp_path) not in page
    narrow = call("tables", "--results", tmp_path / "out", "--compact")
    assert narrow.stdout.count("\n| ") == 4 + 3  # a rule and three systems; head, rule and a comparison


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--seeds=0,a", "'0,a' is not a list of numbers"),
        ("--split=tset", "invalid choice: 'tset'"),
        ("--only=gum", "--only has 'gum'; allowed are table_i"),
        ("--use=clop=x", "--use=clop=...: allowed names are clip"),
    ],
)
def test_what_does_not_exist_is_refused(tmp_path, posters_dir, flag, message):
    result = call("reproduce", "--posters", posters_dir, "--root", tmp_path, flag)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_a_sweep_goes_on_after_a_cell_that_fails(tmp_path, posters_dir, clip_folder):
    flags = [f"--config.data.posters_dir={posters_dir}", f"--config.encoders.image={clip_folder}"]
    flags += [f"--config.encoders.text={clip_folder}", "--config.train.monitor=f1_macro", *SMALL]
    grid = "--grid=model.name=fuson,image_only"
    out = tmp_path / "out.json"
    result = call(
        "sweep", "--config=configs/paper.py", "--root", tmp_path / "runs", "--seeds=1,2", grid, "--out", out, "--", *flags
    )
    assert result.returncode == 1, result.stderr
    assert "failed: fuson: model.name='fuson'" in result.stderr
    table = json.loads(out.read_text())
    assert list(table["cells"]) == ["image_only"]
    assert table["cells"]["image_only"]["seeds"] == [1, 2]
    assert "--config.train.monitor=f1_macro" in table["flags"]
    assert not [flag for flag in table["flags"] if str(tmp_path) in flag]


def test_tables_without_results_say_what_to_run(tmp_path):
    result = call("tables", "--results", tmp_path)
    assert result.returncode == 2
    assert "has no by_film/*.json. Run launch/reproduce.py" in result.stderr
