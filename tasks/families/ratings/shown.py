"""What a report shows of rating models: what one recommends, what trees rest on, and curves of their parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from attrec.ratings.model import RatingModel
from attrec.ratings.rsattae.autoencoder import PretrainedAutoencoder
from tasks.comparison.examples import LISTED, Example, few_people
from tasks.comparison.family import Fitted
from tasks.data.prepared import RatingTraining
from tasks.engine.artifacts import Artifact


def losses(fitted: Fitted) -> dict[str, pd.DataFrame]:
    """Losses by epoch of what the first seed's selection trained, by name of the part; of the model itself, ""."""
    by_part = {name: _course(artifact) for name, artifact in fitted.autoencoders.items()}
    if fitted.selected:
        model = RatingModel.load(fitted.selected[0].path)
        by_part |= {name: own.frame() for name, own in model.losses.items()}
    return by_part


def curves(fitted: Fitted) -> Iterator[tuple[str, pd.DataFrame]]:
    """Those that are drawn, with a label each; of parts that are trained once a fold, the first fold's."""
    for name, part in fitted.drawn.items():
        yield f"{fitted.name}, {part}", _course(fitted.autoencoders[name])
    if fitted.selected:
        for part, own in RatingModel.load(fitted.selected[0].path).drawn_losses.items():
            yield f"{fitted.name}, {part}" if part else fitted.name, own.frame()


def _course(autoencoder: Artifact) -> pd.DataFrame:
    return PretrainedAutoencoder.load(autoencoder.path).course.frame()


def examples(training: RatingTraining, best: Fitted) -> list[Example]:
    """What it recommends to users who have rated little, some and much, beside what they rated highest."""
    model, ratings = RatingModel.load(best.models[0].path), training.load("final").ratings
    known = ratings["user_id"].value_counts(sort=False)
    shown = []
    for user in few_people(known[known.index.isin(training.validation()["user_id"])]):
        own = ratings[ratings["user_id"] == user].sort_values("rating", ascending=False, kind="stable")
        recommended = model.recommend(user, LISTED)
        rated = pd.concat([own.set_index("item_id")["rating"], recommended.set_index("item_id")["score"]])
        shown.append(
            Example(
                user, own["item_id"].tolist(), recommended["item_id"].tolist(), ratings=dict(rated.items())
            )
        )
    return shown


def importance(fitted: Sequence[Fitted], champion: str | None) -> pd.DataFrame:
    """feature, importance of the champion, or of the last model that has boosters."""
    tables = {one.name: RatingModel.load(one.models[0].path).importance() for one in fitted if one.models}
    boosted = {name: table for name, table in tables.items() if table is not None}
    if not boosted:
        return pd.DataFrame(columns=["feature", "importance"])
    return boosted.get(str(champion), list(boosted.values())[-1])
