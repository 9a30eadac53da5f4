"""The page: refers to nothing outside, says what it was given, and leaves out what it was not."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attrec.metrics.intervals import bootstrap_interval, compare_to_best
from attrec.prepare.cleaning import CleaningReport
from attrec.reporting import standings, style
from attrec.reporting.contents import (
    DatasetReport,
    Provenance,
    RatingReport,
    ReportData,
    SequenceReport,
)
from attrec.reporting.leaderboard import LeaderboardRow, best_first, build_leaderboard, checked_leaderboard
from attrec.reporting.page import render, write_report

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Checks nesting, and gathers text, ids and attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "text"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def rating_report(gap: float = 0.2) -> RatingReport:
    rng = np.random.default_rng(0)
    users, truth = rng.integers(60, size=1200), rng.normal(3.5, 1, size=1200)
    good = truth + rng.normal(0, 0.9, size=1200)
    predictions = {
        "rsattae+xgboost": good,
        "bias": truth + (1 + gap) * (good - truth) + rng.normal(0, 0.05, 1200),
    }
    rows = []
    for model, predicted in predictions.items():
        for metric in ("rmse", "mae"):
            found = bootstrap_interval(users, truth, predicted, metric, resamples=200)  # type: ignore[arg-type]
            rows.append(
                LeaderboardRow(
                    "rating",
                    "d",
                    "u1",
                    model,
                    metric,
                    found.value,
                    found.low,
                    found.high,
                    1200,
                    1,
                    "run-" + model,
                )
            )
    comparisons = compare_to_best(users, truth, predictions, resamples=999)
    return RatingReport(build_leaderboard(rows), comparisons, descriptions={"bias": "User & item <offsets>."})


DATASET = DatasetReport("ml-100k", "MovieLens 100K", "6e47046882bad158", split="u1", split_hash="feedbeef")
PROVENANCE = Provenance(
    "0123456789abcdef",
    True,
    seeds=(3, 4),
    params={"xgboost": {"max_depth": 9}, "seed": 3},
    versions={"torch": "2.13.0"},
    runs={"bias": "run-of-bias"},
    timings={"fit": 1234.56},
)
FULL_DATASET = replace(
    DATASET,
    cleaning=CleaningReport(
        {"ratings": 100}, {"ratings": 98}, {"duplicate_ratings": 2, "idle": 0}, ["Item 267: no year."]
    ),
    expectations=pd.DataFrame(
        {
            "table": ["ratings", "items"],
            "column": ["rating", "year"],
            "expectation": ["expect_column_values_to_be_between", "expect_column_values_to_not_be_null"],
            "severity": ["error", "warning"],
            "checked": [100, 7],
            "unexpected": [0, 1],
            "success": [True, False],
        }
    ),
    quarantined=3,
    split_sizes=pd.DataFrame(
        {"part": ["train", "test"], "ratings": [78, 20], "users": [5, 4], "items": [7, 6]}
    ),
    distributions=pd.DataFrame({"variable": ["rating"], "value": ["1"], "before": [3], "after": [2]}),
)


def full_rating() -> RatingReport:
    epochs = np.arange(1, 4)
    activity = pd.DataFrame(
        {"group": ["1–9"], "min_count": [1], "value": [0.9], "ci_low": [0.8], "ci_high": [1.0]}
    )
    return replace(
        rating_report(),
        champion="bias",
        noise_floor=0.85,
        references=pd.DataFrame({"model": ["GLocal-K"], "value": [0.888], "note": ["epoch picked on test"]}),
        ablation=pd.DataFrame({"step": ["cross-fitted"], "validation_rmse": [0.8765]}),
        curves=pd.DataFrame(
            {"model": "user", "epoch": epochs, "train": 1 / epochs, "validation": 1 / epochs}
        ),
        importance=pd.DataFrame({"feature": ["genre=Comedy"], "importance": [2.0]}),
        user_activity=activity,
        item_activity=activity,
        calibration=pd.DataFrame({"predicted": [2.0, 3], "truth": [2.1, 3], "standard_error": [0.1, 0.1]}),
        predictions=pd.DataFrame(
            {"rating": [1], "q05": [1], "q25": [2], "q50": [2.5], "q75": [3], "q95": [4]}
        ),
        dimensions=pd.DataFrame({"side": ["user"], "dimension": [64], "loss": [0.9]}),
        convergence=pd.DataFrame({"side": "user", "model": "AE", "epoch": epochs, "validation": 1 / epochs}),
        grid=pd.DataFrame({"n_estimators": [1300], "rmse": [0.87]}),
    )


FULL = ReportData(replace(FULL_DATASET, simulated=True), PROVENANCE, full_rating())
SMALL = ReportData(DATASET, PROVENANCE)


@pytest.fixture(scope="module")
def full() -> str:
    return render(FULL)


@pytest.mark.parametrize("data", [FULL, SMALL, ReportData(DATASET, PROVENANCE, rating_report())])
def test_refers_to_nothing_outside_itself(data: ReportData) -> None:
    html = render(data)
    page = Page(html)
    assert {tag for tag, _, _ in page.attributes}.isdisjoint(
        {"script", "link", "iframe", "object", "img", "image"}
    )
    for tag, name, value in page.attributes:
        if name in ("src", "srcset", "data", "xlink:href") or (name == "href" and tag != "a"):
            assert value.startswith("#"), (tag, name, value)
        assert not name.startswith("on")
    assert all(target.startswith("#") for target in re.findall(r"url\(['\"]?([^)'\"]*)", html))
    assert "@import" not in html
    assert "@font-face" not in html


def test_is_sound_html(full: str) -> None:
    page = Page(full)
    assert full.startswith("<!DOCTYPE html>")
    assert len(page.ids) == len(set(page.ids))
    anchors = {value[1:] for tag, name, value in page.attributes if tag == "a" and name == "href"}
    assert anchors == {"summary", "rating", "data", "provenance"}
    assert anchors <= set(page.ids)
    labels = [value for tag, name, value in page.attributes if tag == "svg" and name == "aria-label"]
    assert len(labels) == full.count("<figure>") == full.count("<figcaption>") == 11
    assert all(labels)
    assert full.count("<table>") == len(re.findall(r'role="region" aria-label="[^"]+">\s*<table>', full))
    assert 'name="viewport"' in full
    assert "prefers-color-scheme: dark" in full


def test_same_contents_same_bytes(tmp_path: Path, full: str) -> None:
    assert render(FULL) == full
    write_report(FULL, tmp_path / "reports" / "index.html")
    assert (tmp_path / "reports" / "index.html").read_text(encoding="utf-8") == full
    assert [path.name for path in (tmp_path / "reports").iterdir()] == ["index.html"]


def test_every_value_appears(full: str) -> None:
    text = Page(full).text
    assert FULL.rating is not None
    for row in FULL.rating.leaderboard.itertuples():
        assert f"{row.value:.4f}" in text
        if row.metric == "rmse":
            assert f"{row.ci_low:.4f} – {row.ci_high:.4f}" in text
    for expected in (
        "MovieLens 100K", "6e47046882bad158", "feedbeef", "Item 267: no year.", "duplicate ratings",
        "1 of 2 rules found nothing to do", "1 of 2 expectations met", "to be between", "warning",
        "0123456789abcdef (with uncommitted changes)", "3, 4", "xgboost.max_depth", "2.13.0", "run-of-bias",
        "1,234.6", "bias (best on validation)", "User & item <offsets>.", "GLocal-K", "epoch picked on test", "0.8765",
        "Rows in quarantine 3",
    ):  # fmt: skip
        assert expected in text, expected


def test_data_without_a_version_are_told_none(full: str) -> None:
    assert "Data version 6e4704688" in Page(full).text
    text = Page(render(replace(FULL, dataset=replace(FULL_DATASET, version="")))).text
    assert "Data version" not in text
    assert f"{FULL_DATASET.split}. Code 0123456789ab" in text


def test_summary_says_who_leads_by_how_much_and_how_far_from_the_floor(full: str) -> None:
    rating = FULL.rating
    assert rating is not None
    assert rating.comparisons is not None
    best = rating.leaderboard.query("metric == 'rmse'")["value"].min()
    lead = rating.comparisons.iloc[0]
    text = Page(full).text
    assert f"rsattae+xgboost has the best test RMSE: {best:.4f} (95% interval" in text
    assert f"It is ahead of bias by {lead['difference']:.4f} (95% interval {lead['ci_low']:.4f}" in text
    assert "a significant lead." in text
    assert (
        f"is 0.8500: the best model lies {abs(best - 0.85):.4f} {'above' if best > 0.85 else 'below'} it"
        in text
    )
    assert "The model chosen on validation, and registered, is bias." in text


def test_a_lead_that_may_be_chance_is_not_called_significant() -> None:
    text = Page(render(ReportData(DATASET, PROVENANCE, rating_report(gap=0.0)))).text
    assert "not a significant lead" in text
    assert "(n.s.)" in text


def test_an_untested_lead_is_called_untested() -> None:
    untested = replace(rating_report(), comparisons=None)
    text = Page(render(ReportData(DATASET, PROVENANCE, untested))).text
    assert "whether the lead is more than chance was not tested" in text
    assert "behind the best by" not in text


def test_models_of_time_are_ranked_among_themselves() -> None:
    report = rating_report()
    timed = report.leaderboard.assign(
        model=report.leaderboard["model"] + "+time", value=report.leaderboard["value"] / 2, ci_low=0.0
    )
    mixed = replace(report, leaderboard=pd.concat([report.leaderboard, timed], ignore_index=True))
    html = render(ReportData(DATASET, PROVENANCE, mixed))
    assert "rsattae+xgboost has the best test RMSE" in Page(html).text
    captions = re.findall(r'aria-label="(Leaderboard[^"]*)">(.*?)</table>', html, flags=re.DOTALL)
    names = [re.findall(r'<th scope="row"[^>]*>([^<]+)</th>', body) for _, body in captions]
    assert names == [["rsattae+xgboost", "bias"], ["rsattae+xgboost+time", "bias+time"]]
    assert captions[1][0].endswith("models that use timestamps")


def test_both_tasks_have_a_section_in_one_sound_page(sequence_report: SequenceReport) -> None:
    html = render(replace(FULL, sequence=sequence_report))
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    assert [one for one in page.ids if one in ("rating", "sequence", "data")] == [
        "rating",
        "sequence",
        "data",
    ]
    assert html.count("<figure>") == 11 + 4
    assert "one split a task, u1 and leave-one-out." in page.text
    assert "sasrec has the best test NDCG@10: 0.1900" in page.text
    assert "What most people <do>." in page.text
    # The section of ratings is what it is without the other one.
    alone = render(FULL)
    part = alone[alone.index('<section id="rating"') : alone.index('<section id="data"')]
    assert part in html


def test_data_that_nobody_rates_have_a_page_all_the_same(sequence_report: SequenceReport) -> None:
    actions = replace(DATASET, split="", split_hash="")
    page = Page(render(ReportData(actions, PROVENANCE, sequence=sequence_report)))
    assert "rating" not in page.ids
    assert "sequence" in page.ids
    assert "one split, leave-one-out." in page.text
    assert "RMSE" not in page.text


def test_simulated_data_are_labelled_and_real_data_are_not(full: str) -> None:
    assert "Simulated data." in Page(full).text
    assert "(simulated data)" in Page(full).text
    assert "<title>MovieLens 100K (simulated data)" in full
    real = render(ReportData(DATASET, PROVENANCE, rating_report()))
    assert "simulated" not in Page(real).text.lower()
    assert "noise floor" not in Page(real).text


def test_absent_sections_are_left_out() -> None:
    page = Page(render(SMALL))
    assert "rating" not in page.ids
    assert not any(tag == "svg" for tag, _, _ in page.attributes)
    assert "Validation" not in page.text


def test_names_are_escaped() -> None:
    bad = replace(DATASET, title="<script>alert(1)</script>", name='"><img src=x>')
    html = render(ReportData(bad, PROVENANCE))
    assert "<script" not in html
    assert "<img" not in html


def test_a_ranking_metric_that_was_not_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="ndcg@10"):
        render(ReportData(DATASET, PROVENANCE, replace(rating_report(), metric="ndcg@10")))


def test_published_figures_stand_with_their_family(monkeypatch) -> None:
    """What timestamps add is no merit of the model, of a published one neither."""
    drawn: list[list[str]] = []
    draw = standings.plots.forest
    monkeypatch.setattr(
        standings.plots, "forest", lambda *given: drawn.append(list(given[3]["model"])) or draw(*given)
    )
    ranked = best_first(checked_leaderboard(rating_report().leaderboard), "rmse")
    published = pd.DataFrame({"model": ["GLocal-K", "myFM+time"], "value": [0.888, 0.881]})
    for rows in (ranked, ranked.assign(model=ranked["model"] + "+time")):
        standings.forest(rating_report(), rows, published, "forest")
    assert drawn == [["GLocal-K"], ["myFM+time"]]


def luminance(colour: str) -> float:
    """Of WCAG 2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_and_lines_stand_out_on_any_paper(full: str, scheme: str) -> None:
    blocks = re.findall(r":root \{(.*?)\}", full, re.DOTALL)
    by_day, by_night = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in blocks)
    series = {f"series-{number}": colour for number, colour in enumerate(style.SERIES, start=1)}
    colours = series | by_day if scheme == "light" else by_night
    papers = [colours["paper"], colours["raised"]]
    for name in ("ink", "muted", "accent", "yes", "no", "unknown"):
        assert min(contrast(colours[name], paper) for paper in papers) >= 4.5, name
    assert contrast(colours["warn-ink"], colours["warn-paper"]) >= 4.5
    for name in series:
        assert contrast(colours[name], colours["paper"]) >= 3, name


def test_no_series_is_told_from_another_by_colour_alone() -> None:
    numbers = range(len(style.SERIES))
    assert len({style.series_marker(number) for number in numbers}) == len(numbers)
    assert len({style.series_line(number) for number in numbers}) == len(numbers)
