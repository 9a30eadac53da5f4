"""Fit recipes of networks and print what they reach on validation and what that takes.

    python -m benchmarks.recipes ml-100k sasrec:quick bert4rec:quick --seeds 4
    python -m benchmarks.recipes ml-100k attentive:mlp2 rsattae:quick --changes '{"training": {"matrix_rate": 3e-3}}'
    python -m benchmarks.recipes spotify-playlists ars:quick

Leave-one-out of a dataset's actions, its default split of ratings, or the first fold of its playlists, which are likes
where it has none. One thread, one fit after the other; CPU-seconds are those of the whole fit, validation included.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from attrec.datasets.registry import known_spec, load_dataset, official_test_pairs
from attrec.datasets.tables import Tables
from attrec.models.base import Config, Model
from attrec.playlists.ars import ARS
from attrec.playlists.recipes import ARS_RECIPES
from attrec.prepare.cleaning import clean
from attrec.prepare.features import FeatureEncoder
from attrec.prepare.playlist_splits import PlaylistSplitConfig, split_playlists
from attrec.prepare.rating_splits import OFFICIAL, SplitConfig, make_split
from attrec.prepare.sequence_splits import SequenceConfig, SequenceSplitConfig, split_sequences
from attrec.prepare.songs import TableCleaner
from attrec.ratings.pairs.model import NeuralCF
from attrec.ratings.pairs.recipes import pair_recipe
from attrec.ratings.rsattae.model import RSAttAEXGBoost
from attrec.ratings.rsattae.recipes import RECIPES
from attrec.sequences import BERT4Rec, SASRec
from attrec.sequences.recipes import BERT4REC_RECIPES, SASREC_RECIPES
from tasks.engine.environment import keep_freed_memory
from tasks.families.playlists.data import LikesConfig, playlist_rows, suited_cleaning, with_training_genres

Fitted = tuple[float, int]
"""The figure on validation, and the epochs that the fit took; 0 where it has several networks."""


def sequences(dataset: str, tables: Tables) -> Callable[[Model], Fitted]:
    """NDCG@10 of the next action."""
    parts = split_sequences(tables.ratings, SequenceConfig(), SequenceSplitConfig())

    def fit(model: Any) -> Fitted:
        course = model.fit(parts.actions, parts.validation).course
        return 1 - course.best_loss, len(course.epochs)

    return fit


def playlists(dataset: str, tables: Tables) -> Callable[[Model], Fitted]:
    """Mean of NDCG, R-precision and recall of the hidden songs."""
    rows = playlist_rows(tables, LikesConfig())
    parts = split_playlists(rows, PlaylistSplitConfig())
    items = with_training_genres(tables.items, rows, parts.train)
    cleaner = TableCleaner(suited_cleaning(items)).fit(items[items["item_id"].isin(parts.train["item_id"])])
    songs = cleaner.vectors(items)

    def fit(model: Any) -> Fitted:
        course = model.fit(parts.train, songs, parts.validation).course
        return 1 - course.best_loss, len(course.epochs)

    return fit


def ratings(dataset: str, tables: Tables) -> Callable[[Model], Fitted]:
    """RMSE, of which less is better."""
    spec, config = known_spec(dataset), SplitConfig()
    name = config.resolved_name(spec.official_splits, spec.unofficial_split)
    official = official_test_pairs(dataset, name) if name in OFFICIAL else None
    part = make_split(tables.ratings, config.model_copy(update={"name": name}), official)["part"].to_numpy()
    train, validation = (tables.ratings[part == which] for which in ("train", "validation"))
    encoder = FeatureEncoder().fit(tables, train)
    users, items = encoder.transform_users(tables.users), encoder.transform_items(tables.items)

    def fit(model: Any) -> Fitted:
        model.fit(train, users, items, validation)
        error = model.predict(validation) - validation["rating"].to_numpy()
        return float(np.sqrt(np.mean(error**2))), len(model.course.epochs) if hasattr(model, "course") else 0

    return fit


Protocol = Callable[[str, Tables], Callable[[Model], Fitted]]
MODELS: dict[str, tuple[type[Model], Mapping[str, Config], Protocol]] = {
    "sasrec": (SASRec, SASREC_RECIPES, sequences),
    "bert4rec": (BERT4Rec, BERT4REC_RECIPES, sequences),
    "ars": (ARS, ARS_RECIPES, playlists),
    "rsattae": (RSAttAEXGBoost, RECIPES, ratings),
    "attentive": (
        NeuralCF,
        {head: pair_recipe("attentive", head) for head in ("inner", "mlp1", "mlp2")},
        ratings,
    ),
    "simple": (NeuralCF, {head: pair_recipe("simple", head) for head in ("inner", "mlp1", "mlp2")}, ratings),
}


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset")
    parser.add_argument("recipes", nargs="+", help="as in sasrec:quick")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--changes", type=json.loads, default={}, help="of each network, as JSON")
    asked = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    torch.optim.Adam([torch.zeros(1)])  # torch imports a second's worth at the first one
    tables, _ = clean(load_dataset(asked.dataset))
    for named in asked.recipes:
        kind, _, recipe = named.partition(":")
        model_class, recipes, protocol = MODELS[kind]
        told = changed(recipes[recipe].model_dump(), asked.changes)
        fit = protocol(asked.dataset, tables)
        found, spent, epochs = [], [], []
        for seed in range(asked.seeds):
            model = model_class(type(recipes[recipe]).model_validate(told), seed)
            began = time.process_time()
            figure, taken = fit(model)
            spent.append(time.process_time() - began)
            found.append(figure)
            epochs.append(taken)
        each = ", ".join(f"{figure:.4f}" for figure in found)
        print(
            f"{asked.dataset} {named}: validation {np.mean(found):.4f} ({each}),"
            f" {np.mean(spent):.1f} CPU-seconds, {min(epochs)} to {max(epochs)} epochs",
            flush=True,
        )


def changed(told: Any, changes: Mapping[str, Any]) -> Any:
    """A configuration with these changes of each network in it, which is what has a section `training`."""
    if isinstance(told, list | tuple):
        return [changed(part, changes) for part in told]
    if not isinstance(told, dict):
        return told
    parts = {name: changed(part, changes) for name, part in told.items()}
    if "training" in parts:
        parts |= {**changes, "training": parts["training"] | changes.get("training", {})}
    return parts


if __name__ == "__main__":
    main()
