"""Links between pages of the site and files of the repository.

Pages link to each other and to files as they lie in the repository, so that they can be read there, too. For the site, links to
a page that it has under another name are redirected, and links to other files lead to `POSTERFUSION_REPOSITORY_URL` (such as
https://host/owner/name/blob/main); without that variable their text stays, without a link.
"""

import os
import pathlib
import re
from typing import Any

DOCS = pathlib.Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
PAGES = {  # file of the repository -> page of the site that shows it
    "launch/README.md": "launch.md",
    "benchmarks/README.md": "benchmark-details.md",
    "data/README.md": "own-posters.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "README.md": "index.md",
}
COPIED = ("launch/README.md", "benchmarks/README.md", "CONTRIBUTING.md", "CHANGELOG.md")
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def rewrite_links(text: str, folder: pathlib.Path) -> str:
    """Returns a page with its links as the site needs them, relative to docs/.

    Args:
      text: Markdown.
      folder: the folder to which the links of `text` are relative.
    """
    url = os.environ.get("POSTERFUSION_REPOSITORY_URL", "").rstrip("/")

    def rewrite(match: re.Match[str]) -> str:
        mark, label, target = match.groups()
        path, hash_sign, anchor = target.partition("#")
        if not path or re.match(r"[a-z]+:", target):
            return match[0]
        absolute = (folder / path).resolve()
        if absolute.is_relative_to(DOCS):
            return f"{mark}[{label}]({absolute.relative_to(DOCS).as_posix()}{hash_sign}{anchor})"
        name = absolute.relative_to(ROOT).as_posix() if absolute.is_relative_to(ROOT) else path
        if name in PAGES:
            return f"[{label}]({PAGES[name]}{hash_sign}{anchor})"
        return f"[{label}]({url}/{name})" if url else label

    return _LINK.sub(rewrite, text)


def copy_pages() -> None:
    """Writes the repository's pages that the site includes into docs/_generated, with rewritten links."""
    for name in COPIED:
        source = ROOT / name
        if source.is_file():
            text = rewrite_links(source.read_text(encoding="utf-8"), source.parent)
            target = (DOCS / "_generated" / PAGES[name]).with_suffix(".inc")
            target.parent.mkdir(exist_ok=True)
            if not target.is_file() or target.read_text(encoding="utf-8") != text:
                target.write_text(text, encoding="utf-8")


def on_source_read(app: Any, docname: str, source: list[str]) -> None:
    """Rewrite the links of a page in docs/."""
    if pathlib.Path(app.env.doc2path(docname)).suffix == ".md" and not docname.startswith("_generated"):
        source[0] = rewrite_links(source[0], DOCS / pathlib.Path(docname).parent)


def setup(app: Any) -> dict[str, bool]:
    """Registers the extension with Sphinx."""
    app.connect("config-inited", lambda app, config: copy_pages())
    app.connect("source-read", on_source_read)
    return {"parallel_read_safe": True}
