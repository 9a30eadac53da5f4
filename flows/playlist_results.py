"""Flow `playlist-results`: a published table of playlist models on several data sets, all folds pooled.

Resumes where it was stopped: each data set, fold, model, seed and ranking is a cached task.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from prefect import flow, tags
from pydantic import BaseModel, ConfigDict, Field

from attrec.datasets.tables import Tables
from attrec.prepare.playlist_splits import PlaylistSplitConfig, split_playlists
from attrec.reporting.leaderboard import LeaderboardRow, build_leaderboard
from flows.playlist import fit_playlist_models
from flows.playlist_models import PlaylistModelSpec
from flows.prepare import PrepareParams, prepare_dataset
from flows.published.playlists import PLAYLIST_COMPARISONS, PlaylistComparison
from flows.stage import run_stage_with
from tasks import tracking
from tasks.engine.artifacts import Artifact
from tasks.engine.processes import process_tag
from tasks.engine.runner import RunnerConfig, task_runner
from tasks.families.playlists.data import (
    LikesConfig,
    PreparedPlaylists,
    load_playlist_facts,
    make_playlists,
    playlist_rows,
)
from tasks.families.playlists.figures import RANKING_METRIC, evaluate_playlists
from tasks.families.ratings.data import Part
from tasks.playlist_facts import chosen_clusterings, playlist_model_facts
from tasks.published import table_file
from tasks.results import ablation_table, as_records, write_tables
from tasks.results_pages import write_playlist_page
from tasks.scores import read_scores
from tasks.track_playlist_models import FittedPlaylistModel

# Files of an evaluation, by the names of those of the table.
FILES = {
    "known": "known",
    "comparisons": "comparisons",
    "beyond": "beyond",
    "by-seed": "by_seed",
    "by-fold": "by_fold",
    "ceiling": "ceiling",
}


class PlaylistResultsParams(BaseModel):
    """Which table, how much of it, and how many tasks at once."""

    model_config = ConfigDict(extra="forbid")

    table: str
    folds: int | None = Field(None, ge=1, description="the first ones alone, for a look before the whole")
    seeds: int | None = Field(None, ge=1, description="counted from 0; None: as many as the table has")
    runner: RunnerConfig = RunnerConfig(kind="dask")


@flow(name="playlist-results", flow_run_name="results {params.table}")
def playlist_results(params: PlaylistResultsParams) -> None:
    """Fit all models on all folds of all data sets, rank, and write results/<table>/*.csv and the pages
    reports/<table>/<dataset>.html."""
    comparison, suffix = PLAYLIST_COMPARISONS[params.table].part(params.folds, params.seeds)
    table = f"{params.table}{suffix}"
    run_tags = {"dataset": ", ".join(comparison.datasets), "split": comparison.split_name()}
    with tracking.tracked_run(f"results {table}", params.model_dump(mode="json"), run_tags) as parent:
        parts: list[dict[str, pd.DataFrame]] = []
        hashes: dict[str, str] = {}
        for dataset in comparison.datasets:
            cleaned = prepare_dataset(PrepareParams(dataset=dataset)).cleaned
            splits = [prepare(comparison, dataset, cleaned, split) for split in comparison.splits()]
            chosen_on = validated_on(cleaned, comparison.likes, comparison.chosen_on.get(dataset, []))
            tables, runs = measure(comparison, dataset, splits, chosen_on, parent)
            facts = [load_playlist_facts(split) for split in splits]
            page = write_playlist_page(
                table,
                dataset,
                facts,
                tables,
                {**runs, "results": parent},
                {
                    **params.model_dump(mode="json"),
                    **comparison.model_dump(mode="json", exclude={"ablation", "remarks"}),
                },
                comparison.remarks,
            )
            tracking.log_files(parent, page, "report")
            parts.append({kind: with_dataset(rows, dataset) for kind, rows in tables.items()})
            hashes |= {f"{dataset} {fold['split']['name']}": fold["split"]["hash"] for fold in facts}
        kinds = dict.fromkeys(kind for tables in parts for kind in tables)
        together = {
            kind: pd.concat([tables[kind] for tables in parts if kind in tables], ignore_index=True)
            for kind in kinds
        }
        write_tables(table, together, hashes, comparison.model_dump(mode="json"), parent)
        print(f"Tables: {table_file(table).parent}\nPages:  {page.parent}/*.html")


def prepare(
    comparison: PlaylistComparison, dataset: str, cleaned: Artifact, split: PlaylistSplitConfig
) -> PreparedPlaylists:
    """The data, split so."""
    return make_playlists(dataset, cleaned, comparison.likes, split, None)


def validated_on(
    cleaned: Artifact, likes: LikesConfig, splits: Sequence[PlaylistSplitConfig]
) -> list[int | str]:
    """The validation playlists of these splits."""
    rows = playlist_rows(Tables.load(cleaned.path), likes)
    return sorted(
        set().union(*(split_playlists(rows, split).validation.given["user_id"] for split in splits))
    )


def measure(
    comparison: PlaylistComparison,
    dataset: str,
    splits: Sequence[PreparedPlaylists],
    without: list[int | str],
    parent: str,
) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """All tables of one data set, by the names of their files; and the run of each model.

    Args:
        without: Playlists that recipes were chosen on: they are not scored.
    """
    tables: dict[str, pd.DataFrame] = {}
    if comparison.ablation:
        tables["ablation"] = compare_steps(comparison, dataset, splits, without)
    fitted = fit_on_folds(comparison.models, comparison.seeds, splits, dataset, "test")
    ranks = {name: [own[place].test for own in fitted] for place, name in enumerate(comparison.models)}
    evaluation = evaluate_playlists(list(splits), "test", ranks, without)
    run_tags = {"dataset": dataset, "split": comparison.split_name(), "dvc.stage": "none"}
    runs = {model.name: track(model, parent, evaluation, run_tags) for model in fitted[0]}
    rows = [
        LeaderboardRow(
            task="playlist",
            dataset=dataset,
            split=comparison.split_name(),
            run_id=runs[str(row["model"])],
            **row,
        )
        for row in as_records(read_scores(evaluation))
    ]
    tables["scores"] = build_leaderboard(rows)
    for kind, name in FILES.items():
        file = evaluation.path / f"{name}.csv"
        if file.is_file():
            tables[kind] = pd.read_csv(file)
    tables["models"] = playlist_model_facts(fitted)
    tables["clusterings"] = chosen_clusterings(fitted)
    return tables, runs


def compare_steps(
    comparison: PlaylistComparison,
    dataset: str,
    splits: Sequence[PreparedPlaylists],
    without: list[int | str],
) -> pd.DataFrame:
    """The ablation on the validation playlists of all folds, with the first seed (see `ablation_table`).

    Other folds test these playlists: it says what choices gave that were made before, and none may be made by it.
    """
    steps = comparison.ablation
    fitted = fit_on_folds(steps, comparison.seeds[:1], splits, f"{dataset}, ablation", "validation")
    ranks = {name: [own[place].validation for own in fitted] for place, name in enumerate(steps)}
    evaluation = evaluate_playlists(list(splits), "validation", ranks, without, next(iter(steps)))
    return ablation_table(evaluation, RANKING_METRIC)


def fit_on_folds(
    models: Mapping[str, PlaylistModelSpec],
    seeds: Sequence[int],
    splits: Sequence[PreparedPlaylists],
    label: str,
    part: Part,
) -> list[list[FittedPlaylistModel]]:
    """By fold, all models fitted and ranked on one part."""
    return [
        fit_playlist_models(models, seeds, split, f"{label}, fold {number} of {len(splits)}", parts=(part,))
        for number, split in enumerate(splits, 1)
    ]


def track(model: FittedPlaylistModel, parent: str, evaluation: Artifact, run_tags: dict[str, str]) -> str:
    """A child run with the configuration and the figures; the models themselves are not kept there."""
    settings: dict[str, Any] = {"seeds": model.seeds, **model.config}
    with tracking.tracked_run(f"{model.name} {run_tags['dataset']}", settings, run_tags, parent) as run_id:
        scores = read_scores(evaluation)
        own = as_records(scores[scores["model"] == model.name])
        tracking.log_metrics(run_id, {f"test/{row['metric']}": row["value"] for row in own})
    return run_id


def with_dataset(rows: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """The rows with their data set in the first column, unless they name it."""
    if "dataset" not in rows:
        rows = rows.copy()
        rows.insert(0, "dataset", dataset)
    return rows


def run(params: PlaylistResultsParams) -> None:
    """Run the flow under the tag of this process."""
    with tags(process_tag()):
        playlist_results.with_options(task_runner=task_runner(params.runner))(params)


def main(words: Sequence[str] | None = None) -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", choices=list(PLAYLIST_COMPARISONS), help="what to measure")
    parser.add_argument("--splits", type=int, default=None, help="the first folds alone")
    parser.add_argument("--seeds", type=int, default=None, help="how many seeds, counted from 0")
    parser.add_argument("--debug", action="store_true", help="show the traceback when something fails")
    given = parser.parse_args(words)
    asked = PlaylistResultsParams(table=given.table, folds=given.splits, seeds=given.seeds)
    run_stage_with(asked, run)


if __name__ == "__main__":
    main()
