"""Plots draw what they are given, the same way every time, in colours that follow the page."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib import rc_context, rcParams
from matplotlib.figure import Figure

from attrec.reporting.plots import common
from attrec.reporting.plots import ratings as plots
from attrec.reporting.plots import sequences as sequence_plots
from attrec.reporting.style import SERIES, to_svg

EPOCHS = np.arange(1, 6)
FOREST = pd.DataFrame(
    {"model": ["a", "b"], "value": [0.9, 1.0], "ci_low": [0.85, 0.96], "ci_high": [0.94, 1.05]}
)
CURVES = pd.DataFrame(
    {"model": "RSAttAE", "epoch": EPOCHS, "train": 1 / EPOCHS, "validation": [5, 3, 2, 3, 4]}
)
ACTIVITY = pd.DataFrame(
    {
        "group": ["none", "1–9"],
        "min_count": [0, 1],
        "value": [1.2, 0.9],
        "ci_low": [1, 0.8],
        "ci_high": [1.4, 1],
    }
)
CHANGES = pd.DataFrame(
    {
        "variable": ["rating", "rating", "age"],
        "value": ["1", "2", "30"],
        "before": [3, 4, 5],
        "after": [3, 2, 5],
    }
)
CALIBRATION = pd.DataFrame({"predicted": [2.0, 4], "truth": [2.1, 3.9], "standard_error": [0.1, 0.1]})
SPREAD = pd.DataFrame(
    {"rating": [1, 5], "q05": [1, 3], "q25": [2, 4], "q50": [2.5, 4.2], "q75": [3, 4.5], "q95": [4, 5]}
)
DIMENSIONS = pd.DataFrame(
    {"side": ["user", "user", "item"], "dimension": [64, 32, 64], "loss": [0.938, 0.95, 0.892]}
)
CONVERGENCE = pd.DataFrame({"side": "user", "model": "RSAttAE", "epoch": EPOCHS, "validation": 1 / EPOCHS})
GRID = pd.DataFrame({"n_estimators": [1500, 1300], "rmse": [0.87, 0.88], "published": [0.8699, 0.8705]})
IMPORTANCE = pd.DataFrame({"feature": [f"f{n}" for n in range(40)], "importance": np.arange(40.0)})
ATTENTION = np.array([[[1, 0], [0.25, 0.75]], [[1, 0], [0.5, 0.5]], [[1, 0], [0, 1]]])
TITLES = ["A film with a title of very many letters (1999)", "B & <C>"]
RANKED = pd.DataFrame(
    {
        "model": ["x"] * 4 + ["y"] * 4,
        "epoch": [1, 2, 3, 4] * 2,
        "train": [4, 3, 2, 1] * 2,
        "validation": [np.nan, 0.8, np.nan, 0.9, 0.95, 0.9, 0.85, 0.87],
    }
)
LENGTHS = pd.DataFrame(
    {
        "model": ["x", "x", "y", "y"],
        "group": ["3–9", "10–40"] * 2,
        "users": [7, 8] * 2,
        "value": [0.1, 0.2, 0.3, 0.4],
        "ci_low": [0.0, 0.1, 0.2, 0.3],
        "ci_high": [0.2, 0.3, 0.4, 0.5],
    }
)

DRAWN: dict[str, Callable[[], Figure]] = {
    "forest": lambda: common.forest(
        FOREST, "rmse", 0.8, pd.DataFrame({"model": ["paper"], "value": [0.898]})
    ),
    "curves": lambda: common.loss_curves(CURVES),
    "importance": lambda: plots.feature_importance(IMPORTANCE),
    "activity": lambda: plots.error_by_activity(ACTIVITY, "user"),
    "distributions": lambda: common.distributions(CHANGES),
    "calibration": lambda: plots.calibration(CALIBRATION),
    "predictions": lambda: plots.predictions_by_rating(SPREAD),
    "dimensions": lambda: plots.dimension_against_loss(DIMENSIONS),
    "convergence": lambda: plots.convergence(CONVERGENCE),
    "grid": lambda: plots.grid_search(GRID),
    "attention": lambda: common.attention_map(ATTENTION, TITLES),
    "ranking": lambda: sequence_plots.ranking_curves(RANKED, "NDCG@10"),
    "lengths": lambda: sequence_plots.value_by_length(LENGTHS, "ndcg@10"),
}


@pytest.mark.parametrize("name", DRAWN)
def test_svg_is_well_formed_deterministic_and_self_contained(name: str) -> None:
    before = dict(rcParams)
    svg = to_svg(DRAWN[name](), "a <label>", name)
    assert svg == to_svg(DRAWN[name](), "a <label>", name)
    assert dict(rcParams) == before  # a notebook's own style is left alone
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == "a <label>"
    assert root.get("role") == "img"
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert all(str(one).startswith(f"{name}-") for one in ids)
    referred = re.findall(r'(?:href="|url\()#([^")]+)', svg)
    assert set(referred) <= set(ids)
    assert not re.search(r'(?:src|href)="(?!#)|url\((?!#)|<metadata|<image', svg)


@pytest.mark.parametrize("name", DRAWN)
def test_every_colour_is_a_variable_of_the_page(name: str) -> None:
    svg = to_svg(DRAWN[name](), "label", name)
    bare = re.sub(r"var\(--[a-z0-9-]+, #[0-9a-f]{6}\)", "", svg)
    assert not re.findall(r"(?:fill|stroke|color): (?!none)[^;\"]*#[0-9a-f]{6}", bare)


def words(figure: Figure) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]+)</text>", to_svg(figure, "label", "x"))


STRANGE = [
    "costs $5, or $\\frac{", "$", "\\", "^_{}~#", "<b>fat</b> & ]]></svg>", 'id="x" href="#x" url(#x)',
    "#1f2429 1.23456", "%s %d {0}", "الفيلم",
]  # fmt: skip


@pytest.mark.parametrize("typeset", [False, True])
def test_a_title_is_no_mathematics_no_markup_and_nothing_of_the_figure(typeset: bool) -> None:
    """Whatever the user's own style says."""
    with rc_context({"text.usetex": typeset}):
        figure = common.attention_map(np.eye(len(STRANGE)), STRANGE)
        root = ElementTree.fromstring(to_svg(figure, f"label of {STRANGE[4]}", "x"))
        figure.savefig(io.BytesIO(), format="png")
    shown = [element.text for element in root.iter() if element.tag.endswith("}text")]
    assert [f"{title}  {row}" for row, title in enumerate(STRANGE, start=1)] == shown[
        len(STRANGE) : 2 * len(STRANGE)
    ]
    assert root.get("aria-label") == f"label of {STRANGE[4]}"


