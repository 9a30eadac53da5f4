"""What a report shows of playlist models: what one recommends, cleaning, clusterings, and one playlist on the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from attrec.datasets.tables import write_parquet
from attrec.playlists.model import PlaylistModel
from attrec.playlists.space import nearness
from attrec.prepare.playlist_splits import EvaluatedPlaylists
from attrec.prepare.songs import TableCleaner
from attrec.shown import as_cells
from tasks.comparison.examples import LISTED, Example, few_people, named
from tasks.comparison.family import Fitted
from tasks.families.playlists.data import PlaylistTraining

# Songs of the playlist that is shown: enough to see something, few enough to read.
SHORTEST, LONGEST = 5, 12
RECOMMENDED = 10


def write_playlists_shown(
    folder: Path, training: PlaylistTraining, fitted: Sequence[Fitted], champion: str
) -> None:
    """Write `clusterings.csv` (see `clusterings`), `before.parquet` and `after.parquet` (see `cleaned_numbers`), and
    `example.csv`, `recommended.csv` and `map.parquet` (see `example_playlist`), all of the first seed."""
    models = {one.name: PlaylistModel.load(one.models[0].path) for one in fitted}
    songs = training.songs()
    clusterings(models).to_csv(folder / "clusterings.csv", index=False, float_format="%.6f")
    before, after = cleaned_numbers(training.cleaner(), songs, training.playlists())
    write_parquet(before, folder / "before.parquet")
    write_parquet(after, folder / "after.parquet")
    shown = example_playlist(models, training.validation(), songs, champion)
    if shown is not None:
        as_cells(shown.playlist).to_csv(folder / "example.csv", index=False, float_format="%.6f")
        as_cells(shown.recommended).to_csv(folder / "recommended.csv", index=False, float_format="%.6f")
        write_parquet(shown.map, folder / "map.parquet")


def examples(training: PlaylistTraining, best: Fitted) -> list[Example]:
    """What it recommends for playlists of which few, some and many songs are given."""
    model, validation = PlaylistModel.load(best.models[0].path), training.validation()
    # Where rows with a missing value are dropped, songs are out of the catalogue.
    given = validation.given[validation.given["item_id"].isin(model.items)]
    counts = given["user_id"].value_counts(sort=False)
    shown = []
    for playlist in few_people(counts[counts < len(model.items)]):
        songs = given.loc[given["user_id"] == playlist, "item_id"].tolist()
        held_out = validation.held_out.loc[validation.held_out["user_id"] == playlist, "item_id"].tolist()
        recommended = model.recommend(songs, LISTED)["item_id"].tolist()
        shown.append(Example(playlist, songs, recommended, held_out))
    return shown


def clusterings(models: dict[str, PlaylistModel]) -> pd.DataFrame:
    """model, chosen, and the fields of `attrec.playlists.quality.Quality`: a row each candidate that was tried."""
    rows: list[dict[str, object]] = [
        {"model": name, "chosen": trial.candidate == model.chosen, **asdict(trial)}
        for name, model in models.items()
        for trial in model.trials
    ]
    columns = [
        "model", "chosen", "candidate", "clusters", "without_cluster", "silhouette", "davies_bouldin",
        "calinski_harabasz", "ndcg",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def chosen_clusterings(fitted: Sequence[Sequence[Fitted]]) -> pd.DataFrame:
    """fold (from 0), and the columns of `clusterings` but `chosen`: what was chosen with the first seed.

    Args:
        fitted: By fold, all models in one order.
    """
    tables = [
        clusterings({one.name: PlaylistModel.load(one.models[0].path) for one in models}).assign(fold=fold)
        for fold, models in enumerate(fitted)
    ]
    tried = pd.concat(tables, ignore_index=True)
    chosen = tried[tried["chosen"].astype(bool)].drop(columns="chosen").reset_index(drop=True)
    return chosen[["fold", *(name for name in chosen if name != "fold")]]


def cleaned_numbers(
    cleaner: TableCleaner, songs: pd.DataFrame, train: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The columns of numbers of the songs that the cleaning was learned from, before and after it."""
    learned_from = songs[songs["item_id"].isin(train["item_id"])]
    numbers = list(cleaner.numbers)
    before = learned_from[numbers].astype("float64")
    return before, cleaner.transform(learned_from)[numbers]


