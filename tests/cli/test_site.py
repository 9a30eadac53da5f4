"""The documentation builds: every link leads somewhere, and nothing is loaded from elsewhere."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from cli.site import led_to, place_of


def built(project: Path, into: Path) -> Path:
    config = load_config(str(project / "mkdocs.yml"), site_dir=str(into / "site"))
    build(config)
    return into / "site"


@pytest.fixture(scope="module")
def site(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(project, tmp_path_factory.mktemp("docs"))


def test_every_page_is_in_the_site_and_the_readme_is_its_first(project, site):
    pages = [file.relative_to(project / "docs") for file in (project / "docs").rglob("*.md")]
    assert pages
    assert all((site / page).with_suffix(".html").is_file() for page in pages)
    first = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="own-data.html"' in first
    assert 'href="CONTRIBUTING.html"' in first
    assert 'href="docs/' not in first


def test_links_lead_to_files_of_the_site(site):
    for page in site.rglob("*.html"):
        if page.name == "404.html":
            continue
        for target in re.findall(r'(?:href|src)="([^"#?]+)', page.read_text(encoding="utf-8")):
            if not target.startswith(("http", "data:", "mailto:")):
                assert (page.parent / target).exists(), (page.name, target)


def test_nothing_is_loaded_from_elsewhere(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r'<(?:script|img|iframe)[^>]+src="https?:', text)
        assert not re.findall(r'<link[^>]+rel="(?:stylesheet|preconnect)"[^>]+href="https?:', text)
        assert "mermaid" not in text  # the theme would load it


def small_project(project: Path, folder: Path, page: str) -> Path:
    (folder / "cli").mkdir()
    (folder / "docs").mkdir()
    shutil.copy(project / "cli" / "site.py", folder / "cli" / "site.py")
    (folder / "README.md").write_text("# First\n\n[There](docs/there.md)\n")
    (folder / "setup.cfg").write_text("")
    (folder / "docs" / "there.md").write_text(page)
    settings = {"site_name": "small", "strict": True, "hooks": ["cli/site.py"], "plugins": []}
    (folder / "mkdocs.yml").write_text(yaml.safe_dump(settings))
    return folder


@pytest.mark.parametrize("link", ["absent.md", "../absent.yaml"])
def test_a_broken_link_fails(project, tmp_path, link):
    with pytest.raises(Abort):
        built(small_project(project, tmp_path, f"# There\n\n[Gone]({link})\n"), tmp_path)


def test_a_link_to_a_file_that_is_no_page_keeps_its_words(project, tmp_path):
    page = "# There\n\n[the settings](../setup.cfg), [back](../README.md#first)\n"
    site = built(small_project(project, tmp_path, page), tmp_path)
    text = (site / "there" / "index.html").read_text()
    assert "<p>the settings, <a" in text
    assert 'href="..#first"' in text or 'href="../#first"' in text


def test_places_of_links():
    assert led_to("docs/ratings.md", "../benchmarks/results.md#x") == ("benchmarks/results.md", "#x")
    assert led_to("README.md", "docs/asking.md") == ("docs/asking.md", "")
    assert led_to("README.md", "#here") is None
    assert led_to("README.md", "https://example.org/a.md") is None
    assert [place_of(name) for name in ("README.md", "docs/a.md", "LICENSE")] == [
        "index.md",
        "a.md",
        "LICENSE",
    ]
