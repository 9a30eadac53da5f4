"""The map and the distributions show what they are given."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch

from attrec.reporting.plots.playlists import catalogue_map, cleaning_distributions
from attrec.reporting.style import to_svg

RNG = np.random.default_rng(0)
# Nearly all of the variance is in the first column, then in the second.
POINTS = RNG.standard_normal((60, 4)) * [9, 3, 0.1, 0.1]
CLUSTERS = np.repeat([-1, 3, 5], 20)


def drawn(axes: Axes) -> dict[str, np.ndarray]:
    """By label; many points are one path, whose label a line without points has."""
    shown = {str(line.get_label()): np.asarray(line.get_xydata()) for line in axes.lines}
    dots = [patch.get_path().vertices[::2] for patch in axes.patches if isinstance(patch, PathPatch)]
    return {label: places if len(places) else dots.pop() for label, places in shown.items()}


def test_map_shows_every_song_once_and_what_is_marked() -> None:
    figure = catalogue_map(POINTS, CLUSTERS, np.array([1, 2]), POINTS[7], np.array([4]))
    shown = drawn(figure.axes[0])
    sizes = {name: len(places) for name, places in shown.items()}
    assert sizes == {
        "other items": 20, "cluster 3": 20, "cluster 5": 20, "playlist": 2, "recommended": 1, "centroid": 1,
    }  # fmt: skip
    # Song 7 is in no cluster, and the centroid lies on it.
    assert shown["centroid"][0] == pytest.approx(shown["other items"][7])
    assert shown["playlist"] == pytest.approx(shown["other items"][[1, 2]])
    first = np.concatenate([shown["other items"], shown["cluster 3"], shown["cluster 5"]])[:, 0]
    assert abs(np.corrcoef(first, POINTS[:, 0])[0, 1]) > 0.999


def test_map_without_clusters_and_of_many_songs() -> None:
    assert {name: len(p) for name, p in drawn(catalogue_map(POINTS).axes[0]).items()} == {"item": 60}
    many = RNG.standard_normal((5_000, 2))
    assert len(drawn(catalogue_map(many, nouns=("book", "books")).axes[0])["book"]) == 2_000
    clusters = np.arange(5_000) % 40
    shown = drawn(catalogue_map(many, clusters).axes[0])
    assert len(shown) == 8
    assert sum(map(len, shown.values())) == 2_000


def test_distributions_have_a_line_a_column() -> None:
    before = pd.DataFrame({"tempo": [100.0, 120, np.nan], "title": list("abc"), "year": [1990.0, 2000, 2010]})
    after = pd.DataFrame({"tempo": [-1.0, 1, 0], "year": [-1.0, 0, 1], "artist=x": [0.0, 1, 0]})
    figure = cleaning_distributions(before, after, bins=4)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["tempo, before", "tempo, after", "year, before", "year, after"]
    # Each is one outline: the area below its steps, whatever the width of a bin, counts the values.
    counts = []
    for axes in figure.axes:
        [outline] = axes.patches
        steps = outline.get_path().vertices
        heights = np.diff(steps[:, 0]) * steps[1:, 1]
        width = np.ptp(steps[:, 0]) / 4
        counts.append(round(float(heights[np.diff(steps[:, 0]) > 0].sum() / width)))
    assert counts == [2, 3, 3, 3]


def test_figures_are_deterministic_and_well_formed() -> None:
    def svg() -> str:
        return to_svg(catalogue_map(POINTS, CLUSTERS, np.array([1]), POINTS[0]), "the map", "map")

    assert svg() == svg()
    assert ElementTree.fromstring(svg()).get("aria-label") == "the map"
