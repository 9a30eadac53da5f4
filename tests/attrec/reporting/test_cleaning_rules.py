"""Every count of a cleaning report is explained."""

import pytest

from attrec.datasets.simulator import SimulatorConfig, simulate
from attrec.prepare.cleaning import clean
from attrec.reporting.cleaning_rules import meaning_of


def test_every_rule_has_a_meaning() -> None:
    _, report = clean(
        simulate(SimulatorConfig(n_users=30, n_items=40, n_ratings=500, min_ratings_per_user=10))
    )
    assert len(report.rules) > 10
    for rule in report.rules:
        assert meaning_of(rule)


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        ("marks_decoded_playlist_name", "character"),
        ("duplicate_ratings", "last counts"),
        ("duplicate_items", "row already"),
        ("added_users", "without attributes"),
    ],
)
def test_the_longest_name_counts(rule: str, word: str) -> None:
    assert word in meaning_of(rule)


def test_a_rule_nobody_explains() -> None:
    with pytest.raises(KeyError):
        meaning_of("melted_items")
