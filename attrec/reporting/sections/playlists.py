"""The playlist section: what came first and by how much, how songs were cleaned and clustered, and one playlist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from attrec.reporting.contents import DatasetReport, PlaylistReport
from attrec.reporting.elements import Figure, Section, Table
from attrec.reporting.leaderboard import best_first, checked_leaderboard, metric_name
from attrec.reporting.plots import playlists as playlist_plots
from attrec.reporting.plots import sequences as sequence_plots
from attrec.reporting.sections.examples import add_examples
from attrec.reporting.standings import (
    MEASURED,
    definitions,
    forest,
    published_and_ablation,
    standings_table,
    summary,
)
from attrec.shown import one_line

_BEYOND = (
    "Of what the model of the first seed recommends to each playlist. Coverage: share of the catalogue that any "
    "playlist is recommended. Popularity: training playlists that have what is recommended, on average."
)
_STOPPED_BY = "mean of R-precision, NDCG@10 and Recall@50"
_TRIED = (
    "A row for each number of clusters, or for each share of core points that eps was set by, that was tried; the one "
    "with the highest NDCG@10 on validation playlists was taken. "
)
_CHOSEN = (
    "Of each fold (from 0), the number of clusters, or the share of core points that eps was set by, with the highest "
    "NDCG@10 on validation playlists. "
)
_QUALITY = (
    "Silhouette (−1 to 1) and Calinski-Harabasz are better "
    "when higher, Davies-Bouldin when lower; none of them is asked for the choice. They are of the {nouns} in "
    "clusters: noise (without_cluster) is left out of them, and clusters of {nouns} at one point each look perfect."
)
_COUNTED = {
    "weight": "Weight: how far the centroid would move without the {noun}, as a share of all; those unlike the others "
    "most.",
    "attention": "Attention: how much of the attention among the {nouns} goes to it, as a share of all.",
}
"""What the columns that say what counted mean."""


def playlist_section(report: PlaylistReport, dataset: DatasetReport) -> Section:
    """Lay out the task; `report.leaderboard` must hold the ranking metric.

    Raises:
        DataError: when the leaderboard breaks its schema.
        ValueError: when no row has the ranking metric.
    """
    board = checked_leaderboard(report.leaderboard)
    ranked = best_first(board, report.metric)
    models = ranked["model"].tolist()
    songs = report.kind == "songs"
    nouns = dataset.nouns.capitalize()
    section = Section(
        "playlist",
        f"{nouns} for a playlist" if songs else f"{nouns} for what somebody liked",
        summary=[*summary(report, ranked, dataset), *_ceiling(report)],
        facts=_facts(report, dataset),
        notes=[*_protocol(report, dataset), *_cleaning(report, dataset)],
        fold=MEASURED,
        tables=[standings_table(report, board, ranked, dataset)],
        definitions=definitions(report, models),
        figures=[forest(report, ranked, report.references, "playlist-forest"), *_figures(report, dataset)],
        further_tables=[
            *_example(report, dataset),
            *_by_model(report, models, dataset),
            *published_and_ablation(report),
        ],
    )
    headings = (
        {"had": f"{nouns} given", "next": f"{nouns} left out", "recommended": "Recommended"}
        if songs
        else {"had": "Liked", "next": "Liked, kept from the model", "recommended": "Recommended"}
    )
    add_examples(section, report, "Playlist" if songs else "User", headings)
    return section


def _ceiling(report: PlaylistReport) -> Iterator[str]:
    if report.metric in report.ceiling:
        yield (
            "Who knew by what chances the simulator made playlists would reach a "
            f"{metric_name(report.metric)} of {report.ceiling[report.metric]:.4f}: nobody can expect more."
        )


def _facts(report: PlaylistReport, dataset: DatasetReport) -> dict[str, str]:
    nouns = dataset.nouns.capitalize()
    titles = {
        "playlists": "Playlists",
        "songs": f"{nouns} in playlists",
        "train_playlists": "Playlists trained on",
        "train_songs": f"{nouns} trained on",
        "validation_playlists": "Validation playlists",
        "test_playlists": "Test playlists",
        "test_songs_held_out": f"{nouns} to be found in the test",
    }
    counts = {title: f"{report.counts[name]:,}" for name, title in titles.items() if name in report.counts}
    return ({"Split": report.split} if report.split else {}) | counts


def _protocol(report: PlaylistReport, dataset: DatasetReport) -> Iterator[str]:
    """What a playlist is, what of it is given, and among what the rest is ranked."""
    nouns = dataset.nouns
    if report.kind == "likes":
        yield (
            f"There are no playlists in these data: the {nouns} that somebody has had are taken for one."
            if report.min_rating is None
            else f"There are no playlists in these data: the {nouns} that a user rated {report.min_rating:g} or better "
            "are taken for one."
        )
    yield (
        f"Playlists are held out whole: of each test playlist some {nouns} are given, and the others have to be found "
        "in the whole catalogue, but for those given. Equal scores count against the model. R-precision is the share "
        f"of the first R {nouns} that were held out, R being how many were; the ideal NDCG@10 begins with all of them."
    )
    if report.counts:
        unknown = report.counts.get("test_songs_held_out_unknown", 0)
        short = report.counts.get("playlists_too_short_to_evaluate", 0)
        yield (
            f"{unknown:,} of the {nouns} to be found in the test are in no training playlist: only who knows them by "
            f"what they are can find them. {short:,} playlists are too short to be asked about and are trained on."
        )


def _cleaning(report: PlaylistReport, dataset: DatasetReport) -> Iterator[str]:
    """What was done to the items before distances were taken, learned from those of training playlists alone."""
    done = report.cleaning
    if not done:
        return
    parts = [f"{name} ({why})" for name, why in done.get("columns_dropped", {}).items()]
    dropped = f"Not used: {'; '.join(parts)}. " if parts else ""
    filled = done.get("values_filled", {})
    gaps = ", ".join(f"{count:,} of {name}" for name, count in filled.items())
    bent = ", ".join(done.get("columns_transformed", []))
    # Names of columns stand in a sentence, of which none may turn the direction.
    yield one_line(
        f"Cleaning was learned from the {done.get('rows', 0):,} {dataset.nouns} of training playlists. {dropped}"
        f"{f'Missing values filled with the median: {gaps}. ' if gaps else ''}"
        f"{f'Made less skewed by a power transform: {bent}. ' if bent else ''}"
        f"Then numbers were scaled to [0, 1] and standardised.{_indicated(done.get('indicated', {}))}"
    )


def _indicated(counts: Mapping[str, int]) -> str:
    """Of which columns categories became columns of their own."""
    parts = [f"{count:,} of {name}" for name, count in counts.items()]
    return f" Categories with a column of their own: {', '.join(parts)}." if parts else ""


def _example(report: PlaylistReport, dataset: DatasetReport) -> Iterator[Table]:
    """One validation playlist: how its items move the centroid and are attended to, and what was recommended."""
    if report.example is None or report.recommended is None or report.example.empty:
        return
    model = str(report.example["model"].iloc[0])
    shown = report.example.drop(columns="model").dropna(axis="columns", how="all")
    leaned = "weight" in shown
    told = [
        sentence.format(noun=dataset.noun, nouns=dataset.nouns)
        for column, sentence in _COUNTED.items()
        if column in shown
    ]
    caption = f"A validation playlist{' and what moves the centroid of ' + model if leaned else ''}"
    yield Table(caption, _without_empty(shown), folded=True, note=" ".join(told))
    yield Table(
        f"What {model} recommends for it",
        _without_empty(report.recommended),
        folded=True,
        note="Distance: to the centroid, before popularity counts. Held out: the playlist has the "
        f"{dataset.noun}, and the model was not told.",
        decimals=3,
    )


def _without_empty(rows: pd.DataFrame) -> pd.DataFrame:
    """Books have no artists."""
    return rows.drop(columns="artist") if (rows["artist"] == "").all() else rows


def _by_model(report: PlaylistReport, models: list[str], dataset: DatasetReport) -> Iterator[Table]:
    if report.clusterings is not None and len(report.clusterings):
        folds = "fold" in report.clusterings
        caption = f"Clusterings that were {'chosen, by fold' if folds else 'tried'}"
        note = f"{_CHOSEN if folds else _TRIED}{_QUALITY.format(nouns=dataset.nouns)}"
        rows = report.clusterings.assign(
            candidate=[f"{value:g}" for value in report.clusterings["candidate"]]
        )
        yield Table(caption, rows, folded=True, note=note, aligned=("candidate",), decimals=3)
    if report.beyond is not None and len(report.beyond):
        place = {model: number for number, model in enumerate(models)}
        beyond = report.beyond.sort_values("model", key=lambda names: names.map(place), ignore_index=True)
        yield Table("What is recommended, hit or miss", beyond, note=_BEYOND, decimals=3)


def _figures(report: PlaylistReport, dataset: DatasetReport) -> Iterator[Figure]:
    if report.map is not None and len(report.map):
        yield from _map(report, dataset)
    if report.curves is not None and len(report.curves):
        trained = list(dict.fromkeys(report.curves["model"]))
        yield Figure.draw(
            sequence_plots.ranking_curves(report.curves, _STOPPED_BY),
            "playlist-curves",
            f"Training loss and {_STOPPED_BY} on validation playlists by epoch; the marker is the highest value",
            f"Training loss and validation {_STOPPED_BY} of {', '.join(trained)}.",
        )
    if report.before is not None and report.after is not None and len(report.before.columns):
        yield Figure.draw(
            playlist_plots.cleaning_distributions(report.before, report.after),
            "playlist-cleaning",
            f"Numbers of the {dataset.nouns} that cleaning was learned from, before it (left) and after (right)",
            f"Histograms of {', '.join(map(str, report.before.columns))} before and after cleaning.",
        )


def _map(report: PlaylistReport, dataset: DatasetReport) -> Iterator[Figure]:
    assert report.map is not None
    rows = report.map
    points = rows[[name for name in rows if str(name).startswith("x")]].to_numpy(dtype=np.float64)
    if points.shape[1] < 2:
        return
    items, centroid = points[:-1], points[-1]
    roles, clusters = rows["role"].to_numpy()[:-1], rows["cluster"].to_numpy()[:-1]
    places = {role: np.flatnonzero(roles == role) for role in ("playlist", "recommended")}
    known = clusters if (clusters >= 0).any() else None
    coloured = "" if known is None else ", coloured by the clusters of the first clustering"
    example = report.example
    learned = example is not None and not example.empty and example["weight"].notna().any()
    space = f"vectors of {example['model'].iloc[0]}" if example is not None and learned else "cleaned numbers"
    yield Figure.draw(
        playlist_plots.catalogue_map(
            items, known, places["playlist"], centroid, places["recommended"], (dataset.noun, dataset.nouns)
        ),
        "playlist-map",
        f"The catalogue in its two widest directions ({space}){coloured}, the playlist, its centroid and what is "
        "recommended",
        f"Map of {len(items):,} {dataset.nouns} with {len(places['playlist'])} of a playlist, their centroid and "
        f"{len(places['recommended'])} recommended ones.",
    )
