"""DVC's experiments: any field of any model, one's own data, records and caches of the checkout, tables and plots."""

from __future__ import annotations

import json
import re
import subprocess
from functools import reduce
from operator import getitem
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from mlflow import MlflowClient
from pydantic import BaseModel

from flows.playlist_params import PlaylistParams
from flows.rating_params import RatingParams
from flows.sequence_params import SequenceParams
from tasks.engine.params import load_params
from tests.conftest import PROJECT

SECTIONS: dict[str, type[BaseModel]] = {
    "rating": RatingParams,
    "sequence": SequenceParams,
    "playlist": PlaylistParams,
}
DEFAULT = yaml.safe_load((PROJECT / "params.yaml").read_text())
MODELS = [(family, key) for family in SECTIONS for key in DEFAULT[family]["models"]]
SCREEN = 120


def models(family: str, file: Any) -> Any:
    return getattr(load_params(SECTIONS[family], file), family).models


def typed(value: Any) -> str:
    """A value as one types it after `-S KEY=`."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{typed(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(typed, value)) + "]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def fields(config: BaseModel, said: dict[str, Any] | None = None, prefix: str = "") -> dict[str, Any]:
    """What is said of the fields of a configuration, or else their values, by dotted name."""
    said = config.model_dump(mode="json") if said is None else said
    found: dict[str, Any] = {}
    for name, value in said.items():
        inside = getattr(config, name)
        own = {f"{prefix}{name}": value}
        found |= fields(inside, value, f"{prefix}{name}.") if isinstance(inside, BaseModel) else own
    return found


@pytest.mark.parametrize(("family", "key"), MODELS)
def test_every_field_of_every_model_can_be_set(family, key, tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text((PROJECT / "params.yaml").read_text())
    spec = models(family, file)[key]
    if "changes" not in type(spec).model_fields:
        return
    # What chooses the configuration of a pair stands beside `changes`.
    chosen = ("embedding", "head") if hasattr(spec, "embedding") else ()
    own = {name: value for name, value in fields(spec.config()).items() if name not in chosen}
    place = f"{family}.models.{key}.changes"
    apply_overrides(file, [f"++{place}.{name}={typed(value)}" for name, value in own.items()])
    again = models(family, file)[key]
    assert fields(again.config(), again.changes).keys() == own.keys()
    assert again.config() == spec.config()


@pytest.mark.slow
def test_flagship_models_are_varied_as_one_types_it(fresh):
    """On the params.yaml that is handed out: nothing runs, the experiment waits in the queue."""
    (fresh.folder / "params.yaml").write_text((PROJECT / "params.yaml").read_text())
    commit(fresh)
    asked = {
        "rating.models.attentive-inner.changes.dimension": 32,
        "rating.models.rsattae-xgboost.changes.folds": 2,
        "rating.models.bayesian-fm.changes.rank": 4,
        "sequence.models.sasrec.changes.training.epochs": 5,
        "sequence.models.bert4rec.changes.network.dimension": 16,
        "playlist.models.ars-quick.changes.dimension": 16,
    }
    words = [word for key, value in asked.items() for word in ("-S", f"{key}={value}")]
    fresh.run("dvc", "exp", "run", "--queue", "--name", "wide", *words)
    shown = subprocess.run(
        ["git", "show", "refs/exps/celery/stash:params.yaml"],
        cwd=fresh.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    stashed = fresh.folder.parent / "stashed.yaml"
    stashed.write_text(shown.stdout)
    said = yaml.safe_load(shown.stdout)
    assert {key: reduce(getitem, key.split("."), said) for key in asked} == asked
    for family in SECTIONS:
        assert models(family, stashed)


def commit(checkout: Any) -> None:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    subprocess.run(
        ["git", *identity, "commit", "--quiet", "--all", "-m", "a"], cwd=checkout.folder, check=True
    )


def write_ratings(checkout: Any, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    rows = [(user, item, random.integers(1, 6)) for user in range(20) for item in random.permutation(30)[:12]]
    ratings = pd.DataFrame(rows, columns=["user", "film", "stars"])
    ratings.to_csv(checkout.folder / "data" / "incoming" / "mine.csv", index=False)
    return ratings


@pytest.mark.slow
def test_experiments_on_data_of_ones_own_keep_their_records(fresh, eventually, monkeypatch):
    """In a folder of DVC's (--temp, --queue), where Git brings nothing of data/incoming; Git knows no name at first."""
    monkeypatch.setenv("HOME", str(fresh.folder.parent))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    params = fresh.folder / "params.yaml"
    said = yaml.safe_load(params.read_text())
    said["dataset"] = {"name": "shop", "path": "mine.csv", "user_column": "user", "item_column": "film"}
    said["dataset"] |= {"rating_column": "stars", "rating_max": 5}
    for family, model in {
        "rating": "user-item-bias",
        "sequence": "popularity",
        "playlist": "popularity",
    }.items():
        said[family]["models"] = {model: {"kind": model}}
    params.write_text(yaml.safe_dump(said))
    commit(fresh)

    def rows() -> pd.DataFrame:
        return pd.read_parquet(fresh.folder / "data" / "raw" / "ratings.parquet")

    first = write_ratings(fresh, 1)
    fresh.run("dvc", "exp", "run", "--temp", "--name", "first", "-S", "dataset.rating_max=6")
    assert not (fresh.folder / "data" / "raw").exists()
    fresh.run("dvc", "exp", "apply", "first")
    assert "up to date" in fresh.run("dvc", "status")
    assert rows()["rating"].tolist() == first["stars"].tolist()
    assert yaml.safe_load(params.read_text())["dataset"] == {**said["dataset"], "rating_max": 6}
    assert set(fresh.leaderboard()["dataset"]) == {"shop"}

    # A file that changed is read anew, though all parameters are as they were.
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "test@example.org")
    second = write_ratings(fresh, 2)
    fresh.run("dvc", "exp", "run", "--queue", "--name", "second", "rating")
    fresh.run("dvc", "queue", "start")
    refs = fresh.folder / ".git" / "refs" / "exps"
    eventually(lambda: bool(list(refs.rglob("second"))), 400, "the queue ran")
    fresh.run("dvc", "queue", "stop")
    fresh.run("dvc", "exp", "apply", "second")
    assert "up to date" in fresh.run("dvc", "status", "prepare", "rating")
    assert rows()["rating"].tolist() == second["stars"].tolist()

    assert not list((fresh.folder / ".dvc" / "tmp" / "exps").rglob(".attrec"))
    store = MlflowClient(f"sqlite:///{fresh.folder}/.attrec/mlflow.db")
    experiments = [found.experiment_id for found in store.search_experiments()]
    found = store.search_runs(experiments, "tags.`dvc.stage` = 'rating'")
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=fresh.folder, capture_output=True, text=True, check=True
    )
    assert {run.data.tags["dvc.exp"] for run in found} == {"first", "second"}
    assert {run.data.tags["dataset"] for run in found} == {"shop"}
    assert store.get_model_version_by_alias("attrec-rating", "champion-shop")
    assert {run.data.tags["dvc.exp.baseline"] for run in found} == {head.stdout.strip()}
    left = json.loads((fresh.folder / "reports" / "rating_runs.json").read_text())["runs"]
    assert {store.get_run(run_id).data.tags["dvc.exp"] for run_id in left.values()} == {"second"}


