"""Config files are found by path or name and load from any folder; a field that does not exist is explained."""

import os
import pathlib
import subprocess
import sys

import pytest

from posterfusion_jax.config import defaults
from posterfusion_jax.config.file import find_config, load, shipped_configs, stem_of
from posterfusion_jax.config.hints import describe_flag
from posterfusion_jax.config.overrides import split_overrides
from posterfusion_jax.config.run import flatten, resolve, to_json
from posterfusion_jax.config.schema import known_fields
from posterfusion_jax.errors import InputError

ROOT = pathlib.Path(__file__).parents[2]
OWN = "from {source} import {name}\ndef get_config():\n    config = {name}.get_config()\n    {line}\n    return config\n"


def write(path, line="config.seed = 7", source="posterfusion_jax.config", name="defaults"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(OWN.format(source=source, name=name, line=line))
    return str(path)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder that is not the checkout."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["paper", "paper.py", "configs/paper.py", "./configs/paper.py", "configs/paper"])
def test_a_config_of_the_package_is_found_by_name(elsewhere, name):
    assert flatten(load(name).to_dict()) == flatten(defaults.get_config().to_dict())
    assert stem_of(name) == "paper"


def test_the_configs_of_the_package_are_those_of_the_checkout(elsewhere):
    assert shipped_configs() == sorted(path.stem for path in (ROOT / "configs").glob("*.py"))
    assert load("tables:gmu").model.name == load("configs/tables.py:gmu").model.name == "gmu"
    assert stem_of("tables:gmu") == "tables"


def test_a_file_of_the_user_comes_first_except_for_a_bare_name(elsewhere):
    write(elsewhere / "paper.py")
    write(elsewhere / "configs" / "tokens.py")
    write(elsewhere / "quickstart", "config.seed = 9")
    assert load("paper.py").seed == 7
    assert load("configs/tokens.py").seed == 7
    assert load("quickstart").encoders.image == "scratch"
    assert load("./quickstart").seed == 9


def test_paths_with_colons_and_arguments_with_colons(elsewhere):
    write(elsewhere / "a:b" / "mine.py")
    (elsewhere / "takes.py").write_text(
        "from posterfusion_jax.config import defaults\ndef get_config(value):\n    config = defaults.get_config()\n"
        "    config.data.posters_dir = value\n    return config\n"
    )
    assert load("a:b/mine.py").seed == 7
    assert load("takes.py:x:y").data.posters_dir == "x:y"
    assert find_config("takes.py:").argument == ""


@pytest.mark.parametrize("name", ["papr", "configs/papr.py", "papr:gmu", "elsewhere/papr.py"])
def test_an_unknown_name_lists_the_known_ones_with_the_nearest(elsewhere, name):
    with pytest.raises(InputError, match=r"base, offline, paper, .* Did you mean --config=paper\?"):
        load(name)


@pytest.mark.parametrize("kind", ["none", "package", "folder without __init__.py", "package that is loaded"])
def test_a_config_imports_the_defaults_by_their_old_name(elsewhere, kind):
    if kind != "none":
        (elsewhere / "configs").mkdir()
        (elsewhere / "configs" / "of_mine.py").write_text("")
    if kind.startswith("package"):
        (elsewhere / "configs" / "__init__.py").write_text("")
    write(elsewhere / "mine.py", source="configs", name="base")
    early = "import configs\n" if kind.endswith("loaded") else ""
    program = f"{early}from posterfusion_jax.config.file import load\nprint(load('mine.py').seed)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(elsewhere), *installed_without_checkout(elsewhere)])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stdout == "7\n", done.stderr


def installed_without_checkout(folder):
    """A path on which the package is, and nothing else of the checkout."""
    site = folder / "site"
    site.mkdir()
    (site / "posterfusion_jax").symlink_to(ROOT / "posterfusion_jax")
    return [str(site)]


def test_another_module_configs_is_named(elsewhere):
    (elsewhere / "configs.py").write_text("")
    write(elsewhere / "mine.py", source="configs", name="base")
    program = "from posterfusion_jax.config.file import load\nload('mine.py')"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(elsewhere), *installed_without_checkout(elsewhere)])}
    refused = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert "from posterfusion_jax.config import defaults" in refused.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("config.train.lerning_rate = 1", r"mine.py, line 4, .*Did you mean train.learning_rate"),
        ("train = config.train; train.lr = 1", r"'train.lr' is no field .*Did you mean train.learning_rate\?"),
        ("config.labels = 3", r"'labels' is no field .*data.labels"),
        ("print(config.epochs)", r"'epochs' is no field .*train.max_epochs"),
        ("config['batchsize'] = 3", r"'batchsize' is no field .*train.batch_size"),
        ("config.update_from_flattened_dict({'train.wd': 3})", r"'train.wd' is no field .*train.weight_decay"),
        ("config.learning_rate = 3", r"Did you mean train.learning_rate"),
        ("config.train = 3", r"'train' is a section of the config"),
        ("config.train.batch_size = 'x'", r"train.batch_size must be a whole number"),
        ("config.loss.margin = 'wide'", r"loss.margin must be a finite number, or none"),
        ("import nothing_like_it", r"line 4.*ModuleNotFoundError"),
        ("return None", r"get_config\(\) returned NoneType"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_line(elsewhere, line, message):
    with pytest.raises(InputError, match=message):
        load(write(elsewhere / "mine.py", line))


@pytest.mark.parametrize(
    ("text", "message"),
    [("def get_config(:\n", "line 1: SyntaxError"), ("x = 1\n", "no function get_config"), ("raise OSError('x')", "OSError")],
)
def test_a_file_that_is_no_config_is_refused(elsewhere, text, message):
    (elsewhere / "mine.py").write_text(text)
    with pytest.raises(InputError, match=message):
        load("mine.py")
    assert [path.name for path in elsewhere.iterdir()] == ["mine.py"]  # no __pycache__ either


@pytest.mark.parametrize(
    ("field", "hint"),
    [
        ("lr", "train.learning_rate"),
        ("epochs", "train.max_epochs"),
        ("batchsize", "train.batch_size"),
        ("dropout_rate", "model.dropout"),
        ("model.dropout-rate", "model.dropout"),
        ("weight-decay", "train.weight_decay"),
        ("threshold", "evaluate.threshold"),
        ("genres", "data.labels"),
        ("optimizer", "Adam"),
        ("learning_rate", "train.learning_rate"),
        ("loss.learning_rate", "train.learning_rate"),
        ("trian.batch_size", "train.batch_size"),
        ("batch_size", "train.batch_size or features.batch_size"),
        ("train.learning_rate.value", "is a field itself"),
        ("seed.x", "'seed' is a field itself"),
        ("train", "is a section of the config"),
        ("data.text_rules", "is a section of the config"),
        ("qqqq", "No field has a similar name"),
        ("", "No field has a similar name"),
        ("train.", "no field"),
        ("model.ffn[0]", "model.ffn"),
    ],
)
def test_a_field_on_the_command_line_that_does_not_exist_gets_a_hint(field, hint):
    with pytest.raises(InputError) as error:
        load("paper", [f"--config.{field}=3"])
    assert hint in str(error.value)
    assert "All fields are listed in" in str(error.value)
    assert pathlib.Path(str(error.value).rpartition("listed in ")[2].rstrip(".")).is_file()


def test_an_unknown_flag_with_the_name_of_a_field_names_it():
    fields = tuple(known_fields())
    assert "--config.section.field=value. Did you mean train.learning_rate?" in describe_flag("lr", fields)
    assert "train.batch_size" in describe_flag("batch_size", fields)
    assert describe_flag("wrkdir", fields) == ""


OPTIONAL = sorted(field for field, (_, default) in known_fields().items() if default is None)


@pytest.mark.parametrize("field", OPTIONAL)
@pytest.mark.parametrize("value", ["None", "none", "", "NONE"])
def test_fields_that_may_be_none_take_it_from_the_command_line_and_from_files(elsewhere, field, value):
    given = load("paper", [f"--config.{field}=3", f"--config.{field}={value}", "--config.data.posters_dir=x"])
    assert flatten(given.to_dict())[field] is None
    file = write(elsewhere / "mine.py", f"config.{field} = 3; config.{field} = {value!r}")
    assert flatten(load(file).to_dict())[field] is None
    assert flatten(load(file, [f"--config.{field}=4"]).to_dict())[field] == 4
    plain = given.copy_and_resolve_references().unlock()  # without the types of the fields
    section, name = field.split(".")
    plain[section] = {**plain[section].to_dict(), name: value}
    assert flatten(to_json(resolve(plain, elsewhere).config))[field] is None


def test_the_last_value_of_a_field_counts():
    assert load("paper", ["--config.loss.margin=none", "--config.loss.margin=0.3"]).loss.margin == 0.3
    assert load("paper", ["--config.evaluate.splits=test", "--config.evaluate.splits=train"]).evaluate.splits == (
        "test",
        "train",
    )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("--config.loss.margin=wide", "a finite number, or none"),
        ("--config.encoders.max_text_tokens=1.5", "a whole number below .* or none"),
        ("--config.seed=none", "seed must be a whole number"),
        ("--config.train.batch_size=", "train.batch_size must be a whole number"),
        ("--config.loss.stop_gradient=maybe", "True or False"),
        ("--config.evaluate.splits=a b", "a tuple, each item a text"),
    ],
)
def test_types_stay_checked(override, message):
    with pytest.raises(InputError, match=message):
        load("paper", [override])


def test_overrides_are_taken_out_of_a_command_line():
    line = ["--config=paper", "--config.seed", "3", "--noconfig.model.mcam", "--config.loss.stop_gradient", "--json", "--"]
    overrides, rest = split_overrides([*line, "--config.seed=4"])
    assert overrides == ["--config.seed=3", "--noconfig.model.mcam", "--config.loss.stop_gradient"]
    assert rest == ["--config=paper", "--json", "--", "--config.seed=4"]
    config = load("paper", overrides)
    assert (config.seed, config.model.mcam, config.loss.stop_gradient) == (3, False, True)
