"""Flow `cross-validation`: the rating models of params.yaml on every fold of its dataset.

A fold tests an equal share of each user's ratings, and each rating is tested once. Resumes where it was stopped: each
fold, seed, model and phase is a cached task.
"""

from __future__ import annotations

from prefect import flow
from pydantic import Field

from flows.prepare_params import PrepareParams, PrepareSection
from flows.published.comparison import checked_number
from flows.published.ratings import RatingComparison
from flows.rating_params import RatingParams
from flows.results import measure
from flows.stage import run_asked, run_in_tasks


class CrossValidationParams(RatingParams):
    """What the flow reads from params.yaml, and the folds."""

    prepare: PrepareSection = PrepareSection()
    folds: int = Field(10, ge=2, le=1000, description="so many; the paper has ten")
    first: int | None = Field(None, ge=1, description="the first ones alone, for a look before the whole")

    def comparison(self) -> tuple[RatingComparison, str]:
        """The models on the folds, and the name of the table.

        Raises:
            ParamsError: more folds are asked for than there are.
        """
        split = self.prepare.split
        folds = [
            split.model_copy(update={"name": "kfold", "fold": fold, "n_folds": self.folds})
            for fold in range(self.folds)
        ]
        whole = RatingComparison(
            datasets=[self.dataset],
            prepare=self.prepare,
            split=f"cv{self.folds}",
            splits=folds,
            scored="pooled",
            seeds=[self.seed + seed for seed in self.rating.seeds],
            models=self.rating.all_models(),
        )
        if self.first is not None:
            checked_number(self.first, self.folds, "--first", "folds")
        part, suffix = whole.cut(self.first, None)
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
    """Fit all models on all folds, then score them: results/<dataset>-cv<folds>/."""
    comparison, table = params.comparison()
    measure(comparison, table, params.model_dump(mode="json"))


def run(params: CrossValidationParams) -> None:
    """Run the flow."""
    params.check()
    run_in_tasks(cross_validation, params)


if __name__ == "__main__":
    run_asked(CrossValidationParams, run)
