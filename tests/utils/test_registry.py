"""Registries: names, references, and the messages for what cannot be found."""

import pytest

from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.registry import Registry, check_callable


def make():
    return Registry("model.name", "head", {"plain": dict, "late": "collections:OrderedDict"})


def test_names_and_references_give_objects():
    registry = make()
    assert registry.get("plain") is dict
    assert registry.get("late").__name__ == "OrderedDict"
    assert registry.get("collections.abc:Mapping").__name__ == "Mapping"
    assert "plain" in registry
    assert "any.module:Thing" in registry
    assert "openai/clip" not in registry


def test_register_is_a_function_and_a_decorator():
    registry = make()
    registry.register("mine", list)

    @registry.register("other")
    def head():
        pass

    assert registry.names == ("plain", "late", "mine", "other")
    assert registry.get("other") is head
    registry.register("mine", list)  # the same object again, as a reloaded notebook cell does
    with pytest.raises(InputError, match="registered already"):
        registry.register("mine", set)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("plian", "Did you mean 'plain'"),
        ("", "choose one of plain, late"),
        ("no_such_module_at_all:X", "cannot be imported"),
        ("collections:OrderedDit", "Did you mean 'OrderedDict'"),
        ("collections:", "choose one of"),
        ("../x:y", "choose one of"),
    ],
)
def test_unknown_names_are_errors_with_a_hint(name, message):
    with pytest.raises(InputError, match=message):
        make().get(name)


@pytest.mark.parametrize("name", ["a:b", "a b", "", "x/y"])
def test_names_that_a_config_could_not_hold_are_refused(name):
    with pytest.raises(InputError, match="cannot name a head"):
        make().register(name, int)


def test_only_what_can_be_called_is_accepted():
    assert check_callable(int, "f", "n") is int
    with pytest.raises(InputError, match="must be a class or a function"):
        check_callable(3, "model.name", "a:b")
