"""The README shows the figures of results/, and no other."""

from __future__ import annotations

import pandas as pd
import yaml

from cli.readme_tables import filled


def test_tables_are_those_of_the_results(project):
    readme = (project / "README.md").read_text(encoding="utf-8")
    assert filled(readme, project / "results") == readme, "run `make readme`"
    assert readme.count("<!-- end ") == 3


def test_expected_figures_are_of_the_models_of_the_default_run(project):
    models = yaml.safe_load((project / "params.yaml").read_text())["rating"]["models"]
    assert set(pd.read_csv(project / "results" / "simulated.csv")["model"]) == set(models), (
        "run `make reproduce`, copy reports/leaderboard.csv to results/simulated.csv, run `make readme`"
    )
