"""The page in a real browser, on a desk and on a phone: nothing sticks out, nothing is asked for, no title runs."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from attrec.reporting.contents import Earlier, PlaylistReport, ReportData, SequenceReport, TaskReport
from attrec.reporting.leaderboard import LeaderboardRow, build_leaderboard
from attrec.reporting.page import write_report
from attrec.reporting.tuned import Found
from tests.attrec.reporting.test_page import FULL
from tests.servers import debian

pytestmark = pytest.mark.slow
DESK, PHONE = (1280, 900), (390, 844)
SWITCHES = (
    "no-sandbox", "headless", "disable-gpu", "no-first-run", "disable-background-networking",
    "disable-component-update", "disable-sync",
)  # fmt: skip
LONG = "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch" * 5
HOSTILE = [
    "<script>document.title = 'owned'</script>",
    '"><img src="http://evil.example/x.png" onerror="document.title = \'owned\'">',
    "</style></title></svg><iframe src=http://evil.example></iframe>",
    "Costs $5 & more: $x_1^{2}$, \\frac{1}{",
    "\u202egnillepS \x1b[31m {{ 7 * 7 }} {% raw %}",
    LONG,
]


def examples(model: str) -> pd.DataFrame:
    sides = [(side, number) for side in ("had", "next", "recommended") for number in range(len(HOSTILE))]
    rows = pd.DataFrame(sides, columns=["side", "place"])
    titles = [HOSTILE[place] for place in rows["place"]]
    return pd.concat(
        [
            rows.assign(
                model=model, whose=whose, rank=rows["place"] + 1, title=titles, artist=LONG, rating=4.25,
                found=rows["side"] == "recommended",
            )
            for whose in (HOSTILE[0], LONG)
        ],
        ignore_index=True,
    )  # fmt: skip


def noted(report: Any, model: str) -> Any:
    """The report of a task with what its stage noted, all of it long or hostile."""
    models = sorted(set(report.leaderboard["model"]))
    costs = pd.DataFrame(
        {
            "model": models,
            "numbers": 123_456_789,
            "counted": "stored",
            "megabytes": 1234.5,
            "cpu_seconds": 98765.4,
        }
    )
    links = {name: f"http://mlflow.example/#/experiments/1/runs/{name}" for name in models}
    return replace(
        report, champion=model, examples=examples(model), costs=costs, decision=HOSTILE[1], links=links,
        earlier=Earlier("0123456789abcdef", report.leaderboard.assign(value=report.leaderboard["value"] / 2), False),
        descriptions=dict.fromkeys(models, LONG),
    )  # fmt: skip


def playlist_report() -> PlaylistReport:
    metrics = {"ndcg@10": 0.3, "r-precision": 0.2, "recall@50": 0.4}
    rows = [
        LeaderboardRow("playlist", "d", "fold0of5", model, metric, value, value - 0.1, value + 0.1, 90, 1, "run")
        for model in ("ars", LONG) for metric, value in metrics.items()
    ]  # fmt: skip
    named = pd.DataFrame({"title": HOSTILE, "artist": LONG})
    points = np.random.default_rng(0).standard_normal((len(HOSTILE) + 1, 2))
    return PlaylistReport(
        build_leaderboard(rows),
        split="fold0of5",
        cleaning={"rows": 3, "columns_dropped": {HOSTILE[4]: LONG}},
        ceiling={"ndcg@10": 0.5},
        example=named.assign(model="ars", weight=0.5, attention=0.5),
        recommended=named.assign(rank=range(1, len(named) + 1), distance=0.5, held_out=False)[
            ["rank", "title", "artist", "distance", "held_out"]
        ],
        map=pd.DataFrame(points, columns=["x0", "x1"]).assign(
            role=["playlist"] * 6 + ["centroid"], cluster=0
        ),
        before=pd.DataFrame({HOSTILE[3]: [1.0, 2.0]}),
        after=pd.DataFrame({HOSTILE[3]: [0.0, 1.0]}),
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, sequence_report: SequenceReport) -> Path:
    """A report of all tasks whose names and titles are long, or would be markup, mathematics or control."""
    assert sequence_report.attention is not None
    titles = dict(enumerate(HOSTILE))
    attention = sequence_report.attention
    attention = attention.assign(
        query_title=attention["query"].map(titles), key_title=attention["key"].map(titles)
    )
    tasks: dict[str, TaskReport] = {
        "rating": noted(FULL.rating, "bias"),
        "sequence": noted(replace(sequence_report, attention=attention), "sasrec"),
        "playlist": noted(playlist_report(), "ars"),
    }
    dataset = replace(FULL.dataset, title=HOSTILE[2] + LONG, name=LONG, nouns="books", noun="book")
    provenance = replace(
        FULL.provenance,
        runs={LONG: "f" * 32},
        hashes={LONG: "e" * 64},
        links={LONG: "http://mlflow.example/"},
    )
    found = Found(
        family="rating", model=LONG, dataset="d", split="s", metric="rmse", lower_is_better=True, budget="2 trials",
        trials=2, pruned=0, tried=3, cpu_seconds=9.0, best_trial=1, best=0.8, start=0.9, values={LONG: HOSTILE[0]},
        importance={LONG: 0.9, HOSTILE[3]: 0.1}, space={}, study=LONG, run_id="f" * 32, git_commit="e" * 40,
        git_dirty=False,
    )  # fmt: skip
    file = tmp_path_factory.mktemp("page") / "index.html"
    trials = pd.DataFrame(
        {"trial": [0, 1], "state": "complete", "value": [0.9, 0.8], "cpu_seconds": 4.5, LONG: HOSTILE[:2]}
    )
    write_report(ReportData(dataset, provenance, **tasks, tuning=((found, trials),)), file)  # type: ignore[arg-type]
    return file


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    """Debian's Chromium, which keeps nothing."""
    chromium, driver = debian("chromium", "chromium"), debian("chromedriver", "chromium-driver")
    with tempfile.TemporaryDirectory() as profile:
        options = ChromeOptions()
        options.binary_location = chromium
        for switch in (*SWITCHES, f"user-data-dir={profile}"):
            options.add_argument(f"--{switch}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        started = Chrome(options=options, service=Service(driver))
        yield started
        started.quit()


@pytest.fixture(params=[DESK, PHONE], ids=["desk", "phone"])
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    """Of the window."""
    given: tuple[int, int] = request.param
    return given


@pytest.fixture
def wide(size: tuple[int, int]) -> int:
    """Its width."""
    return size[0]


@pytest.fixture
def shown(size: tuple[int, int], browser: Chrome, page: Path) -> Chrome:
    """The page as it has just been opened, in a window of one size."""
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    for log in ("browser", "performance"):
        browser.get_log(log)  # type: ignore[no-untyped-call]
    browser.get(page.as_uri())
    return browser


# Whatever reaches past the window, and is in no box that scrolls.
STICKING_OUT = """
const boxed = element => {
  for (let at = element; at; at = at.parentElement)
    if (['auto', 'scroll'].includes(getComputedStyle(at).overflowX)) return true;
  return false;
};
return [...document.body.querySelectorAll('*')].filter(element => {
  const right = element.getBoundingClientRect().right;
  const spills = element.clientWidth > 0 && element.scrollWidth > element.clientWidth + 1;
  return (right > innerWidth + 0.5 || spills) && !boxed(element);
}).map(element => element.outerHTML.slice(0, 200));
"""


def test_nothing_sticks_out(shown: Chrome, wide: int) -> None:
    for opened in (False, True):
        shown.execute_script(
            f"document.querySelectorAll('details').forEach(one => one.open = {str(opened).lower()})"
        )
        width = "return [document.documentElement.scrollWidth, innerWidth]"
        whole, window = shown.execute_script(width)
        assert whole <= window == wide
        assert shown.execute_script(STICKING_OUT) == []


def test_nothing_is_asked_for_and_nothing_goes_wrong(shown: Chrome, page: Path) -> None:
    events = [json.loads(entry["message"])["message"] for entry in shown.get_log("performance")]  # type: ignore[no-untyped-call]
    asked = [
        one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"
    ]
    assert asked == [page.as_uri()]
    assert shown.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert shown.get_log("browser") == []  # type: ignore[no-untyped-call]


def test_nothing_of_the_data_is_more_than_text(shown: Chrome) -> None:
    assert shown.title.endswith("attrec report")
    foreign = "script, img, iframe, object, embed, link, form"
    assert shown.execute_script(f"return document.querySelectorAll('{foreign}').length") == 0
    lines = "return [...document.querySelectorAll('#rating li > bdi:first-child')].map(one => one.textContent.trim())"
    listed = shown.execute_script(lines)
    assert [one for one in HOSTILE if one.strip() not in listed] == []
    sentences = shown.execute_script(
        "return [...document.querySelectorAll('p, li')].map(one => one.textContent)"
    )
    [cleaned] = [one for one in sentences if one.startswith("Cleaning was learned")]
    assert "Not used: \N{REPLACEMENT CHARACTER}gnillepS" in cleaned
    drawn = shown.execute_script(
        "return [...document.querySelectorAll('svg text')].map(text => text.textContent)"
    )
    assert any(one.startswith(HOSTILE[3][:20]) for one in drawn)


def test_a_wide_table_scrolls_beside_its_first_column(shown: Chrome, wide: int) -> None:
    script = """
    const box = [...document.querySelectorAll('#rating .scroll')].find(box => box.querySelector('table'));
    box.scrollLeft = 150;
    const name = box.querySelector('tbody th').getBoundingClientRect(), edge = box.getBoundingClientRect();
    return [box.scrollWidth - box.clientWidth, box.scrollLeft, name.left - edge.left, name.width / edge.width];
    """
    hidden, scrolled, indent, share = shown.execute_script(script)
    assert indent == pytest.approx(0, abs=1)
    assert share < 0.5
    if wide == PHONE[0]:
        assert hidden > 150
        assert scrolled == 150


def test_what_is_folded_is_printed(shown: Chrome) -> None:
    folded = (
        "return [...document.querySelectorAll('details td')].filter(cell => !cell.checkVisibility()).length"
    )
    assert shown.execute_script(folded) > 0
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert shown.execute_script(folded) == 0
    finally:
        shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