@pytest.mark.slow
def test_tables_fit_a_screen_and_plots_have_all_models(cold, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(SCREEN))
    checkout = cold.copy(tmp_path / "clone")
    printed = checkout.run("dvc", "metrics", "show").splitlines()
    assert len(printed) == 1 + len(SECTIONS)
    assert max(map(len, printed)) <= SCREEN
    for family in SECTIONS:
        folder = checkout.folder / "reports" / family
        champion = json.loads((folder / "summary.json").read_text())["champion_on_validation"]
        [(family_shown, figures)] = json.loads((folder / "best.json").read_text()).items()
        whole = json.loads((folder / "metrics.json").read_text())
        metric = {"rmse": "rmse", "ndcg": "ndcg@10"}[next(iter(figures))]
        assert family_shown == family
        assert list(figures.values()) == [whole[part][champion][metric] for part in ("test", "validation")]
        listed = pd.read_csv(folder / "models.csv")
        assert set(listed["model"]) == set(whole["test"])
        assert (
            listed["value"].is_monotonic_increasing
            if metric == "rmse"
            else listed["value"].is_monotonic_decreasing
        )

    commit(checkout)
    checkout.run("dvc", "exp", "run", "--temp", "--name", "mine", "-S", "playlist.models.kmeans.changes.n_clusters=[3]",
                 "playlist")  # fmt: skip
    printed = checkout.run("cli.app", "experiments", "--hide-workspace")
    assert "playlist.models.kmeans.changes.n_clusters" in printed
    assert "mine" in printed
    assert "…" not in printed
    assert max(map(len, printed.splitlines())) <= SCREEN

    pages = tmp_path / "plots"
    assert "failed" not in checkout.run("dvc", "plots", "diff", "HEAD", "mine", "--out", str(pages))
    page = (pages / "index.html").read_text()
    drawn = [
        json.loads(spec) for spec in re.findall(r"var spec = (\{.*?\});\s*vegaEmbed", page, flags=re.DOTALL)
    ]
    titles = [spec["title"]["text"] for spec in drawn]
    for family in SECTIONS:
        assert f"{family.capitalize()} models: validation loss by epoch" in titles
        [bars] = [
            spec for spec in drawn if spec["title"]["text"].startswith(f"{family.capitalize()} models: ") and "test" in
            spec["title"]["text"]
        ]  # fmt: skip
        points = bars["data"]["values"]
        listed = pd.read_csv(checkout.folder / "reports" / family / "models.csv")
        assert {(point["rev"], point["model"]) for point in points} == {
            (rev, model) for rev in ("HEAD", "mine") for model in listed["model"]
        }


@pytest.mark.slow
def test_an_edited_model_that_was_added_makes_its_stage_stale(cold, tmp_path):
    """As docs/another-model.md says: a file in the folder of its family."""
    checkout = cold.copy(tmp_path / "clone")
    file = checkout.folder / "attrec" / "ratings" / "item_mean.py"
    file.write_text('"""A model."""\n')
    assert "attrec/ratings" in checkout.run("dvc", "status", "rating")
    checkout.run("dvc", "commit", "--force", "rating")
    assert "up to date" in checkout.run("dvc", "status", "rating")
    file.write_text('"""A model, edited."""\n')
    assert "attrec/ratings" in checkout.run("dvc", "status", "rating")
