"""What `~`, `$` and URLs in a path mean, in every flag and field that takes one."""

import argparse
import os
import pathlib
import pwd

import pytest

from configs import base
from posterfusion_jax.config.file import find_config, stem_of
from posterfusion_jax.config.run import load, resolve
from posterfusion_jax.encoders.checkpoint_files import resolve_checkpoint
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils import user_path
from posterfusion_jax.utils.user_path import expand_path, path_argument, quote_path

ME = pwd.getpwuid(os.getuid()).pw_name
MY_HOME = pwd.getpwuid(os.getuid()).pw_dir


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATA", "/data")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("MISSING", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("~", "{home}"),
        ("~/runs/x", "{home}/runs/x"),
        ("~/$DATA/x", "{home}//data/x"),
        (f"~{ME}", MY_HOME),
        (f"~{ME}/x", f"{MY_HOME}/x"),
        ("$DATA/x", "/data/x"),
        ("${DATA}x", "/datax"),
        ("a/$DATA/${DATA}", "a//data//data"),
        ("/runs/5$$", "/runs/5$"),
        ("/runs/$$DATA", "/runs/$DATA"),
        ("/runs/100$ or 5$", "/runs/100$ or 5$"),
        ("/runs/$1", "/runs/$1"),
        ("/runs/${a b}", "/runs/${a b}"),
        ("./~/x", "./~/x"),
        ("./~no-such-user", "./~no-such-user"),
        ("a/~/b", "a/~/b"),
        ("C:\\x\\y", "C:\\x\\y"),
        ("C:/x", "C:/x"),
        ("a:b/c", "a:b/c"),
        ("./gs://bucket", "./gs://bucket"),
        ("-dash", "-dash"),
        (" ", " "),
        ("", ""),
    ],
)
def test_what_is_expanded(text, path, here):
    assert expand_path(text, "--workdir") == path.replace("{home}", str(here / "home"))


def test_what_exists_as_written_is_taken_as_written(here):
    for name in ("~notes", "$DATA", "a${MISSING}b", f"~{ME}"):
        pathlib.Path(name).mkdir()
        for text in (name, f"./{name}", os.path.abspath(name)):
            assert expand_path(text, "data.posters_dir") == text
            assert expand_path(f"{text}/new/$DATA", "--workdir") == f"{text}/new//data"
    pathlib.Path("~").mkdir()
    assert expand_path("~/x", "--workdir") == f"{here}/home/x"  # not ./~/x, whatever an older version left there
    assert expand_path("./~/x", "--workdir") == "./~/x"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("$MISSING/x", ["'MISSING'", "is not set", "$$"]),
        ("/a/${MISSING}/x", ["'MISSING'", "is not set"]),
        ("$EMPTY/x", ["'EMPTY'", "is empty"]),
        ("~/$MISSING", ["'MISSING'"]),
        ("~no-such-user/x", ["'no-such-user'", "./~no-such-user"]),
        ("gs://bucket/x", ["is a URL", "Mount it", "./gs://bucket/x"]),
        ("s3:/bucket/x", ["is a URL", "Mount it"]),
        ("hdfs://host/x", ["is a URL"]),
        ("HTTPS://host/x", ["is a URL"]),
        ("file:///data/x", ["is a URL", "Write '/data/x'"]),
        ("weird+scheme://x", ["is a URL"]),
        (f"/a/{'n' * 256}/b", ["256 bytes", "255"]),
        ("\u00fc" * 128, ["256 bytes"]),
        ("/x" * 3000, ["longer than systems allow"]),
    ],
)
def test_what_cannot_be_expanded_is_refused_by_its_name(text, words):
    with pytest.raises(InputError) as raised:
        expand_path(text, "data.posters_dir")
    assert all(word in str(raised.value) for word in ["data.posters_dir", *words]), raised.value


def test_without_a_home_folder(here, monkeypatch):
    for state in (None, ""):
        monkeypatch.setenv("HOME", "") if state is not None else monkeypatch.delenv("HOME")
        assert expand_path("~/x", "--workdir") == f"{MY_HOME}/x"

    def unknown(_):
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(InputError, match="HOME is not set"):
        expand_path("~/x", "--workdir")
    assert expand_path("/x", "--workdir") == "/x"


def test_a_quoted_path_comes_back(here, monkeypatch):
    for name in ("a$DATA", "~x", "$$", "plain"):
        path = pathlib.Path(name)
        assert expand_path(quote_path(path), "--root") == str(here / "here" / name)


FIELDS = ("data.posters_dir", "data.dataset_dir", "data.split_file", "ocr.store", "features.dir")


