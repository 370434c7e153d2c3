"""The page: one file, everything escaped, the same in Markdown."""

import re
import xml.etree.ElementTree as ElementTree

import matplotlib.pyplot as plt
import pytest

from posterfusion_jax.report.page import Card, Cards, Cell, Chart, Section, Table, Text, table_to_markdown, write_page

HOSTILE = "<script>alert('x')</script> | **bold** [link](http://x) `code` & \"quoted\"\nsecond line"


def figure():
    figure, axes = plt.subplots(figsize=(3, 2))
    axes.plot([1, 2], [3, 4])
    plt.close(figure)
    return figure


def sections():
    card = Card(
        name="tt1_1",
        jpeg=b"\xff\xd8 not really",
        title=HOSTILE,
        mark="partly",
        facts=(("true", HOSTILE), ("predicted", "none")),
        table=Table(("genre", "score"), [["drama", "0.5"]]),
        quote=HOSTILE,
    )
    return [
        Section("First things", [Text(HOSTILE), Text("Mind this.", "warning"), Chart("line", figure(), HOSTILE)]),
        Section("Second", [Table(("a", "b"), [[HOSTILE, Cell("1.0", "paper 2.0", "best")]], HOSTILE), Cards([card])]),
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    assert write_page(folder, "report", "Title & co", HOSTILE, sections()) == folder / "report.html"
    return folder


def test_page_needs_no_other_file_and_no_network(folder):
    page = (folder / "report.html").read_text()
    for source in re.findall(r'(?:src|href)="([^"]*)"', page):
        assert source.startswith(("data:image/", "#")), source
    assert "@import" not in page
    assert "url(" not in page
    assert '<a href="#first-things">' in page
    assert '<section id="first-things">' in page


def test_what_comes_from_outside_is_escaped_in_html(folder):
    page = (folder / "report.html").read_text()
    assert "<script" not in page
    # subtitle, text; chart: alt text and caption; table: caption and cell; card: alt text, title, fact and quote
    assert page.count("&lt;script&gt;") == 10
    assert "Title &amp; co" in page


def test_what_comes_from_outside_is_escaped_in_markdown(folder):
    text = (folder / "report.md").read_text()
    assert "<script" not in text
    assert "**bold**" not in text
    assert "[link](" not in text
    row = next(line for line in text.splitlines() if line.startswith("| &lt;script"))
    assert len(re.split(r"(?<!\\)\|", row)) == 4  # two cells: the text's own bar is no border
    assert row.endswith("| **1.0** (paper 2.0) |")


def test_files_beside_the_page(folder):
    assert (folder / "line.png").read_bytes()[:4] == b"\x89PNG"
    ElementTree.fromstring((folder / "line.svg").read_text())
    assert (folder / "posters" / "tt1_1.jpg").read_bytes() == b"\xff\xd8 not really"
    text = (folder / "report.md").read_text()
    for target in re.findall(r"!\[.*?(?<!\\)\]\(([^)]*)\)", text):
        assert (folder / target).is_file(), target


def test_equal_content_gives_equal_files(folder, tmp_path):
    write_page(tmp_path, "report", "Title & co", HOSTILE, sections())
    for path in (path for path in folder.rglob("*") if path.is_file()):
        assert path.read_bytes() == (tmp_path / path.relative_to(folder)).read_bytes(), path.name


def test_table_in_markdown():
    table = Table(("name", "x"), [["clip_add", Cell("1", kind="best")], ["_b_", "2"]])
    assert table_to_markdown(table) == "| name | x |\n| --- | ---: |\n| clip_add | **1** |\n| \\_b\\_ | 2 |"
