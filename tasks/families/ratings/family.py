"""Rating prediction, as one of the families that one mechanism serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd
from prefect.futures import PrefectFuture

from attrec.metrics.intervals import PairedTest, paired_test
from attrec.models.base import Model
from attrec.models.specs import Spec
from attrec.ratings.model import RatingModel
from attrec.reporting.plots.ratings import feature_importance
from attrec.serving.ratings import ServedRatings
from attrec.shown import as_cells
from tasks.comparison.examples import Example
from tasks.comparison.family import Contest, Family, Fitted, Key
from tasks.comparison.plan import Plan, in_one_task
from tasks.data.prepared import PAIR, PreparedRatings, RatingTraining
from tasks.engine.artifacts import Artifact
from tasks.engine.caching import of_model
from tasks.engine.training_data import Part
from tasks.families.ratings import shown
from tasks.families.ratings.answers import predict, read_predictions
from tasks.families.ratings.figures import best_model, evaluate
from tasks.families.ratings.plans import PLANS, blend

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _test(both: pd.DataFrame, seed: int) -> PairedTest:
    return paired_test(
        both["user_id"], both["rating"], both["prediction"], both["prediction_held"], seed=seed
    )


@dataclass(frozen=True)
class Ratings(Family[PreparedRatings, RatingTraining]):
    """What somebody would rate an item; models are chosen by RMSE and fitted again with the validation rows."""

    name: ClassVar = ServedRatings.family
    served: ClassVar = ServedRatings
    contest: ClassVar = Contest("RMSE", True, _test, lasting=True)
    """Of user_id, item_id, rating, prediction."""
    refits: ClassVar = True
    source: ClassVar = "data/processed"

    def facts(self, data: PreparedRatings) -> dict[str, Any]:
        return data.training.facts()

    def training_rows(self, facts: Mapping[str, Any]) -> int:
        return int(facts["split"]["train_ratings"] + facts["split"]["validation_ratings"])

    def plan(self, kind: type[Model]) -> Plan:
        return PLANS.get(kind, in_one_task)

    def blend(
        self, name: str, spec: Spec, members: Mapping[str, Fitted], training: RatingTraining, assemble: bool
    ) -> Fitted:
        return blend(name, spec, members, training, assemble)

    def answer(
        self,
        key: Key,
        model: Artifact | PrefectFuture[Artifact],
        kind: type[Model],
        data: PreparedRatings,
        part: Part,
    ) -> PrefectFuture[Artifact]:
        pairs = data.training.folder if part == "validation" else data.test_pairs
        return of_model(predict, *key).submit(model, kind, pairs, part)

    def evaluate(
        self,
        data: PreparedRatings,
        part: Part,
        answers: Mapping[str, list[Artifact]],
        champion: str | None = None,
    ) -> Artifact:
        return evaluate(data, part, dict(answers), champion)

    def best(self, scores: pd.DataFrame) -> str:
        return best_model(scores)

    def on_validation(self, fitted: Fitted, training: RatingTraining) -> pd.DataFrame:
        truth = training.validation()[[*PAIR, "rating"]]
        return truth.merge(read_predictions(fitted.validation[0]), on=PAIR, validate="one_to_one")

    def seen(self, training: RatingTraining) -> pd.DataFrame:
        return training.load("final").ratings[PAIR]

    def items(self, training: RatingTraining) -> pd.DataFrame:
        return training.items()

    def user_ids(self, training: RatingTraining) -> pd.Series:
        return training.validation()["user_id"]

    def losses(self, fitted: Fitted) -> dict[str, pd.DataFrame]:
        return shown.losses(fitted)

    def plots(self, model: RatingModel) -> dict[str, Figure]:
        table = model.importance()
        return {} if table is None else {"feature_importance.png": feature_importance(table)}

    def described(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        return {"dataset": facts["dataset"], "split": facts["split"]}

    def curves(self, fitted: Sequence[Fitted]) -> list[tuple[str, pd.DataFrame]]:
        return [curve for one in fitted for curve in shown.curves(one)]

    def examples(self, training: RatingTraining, best: Fitted) -> list[Example]:
        return shown.examples(training, best)

    def write_shown(
        self, folder: Path, training: RatingTraining, fitted: Sequence[Fitted], champion: str
    ) -> None:
        table = shown.importance(fitted, champion)
        as_cells(table).to_csv(folder / "feature_importance.csv", index=False, float_format="%.8f")


RATINGS = Ratings()