@pytest.mark.parametrize("field", [*FIELDS, "encoders.image", "encoders.text"])
@pytest.mark.parametrize(("text", "path"), [("~/a b", "{home}/a b"), ("$DATA/x", "/data/x"), ("./~x", "{here}/~x")])
def test_every_field_with_a_path(field, text, path, here):
    pathlib.Path("~x").mkdir()
    config = base.get_config()
    config.data.posters_dir = "/posters"
    section, name = field.split(".")
    config[section][name] = text
    run = resolve(config, here / "run")
    assert getattr(getattr(run.config, section), name) == path.format(home=here / "home", here=here / "here")
    config[section][name] = "$MISSING/x"
    with pytest.raises(InputError, match=rf"{field}: .*'MISSING'"):
        resolve(config, here / "run")
    config[section][name] = "https://example.org/x"
    with pytest.raises(InputError, match=f"{field}: .*is a URL"):
        resolve(config, here / "run")
    assert not (here / "run").exists()


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("text", "word2vec:~/x.bin", "word2vec:{home}/x.bin"),
        ("text", "word2vec:$DATA/x.bin", "word2vec:/data/x.bin"),
        ("image", "keras:VGG16@~/x.h5", "keras:VGG16@{home}/x.h5"),
        ("image", "keras:VGG16", "keras:VGG16"),
        ("text", "openai/clip-vit-base-patch32@main", "openai/clip-vit-base-patch32@main"),
    ],
)
def test_names_of_encoders(field, text, value, here):
    config = base.get_config()
    config.data.posters_dir = "/posters"
    config.encoders[field] = text
    assert getattr(resolve(config, here / "run").config.encoders, field) == value.format(home=here / "home")


def test_a_folder_named_scratch_is_not_the_encoder_scratch(here):
    pathlib.Path("scratch").mkdir()
    config = base.get_config()
    config.data.posters_dir = "/posters"
    config.encoders.image = config.encoders.text = "scratch"
    config.train.fine_tune = "all"
    assert resolve(config, here / "run").config.encoders.image == "scratch"


def test_paths_of_a_checkpoint_are_expanded_already(here):
    config = base.get_config()
    config.data.posters_dir = "/gone/a$MISSING"
    assert resolve(config, here / "run", saved=True).config.data.posters_dir == "/gone/a$MISSING"


def test_encoders_are_located_in_the_home_folder(here):
    (here / "home" / "clip").mkdir()
    assert resolve_checkpoint("~/clip", field="encoders.image").folder == here / "home" / "clip"
    with pytest.raises(InputError, match=r"hub, as in owner/model"):
        resolve_checkpoint("https://huggingface.co/openai/clip-vit-base-patch32", field="encoders.image")


def test_arguments_of_scripts(here):
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--root", type=path_argument("--root"))
    assert parser.parse_args(["--root=~/x"]).root == here / "home" / "x"
    assert parser.parse_args(["--root=./~x"]).root == here / "here" / "~x"
    with pytest.raises(argparse.ArgumentError, match="'MISSING'"):
        parser.parse_args(["--root=$MISSING"])
    assert user_path.__doc__


CONFIG = """
from configs import base
def get_config(name="gmu"):
    config = base.get_config()
    config.model.name = name
    return config
"""
CONFIG_NAMES = ["a b.py", "[x]*?{}#%.py", "12:30.py", "a:b:c.py", "@;&'\"\\+=,.py", "e\u0301\U0001f3ac.py", "-x.py"]


@pytest.mark.parametrize("name", CONFIG_NAMES)
@pytest.mark.parametrize("folder", ["f", "run: 2024", "$DATA", "a\nb"])
def test_config_files_of_any_name(name, folder, here):
    pathlib.Path(folder).mkdir()
    file = pathlib.Path(folder, name)
    file.write_text(CONFIG)
    assert find_config(f"{file}") == (file, None)
    assert find_config(f"{file}:addition") == (file, "addition")
    assert load(str(file)).model.name == "gmu"
    assert load(f"{file.absolute()}:addition", ["--config.data.posters_dir=~/x"]).model.name == "addition"
    assert stem_of(f"{file}:addition") == name.removesuffix(".py")


def test_config_files_in_the_home_folder(here):
    (here / "home" / "cfg.py").write_text(CONFIG)
    assert load("~/cfg.py:addition").model.name == "addition"
    assert load("$HOME/cfg.py").model.name == "gmu"
    for text in ("$MISSING/cfg.py", "~no-such-user/cfg.py", "https://host/cfg.py", "~/absent.py:x"):
        with pytest.raises(InputError, match=r"MISSING|no-such-user|is a URL|absent\.py"):
            load(text)
