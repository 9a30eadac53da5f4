"""A tiny comparison over two folds: every rating is tested once, and the table says what the predictions say."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from attrec.prepare.splits import SplitConfig
from flows import cross_validation
from flows.comparisons import Comparison
from flows.cross_validation import CrossValidationParams
from flows.prepare import PrepareParams, prepare_dataset
from flows.rating_models import BaselineSpec, BlendSpec, PairNetworkSpec
from tasks import environment
from tasks.artifacts import Artifact
from tasks.prepared import Prepared
from tasks.runner import RunnerConfig

pytestmark = pytest.mark.slow

ROOT = environment.ROOT
TINY = {"dimension": 4, "training": {"epochs": 3}}
COMPARISON = Comparison(
    dataset="csv",
    split="cv2",
    splits=[SplitConfig(name="kfold", fold=fold, n_folds=2) for fold in range(2)],
    models={
        "user-item-bias": BaselineSpec(kind="user-item-bias"),
        "attentive+inner": PairNetworkSpec(embedding="attentive", head="inner", changes=TINY),
        "blend": BlendSpec(kind="blend", members=["user-item-bias", "attentive+inner"]),
    },
)
FIGURES = ["model", "metric", "value", "ci_low", "ci_high", "n", "seeds"]


@dataclass
class Seen:
    """What the flow has scored, run by run."""

    folds: list[list[Prepared]] = field(default_factory=list)
    predictions: list[dict[str, list[list[Artifact]]]] = field(default_factory=list)


@pytest.fixture
def ratings() -> pd.DataFrame:
    generator = np.random.default_rng(3)
    pairs = pd.MultiIndex.from_product([range(20), range(100, 118)], names=["user_id", "item_id"])
    rated = pairs.to_frame(index=False)[generator.random(len(pairs)) < 0.7]
    return rated.assign(rating=generator.integers(1, 6, len(rated))).reset_index(drop=True)


@pytest.fixture
def seen(prefect_server: str, ratings: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Have the flow compare on these ratings, and note what it scores."""
    environment.INCOMING.mkdir(parents=True, exist_ok=True)
    ratings.to_csv(environment.INCOMING / "folds.csv", index=False)

    def prepare_fold(dataset: str, split: SplitConfig) -> Prepared:
        section = {"csv": {"path": "folds.csv"}, "split": split.model_dump()}
        params = PrepareParams.model_validate({"dataset": dataset, "prepare": section})
        return prepare_dataset(params).prepared

    seen, evaluate_folds = Seen(), cross_validation.evaluate_folds

    def noting(folds: list[Prepared], predictions: dict[str, list[list[Artifact]]]) -> Artifact:
        seen.folds.append(folds)
        seen.predictions.append(predictions)
        return evaluate_folds(folds, predictions)

    monkeypatch.setattr(cross_validation, "COMPARISONS", {"tiny": COMPARISON})
    monkeypatch.setattr(cross_validation, "prepare_fold", prepare_fold)
    monkeypatch.setattr(cross_validation, "evaluate_folds", noting)
    return seen


def compare(folds: int | None = None) -> None:
    runner = RunnerConfig(kind="threads", workers=2)
    cross_validation.run(CrossValidationParams(comparison="tiny", folds=folds, runner=runner))


def read_results(name: str) -> pd.DataFrame:
    return pd.read_csv(ROOT / "results" / f"{name}.csv")


def read_tested(folds: list[Prepared]) -> pd.DataFrame:
    """Rated pairs of the test parts, and the fold of each."""
    parts = [pd.read_parquet(fold.test_ratings.path / "ratings.parquet") for fold in folds]
    return pd.concat([part.assign(fold=number) for number, part in enumerate(parts)], ignore_index=True)


def errors(folds: list[Prepared], predictions: list[list[Artifact]]) -> pd.DataFrame:
    """fold and error of each tested rating, joined by pair: whatever their order in the files is."""
    predicted = pd.concat(
        pd.read_parquet(artifact.path / "predictions.parquet").assign(fold=number)
        for number, [artifact] in enumerate(predictions)
    )
    joined = read_tested(folds).merge(predicted, on=["fold", "user_id", "item_id"], validate="one_to_one")
    return joined.assign(error=joined["prediction"].astype("float64") - joined["rating"])


def records() -> dict[str, int]:
    """When the result of each cached task was written, in ns."""
    return {file.name: file.stat().st_mtime_ns for file in environment.RESULTS.iterdir() if file.is_file()}


def test_every_rating_is_tested_once_and_the_figures_are_those_of_the_predictions(
    seen: Seen, ratings: pd.DataFrame
) -> None:
    compare()
    [folds], [predictions] = seen.folds, seen.predictions
    rows = read_tested(folds)
    in_order = rows.sort_values(["user_id", "item_id"])[["user_id", "item_id", "rating"]]
    assert in_order.to_numpy().tolist() == ratings.to_numpy().tolist()
    assert rows["fold"].value_counts().min() > len(ratings) / 3

    table = read_results("tiny").set_index(["model", "metric"])
    assert set(table.index) == {(model, metric) for model in COMPARISON.models for metric in ("rmse", "mae")}
    assert (table["n"] == len(ratings)).all()
    assert (table["dataset"] == "csv").all()
    assert (table["split"] == "cv2").all()
    assert table.groupby("model")["run_id"].first().is_unique
    by_fold = read_results("tiny-by-fold").set_index(["model", "metric", "fold"])["value"].sort_index()
    for model in COMPARISON.models:
        wrong = errors(folds, predictions[model])
        assert len(wrong) == len(ratings)
        pooled = float(np.sqrt(np.mean(wrong["error"] ** 2)))
        assert table.loc[(model, "rmse"), "value"] == pytest.approx(pooled, abs=2e-6)
        # Over all ratings at once: the mean of the folds' figures is another number.
        assert abs(pooled - by_fold[model, "rmse"].mean()) > 1e-5
        assert table.loc[(model, "mae"), "value"] == pytest.approx(wrong["error"].abs().mean(), abs=2e-6)
        for number, own in wrong.groupby("fold"):
            assert by_fold[model, "rmse", number] == pytest.approx(
                np.sqrt((own["error"] ** 2).mean()), abs=2e-6
            )


def test_a_second_run_computes_nothing_and_says_the_same(seen: Seen) -> None:
    compare()
    before, first = records(), read_results("tiny")
    (ROOT / "results" / "tiny.csv").unlink()
    compare()
    assert before
    assert records() == before
    pd.testing.assert_frame_equal(read_results("tiny")[FIGURES], first[FIGURES])
    assert seen.predictions[0] == seen.predictions[1]


def test_a_look_at_the_first_fold_has_a_table_of_its_own(seen: Seen, ratings: pd.DataFrame) -> None:
    compare()
    whole = (ROOT / "results" / "tiny.csv").read_bytes()
    compare(folds=1)
    assert (ROOT / "results" / "tiny.csv").read_bytes() == whole
    [first] = seen.folds[1]
    assert first == seen.folds[0][0]
    part = read_results("tiny-first-1-folds")
    assert (part["n"] == len(read_tested([first]))).all()
    assert (part["split"] == "cv2-first-1-folds").all()
