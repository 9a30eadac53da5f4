"""The README shows the figures of results/, and no other."""

from __future__ import annotations

from cli.readme_tables import filled


def test_tables_are_those_of_the_results(project):
    readme = (project / "README.md").read_text(encoding="utf-8")
    assert filled(readme, project / "results") == readme, "run `make readme`"
    assert readme.count("<!-- end ") == 3
