"""Flow `rating`: fit every rating model, score it once on test, track it, let the best challenge the champion."""

from __future__ import annotations

from prefect import flow

from attrec.ratings.specs import check_ratings
from flows.comparison import compare, leave_nothing
from flows.rating_params import RatingParams
from flows.stage import run_in_tasks, run_stage
from tasks.data.prepared import adopt_ratings
from tasks.engine import environment
from tasks.engine.logs import tell
from tasks.families.ratings.family import RATINGS


@flow(name="rating", flow_run_name="rating {params.dataset}")
def rating(params: RatingParams) -> None:
    """Compare the rating models of params.yaml on the prepared data."""
    data = adopt_ratings(environment.ROOT / "data" / "processed")
    facts = RATINGS.facts(data)
    if facts["feedback"] == "actions":
        tell(
            f"Nobody rates in {facts['dataset']}: no rating model is fitted; "
            "the stages sequence and playlist have its models."
        )
        leave_nothing(RATINGS, RATINGS.described(facts), "Nobody rates in these data.")
        return
    models = params.rating.all_models()
    check_ratings(models, data.training.rating_values())
    compare(RATINGS, models, params.rating.seeds, data, params)


def run(params: RatingParams) -> None:
    """Run the flow."""
    run_in_tasks(rating, params)


if __name__ == "__main__":
    run_stage(RatingParams, run)