def test_a_title_with_control_characters_leaves_the_file_well_formed() -> None:
    titles = ["\x1b[31mred\x1b[0m", "two\nlines\x00"]
    svg = io.BytesIO()
    common.attention_map(np.eye(2), titles).savefig(svg, format="svg")
    ElementTree.fromstring(svg.getvalue())
    root = ElementTree.fromstring(to_svg(common.attention_map(np.eye(2), titles), "a\x0bb", "x"))
    shown = [element.text for element in root.iter() if element.tag.endswith("}text")]
    bad = "\N{REPLACEMENT CHARACTER}"
    assert {f"{bad}[31mred{bad}[0m  1", f"two{bad}lines{bad}  2"} <= set(shown)


def test_a_script_that_the_font_has_not_is_no_news() -> None:
    program = (
        "import io, numpy; from attrec.reporting.plots.common import attention_map;"
        "attention_map(numpy.eye(1), ['千と千尋 👍']).savefig(io.BytesIO(), format='png')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_forest_puts_models_in_order_with_floor_and_published_figures() -> None:
    figure = DRAWN["forest"]()
    (axes,) = figure.axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", "b", "paper (published)"]
    assert axes.yaxis_inverted()  # the first row is on top
    segments = axes.collections[0].get_segments()  # type: ignore[attr-defined]
    assert [(low[0], high[0]) for low, high in segments] == [(0.85, 0.94), (0.96, 1.05)]
    assert "noise floor 0.800" in words(figure)
    assert not any("noise" in word for word in words(common.forest(FOREST, "rmse")))


def test_loss_curves_mark_the_lowest_validation_loss() -> None:
    (axes,) = DRAWN["curves"]().axes
    marked = [line for line in axes.lines if line.get_marker() not in ("None", None)]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in marked] == [(3, 2)]  # type: ignore[index]


