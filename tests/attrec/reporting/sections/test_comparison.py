"""The page of a comparison: what was given stands there, families apart, and nothing outside is referred to."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from attrec.metrics.intervals import bootstrap_interval, compare_to_best
from attrec.reporting.contents import ComparisonReport, DatasetReport, Provenance
from attrec.reporting.leaderboard import LeaderboardRow, build_leaderboard
from attrec.reporting.plots.comparison import error_against_cost, visible_limit
from attrec.reporting.sections.comparison import render_comparison

PAIRS = [f"{embedding}+{head}" for embedding in ("simple", "attentive") for head in ("inner", "mlp2")]
MODELS = ["global-mean", "SVD", *PAIRS, "blend", "bayesian-fm+time", "blend+time"]
ERRORS = dict(zip(MODELS, (3.0, 1.02, 0.99, 0.985, 0.97, 0.972, 0.965, 0.96, 0.95), strict=True))


def report(splits: int = 3) -> ComparisonReport:
    rng = np.random.default_rng(0)
    users, truth = rng.integers(40, size=900), rng.integers(1, 6, size=900).astype(float)
    noise = rng.normal(0, 1, 900)
    predictions = {model: truth + error * noise + rng.normal(0, 0.05, 900) for model, error in ERRORS.items()}
    rows, by_split = [], []
    for model, predicted in predictions.items():
        for metric in ("rmse", "mae"):
            found = bootstrap_interval(users, truth, predicted, metric, resamples=100)  # type: ignore[arg-type]
            rows.append(
                LeaderboardRow(
                    "rating",
                    "cil",
                    "cv3",
                    model,
                    metric,
                    found.value,
                    found.low,
                    found.high,
                    900,
                    1,
                    f"run-{model}",
                )
            )
        by_split += [
            {"model": model, "split": f"fold{fold}", "value": ERRORS[model] + rng.normal(0, 0.002)}
            for fold in range(splits)
        ]
    families = [[model for model in MODELS if model.endswith("+time") is timed] for timed in (False, True)]
    tests = [
        compare_to_best(users, truth, {name: predictions[name] for name in names}, resamples=99)
        for names in families
    ]
    facts = pd.DataFrame({"model": MODELS})
    pairs = facts["model"].isin(PAIRS)
    facts["parameters"] = 10 ** np.arange(1, 1 + len(MODELS))
    facts["counted"] = "trained"
    facts["cpu_seconds"] = [float("nan"), *np.linspace(1, 900, len(MODELS) - 1)]
    facts["seconds"] = facts["cpu_seconds"] + 1
    facts["common_epoch"] = pd.array([7 if pair else None for pair in pairs], dtype="Int64")
    facts["common_epoch_rmse"] = np.where(pairs, 0.97531, np.nan)
    classes = facts["model"].str.endswith("mlp2")
    facts["expected_calibration_error"] = np.where(classes, 0.01234, np.nan)
    facts["log_loss"] = np.where(classes, 1.28764, np.nan)
    bins = [
        {"model": model, "rating": rating, "low": 0.1 * k, "high": 0.1 * k + 0.1, "predicted": 0.1 * k + 0.05,
         "observed": 0.1 * k + 0.04, "ratings": 100 - 9 * k}
        for model in PAIRS if model.endswith("mlp2") for rating in range(1, 6) for k in range(10)
    ]  # fmt: skip
    return ComparisonReport(
        name="cil",
        dataset=DatasetReport("cil", "ETH <CIL>", "6e47046882bad158", split="cv3"),
        provenance=Provenance("0123456789abcdef", False, runs={"SVD": "run-SVD"}),
        leaderboard=build_leaderboard(rows),
        split="cv3",
        tested="cv3",
        comparisons=pd.concat(tests, ignore_index=True),
        models=facts,
        by_split=pd.DataFrame(by_split),
        splits=pd.DataFrame(
            {"split": [f"fold{fold}" for fold in range(splits)], "train": 700, "validation": 100, "test": 100}
        ),
        published=pd.DataFrame(
            [
                ("cv3", "SVD", "rmse", 1.0237, "Paper, Table I"),
                ("cv3", "NMF", "rmse", 1.0472, "Paper, Table I"),
                ("cv3", "simple+inner", "rmse", 0.9923, "Paper, Table II"),
            ],
            columns=["split", "model", "metric", "value", "source"],
        ),
        class_bins=pd.DataFrame(bins),
    )


FULL = report()


@pytest.fixture(scope="module")
def page() -> str:
    return render_comparison(FULL)


def table_of(page: str, caption: str) -> str:
    [found] = re.findall(rf'aria-label="{re.escape(caption)}">(.*?)</table>', page, flags=re.DOTALL)
    return str(found)


def cells(table: str, model: str) -> list[str]:
    [row] = [row for row in re.findall(r"<tr.*?</tr>", table, flags=re.DOTALL) if f">{model}</th>" in row]
    return re.findall(r"<td[^>]*>(.*?)</td>", row)


def test_refers_to_nothing_outside_and_escapes_names(page):
    assert not re.search(r"<(script|link|img|iframe)\b|@import|url\((?!#)", page)
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', page))
    assert "ETH &lt;CIL&gt;" in page
    assert len(re.findall(r'\bid="', page)) == len(set(re.findall(r'\bid="([^"]+)"', page)))
    assert page.count("<figure>") == len(re.findall(r'<svg [^>]*aria-label="[^"]+"', page)) == 7


def test_same_contents_same_bytes(page):
    assert render_comparison(FULL) == page


def test_leaderboards_rank_and_test_each_family_on_its_own(page):
    caption = "Leaderboard: ETH &lt;CIL&gt;, split cv3, test part"
    without, timed = table_of(page, caption), table_of(page, f"{caption}: models that use timestamps")
    assert re.findall(r">([^<>]+\+time)</th>", without) == []
    assert re.findall(r'<th scope="row"[^>]*>([^<]+)</th>', timed) == ["blend+time", "bayesian-fm+time"]
    assert cells(without, "blend")[3] == cells(timed, "blend+time")[3] == "best"
    row = FULL.comparisons.set_index("model").loc["bayesian-fm+time"]
    assert cells(timed, "bayesian-fm+time")[3].startswith(f"{row['difference']:.4f}")


def test_published_beside_measured(page):
    measured = FULL.leaderboard.query("metric == 'rmse'").set_index("model")
    first, second = table_of(page, "Paper, Table I"), table_of(page, "Paper, Table II")
    value = measured.loc["SVD", "value"]
    assert cells(first, "SVD")[:2] == ["1.0237", f"{value:.4f}"]
    assert cells(first, "SVD")[3] == f"{value - 1.0237:.4f}".replace("-", "−")
    assert cells(first, "NMF") == ["1.0472", "", "", ""]
    assert cells(second, "simple+inner")[-2:] == ["7", "0.9753"]
    assert "common epoch" not in first
    assert "optimistic by construction" in page


def test_at_or_below_published_is_told_with_and_without_the_interval():
    measured = FULL.leaderboard.query("metric == 'rmse'").set_index("model")
    published = pd.DataFrame(
        [
            ("SVD", measured.loc["SVD", "ci_high"] + 0.01),
            ("simple+inner", measured.loc["simple+inner", "value"] + 0.0001),
            ("blend", measured.loc["blend", "value"] - 0.0001),
        ],
        columns=["model", "value"],
    ).assign(split="cv3", metric="rmse", source="Paper")
    page = render_comparison(replace(FULL, published=published))
    assert "2 of the 3 models with a published figure are at or below it" in page
    assert "1 of them with their whole interval" in page


def test_cost_classes_and_splits_are_told(page):
    cost = table_of(page, "Size and training time")
    assert cells(cost, "SVD")[1:] == ["100", "trained", "1.0", "2.0"]
    assert cells(cost, "global-mean")[3:] == ["", ""]
    assert cells(table_of(page, "Calibration of class probabilities"), "simple+mlp2") == ["0.0123", "1.2876"]
    value = FULL.by_split.query("model == 'SVD' and split == 'fold1'")["value"].iloc[0]
    assert cells(table_of(page, "Test RMSE by split"), "SVD")[1] == f"{value:.4f}"


def test_what_is_not_there_is_left_out():
    bare = render_comparison(replace(report(splits=1), published=None, class_bins=None))
    assert "Published and measured" not in bare
    assert "Class probabilities" not in bare
    assert "on each split" not in bare


def test_labels_of_crowded_points_do_not_cover_each_other():
    rng = np.random.default_rng(1)
    rows = pd.DataFrame(
        {
            "model": [f"autoencoder+mlp{number}" for number in range(24)],
            "group": "pair network",
            "value": 0.97 + 0.03 * rng.random(24),
            "cost": 10 ** rng.uniform(4, 5, 24),
        }
    )
    figure = error_against_cost(rows, "cost", "parameters")
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(label) for label in figure.axes[0].texts]
    assert len(boxes) == 24
    assert [
        (one, other) for one, other in combinations(boxes, 2) if one.shrunk(0.95, 0.95).overlaps(other)
    ] == []


def test_models_far_worse_than_the_rest_do_not_set_the_scale():
    assert visible_limit([0.96, 0.97, 0.98, 1.0, 1.5]) == 1.0
    assert visible_limit([0.96, 0.97, 0.98]) == 0.98
    assert visible_limit([1.0]) == 1.0
