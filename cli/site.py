"""Hooks of MkDocs: the site has README.md as its first page, and the pages that lie beside the code they speak of.

Links are written as a code host follows them, from file to file. Here they lead from page to page; one to a file that
is no page loses its link and keeps its words, and one to nothing is a warning, which `strict` makes a failure.
"""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
FIRST = "README.md"
BESIDE = ("CONTRIBUTING.md", "benchmarks/*.md", "benchmarks/*.svg")
"""What else is in the site, at the place it has in the project."""

_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")
_log = logging.getLogger("mkdocs.hooks.site")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies outside docs/."""
    for name in outside():
        files.append(File.generated(config, place_of(name), abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files into links between pages."""
    source = source_of(page.file.src_uri)

    def page_link(found: re.Match[str]) -> str:
        words, target = found.groups()
        there = led_to(source, target)
        if there is None:
            return found[0]
        name, heading = there
        if files.get_file_from_path(place_of(name)) is None:
            if not (ROOT / name).exists():
                _log.warning("%s links to %s, which is not there", source, target)
            return words
        return f"[{words}]({_from(page, name)}{heading})"

    return _LINK.sub(page_link, markdown)


def outside() -> list[str]:
    """Pages and pictures that are not in docs/, by their place in the project."""
    return [
        FIRST,
        *(file.relative_to(ROOT).as_posix() for name in BESIDE for file in sorted(ROOT.glob(name))),
    ]


def place_of(name: str) -> str:
    """Where the site has a file of the project."""
    return "index.md" if name == FIRST else name.removeprefix("docs/")


def source_of(place: str) -> str:
    """The file of the project that a page of the site is made of."""
    known = {place_of(name): name for name in outside()}
    return known.get(place, f"docs/{place}")


def led_to(source: str, target: str) -> tuple[str, str] | None:
    """The file, by its place in the project, and `#heading` that a link in a file leads to; None of one that stays in
    its file or leaves the project."""
    path, mark, heading = target.partition("#")
    if not path or "://" in path or path.startswith("mailto:"):
        return None
    name = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    return name, f"{mark}{heading}"


def _from(page: Page, name: str) -> str:
    """The way to a file of the site from a page."""
    return posixpath.relpath(place_of(name), posixpath.dirname(page.file.src_uri) or ".")
