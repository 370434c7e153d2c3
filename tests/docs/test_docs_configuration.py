"""The configuration page: generated from the file that defines the config, with every field and its default."""

import ast
import pathlib
import sys

import pytest

from configs import base
from posterfusion_jax.config.run import flatten

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "docs" / "_ext"))

import configuration_page as generator  # noqa: E402 (after the path)

GROUPS = generator.read_groups(generator.source_file().read_text(encoding="utf-8"))
SAMPLE = """
def get_config():
    config = ConfigDict()
    config.seed = 0  # of everything
    # and more of it

    # What a section is for.
    config.data = data = ConfigDict()
    data.folder = ""  # may be "a|b" or <c>
    data.inner = inner = ConfigDict()  # a part
    inner.size = config_dict.placeholder(int)  # None: all

    # Only for drawn posters.
    data.films = (0.8, 0.1)
    return config.lock()
"""


def test_the_page_covers_every_field_with_its_default():
    shown = {field.name: field.default for group in GROUPS for field in group.fields}
    expected = flatten(base.get_config().to_dict())
    assert shown.keys() == expected.keys()
    for name, default in expected.items():
        assert ast.literal_eval(shown[name]) == default, name


def test_every_section_has_a_heading_and_every_field_a_row():
    text = generator.format_groups(GROUPS)
    for group in GROUPS:
        assert f"# {group.section or 'Top level'}\n" in text
        for field in group.fields:
            assert text.count(f"\n| `{field.name}` | ") == 1


def test_most_fields_have_a_meaning():
    fields = [field for group in GROUPS for field in group.fields]
    assert sum(bool(field.meaning) for field in fields) > 0.8 * len(fields)


def test_comments_become_meanings_and_notes():
    groups = generator.read_groups(SAMPLE)
    assert [(group.section, group.note) for group in groups] == [
        ("", ""),
        ("data", "What a section is for."),
        ("data.inner", "a part"),
        ("data", "Only for drawn posters."),
    ]
    assert groups[0].fields == [("seed", "0", "of everything and more of it")]
    assert groups[2].fields == [("data.inner.size", "None", "None: all")]
    assert groups[3].fields == [("data.films", "(0.8, 0.1)", "")]


@pytest.mark.parametrize(
    "cell", [r'May be "a\|b" or \<c\>', "`data.inner.size`", "### data.inner", "## data\n\nWhat a section"]
)
def test_markup_in_comments_is_escaped(cell):
    assert cell in generator.format_groups(generator.read_groups(SAMPLE))


def test_a_file_without_fields_is_not_the_source(tmp_path, monkeypatch):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "base.py").write_text("from posterfusion_jax.config.defaults import get_config\n")
    monkeypatch.setattr(generator, "ROOT", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"defaults\.py, configs/base\.py"):
        generator.source_file()
    (tmp_path / "posterfusion_jax" / "config").mkdir(parents=True)
    (tmp_path / "posterfusion_jax" / "config" / "defaults.py").write_text(SAMPLE)
    assert generator.source_file().name == "defaults.py"
