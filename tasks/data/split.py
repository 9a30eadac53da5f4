"""Make the one split that every model shares, and the features fitted on its training rows."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from attrec.datasets.registry import DatasetConfig, known_spec, nouns, official_test_pairs
from attrec.datasets.tables import Tables, write_parquet
from attrec.prepare.features import FeatureConfig, FeatureEncoder
from attrec.prepare.rating_splits import OFFICIAL, SplitConfig, make_split, split_hash, split_summary
from tasks.data.prepared import PAIR, PreparedRatings, RatingTraining
from tasks.engine import environment
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task


@cached_task("split")
def split_ratings(dataset: str, cleaned: Artifact, config: SplitConfig) -> Artifact:
    """Assign each clean rating to train, validation or test.

    Returns:
        Folder with `split.parquet` (user_id, item_id, part) and `split.json` (name, hash, sizes); where users act
        without rating there is nothing to assign, and the name is `none`.
    """
    tables = Tables.load(cleaned.path)
    spec = known_spec(dataset)
    name = config.resolved_name(spec.official_splits, spec.unofficial_split)
    official = None
    if name in OFFICIAL:
        official = official_test_pairs(dataset, name, download_dir=environment.DOWNLOADS)
    if tables.feedback == "actions":
        name, split = "none", _rated(tables)[PAIR].assign(part=pd.Series(dtype="str"))
    else:
        split = make_split(tables.ratings, config.model_copy(update={"name": name}), official)
    facts = {"name": name, "hash": split_hash(split), **split_summary(split)}
    with writing("split") as draft:
        write_parquet(split, draft.folder / "split.parquet")
        (draft.folder / "split.json").write_text(json.dumps(facts, indent=2) + "\n")
    return draft.artifact


@cached_task("part")
def part_tables(
    dataset: str, cleaned: Artifact, split: Artifact, config: FeatureConfig, own: DatasetConfig | None = None
) -> PreparedRatings:
    """Part the data: what a fit may see, the pairs to predict, and their ratings.

    The features are fitted on the training rows alone, and every known user and item gets a row. Where users act
    without rating, all tables of ratings are empty, nothing is fitted, and `feedback` in facts.json is `actions`.

    Args:
        own: What the dataset is named by, where it is one's own; says what an item is called.
    """
    tables = Tables.load(cleaned.path)
    parts = pd.read_parquet(split.path / "split.parquet")
    rated = _rated(tables)
    columns = [name for name in (*PAIR, "rating", "timestamp") if name in rated]
    ratings = rated[columns].assign(part=parts["part"].to_numpy())
    test = ratings[ratings["part"] == "test"].drop(columns="part").reset_index(drop=True)
    fitted_on = ratings[ratings["part"] != "test"].reset_index(drop=True)
    encoder = FeatureEncoder(config).fit(tables, fitted_on[fitted_on["part"] == "train"])
    noun, several = nouns(dataset, tables.items, own)
    facts = {
        "dataset": dataset,
        "noun": noun,
        "nouns": several,
        "feedback": tables.feedback,
        "split": json.loads((split.path / "split.json").read_text()),
        "cleaning": json.loads((cleaned.path / "cleaning.json").read_text()),
    }
    with writing("training") as training:
        write_parquet(fitted_on, training.folder / "ratings.parquet")
        write_parquet(tables.users, training.folder / "users.parquet")
        write_parquet(tables.items, training.folder / "items.parquet")
        write_parquet(
            encoder.transform_users(tables.users).reset_index(), training.folder / "user_features.parquet"
        )
        write_parquet(
            encoder.transform_items(tables.items).reset_index(), training.folder / "item_features.parquet"
        )
        (training.folder / "feature_encoder.json").write_text(json.dumps(encoder.to_dict(), indent=2) + "\n")
        (training.folder / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")
    with writing("test_pairs") as test_pairs:
        write_parquet(test.drop(columns="rating"), test_pairs.folder / "pairs.parquet")
    with writing("test_ratings") as test_ratings:
        write_parquet(test[[*PAIR, "rating"]], test_ratings.folder / "ratings.parquet")
        if tables.truth is not None and tables.feedback == "ratings":
            floor = _noise_floor(test, tables.truth)
            (test_ratings.folder / "noise_floor.json").write_text(json.dumps(floor, indent=2) + "\n")
    return PreparedRatings(
        training=RatingTraining(folder=training.artifact),
        test_pairs=test_pairs.artifact,
        test_ratings=test_ratings.artifact,
    )


def _rated(tables: Tables) -> pd.DataFrame:
    """The ratings; no row where users act without rating."""
    if tables.feedback == "ratings":
        return tables.ratings
    return tables.ratings.iloc[:0].assign(rating=np.zeros(0, dtype=np.float32))


def _noise_floor(test: pd.DataFrame, truth: pd.DataFrame) -> dict[str, float]:
    """The error of predicting the expectation that the simulator drew each test rating from: nobody does better."""
    known = test.merge(truth, on=PAIR, how="left", validate="one_to_one")
    error = known["rating"].astype("float64") - known["expected"]
    return {"rmse": float(np.sqrt((error**2).mean())), "mae": float(error.abs().mean())}
