"""Flow `cross-validation`: the rating models of params.yaml on every fold of its dataset.

A fold tests an equal share of each user's ratings, and each rating is tested once. Resumes where it was stopped: each
fold, seed, model and phase is a cached task.
"""

from __future__ import annotations

import argparse

from prefect import flow, tags
from pydantic import Field

from attrec.errors import ParamsError
from flows.prepare import PrepareParams, PrepareSection
from flows.published.ratings import Comparison
from flows.rating import RatingParams
from flows.results import measure
from flows.stage import one_sentence_errors, run_stage_with
from tasks.engine.params import load_params
from tasks.engine.processes import process_tag
from tasks.engine.runner import task_runner


class CrossValidationParams(RatingParams):
    """What the flow reads from params.yaml, and the folds."""

    prepare: PrepareSection = PrepareSection()
    folds: int = Field(10, ge=2, description="so many; the paper has ten")
    first: int | None = Field(None, ge=1, description="the first ones alone, for a look before the whole")

    def comparison(self) -> tuple[Comparison, str]:
        """The models on the folds, and the name of the table.

        Raises:
            ParamsError: more folds are asked for than there are.
        """
        split = self.prepare.split
        folds = [
            split.model_copy(update={"name": "kfold", "fold": fold, "n_folds": self.folds})
            for fold in range(self.folds)
        ]
        whole = Comparison(
            dataset=self.dataset,
            split=f"cv{self.folds}",
            splits=folds,
            together="pooled",
            seeds=[self.seed + seed for seed in self.rating.seeds],
            models=self.rating.all_models(),
        )
        if self.first is not None and self.first > self.folds:
            raise ParamsError(f"--first is {self.first}, but there are {self.folds} folds.")
        part, suffix = whole.part(self.first, None)
        return part, f"{self.dataset}-cv{self.folds}{suffix}"

    def check(self) -> None:
        """Before a fold is prepared: a fault of the parameters shows at once.

        Raises:
            ParamsError: the data or the folds cannot be used so.
        """
        self.comparison()
        PrepareParams(dataset=self.dataset, prepare=self.prepare).check()


@flow(name="cross-validation", flow_run_name="cross-validation {params.dataset}")
def cross_validation(params: CrossValidationParams) -> None:
    """Fit all models on all folds, then score them and write results/<dataset>-cv<folds>/*.csv."""
    comparison, table = params.comparison()
    measure(comparison, params.prepare, table, params.model_dump(mode="json"))


def run(params: CrossValidationParams) -> None:
    """Run the flow with the task runner of the params, under the tag of this process."""
    params.check()
    with tags(process_tag()):
        cross_validation.with_options(task_runner=task_runner(params.runner))(params)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", type=int, default=10, help="how many")
    parser.add_argument("--first", type=int, default=None, help="the first folds alone")
    parser.add_argument("--debug", action="store_true", help="show the traceback when something fails")
    given = parser.parse_args()
    if given.folds < 2 or (given.first is not None and given.first < 1):
        parser.error("--folds takes two or more, --first one or more")
    with one_sentence_errors():
        asked = load_params(CrossValidationParams)
        asked = asked.model_copy(update={"folds": given.folds, "first": given.first})
        asked.check()
    run_stage_with(asked, run)