def test_loss_curves_without_validation_are_drawn_all_the_same() -> None:
    assert common.loss_curves(CURVES.assign(validation=np.nan)).axes


def test_feature_importance_keeps_the_25_highest_as_shares_of_all() -> None:
    (axes,) = DRAWN["importance"]().axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [f"f{n}" for n in range(39, 14, -1)]
    assert axes.patches[0].get_width() == pytest.approx(100 * 39 / sum(range(40)))  # type: ignore[attr-defined]


def test_activity_keeps_the_order_of_the_groups_for_several_models() -> None:
    both = pd.concat([ACTIVITY[1:].assign(model="x"), ACTIVITY.assign(model="y")])
    (axes,) = plots.error_by_activity(both, "item").axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["none", "1–9"]


def test_ranking_curves_turn_validation_into_the_metric_and_mark_its_highest_value() -> None:
    loss, value = DRAWN["ranking"]().axes
    assert [tuple(line.get_ydata()) for line in loss.lines] == [(4, 3, 2, 1)] * 2
    curves = [line for line in value.lines if line.get_marker() in ("None", None)]
    np.testing.assert_allclose(
        curves[0].get_ydata(), [0.2, 0.1]
    )  # measured in the second and the fourth epoch
    marked = [line for line in value.lines if line not in curves]
    places = [(line.get_xdata()[0], round(float(line.get_ydata()[0]), 6)) for line in marked]  # type: ignore[index]
    assert places == [(2, 0.2), (3, 0.15)]
    assert "On validation" in words(DRAWN["ranking"]())


def test_lengths_keep_the_order_of_the_groups_and_say_how_many_users_they_are() -> None:
    (axes,) = DRAWN["lengths"]().axes
    shown = [tick.get_text() for tick in axes.get_xticklabels()]
    assert shown == ["3–9\n(7 users)", "10–40\n(8 users)"]
    assert [tuple(line.get_ydata()) for line in axes.lines] == [(0.1, 0.2), (0.3, 0.4)]
    assert "higher is better" in axes.get_ylabel()


def test_attention_has_a_panel_a_head_and_darker_cells_for_larger_weights() -> None:
    figure = DRAWN["attention"]()
    first, second, third, spare = figure.axes
    cells = {(patch.get_x() + 0.5, patch.get_y() + 0.5): patch.get_alpha() for patch in first.patches}  # type: ignore[attr-defined]
    assert cells == {(0, 0): 1.0, (0, 1): 0.5, (1, 1): 0.75**0.5}  # (key, query): opacity; no weight, no cell
    assert first.yaxis_inverted()  # the oldest action is on top
    assert [axes.get_title("left") for axes in (first, second, third)] == ["head 1", "head 2", "head 3"]
    labels = [tick.get_text() for tick in first.get_yticklabels()]
    assert labels == ["A film with a title of very…  1", "B & <C>  2"]
    assert not spare.axison


def test_attention_of_one_head_needs_no_axis_of_heads_and_as_many_labels_as_rows() -> None:
    assert len(common.attention_map(ATTENTION[0], TITLES).axes) == 1
    with pytest.raises(ValueError, match="one label a row"):
        common.attention_map(ATTENTION, TITLES[:1])


def test_series_stand_out_on_both_papers() -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    from attrec.reporting import page

    css = (page._HERE / "report.css").read_text()
    dark_css = css[css.index("dark)") :]
    dark = re.findall(r"--series-\d: (#[0-9a-f]{6})", dark_css)
    assert len(dark) == len(SERIES)
    assert all(1.05 / (luminance(colour) + 0.05) >= 4.5 for colour in SERIES)  # WCAG AA on white
    assert all((luminance(colour) + 0.05) / (luminance("#15181b") + 0.05) >= 4.5 for colour in dark)