@dataclass(frozen=True)
class ExamplePlaylist:
    """What a model made of one playlist."""

    playlist: pd.DataFrame
    """model, title, artist, and of `PlaylistModel.explain` weight and attention (empty where there is none)."""
    recommended: pd.DataFrame
    """rank, title, artist, distance to the centroid, held_out: whether the song was hidden from the model."""
    map: pd.DataFrame
    """A row a song of the catalogue: role (`playlist`, `recommended` or nothing), cluster (-1 for none), and the point,
    a column a dimension; last the centroid, whose role is `centroid`."""


def example_playlist(
    models: dict[str, PlaylistModel],
    validation: EvaluatedPlaylists,
    songs: pd.DataFrame,
    champion: str,
) -> ExamplePlaylist | None:
    """The first validation playlist of which 5 to 12 songs are given, or else the shortest of all.

    The model is the champion, or the first that explains what counted where the champion does not; without one the map
    is of the cleaned songs, the centroid is the mean of the playlist's, and the champion recommends. Clusters are those
    of the first clustering.
    """
    given = validation.given
    lengths = given["user_id"].value_counts(sort=False)
    if lengths.empty:
        return None
    fitting = lengths[lengths.between(SHORTEST, LONGEST)]
    asked = fitting.index[0] if len(fitting) else lengths.idxmin()
    playlist = given.loc[given["user_id"] == asked, "item_id"].tolist()
    held_out = set(validation.held_out.loc[validation.held_out["user_id"] == asked, "item_id"])
    names = sorted(models, key=lambda name: name != champion)
    name = next((name for name in names if models[name].explains), champion)
    model = models[name]
    best = model.recommend(playlist, RECOMMENDED)["item_id"].tolist()
    points, centroid = model.space(playlist)
    counted = pd.DataFrame({"item_id": playlist})
    if model.explains:
        counted = counted.merge(model.explain(playlist), on="item_id", how="left")
        counted = counted.sort_values("weight", ascending=False, kind="stable", ignore_index=True)
    counted = counted.reindex(columns=["item_id", "weight", "attention"])
    shown = named(counted["item_id"].tolist(), songs).join(counted).assign(model=name)
    recommended = named(best, songs).assign(
        rank=range(1, len(best) + 1),
        distance=nearness(model, playlist, best)["distance"],
        held_out=[song in held_out for song in best],
    )
    return ExamplePlaylist(
        shown[["model", "title", "artist", "weight", "attention"]],
        recommended[["rank", "title", "artist", "distance", "held_out"]],
        _map(model, points, centroid, playlist, best, _labels(models)),
    )


def _labels(models: dict[str, PlaylistModel]) -> np.ndarray | None:
    return next((model.labels for model in models.values() if model.labels is not None), None)


def _map(
    model: PlaylistModel,
    points: np.ndarray,
    centroid: np.ndarray,
    playlist: Sequence[int | str],
    recommended: Sequence[int | str],
    clusters: np.ndarray | None,
) -> pd.DataFrame:
    if points is model.songs.values:
        # Thousands of artists have a column each, which would bury the numbers.
        numbers = [place for place, name in enumerate(model.songs.columns) if "=" not in name]
        if len(numbers) > 1:
            points, centroid = points[:, numbers], centroid[numbers]
    role = np.full(len(points) + 1, "", dtype=object)
    role[model.codes(playlist)] = "playlist"
    role[model.codes(recommended)] = "recommended"
    role[-1] = "centroid"
    frame = pd.DataFrame(
        np.vstack([points, centroid]).astype("float32"),
        columns=[f"x{number}" for number in range(points.shape[1])],
    )
    frame.insert(0, "role", role.astype(str))
    frame.insert(1, "cluster", -1 if clusters is None else np.append(clusters, -1))
    return frame
