"""The dataclasses of a run's config have the fields of config/defaults.py, in its order and with its types."""

import ast
import dataclasses
import json
import pathlib
import types
import typing

import pytest
from ml_collections import ConfigDict

from posterfusion_jax.config import defaults, sections
from posterfusion_jax.config.run import flatten, from_json, resolve, to_json
from posterfusion_jax.config.schema import known_fields
from posterfusion_jax.config.sections import RunConfig, make_section
from posterfusion_jax.configs import quickstart
from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.remote.client import Limits
from posterfusion_jax.ocr.text.line_filters import LineFilters


def declared(section, prefix=""):
    """Dotted field -> type hint, in the order of the dataclasses."""
    found = {}
    for name, hint in typing.get_type_hints(section).items():
        found |= declared(hint, f"{prefix}{name}.") if dataclasses.is_dataclass(hint) else {prefix + name: hint}
    return found


def written():
    """Dotted fields in the order of the statements of config/defaults.py, such as `train.beta1 = 0.9`."""
    aliases, found = {"config": ""}, []
    tree = ast.parse(pathlib.Path(defaults.__file__).read_text(encoding="utf-8"))
    body = next(node.body for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "get_config")
    for statement in body:
        if isinstance(statement, ast.Assign) and isinstance(target := statement.targets[0], ast.Attribute):
            field = aliases[ast.unparse(target.value)] + target.attr
            if ast.unparse(statement.value) == "ConfigDict()":
                aliases[ast.unparse(statement.targets[1])] = f"{field}."
            else:
                found.append(field)
    return found


def test_fields_have_the_names_and_the_order_of_the_defaults():
    assert sorted(written()) == sorted(known_fields())
    assert list(declared(RunConfig)) == written()


@pytest.mark.parametrize("field", known_fields())
def test_field_has_the_type_of_its_default(field):
    hint, (kind, default) = declared(RunConfig)[field], known_fields()[field]
    if kind is tuple:
        assert hint == tuple[type(default[0]) if default else str, ...]
    elif default is None:
        assert hint == kind | types.NoneType
    else:
        assert hint is kind


def test_sections_hold_the_values_of_the_config(tmp_path):
    config = ConfigDict(quickstart.get_config().to_dict())
    run = resolve(config, tmp_path)
    assert isinstance(run.config, RunConfig)
    assert isinstance(run.config.ocr.limits, Limits)
    assert run.config.data.text_rules == LineFilters(**config.data.text_rules)
    assert run.config.to_dict() == config.to_dict()
    assert to_json(run.config) == json.loads(json.dumps(config.to_dict()))


def test_run_of_a_runs_config_is_the_same(tmp_path):
    run = resolve(quickstart.get_config(), tmp_path)
    assert resolve(run.config, tmp_path) == run
    assert resolve(from_json(to_json(run.config)), tmp_path, saved=True) == run


@pytest.mark.parametrize(
    ("field", "given", "kept"),
    [
        ("train.learning_rate", 1, 1.0),
        ("ocr.limits.budget", 2, 2.0),
        ("loss.margin", 0, 0.0),
        ("loss.margin", None, None),
        ("model.ffn", [64, 32], (64, 32)),
        ("data.split_fractions", [0.5, 0.25, 0.25], (0.5, 0.25, 0.25)),
        ("evaluate.controls", [], ()),
        ("encoders.max_text_tokens", 9, 9),
    ],
)
def test_values_become_those_of_the_declared_type(field, given, kept):
    nested = defaults.get_config().to_dict()
    *path, last = field.split(".")
    section = nested
    for name in path:
        section = section[name]
    section[last] = given
    value = flatten(make_section(RunConfig, nested).to_dict())[field]
    assert value == kept
    assert type(value) is type(kept)


def test_sections_cannot_be_changed(tmp_path):
    run = resolve(quickstart.get_config(), tmp_path)
    for section in (run.config, run.config.train, run.config.ocr.limits, run.config.data.text_rules):
        name = dataclasses.fields(section)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(section, name, getattr(section, name))


def test_rules_of_texts_are_checked_when_the_section_is_made(tmp_path):
    config = ConfigDict(quickstart.get_config().to_dict())
    config.data.text_rules.min_confidence = 2.0
    with pytest.raises(InputError, match=r"data\.text_rules\.min_confidence=2\.0 is not a fraction"):
        resolve(config, tmp_path)


def test_every_section_states_its_purpose():
    for section in vars(sections).values():
        if isinstance(section, type) and dataclasses.is_dataclass(section):
            assert section.__doc__
            assert not section.__doc__.startswith(f"{section.__name__}(")  # the one that dataclasses make
