"""Class probabilities of the test pairs, and whether they mean what they say."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from attrec.datasets.tables import write_parquet
from attrec.metrics.class_calibration import class_calibration
from attrec.ratings.model import RatingModel
from tasks.data.prepared import PAIR, PreparedRatings
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.families.ratings.answers import truth_of


@cached_task("class-probabilities")
def predict_classes(model: Artifact, kind: type[RatingModel], test_pairs: Artifact) -> Artifact:
    """Probability of each rating class for the test pairs whose user and item both have training ratings.

    Returns:
        Folder with `probabilities.parquet`: user_id, item_id, and a column for each rating, named by it.

    Raises:
        DataError: the model has no classes.
    """
    fitted = kind.load(model.path)
    pairs = pd.read_parquet(test_pairs.path / "pairs.parquet")
    users, items = fitted.catalogue.encode(pairs)
    known = np.isin(users, fitted.seen[:, 0]) & np.isin(items, fitted.seen[:, 1])
    pairs = pairs[known].reset_index(drop=True)
    probabilities = fitted.probabilities(pairs)
    shares = pd.DataFrame(probabilities, columns=[f"{value:g}" for value in fitted.classes or []])
    with writing("class-probabilities") as draft:
        write_parquet(pd.concat([pairs[PAIR], shares], axis=1), draft.folder / "probabilities.parquet")
    return draft.artifact


@cached_task("calibrate-classes")
def calibrate_classes(splits: list[PreparedRatings], probabilities: dict[str, list[Artifact]]) -> Artifact:
    """Compare the probabilities with the test ratings of all splits together.

    Args:
        probabilities: Of each model, by split.

    Returns:
        Folder with `bins.csv` (model, rating, low, high, predicted, observed, ratings), `classes.csv` (model, rating,
        predicted, observed, expected_calibration_error) and `summary.json`: of each model
        expected_calibration_error, log_loss, and the ratings they stand on.
    """
    truths = [truth_of(split, "test") for split in splits]
    bins, classes, summary = [], [], {}
    for name, artifacts in probabilities.items():
        parts = [
            truth.merge(
                pd.read_parquet(artifact.path / "probabilities.parquet"), on=PAIR, validate="one_to_one"
            )
            for truth, artifact in zip(truths, artifacts, strict=True)
        ]
        rows = pd.concat(parts, ignore_index=True)
        columns = set(rows.columns) - set(truths[0].columns)
        columns |= {f"{rating:g}" for rating in rows["rating"].unique()}
        values = sorted(map(float, columns))
        # A rating that a training part lacks is no class of its model: it was given no chance.
        shares = rows.reindex(columns=[f"{value:g}" for value in values]).fillna(0.0)
        found = class_calibration(rows["rating"], shares, values)
        bins.append(found.bins.assign(model=name))
        classes.append(found.classes.assign(model=name))
        summary[name] = {
            "expected_calibration_error": round(found.expected_calibration_error, 6),
            "log_loss": round(found.log_loss, 6),
            "ratings": found.ratings,
        }
    with writing("class-calibration") as draft:
        for file, frames in (("bins", bins), ("classes", classes)):
            table = pd.concat(frames, ignore_index=True)
            table[["model", *table.columns.drop("model")]].to_csv(
                draft.folder / f"{file}.csv", index=False, float_format="%.6f"
            )
        (draft.folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    return draft.artifact
