"""Tiny comparisons over two folds: the tables say what the predictions say, and nothing is computed twice."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attrec.datasets.own_data import OwnDataConfig
from attrec.errors import ParamsError
from attrec.models.specs import Spec
from attrec.prepare.rating_splits import SplitConfig
from attrec.ratings.model import RatingModel
from attrec.ratings.specs import RATING_MODELS
from flows import cross_validation, results
from flows.prepare_params import PrepareSection
from flows.published.comparison import Only
from flows.published.ratings import RATING_TABLES, RatingComparison
from flows.results import ResultsParams
from tasks.comparison.family import Fitted
from tasks.data.prepared import PreparedRatings
from tasks.engine import environment, run_store
from tasks.engine.artifacts import Artifact
from tasks.engine.params import RunnerConfig
from tasks.engine.server import Api
from tasks.engine.training_data import Part

pytestmark = pytest.mark.slow

ROOT = environment.ROOT
QUICK = {"rank": 2, "iterations": 6, "burn_in": 2, "chains": 1, "kept_samples": 4}
SPLITS = [SplitConfig(name="kfold", fold=fold, n_folds=2) for fold in range(2)]
FOLDS = PrepareSection(
    csv=OwnDataConfig.model_validate({"path": "folds.csv", "timestamp_column": "timestamp"})
)
BIAS: Spec = RATING_MODELS.spec("user-item-bias")


def attentive(head: str) -> Spec:
    tiny = {"dimension": 4, "training": {"epochs": 3}}
    spec: Spec = RATING_MODELS.spec("pair-network", embedding="attentive", head=head, changes=tiny)
    return spec


POOLED = RatingComparison(
    datasets=["csv"],
    prepare=FOLDS,
    split="cv2",
    splits=SPLITS,
    scored="pooled",
    models={
        "user-item-bias": BIAS,
        "attentive+inner": attentive("inner"),
        "attentive+mlp2": attentive("mlp2"),
        "blend": RATING_MODELS.spec("blend", members=["user-item-bias", "attentive+inner"]),
    },
)
CHOSEN = POOLED.model_copy(update={"chosen_on": [0]})
MEAN = RatingComparison(
    datasets=["csv"],
    prepare=FOLDS,
    split="both",
    splits=SPLITS,
    scored="mean",
    seeds=[0, 1],
    later_seeds=[0],
    models={
        "user-item-bias": BIAS,
        "attentive+inner": attentive("inner"),
        "bayesian-fm+time": RATING_MODELS.spec("bayesian-fm", recipe="small+time", changes=QUICK),
        "blend+time": RATING_MODELS.spec("blend", members=["attentive+inner", "bayesian-fm+time"]),
    },
    ablation={
        "biases": BIAS,
        "biases of users alone": RATING_MODELS.spec(
            "user-item-bias", changes={"item_regularizations": [1e6]}
        ),
    },
)
FIGURES = ["model", "metric", "value", "ci_low", "ci_high", "n", "seeds"]


@dataclass(frozen=True)
class Run:
    """What the flow has scored."""

    splits: Sequence[PreparedRatings]
    fitted: list[dict[str, Fitted]]
    """By split, and by name."""

    @property
    def predictions(self) -> dict[str, list[list[Artifact]]]:
        """Of the test parts: by model, split and seed."""
        return {name: [own[name].test for own in self.fitted] for name in self.fitted[0]}


@pytest.fixture(scope="module")
def ratings() -> pd.DataFrame:
    generator = np.random.default_rng(3)
    pairs = pd.MultiIndex.from_product([range(20), range(100, 118)], names=["user_id", "item_id"])
    rated = pairs.to_frame(index=False)[generator.random(len(pairs)) < 0.7]
    moments = 1_000_000_000 + generator.permutation(len(rated))
    return rated.assign(rating=generator.integers(1, 6, len(rated)), timestamp=moments).reset_index(drop=True)


@pytest.fixture(scope="module")
def seen(prefect_server: Api, ratings: pd.DataFrame) -> Iterator[list[Run]]:
    """Have the flow compare on these ratings, and note what it scores, run by run."""
    environment.INCOMING.mkdir(parents=True, exist_ok=True)
    ratings.to_csv(environment.INCOMING / "folds.csv", index=False)
    seen: list[Run] = []
    evaluate = RatingComparison.evaluate

    def noting(
        self: RatingComparison,
        dataset: str,
        splits: Sequence[PreparedRatings],
        fitted: Sequence[Sequence[Fitted]],
    ) -> dict[Part, Artifact]:
        seen.append(Run(splits, [{model.name: model for model in own} for own in fitted]))
        return evaluate(self, dataset, splits, fitted)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "TABLES", {"pooled": POOLED, "chosen": CHOSEN, "mean": MEAN})
        patch.setattr(RatingComparison, "evaluate", noting)
        yield seen


@pytest.fixture(scope="module")
def pooled(seen: list[Run]) -> Run:
    """With a published figure of one of its models."""
    file = ROOT / "results" / "published.csv"
    file.parent.mkdir(exist_ok=True)
    file.write_text(
        "dataset,split,model,metric,value,source\n"
        'csv,cv2,attentive+inner,rmse,1.25,"A paper, Table II"\n'
        'cil,cv2,attentive+mlp2,rmse,0.123,"Of other data"\n'
    )
    compare("pooled")
    file.unlink()
    return seen[-1]


@pytest.fixture(scope="module")
def mean(seen: list[Run]) -> Run:
    compare("mean")
    return seen[-1]


def compare(
    table: str, splits: int | None = None, seeds: int | None = None, only: Only | None = None
) -> None:
    runner = RunnerConfig(kind="threads", workers=2)
    results.run(ResultsParams(table=table, splits=splits, seeds=seeds, only=only, runner=runner))


def results_file(table: str, name: str = "scores") -> Path:
    return ROOT / "results" / table / f"{name}.csv"


def read_results(table: str, name: str = "scores") -> pd.DataFrame:
    return pd.read_csv(results_file(table, name))


def read_tested(splits: Sequence[PreparedRatings]) -> pd.DataFrame:
    """Rated pairs of the test parts, and the fold of each."""
    parts = [pd.read_parquet(split.test_ratings.path / "ratings.parquet") for split in splits]
    return pd.concat([part.assign(fold=number) for number, part in enumerate(parts)], ignore_index=True)


def errors(
    splits: Sequence[PreparedRatings], predictions: list[list[Artifact]], seed_number: int = 0
) -> pd.DataFrame:
    """fold and error of each tested rating, joined by pair: whatever their order in the files is."""
    predicted = pd.concat(
        pd.read_parquet(artifacts[min(seed_number, len(artifacts) - 1)].path / "predictions.parquet").assign(
            fold=number
        )
        for number, artifacts in enumerate(predictions)
    )
    joined = read_tested(splits).merge(predicted, on=["fold", "user_id", "item_id"], validate="one_to_one")
    return joined.assign(error=joined["prediction"].astype("float64") - joined["rating"])


def rmse(rows: pd.DataFrame) -> float:
    return float(np.sqrt((rows["error"] ** 2).mean()))


def records() -> dict[str, int]:
    """When the result of each cached task was written, in ns."""
    return {file.name: file.stat().st_mtime_ns for file in environment.RESULTS.iterdir() if file.is_file()}


def test_every_rating_is_tested_once_and_the_figures_are_those_of_the_predictions(
    pooled: Run, ratings: pd.DataFrame
) -> None:
    splits, predictions = pooled.splits, pooled.predictions
    rows = read_tested(splits)
    in_order = rows.sort_values(["user_id", "item_id"])[["user_id", "item_id", "rating"]]
    assert in_order.to_numpy().tolist() == ratings[["user_id", "item_id", "rating"]].to_numpy().tolist()
    assert rows["fold"].value_counts().min() > len(ratings) / 3

    table = read_results("pooled").set_index(["model", "metric"])
    assert set(table.index) == {(model, metric) for model in POOLED.models for metric in ("rmse", "mae")}
    assert (table["n"] == len(ratings)).all()
    assert (table["dataset"] == "csv").all()
    assert (table["split"] == "cv2").all()
    assert table.groupby("model")["run_id"].first().is_unique
    by_fold = read_results("pooled", "by-fold").set_index(["model", "metric", "fold"])["value"].sort_index()
    for model in POOLED.models:
        wrong = errors(splits, predictions[model])
        assert len(wrong) == len(ratings)
        assert table.loc[(model, "rmse"), "value"] == pytest.approx(rmse(wrong), abs=2e-6)
        # Over all ratings at once: the mean of the folds' figures is another number.
        assert abs(rmse(wrong) - by_fold[model, "rmse"].mean()) > 1e-5
        assert table.loc[(model, "mae"), "value"] == pytest.approx(wrong["error"].abs().mean(), abs=2e-6)
        for number, own in wrong.groupby("fold"):
            assert by_fold[model, "rmse", number] == pytest.approx(rmse(own), abs=2e-6)


def test_ratings_that_recipes_were_chosen_on_are_left_out_of_a_table_of_their_own(pooled: Run) -> None:
    compare("chosen")
    pd.testing.assert_frame_equal(read_results("chosen")[FIGURES], read_results("pooled")[FIGURES])
    rows = pd.read_parquet(pooled.splits[0].training.folder.path / "ratings.parquet")
    chosen = rows.loc[rows["part"] == "validation", ["user_id", "item_id"]]
    table = read_results("chosen", "unchosen").set_index(["model", "metric"])
    for model in POOLED.models:
        marked = errors(pooled.splits, pooled.predictions[model]).merge(chosen, how="left", indicator="where")
        without = marked[marked["where"] == "left_only"]
        assert len(without) == len(marked) - len(chosen) < len(marked)
        assert table.loc[(model, "rmse"), "n"] == len(without)
        assert table.loc[(model, "rmse"), "value"] == pytest.approx(rmse(without), abs=2e-6)
    assert not results_file("pooled", "unchosen").exists()


def test_splits_that_are_rows_of_their_own_and_their_mean(mean: Run, ratings: pd.DataFrame) -> None:
    splits, predictions = mean.splits, mean.predictions
    table = read_results("mean").set_index(["split", "model", "metric"])
    assert set(table.index.get_level_values("split")) == {"fold0", "fold1", "both"}
    by_seed = read_results("mean", "by-seed").set_index(["model", "metric", "seed_number"])["value"]
    for model in MEAN.models:
        seeds = len(predictions[model][0])
        assert seeds == (1 if model == "user-item-bias" else 2)
        assert len(predictions[model][1]) == 1
        of_seeds = [errors(splits, predictions[model], number) for number in range(seeds)]
        firsts = [rmse(rows[rows["fold"] == 0]) for rows in of_seeds]
        second = rmse(of_seeds[0][of_seeds[0]["fold"] == 1])
        for number, value in enumerate(firsts):
            assert by_seed[model, "rmse", number] == pytest.approx(value, abs=2e-6)
        first = sum(firsts) / seeds
        assert table.loc[("fold0", model, "rmse"), "value"] == pytest.approx(first, abs=2e-6)
        assert table.loc[("fold1", model, "rmse"), "value"] == pytest.approx(second, abs=2e-6)
        both = table.loc[("both", model, "rmse")]
        assert both["value"] == pytest.approx((first + second) / 2, abs=2e-6)
        assert both["ci_low"] < both["value"] < both["ci_high"]
        assert (both["n"], both["seeds"]) == (len(ratings), 1)
        assert table.loc[("fold0", model, "rmse"), "seeds"] == seeds
    assert (table.xs("fold0")["n"] == (read_tested(splits)["fold"] == 0).sum()).all()


def test_models_with_and_without_timestamps_are_tested_among_themselves(mean: Run) -> None:
    tests = read_results("mean", "comparisons")
    rmse = read_results("mean").query("split == 'fold0' and metric == 'rmse'").set_index("model")["value"]
    for timed in (False, True):
        family = sorted(
            (name for name in MEAN.models if name.endswith("+time") is timed), key=rmse.__getitem__
        )
        [row] = tests[tests["model"].isin(family)].to_dict("records")
        assert [row["reference"], row["model"]] == family
        assert row["difference"] == pytest.approx(rmse[family[1]] - rmse[family[0]], abs=2e-6)
        # Of two models there is one test, and nothing to adjust for.
        assert row["p_adjusted"] == row["p_value"]
    assert len(tests) == 2


def test_facts_of_the_models(pooled: Run) -> None:
    facts = read_results("pooled", "models").set_index("model")
    assert list(facts.index) == list(POOLED.models)
    sizes = facts["parameters"]
    assert sizes["user-item-bias"] == 1 + 20 + 18
    # Two tables of items, and little beside them.
    assert 2 * 4 * 18 <= sizes["attentive+inner"] < 2 * 4 * 18 + 4 * (20 + 18)
    assert sizes["blend"] == sizes["user-item-bias"] + sizes["attentive+inner"]
    assert (facts["counted"] == "trained").all()

    for column, value in (("cpu_seconds", "cpu_seconds"), ("seconds", "seconds")):
        spent = []
        for own in pooled.fitted:
            model = own["attentive+inner"]
            # Selection and the final fit, each with its time beside it.
            files = [
                environment.TIMINGS / "model" / f"{part.sha256}.json"
                for part in model.selected + model.models
            ]
            assert [part.sha256 for part in model.fits[0]] == [file.stem for file in files]
            spent.append(sum(json.loads(file.read_text())[value] for file in files))
        assert facts.loc["attentive+inner", column] == pytest.approx(np.mean(spent), abs=2e-6)
    assert facts.loc["blend", "seconds"] > facts.loc["attentive+inner", "seconds"]

    curves = [RatingModel.load(own["attentive+inner"].selected[0].path).losses[""] for own in pooled.fitted]
    means = np.mean([curve.validation_loss for curve in curves], axis=0)
    assert facts.loc["attentive+inner", "common_epoch"] == means.argmin() + 1
    assert facts.loc["attentive+inner", "common_epoch_rmse"] == pytest.approx(means.min(), abs=2e-6)
    assert facts["common_epoch"].notna().tolist() == [False, True, True, False]


def test_class_probabilities_are_scored_over_all_folds(pooled: Run, ratings: pd.DataFrame) -> None:
    facts = read_results("pooled", "models").set_index("model")
    assert facts["log_loss"].notna().tolist() == [False, False, True, False]
    # Nothing can be learned here: five classes, each as likely.
    assert facts.loc["attentive+mlp2", "log_loss"] == pytest.approx(np.log(5), abs=0.25)
    bins = read_results("pooled", "calibration")
    assert (bins.groupby(["model", "rating"])["ratings"].sum() == len(ratings)).all()
    observed = bins.assign(given=bins["observed"] * bins["ratings"]).groupby("rating")["given"].sum()
    assert observed.tolist() == pytest.approx(
        ratings["rating"].value_counts().sort_index().tolist(), abs=0.01
    )


def test_the_page_has_the_tables(pooled: Run) -> None:
    page = (ROOT / "reports" / "pooled" / "index.html").read_text(encoding="utf-8")
    table, facts = read_results("pooled"), read_results("pooled", "models")
    epochs = facts.query("model == 'attentive+inner'")["common_epoch_rmse"]
    lower = table.query("metric == 'rmse'")["ci_low"]
    for value in pd.concat([table["value"], lower, epochs, facts["log_loss"].dropna()]):
        assert f"{value:.4f}" in page
    assert "A paper, Table II" in page
    rmse = table[(table["model"] == "attentive+inner") & (table["metric"] == "rmse")]["value"].iloc[0]
    assert f"{rmse - 1.25:+.4f}".replace("+", "").replace("-", "−") in page
    assert "Of other data" not in page
    assert "Data version" not in page
    provenance = json.loads((ROOT / "results" / "pooled" / "provenance.json").read_text())
    assert all(split[:16] in page for split in provenance["splits"].values())
    [run] = {*table.query("model == 'blend'")["run_id"]}
    assert run in page
    kept = run_store.client().list_artifacts(
        run_store.client().get_run(run).data.tags["mlflow.parentRunId"], "report"
    )
    assert [file.path for file in kept] == ["report/index.html"]


def test_models_of_time_stand_in_tables_of_their_own(mean: Run) -> None:
    page = (ROOT / "reports" / "mean" / "index.html").read_text(encoding="utf-8")
    tables = re.findall(r'aria-label="(Leaderboard[^"]*)">(.*?)</table>', page, flags=re.DOTALL)
    assert len(tables) == 4
    for caption, body in tables:
        timed = caption.endswith(": models that use timestamps")
        assert ("bayesian-fm+time" in body) is timed
        assert ("user-item-bias" in body) is not timed
        assert ("behind the best by" in body) is ("split fold0" in caption)


def test_a_second_run_computes_nothing_and_says_the_same(pooled: Run, seen: list[Run]) -> None:
    before, first = records(), read_results("pooled")
    results_file("pooled").unlink()
    compare("pooled")
    assert before
    assert records() == before
    pd.testing.assert_frame_equal(read_results("pooled")[FIGURES], first[FIGURES])
    assert seen[-1].predictions == pooled.predictions


def test_cross_validation_is_this_comparison_of_the_models_of_params(pooled: Run, seen: list[Run]) -> None:
    before = records()
    rating = {"models": {name: spec.model_dump() for name, spec in POOLED.models.items()}}
    runner = {"kind": "threads", "workers": 2}
    given = {"dataset": "csv", "prepare": FOLDS.model_dump(), "rating": rating, "runner": runner, "folds": 2}
    cross_validation.run(cross_validation.CrossValidationParams.model_validate(given))
    assert records() == before
    assert seen[-1].predictions == pooled.predictions
    table = read_results("csv-cv2")
    pd.testing.assert_frame_equal(table[FIGURES], read_results("pooled")[FIGURES])
    assert (table["split"] == "cv2").all()
    with pytest.raises(ParamsError, match="--first is 3, but there are 2 folds"):
        cross_validation.run(cross_validation.CrossValidationParams.model_validate(given | {"first": 3}))


def test_a_look_at_a_part_has_tables_of_its_own(pooled: Run, seen: list[Run]) -> None:
    whole = results_file("pooled").read_bytes()
    compare("pooled", splits=1)
    assert results_file("pooled").read_bytes() == whole
    assert seen[-1].splits == pooled.splits[:1]
    part = read_results("pooled-first-1-splits")
    assert (part["n"] == len(read_tested(pooled.splits[:1]))).all()
    assert (part["split"] == "cv2-first-1-splits").all()


def test_a_part_of_splits_that_are_rows(mean: Run) -> None:
    compare("mean", splits=1, seeds=1)
    part = read_results("mean-first-1-splits-1-seeds")
    assert (part["split"] == "fold0").all()
    assert (part["seeds"] == 1).all()


@pytest.mark.parametrize("only", ["models", "ablation"])
def test_one_part_is_measured_alone(mean: Run, only: Only) -> None:
    files = {"models": results_file("mean"), "ablation": results_file("mean", "ablation")}
    for file in files.values():
        file.unlink()
    compare("mean", only=only)
    assert [part for part, file in files.items() if file.exists()] == [only]
    compare("mean")
    assert all(file.exists() for file in files.values())


def test_ablation_is_on_the_validation_part_of_the_first_split_and_on_the_page(mean: Run) -> None:
    ablation = read_results("mean", "ablation").set_index("step")
    assert list(ablation.index) == list(MEAN.ablation)
    assert set(ablation["metric"]) == {"validation rmse"}
    rows = pd.read_parquet(mean.splits[0].training.folder.path / "ratings.parquet")
    assert (ablation["n"] == (rows["part"] == "validation").sum()).all()
    assert (ablation["seeds"] == 1).all()
    page = (ROOT / "reports" / "mean" / "index.html").read_text(encoding="utf-8")
    shown = page[page.index("What each choice contributed") :]
    assert all(step in shown for step in MEAN.ablation)
    assert all(f"{value:.4f}" in shown for value in ablation["value"])
    origin = json.loads(results_file("mean").with_name("ablation-provenance.json").read_text())
    assert list(origin["comparison"]["ablation"]) == list(MEAN.ablation)
    assert "models" not in origin["comparison"]


def test_parts_of_the_published_comparisons() -> None:
    u1, suffix = RATING_TABLES["ml-100k"].cut(1, None)
    assert (suffix, u1.names([]), u1.seeds_of(0)) == ("-first-1-splits", ["u1"], [0, 1, 2, 3, 4])
    whole, suffix = RATING_TABLES["ml-100k"].cut(5, 5)
    assert (suffix, whole.split) == ("", "u1-u5")
    assert whole.ablation
    assert not u1.ablation
    assert [whole.seeds_of(number) for number in range(5)] == [[0, 1, 2, 3, 4], [0], [0], [0], [0]]
    with pytest.raises(ParamsError, match="there are 10"):
        RATING_TABLES["cil"].cut(11, None)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"table": "nowhere"}, "no table 'nowhere', only pooled, chosen, mean"),
        ({"table": "pooled", "splits": 3}, "--splits is 3, but there are 2 splits"),
        ({"table": "pooled", "only": "ablation"}, "pooled has no ablation"),
        ({"table": "mean", "splits": 1, "only": "ablation"}, "leave out --splits and --seeds"),
        ({"table": "mean", "seeds": 1, "only": "ablation"}, "leave out --splits and --seeds"),
    ],
)
def test_what_a_table_has_not_is_refused(seen: list[Run], asked: dict[str, object], said: str) -> None:
    with pytest.raises(ParamsError, match=said):
        ResultsParams.model_validate(asked).comparison()
