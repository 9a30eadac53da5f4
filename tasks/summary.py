"""What a page says of each task, read from the folder that its comparison has left."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from attrec.reporting.contents import PlaylistReport, RatingReport, SequenceReport
from attrec.reporting.leaderboard import SHOWN
from tasks.published import published_references

DESCRIPTIONS = {
    "blend": "Linear combination of other models, with weights learned on validation ratings; or their plain mean.",
    "bayesian-fm": "Bayesian factorisation machine with ordered probit, side features and what each user rated (myFM).",
    "bayesian-mf": "Bayesian matrix factorisation with ordered probit, side features and who has rated what (ours).",
    "bayesian-fm+time": "As bayesian-fm, with the moment of the rating.",
    "global-mean": "Baseline: the mean training rating for every pair.",
    "user-item-bias": "Baseline: mean + user bias + item bias; a model that has learned taste beats it.",
    "rsattae+xgboost-paper": "RSAttAE + XGBoost as published: in-sample embeddings, the grid of Table II.",
    "rsattae+xgboost": "RSAttAE + XGBoost with cross-fitted autoencoders.",
    "stacked+xgboost": "The same trees over autoencoders and a factorisation machine, with what it leaves unexplained.",
    "stacked+xgboost+time": "As stacked+xgboost, with what the machine leaves unexplained around the moment.",
}
EMBEDDINGS = {
    "simple": "A vector for each user and item,",
    "autoencoder": "A vector for each user and item that starts from an autoencoder's,",
    "rsattae": "A vector for each user and item that starts from RSAttAE's,",
    "attentive": "A user is what they have rated, seen from the item that is asked for,",
}
HEADS = {
    "inner": "and their inner product",
    "mlp1": "and a network that gives a rating",
    "mlp2": "and a network that gives a probability to each rating",
    "xgboost": "cross-fitted, and gradient-boosted trees",
}
SEQUENCE_DESCRIPTIONS = {
    "popularity": "Baseline: the items with the most training actions, the same for everybody.",
    "item-knn": "Baseline: items that have many users in common with those of the history.",
    "markov-chain": "Baseline: what most often follows the newest action.",
    "sasrec": "Causal self-attention over the history, read at its newest action (Kang & McAuley 2018).",
    "bert4rec": "Attention in both directions that learns to fill in hidden actions, asked for one behind the newest "
    "(Sun et al. 2019); with causal steps it learns as SASRec does beside.",
}
PLAYLIST_DESCRIPTIONS = {
    "random": "Baseline: chance.",
    "popularity": "Baseline: the songs that most training playlists have, the same for every playlist.",
    "itemknn": "Baseline: songs that are in the same training playlists as those given.",
    "mean-vector": "Baseline: the songs nearest to the mean of those given.",
    "kmeans": "Within the K-Means clusters of the songs given, those at the smallest mean distance to them.",
    "agglomerative": "As kmeans, within clusters that are built up from single songs (Ward).",
    "dbscan": "As kmeans, within clusters of densely packed songs.",
    "itemknn+mean-vector": "Baseline: itemknn and mean-vector, added up with a weight from validation.",
    "ars": "Attention over the songs given makes a centroid, and the nearest songs are recommended "
    "(Mousaei & Asgharivahed), popular ones the more.",
    "ars-paper": "ARS as it was described: songs are known by their content alone, whatever their popularity.",
}
"""By what a model is, which its name begins with."""


def rating_report(folder: Path, board: pd.DataFrame, noise_floor: float | None) -> RatingReport:
    """Rating prediction.

    Args:
        folder: As `write_rating_outputs` leaves it.
        board: The leaderboard, of all tasks.
        noise_floor: RMSE that no model can pass but by luck, where it is known.
    """
    summary = read_summary(folder)
    return RatingReport(
        **_standings(folder, board, "rating"),
        noise_floor=noise_floor,
        descriptions={name: told for name in summary["seeds"] if (told := _describe(name))},
        curves=_curves(folder),
        importance=pd.read_csv(folder / "feature_importance.csv"),
        user_activity=pd.read_csv(folder / "test" / "user_activity.csv"),
        item_activity=pd.read_csv(folder / "test" / "item_activity.csv"),
        calibration=pd.read_csv(folder / "test" / "calibration.csv"),
        predictions=pd.read_csv(folder / "test" / "by_rating.csv"),
    )


def sequence_report(
    folder: Path, board: pd.DataFrame, exclude_seen: bool, ablation: pd.DataFrame | None = None
) -> SequenceReport:
    """Next items.

    Args:
        folder: As `write_sequence_outputs` leaves it.
        board: The leaderboard, of all tasks.
        exclude_seen: Whether what a user has had is out of the ranking.
        ablation: What each choice contributed (see `ablation_table`).
    """
    summary = read_summary(folder)
    return SequenceReport(
        **_standings(folder, board, "sequence"),
        descriptions=by_kind(summary["seeds"], SEQUENCE_DESCRIPTIONS),
        split=summary["split"]["name"],
        split_hash=summary["split"]["hash"],
        counts=_counts(summary),
        actions=summary["sequences"],
        exclude_seen=exclude_seen,
        beyond=pd.read_csv(folder / "test" / "beyond.csv"),
        by_length=pd.read_csv(folder / "test" / "by_length.csv", dtype={"group": str}),
        curves=pd.read_csv(folder / "loss_curves.csv"),
        attention=_attention(folder / "attention.csv"),
        ablation=ablation,
    )


def playlist_report(folder: Path, board: pd.DataFrame) -> PlaylistReport:
    """Songs for a playlist.

    Args:
        folder: As `write_playlist_outputs` leaves it.
        board: The leaderboard, of all tasks.
    """
    summary = read_summary(folder)
    ceiling = folder / "test" / "ceiling.csv"
    frames: dict[str, Any] = {
        name: pd.read_parquet(file)
        for name in ("before", "after", "map")
        if (file := folder / f"{name}.parquet").is_file()
    }
    shown: dict[str, Any] = {
        name: pd.read_csv(
            file,
            dtype={"title": str, "artist": str},
            keep_default_na=False,
            na_values={"weight": "", "attention": ""},
        )
        for name in ("example", "recommended")
        if (file := folder / f"{name}.csv").is_file()
    }
    return PlaylistReport(
        **_standings(folder, board, "playlist"),
        descriptions=by_kind(summary["seeds"], PLAYLIST_DESCRIPTIONS),
        kind=summary["playlists"]["kind"],
        min_rating=summary["playlists"]["min_rating"],
        split=summary["split"]["name"],
        split_hash=summary["split"]["hash"],
        counts=_counts(summary),
        cleaning=summary["cleaning"],
        ceiling=dict(pd.read_csv(ceiling).to_numpy()) if ceiling.is_file() else {},
        beyond=pd.read_csv(folder / "test" / "beyond.csv"),
        clusterings=pd.read_csv(folder / "clusterings.csv"),
        curves=pd.read_csv(folder / "loss_curves.csv"),
        **frames,
        **shown,
    )


def _describe(model: str) -> str:
    """What a rating model is, or nothing."""
    embedding, _, head = model.partition("+")
    if model in DESCRIPTIONS or embedding not in EMBEDDINGS or head not in HEADS:
        return DESCRIPTIONS.get(model, "")
    of_paper = embedding != "rsattae" and head != "xgboost"
    return f"{EMBEDDINGS[embedding]} {HEADS[head]}{' (Hutter et al.)' if of_paper else ''}."


def read_summary(folder: Path) -> dict[str, Any]:
    """`summary.json` of a comparison: dataset, split, seeds, the champion on validation."""
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return summary


def by_kind(models: Iterable[str], sentences: Mapping[str, str]) -> dict[str, str]:
    """What each model is, by what its name begins with."""
    return {
        name: sentence for name in models for kind, sentence in sentences.items() if name.startswith(kind)
    }


def _counts(summary: dict[str, Any]) -> dict[str, int]:
    return {name: count for name, count in summary["split"].items() if name not in ("name", "hash")}


def _standings(folder: Path, board: pd.DataFrame, task: str) -> dict[str, Any]:
    """The fields of `TaskReport` that every task fills in the same way."""
    summary = read_summary(folder)
    return {
        "leaderboard": board[board["task"] == task],
        "comparisons": pd.read_csv(folder / "test" / "comparisons.csv"),
        "champion": summary["champion_on_validation"],
        "references": published_references(summary["dataset"], summary["split"]["name"], SHOWN[task]),
    }


def _curves(folder: Path) -> pd.DataFrame:
    curves = pd.read_csv(folder / "loss_curves.csv")
    return curves[curves["model"].isin(list(dict.fromkeys(curves["model"]))[:4])]


def _attention(file: Path) -> pd.DataFrame | None:
    titles = {"query_title": str, "key_title": str}
    return pd.read_csv(file, dtype=titles, keep_default_na=False) if file.is_file() else None
