"""What the shell offers after Tab: names that are at hand without opening a store or importing a model."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.engine import environment

TABLES = (
    *("ml-100k", "cil", "ml-1m-sequences", "ml-1m-papers", "ml-latest-small", "spotify-playlists"),
    "tuning",
)
"""The keys of `flows.results.TABLES`, whose import takes seconds, and the table of `flows.gains`."""


def datasets(incomplete: str) -> list[str]:
    """Datasets that can be named."""
    from attrec.datasets.registry import REGISTRY

    return _beginning(incomplete, list(REGISTRY))


def tables(incomplete: str) -> list[str]:
    """Published tables."""
    return _beginning(incomplete, TABLES)


def models(incomplete: str) -> list[str]:
    """The champion, and the models that the last run has left in this checkout."""
    left = sorted(file.parent.name for file in (environment.ROOT / "models").glob("*/*/card"))
    return _beginning(incomplete, ["champion", *dict.fromkeys(left)])


def _beginning(incomplete: str, names: Sequence[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
