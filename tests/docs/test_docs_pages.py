"""The pages: links and anchors lead somewhere, tables are up to date, every page is in the site, commands have known verbs."""

import pathlib
import re
import sys
from urllib.parse import unquote

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "docs"))
sys.path.append(str(ROOT / "docs" / "_ext"))

import repository_links  # noqa: E402 (after the path)
import update_tables  # noqa: E402

PAGES = sorted(
    path
    for path in (
        *ROOT.glob("*.md"),
        *ROOT.glob("*/README.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "docs" / "notebooks").glob("*.md"),
    )
    if "_generated" not in path.parts
)
VERBS = {
    "train",
    "predict",
    "ocr",
    "build",
    "features",
    "evaluate",
    "report",
    "compare",
    "tables",
    "sweep",
    "folds",
    "reproduce",
}
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]+)\)")


def prose_of(path: pathlib.Path) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors_of(path: pathlib.Path) -> set[str]:
    """The anchors that GitHub (and MyST) gives to the headings of a page."""
    anchors: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *$", prose_of(path), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        slug = re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-")
        number = 0
        while (name := f"{slug}-{number}" if number else slug) in anchors:
            number += 1
        anchors.add(name)
    return anchors


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_anchors_lead_somewhere(page):
    for target in _LINK.findall(prose_of(page)):
        path, _, anchor = unquote(target).partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{page}: {target}"
        assert found.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors_of(found), f"{page}: {target}; anchors: {sorted(anchors_of(found))}"


@pytest.mark.parametrize("name", update_tables.PAGES)
def test_tables_are_up_to_date(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert update_tables.MARKED.search(text)
    assert text.count("<!-- table: ") == text.count("<!-- end of table -->") == len(update_tables.MARKED.findall(text))
    assert update_tables.updated(text) == text, "run python docs/update_tables.py"


def test_every_table_is_on_exactly_one_page():
    shown = [match[1] for name in update_tables.PAGES for match in update_tables.MARKED.findall((ROOT / name).read_text())]
    assert sorted(shown) == sorted(update_tables.TABLES)


def test_a_stale_table_is_updated():
    page = "text\n<!-- table: headline -->\n| old |\n<!-- end of table -->\nmore\n"
    assert update_tables.updated(page) == page.replace("| old |", update_tables.headline_table())
    with pytest.raises(KeyError, match="unknown"):
        update_tables.updated(page.replace("headline", "unknown"))


def test_every_page_of_the_site_is_in_its_index():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = {line.strip() for block in re.findall(r"```\{toctree\}(.*?)```", index, re.DOTALL) for line in block.splitlines()}
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    assert pages == {name for name in listed if name and not name.startswith(":")}


def test_pages_that_the_site_shows_under_another_name_exist():
    for source, page in repository_links.PAGES.items():
        assert (ROOT / source).is_file()
        assert (ROOT / "docs" / page).is_file()


@pytest.mark.parametrize(
    ("folder", "link", "expected"),
    [
        ("docs", "[a](ocr.md#failures)", "[a](ocr.md#failures)"),
        ("launch", "[a](../docs/ocr.md)", "[a](ocr.md)"),
        ("docs", "[a](../launch/README.md#apache-beam)", "[a](launch.md#apache-beam)"),
        ("docs", "[a](../configs/base.py)", "a"),
        ("docs", "[a](https://arxiv.org/abs/2410.19764)", "[a](https://arxiv.org/abs/2410.19764)"),
        ("docs", "[a](#here)", "[a](#here)"),
        ("docs", "![a](report.jpg)", "![a](report.jpg)"),
    ],
)
def test_links_of_the_site(folder, link, expected, monkeypatch):
    monkeypatch.delenv("POSTERFUSION_REPOSITORY_URL", raising=False)
    assert repository_links.rewrite_links(link, ROOT / folder) == expected


def test_links_to_files_with_the_address_of_the_repository(monkeypatch):
    monkeypatch.setenv("POSTERFUSION_REPOSITORY_URL", "https://example.org/blob/main/")
    rewritten = repository_links.rewrite_links("[a](../configs/base.py)", ROOT / "docs")
    assert rewritten == "[a](https://example.org/blob/main/configs/base.py)"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_have_verbs_that_exist(page):
    for verb in re.findall(r"(?:^|`)posterfusion ([a-z]\w*)", page.read_text(encoding="utf-8"), re.MULTILINE):
        assert verb in VERBS, f"{page}: posterfusion {verb}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_config_fields_on_the_pages_exist(page):
    from configs import base
    from posterfusion_jax.config.run import flatten

    fields = set(flatten(base.get_config().to_dict()))
    sections = {field.rpartition(".")[0] for field in fields} - {""}
    for name in re.findall(r"--config\.([a-z][\w.]+)=", page.read_text(encoding="utf-8")):
        assert name in fields, f"{page}: --config.{name}"
    top = "data|ocr|encoders|features|model|loss|train|evaluate"
    for name in re.findall(rf"`((?:{top})\.[\w.]*\w)(?:=[^`]*)?`", prose_of(page)):
        assert name in fields | sections or name.startswith(("ocr.jsonl", "data.tsv")), f"{page}: {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_of_the_repository_that_pages_name_exist(page):
    top = "benchmarks|configs|data|docs|launch|posterfusion_jax|tests"
    for name in re.findall(rf"`((?:{top})/[\w./-]+\.\w+)`", page.read_text(encoding="utf-8")):
        assert (ROOT / name).exists(), f"{page}: {name}"


def test_hooks_have_the_pinned_versions():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    ruff, pyright = (re.search(rf'"{tool}==([\d.]+)"', project) for tool in ("ruff", "pyright"))
    assert ruff
    assert pyright
    assert re.findall(r'"ruff==([\d.]+)"', hooks) == [ruff[1]] * 2
    assert f"pyright # {pyright[1]}," in hooks


def test_the_changelog_has_this_version_and_what_is_not_released():
    from posterfusion_jax import __version__

    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[(.+?)\]", changes, re.MULTILINE)[0] == "Unreleased"
    assert f"## [{__version__}]" in changes
