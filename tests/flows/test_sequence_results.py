"""A tiny published table of sequence models: its files say what the ranks say, and nothing is computed twice."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from attrec.errors import ParamsError
from flows import results
from flows.published.sequences import SEQUENCE_TABLES, SequenceComparison
from flows.results import ResultsParams
from tasks.engine import environment, run_store
from tasks.engine.params import RunnerConfig
from tasks.engine.server import Api

pytestmark = pytest.mark.slow

RESULTS = environment.ROOT / "results" / "tiny"
TINY = {"network": {"dimension": 8, "length": 10}, "training": {"epochs": 2}}
COMPARISON = SequenceComparison.model_validate(
    {
        "datasets": ["simulated"],
        "prepare": {"simulated": {"n_users": 40, "n_items": 50, "n_ratings": 700}},
        "seeds": [0, 1],
        "models": {"popularity": {"kind": "popularity"}, "sasrec": {"kind": "sasrec", "changes": TINY}},
        "ablation": {
            "softmax": {"kind": "sasrec", "changes": TINY},
            "one negative": {"kind": "sasrec", "changes": {**TINY, "loss": {"kind": "bce"}}},
        },
    }
)


def measure(**asked: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "TABLES", {"tiny": COMPARISON})
        results.run(ResultsParams(table="tiny", runner=RunnerConfig(kind="threads"), **asked))


@pytest.fixture(scope="module")
def tables(prefect_server: Api) -> dict[str, pd.DataFrame]:
    measure()
    first = sorted((environment.ARTIFACTS / "model").iterdir())
    measure()
    assert sorted((environment.ARTIFACTS / "model").iterdir()) == first
    kinds = ("scores", "ablation", "comparisons", "beyond", "by-seed", "models")
    return {kind: pd.read_csv(RESULTS / f"{kind}.csv") for kind in kinds}


def test_the_table_is_the_mean_over_the_seeds(tables):
    by_seed = tables["by-seed"].groupby(["model", "metric"])["value"].mean()
    board = tables["scores"].set_index(["model", "metric"])
    assert (board["seeds"].xs("sasrec") == 2).all()
    assert (board["seeds"].xs("popularity") == 1).all()
    for key, value in by_seed.items():
        assert board.loc[key, "value"] == pytest.approx(value, abs=2e-6)


def test_ablation_is_on_validation_and_held_against_the_first_step(tables):
    ablation = tables["ablation"].set_index("step")
    assert set(ablation["metric"]) == {"validation ndcg@10"}
    first, second = COMPARISON.ablation
    assert pd.isna(ablation.loc[first, "difference"])
    assert ablation.loc[second, "difference"] == pytest.approx(
        ablation.loc[second, "value"] - ablation.loc[first, "value"], abs=2e-6
    )


@pytest.mark.parametrize("only", ["models", "ablation"])
def test_one_part_is_measured_alone(tables, only):
    files = {part: RESULTS / f"{kind}.csv" for part, kind in (("models", "scores"), ("ablation", "ablation"))}
    for file in files.values():
        file.unlink()
    measure(only=only)
    assert [part for part, file in files.items() if file.exists()] == [only]
    measure()
    assert all(file.exists() for file in files.values())


def test_an_ablation_of_other_steps_is_not_on_the_page(tables):
    page, origin = (
        environment.ROOT / "reports" / "tiny" / "index.html",
        RESULTS / "ablation-provenance.json",
    )
    told = "What each choice contributed"
    written = origin.read_text()
    measure(only="models")
    assert told in page.read_text(encoding="utf-8")
    # A step that had another configuration; what its recipe says now is not what it said then.
    for was in ('"bce"', '"epochs": '):
        assert was in written
        origin.write_text(written.replace(was, '"gbce"' if was == '"bce"' else '"epochs": 1'))
        measure(only="models")
        assert told not in page.read_text(encoding="utf-8")
    measure()
    assert told in page.read_text(encoding="utf-8")


def test_an_ablation_of_one_seed_is_refused_where_seeds_are_chosen(tables):
    with pytest.raises(ParamsError, match="leave out --splits and --seeds"):
        measure(only="ablation", seeds=1)


def test_there_is_one_split(tables):
    with pytest.raises(ParamsError, match="one split: leave out --splits"):
        measure(splits=1)


def test_size_and_training_time_are_told(tables):
    facts = tables["models"].set_index("model")
    assert facts.loc["sasrec", "parameters"] > 50 * 8
    assert facts.loc["sasrec", "epochs"] == 2
    assert facts.loc["sasrec", "cpu_seconds"] > 0
    assert pd.isna(facts.loc["popularity", "parameters"])


def test_provenance_names_code_split_and_models(tables):
    provenance = json.loads((RESULTS / "provenance.json").read_text())
    assert provenance["git.commit"]
    assert len(provenance["splits"]["leave-one-out"]) == 64
    assert provenance["comparison"]["models"]["sasrec"]["kind"] == "sasrec"


def test_runs_are_tracked(tables):
    run_id = tables["scores"].query("model == 'sasrec'")["run_id"].iloc[0]
    run = run_store.client().get_run(run_id)
    board = tables["scores"].set_index(["model", "metric"])
    assert run.data.metrics["test/ndcg_10"] == pytest.approx(
        board.loc[("sasrec", "ndcg@10"), "value"], abs=2e-6
    )


def test_the_published_tables_name_models_as_what_they_are():
    for comparison in SEQUENCE_TABLES.values():
        assert all(name.startswith(spec.kind) for name, spec in comparison.models.items())
        assert len(comparison.seeds) >= 3


def test_the_page_has_the_figures_and_what_each_choice_contributed(tables):
    page = (environment.ROOT / "reports" / "tiny" / "index.html").read_text(encoding="utf-8")
    best = tables["scores"].query("metric == 'ndcg@10'")["value"].max()
    assert f"{best:.4f}" in page
    assert "simulated data" in page
    shown = page[page.index("What each choice contributed") :]
    assert all(step in shown for step in COMPARISON.ablation)
    assert str(pd.read_csv(RESULTS / "scores.csv")["run_id"].iloc[0]) in page
    provenance = json.loads((RESULTS / "provenance.json").read_text())
    assert provenance["splits"]["leave-one-out"] in page
    assert "Data version" not in page
