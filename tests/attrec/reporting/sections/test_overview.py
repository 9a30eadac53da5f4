"""The summary says which model was chosen, by how much it leads, how sure that is, and what has changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from attrec.reporting.contents import Earlier, RatingReport, SequenceReport, TaskReport
from attrec.reporting.elements import Card, Section
from attrec.reporting.leaderboard import LeaderboardRow, build_leaderboard
from attrec.reporting.sections.overview import overview

RMSE = {"forest": 0.9, "network": 0.91, "mean": 1.2}


def board(
    values: dict[str, float], metric: str = "rmse", task: str = "rating", n: int = 5000
) -> pd.DataFrame:
    return build_leaderboard(
        LeaderboardRow(task, "d", "s", model, metric, value, value - 0.1, value + 0.1, n, 1, f"run-{model}")
        for model, value in values.items()
    )


def paired(values: dict[str, float], p: dict[str, float], metric: str = "rmse") -> pd.DataFrame:
    best = (min if metric == "rmse" else max)(values, key=lambda name: values[name])
    rows = [
        {"model": model, "reference": best, "metric": metric, "difference": value - values[best], "ci_low": -0.1,
         "ci_high": 0.1, "p_value": p[model], "p_adjusted": p[model]}
        for model, value in values.items() if model in p
    ]  # fmt: skip
    return pd.DataFrame(rows)


def report(**fields: Any) -> RatingReport:
    made = RatingReport(
        board(RMSE), paired(RMSE, {"network": 0.01, "mean": 0.001}), champion="forest", users=300
    )
    return replace(made, **fields)


def card(given: TaskReport) -> Card:
    [found] = overview([(Section("rating", "Rating prediction"), given)]).cards
    return found


def told(given: TaskReport) -> str:
    return " ".join(card(given).sentences)


def test_a_lead_that_is_more_than_chance() -> None:
    shown = card(report())
    assert (shown.headline, shown.figure, shown.section) == ("forest", "RMSE 0.9000", "rating")
    assert (shown.sure, shown.verdict) == ("yes", "Surely ahead")
    assert "It is 0.0100 (1.1 %) better than the next, network, which is more than chance" in told(report())
    assert "(on 300 users, p 0.010)" in told(report())


def test_a_lead_over_the_next_that_may_be_chance_names_who_may_be_as_good() -> None:
    unsure = report(comparisons=paired(RMSE, {"network": 0.2, "mean": 0.001}))
    assert (card(unsure).sure, card(unsure).verdict) == ("no", "May be chance")
    assert "which may be chance (on 300 users, p 0.200): network may be as good." in told(unsure)


def test_who_was_chosen_stands_on_top_though_another_has_the_best_figure() -> None:
    behind = report(champion="network")
    assert card(behind).headline == "network"
    assert (card(behind).sure, card(behind).verdict) == ("no", "forest is better")
    assert "Best of the table is forest, by 0.0100 (1.1 %), which is more than chance" in told(behind)
    unsure = report(champion="network", comparisons=paired(RMSE, {"network": 0.2, "mean": 0.001}))
    assert card(unsure).verdict == "May be chance"
    assert "Validation chose network; the test had no say in it." in told(unsure)


def test_the_best_of_a_table_is_said_to_be_that() -> None:
    assert card(report(champion=None)).headline == "forest"
    assert "It is shown as the best of the table: validation has chosen none." in told(report(champion=None))
    assert "best of the table" not in told(report())


def test_few_users_are_too_few_to_say_whatever_a_test_says() -> None:
    few = report(users=19)
    assert (card(few).sure, card(few).verdict) == ("unknown", "Too few to say")
    assert "the test has 19 users, too few to say more" in told(few)
    assert "chance" not in told(few)
    assert card(report(users=20)).sure == "yes"


def test_what_was_not_tested_and_who_is_alone() -> None:
    assert card(report(comparisons=None)).verdict == "Not tested"
    alone = report(leaderboard=board({"forest": 0.9}), comparisons=None)
    assert card(alone).verdict == "Nothing to compare with"


def test_models_with_timestamps_are_no_rivals_of_those_without() -> None:
    timed = board({**RMSE, "forest+time": 0.5})
    assert "forest+time" not in told(report(leaderboard=timed))
    assert card(report(leaderboard=timed, champion="forest+time")).verdict == "Nothing to compare with"


def test_of_a_metric_that_is_better_when_higher() -> None:
    values = {"popularity": 0.05, "sasrec": 0.2, "knn": 0.1}
    shown = SequenceReport(
        board(values, "ndcg@10", "sequence", 80), paired(values, {"popularity": 0.01, "knn": 0.03}, "ndcg@10"),
        champion="sasrec",
        costs=pd.DataFrame(
            {"model": list(values), "numbers": [3, 24_425_167, 50_000], "counted": "stored", "megabytes": 1.0,
             "cpu_seconds": [0.1, 130.0, float("nan")]}
        ),
    )  # fmt: skip
    assert "It is 0.1000 (100 %) better than the next, knn, which is more than chance (on 80 users" in told(
        shown
    )
    assert "It is made of 24.4 million numbers and took 2 minutes of computing to fit." in told(shown)
    assert "Its NDCG@10 is 4.0 times that of the smallest model, popularity." in told(shown)


def test_how_near_the_noise_floor() -> None:
    assert "That is 12 % above the noise floor of these simulated data, 0.8000" in told(
        report(noise_floor=0.8)
    )
    assert "floor" not in told(report())


def test_how_near_the_best_ranking_possible() -> None:
    values = {"sasrec": 0.2, "knn": 0.1}
    shown = SequenceReport(
        board(values, "ndcg@10", "sequence", n=80), champion="sasrec", ceiling={"ndcg@10": 0.4, "hr@10": 0.5}
    )
    assert "That is 50% of the NDCG@10 that could be expected" in told(shown)
    assert "expected" not in told(replace(shown, ceiling={}))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (RMSE, "no figure has changed."),
        ({**RMSE, "forest": 0.95}, "forest is 0.0500 better; best of the table was network (0.9100)."),
        ({**RMSE, "mean": 1.3}, "1 other model has another figure."),
        ({"forest": 0.9, "network": 0.91, "old": 2.0}, "new: mean; gone: old."),
    ],
)
def test_what_has_changed_since_the_last_committed_run(values: dict[str, float], said: str) -> None:
    earlier = Earlier("0123456789abcdef", board(values), same_data=True)
    assert "Since the last committed run (0123456789)" in told(report(earlier=earlier))
    assert told(report(earlier=earlier)).endswith(said)
    other = replace(earlier, same_data=False)
    assert told(report(earlier=other)).endswith(
        "The data are of another version now, so that rows may be others."
    )


def test_nothing_is_said_of_a_run_that_is_not_known() -> None:
    assert "Since" not in told(report())
