"""Flow `playlist`: fit every playlist model, rank held-out songs once on test, track, challenge the champion."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Self

from prefect import flow, tags
from pydantic import BaseModel, ConfigDict, Field, model_validator

from attrec.errors import NoPlaylists
from attrec.parameters import ModelName, Seeds
from attrec.prepare.playlist_splits import PlaylistSplitConfig
from attrec.prepare.songs import TableCleaningConfig
from flows.fitting import fit_and_rank
from flows.playlist_models import PlaylistModelSpec, check_names
from flows.stage import run_stage
from tasks import tracking
from tasks.engine import environment
from tasks.engine.artifacts import Artifact, publish
from tasks.engine.processes import process_tag
from tasks.engine.runner import RunnerConfig, task_runner
from tasks.families.playlists.data import (
    LikesConfig,
    PreparedPlaylists,
    has_songs,
    load_playlist_facts,
    make_playlists,
)
from tasks.families.playlists.figures import best_playlist_model, evaluate_playlists
from tasks.families.playlists.ranks import rank_held_out
from tasks.families.playlists.shown import write_no_playlists, write_playlist_outputs
from tasks.families.ratings.data import Part, adopt
from tasks.scores import read_scores
from tasks.track_playlist_models import (
    FittedPlaylistModel,
    challenge_playlist_champion,
    track_playlist_model,
)

REGISTERED = "attrec-playlist"


class PlaylistSection(BaseModel):
    """Section `playlist` of params.yaml."""

    model_config = ConfigDict(extra="forbid")

    seeds: Seeds = Field([0], description="each model is fitted once a seed; the top-level seed is added")
    likes: LikesConfig = LikesConfig()
    split: PlaylistSplitConfig = PlaylistSplitConfig()
    cleaning: TableCleaningConfig | None = Field(
        None, description="how songs become points; left out: what suits the data"
    )
    models: dict[ModelName, PlaylistModelSpec] = Field(
        min_length=1, description="name in every table: what it is"
    )

    @model_validator(mode="after")
    def _names_say_what_they_are(self) -> Self:
        check_names(self.models)
        return self


class PlaylistParams(BaseModel):
    """What the flow reads from params.yaml."""

    model_config = ConfigDict(extra="forbid")

    dataset: str
    seed: int = Field(0, ge=0)
    runner: RunnerConfig = RunnerConfig()
    playlist: PlaylistSection


def fit_playlist_models(
    models: Mapping[str, PlaylistModelSpec],
    seeds: Sequence[int],
    playlists: PreparedPlaylists,
    label: str = "fit and rank",
    parts: Sequence[Part] = ("validation", "test"),
) -> list[FittedPlaylistModel]:
    """Fit and rank all models, as cached tasks side by side; for any flow that compares playlist models."""
    return fit_and_rank(
        FittedPlaylistModel,
        models,
        seeds,
        lambda spec, name, seed: spec.submit(name, seed, playlists.fit),
        lambda fitted, part: rank_held_out.submit(fitted, playlists, part),
        label,
        parts,
    )


@flow(name="playlist", flow_run_name="playlist")
def playlist(params: PlaylistParams) -> None:
    """Compare the playlist models of params.yaml on the clean data."""
    section = params.playlist
    cleaned = adopt(environment.ROOT / "data" / "interim", "clean")
    try:
        playlists = make_playlists(params.dataset, cleaned, section.likes, section.split, section.cleaning)
    except NoPlaylists as error:
        # Whoever has songs wants playlists; of other data they are taken where they are to be had.
        if has_songs(cleaned):
            raise
        leave_no_playlists(params.dataset, error)
        return
    facts = load_playlist_facts(playlists)
    seeds = [params.seed + seed for seed in section.seeds]
    outs = tracking.stage_outs("prepare")
    run_tags = {
        "dvc.stage": "playlist",
        "dataset": params.dataset,
        "split": facts["split"]["name"],
        "split.hash": facts["split"]["hash"],
        **{f"dvc.{path}": md5 for path, md5 in outs.items()},
    }
    with tracking.tracked_run(
        f"playlist {params.dataset}", params.model_dump(mode="json"), run_tags
    ) as parent:
        tracking.log_dataset(
            parent, params.dataset, outs.get("data/interim", cleaned.sha256), "data/interim",
            facts["split"]["rows"], "training",
        )  # fmt: skip
        fitted = fit_playlist_models(section.models, seeds, playlists)
        evaluations = {
            part: evaluate_playlists(
                [playlists], part, {model.name: [getattr(model, part)] for model in fitted}
            )
            for part in ("validation", "test")
        }
        scores = {part: read_scores(evaluation) for part, evaluation in evaluations.items()}
        runs = {
            model.name: track_playlist_model(
                model, parent, playlists.fit, scores, {**run_tags, "model": model.name}
            )
            for model in fitted
        }
        best = next(model for model in fitted if model.name == best_playlist_model(scores["validation"]))
        decision = challenge_playlist_champion(REGISTERED, best, *runs[best.name], facts, params.seed)
        tracking.set_tags(parent, {"champion": decision})
        print(decision)
        output = write_playlist_outputs(facts, fitted, evaluations, best.name, playlists.fit)
        publish(output.path, environment.ROOT / "reports" / "playlist")
        publish(best.models[0].path, environment.ROOT / "models" / "playlist")
        tracking.log_files(parent, output.path, "playlist")
        run_ids = {name: run_id for name, (run_id, _) in runs.items()}
        tracking.write_runs("playlist", run_ids | {"playlist": parent}, decision)


def leave_no_playlists(dataset: str, reason: Exception) -> None:
    """The outs of data that make no playlists: a summary, and no figures."""
    print(f"No playlist model is fitted to {dataset}. {reason}")
    output: Artifact = write_no_playlists(dataset)
    publish(output.path, environment.ROOT / "reports" / "playlist")
    shutil.rmtree(environment.ROOT / "models" / "playlist", ignore_errors=True)
    (environment.ROOT / "models" / "playlist").mkdir(parents=True)
    tracking.write_runs("playlist", {}, str(reason))


def run(params: PlaylistParams) -> None:
    """Run the flow with the task runner of the params, under the tag of this process."""
    with tags(process_tag()):
        playlist.with_options(task_runner=task_runner(params.runner))(params)


if __name__ == "__main__":
    run_stage(PlaylistParams, run)
