"""Flow `playlist`: fit every playlist model, rank held-out songs once on test, track, challenge the champion."""

from __future__ import annotations

from prefect import flow

from attrec.errors import NoPlaylists
from flows.comparison import compare, leave_nothing
from flows.playlist_params import PlaylistParams
from flows.stage import run_in_tasks, run_stage
from tasks.engine import environment
from tasks.engine.artifacts import adopt
from tasks.engine.logs import tell
from tasks.families.playlists.data import has_songs, make_playlists
from tasks.families.playlists.family import PLAYLISTS


@flow(name="playlist", flow_run_name="playlist {params.dataset}")
def playlist(params: PlaylistParams) -> None:
    """Compare the playlist models of params.yaml on the clean data."""
    section = params.playlist
    cleaned = adopt(environment.ROOT / "data" / "interim", "clean")
    try:
        data = make_playlists(params.dataset, cleaned, section.likes, section.split, section.cleaning)
    except NoPlaylists as error:
        # Whoever has songs wants playlists; of other data they are taken where they are to be had.
        if has_songs(cleaned):
            raise
        tell(f"No playlist model is fitted to {params.dataset}. {error}")
        leave_nothing(PLAYLISTS, {"dataset": params.dataset}, str(error))
        return
    compare(PLAYLISTS, section.all_models(), section.seeds, data, params)


def run(params: PlaylistParams) -> None:
    """Run the flow."""
    run_in_tasks(playlist, params)


if __name__ == "__main__":
    run_stage(PlaylistParams, run)
