"""The forms of tables on the page docs/own-posters.md are read with two paths, and its commands have fields that exist."""

import pathlib
import re

import pytest
from tables import draw_pictures

from posterfusion_jax.datasets.label_set import label_key
from posterfusion_jax.datasets.sources.table import TableSource

PAGE = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "own-posters.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (.+?)\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL))
FORMS = ("Kaggle", "One-hot", "TMDB", "MovieLens", "Long form", "JSON lines", "MongoDB")
LABELS = [{"animation", "comedy"}, {"horror", "scifi"}]


def write_form(section: str, folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Write the tables of a section and draw the first two of its pictures; return the first table and the folder."""
    files = re.findall(r"`([\w.]+)`:\n\n```text\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    for name, content in files:
        (folder / name).write_text(content, encoding="utf-8")
    listed = re.search(r"^Pictures: (.+)$", section, re.MULTILINE)
    assert listed
    draw_pictures(folder / "DIR", [name.removesuffix(".jpg") for name in re.findall(r"`([\w/]+\.jpg)`", listed[1])[:2]])
    return folder / files[0][0], folder / "DIR"


def read_labels(table: pathlib.Path, images: pathlib.Path) -> list[set[str]]:
    """Return the labels of the posters, sorted."""
    source = TableSource(table, images)
    posters = source.list_pictures().posters
    entries = source.read_entries(posters)
    return sorted(({label_key(label) for label in entries.of(poster).labels} for poster in posters), key=sorted)


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_read_with_two_paths(tmp_path, form):
    assert read_labels(*write_form(SECTIONS[form], tmp_path)) == LABELS


def test_the_second_table_of_the_long_form_is_read_alone(tmp_path):
    table, images = write_form(SECTIONS["Long form"], tmp_path)
    assert read_labels(table.with_name("genres.csv"), images) == LABELS


def test_pictures_named_by_the_poster_path_are_found(tmp_path):
    table, _ = write_form(SECTIONS["TMDB"], tmp_path)
    draw_pictures(tmp_path / "other", ["rhIR", "vfrQ"])
    assert read_labels(table, tmp_path / "other") == LABELS


def test_parquet_is_read(tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install pyarrow")
    code = re.findall(r"```python\n(.*?)^```", SECTIONS["Parquet"], re.MULTILINE | re.DOTALL)[0]
    exec(code.replace("labels.parquet", str(tmp_path / "labels.parquet")), {})
    draw_pictures(tmp_path / "DIR", ["a1", "b2"])
    assert read_labels(tmp_path / "labels.parquet", tmp_path / "DIR") == LABELS


def test_every_form_of_the_list_has_a_section():
    listed = PAGE[PAGE.index("## Forms that are read") : PAGE.index("### Kaggle")]
    assert len(re.findall(r"^\| \[", listed, re.MULTILINE)) == len(FORMS) + 1
