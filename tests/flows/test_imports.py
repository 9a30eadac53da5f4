"""What a command waits for: nothing heavy is imported where it is not used."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"great_expectations", "matplotlib", "mlflow", "prefect", "sklearn", "torch", "xgboost"}


@pytest.mark.parametrize(
    ("module", "needed"),
    [
        ("cli.app", set()),
        ("cli.pipeline", set()),
        # Each model's class holds its configuration.
        ("flows.parameters", {"torch"}),
        ("flows.refill", {"mlflow"}),
        ("flows.lookup", {"mlflow"}),
        # The store of this checkout is asked once.
        ("flows.recall", set()),
    ],
)
def test_nothing_heavy_is_imported_where_it_is_not_used(module: str, needed: set[str]) -> None:
    words = [sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"]
    there = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    assert HEAVY & set(there) <= needed
