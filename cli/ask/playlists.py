"""`attrec recommend --playlist`: songs that suit a playlist, how near they are, and what of it counted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from attrec.errors import DataError
from cli.ask.registered import DECIMALS, load_registered, shown_items
from cli.tables import Form, say, show_named

if TYPE_CHECKING:
    import pandas as pd

    from attrec.serving.playlists import ServedPlaylists

NEAREST = "nearest of yours"
_NAMED = 3
"""Artists of songs of the same title that are named."""


def recommend_songs(file: Path, k: int, model: str, form: Form) -> None:
    """Print what each song of a CSV (title, and artist where it is known) was taken for and the k that suit it best.

    A song that is not found is said and left out, one that is there twice counts once.

    Raises:
        DataError: the file cannot be used, or none of its songs is found.
        ServiceError: there is no such model.
    """
    # Loading takes seconds: a fault of the file is told before.
    rows = read_songs(file)
    from attrec.serving.playlists import ServedPlaylists

    served = load_registered(ServedPlaylists, model, form)
    songs = find_songs(served, rows, file, form)
    best = served.recommend(songs, k).rename(columns={"nearest": NEAREST})
    tables = {"recommended": shown_items(best, "score", "distance", texts=[NEAREST])}
    notes = [served.model.ranked_by]
    try:
        weights = served.explain(songs)
    except DataError as too_long:
        notes.append(str(too_long))
        weights = None
    if weights is not None and len(weights) > 1:
        tables["given"] = shown_items(served.with_titles(weights), *weights.columns.drop("item_id"))
        notes.append(
            "weight: how far the centroid would move without each of your items, as a share of all (those unlike the "
            "others move it most)"
        )
        if "attention" in weights:
            notes.append(
                "attention: how much of the attention among your items goes to each, as a share of all"
            )
    show_named(tables, form, decimals={"score": 2, **DECIMALS})
    for note in notes:
        say(note, form)


def read_songs(file: Path) -> pd.DataFrame:
    """title and artist (None where it is not given) of a file, a row a song.

    Raises:
        DataError: the file cannot be used, or a row has no title.
    """
    from attrec.datasets.given import read_given

    rows = read_given(file, ("title",), ("artist",)).reindex(columns=["title", "artist"])
    return rows.astype(object).where(rows.notna(), None)


def find_songs(
    served: ServedPlaylists, rows: pd.DataFrame, file: Path, form: Form = Form.table
) -> list[int | str]:
    """Ids of the songs, each once; prints what each row was taken for.

    Raises:
        DataError: the songs of this model have no titles, or none is found.
    """
    if served.titles is None:
        raise DataError("The items of this model have no titles: ask it by MLflow, with the column item_id.")
    found: list[int | str] = []
    faults = []
    for title, artist in rows.itertuples(index=False):
        try:
            match = served.titles.find(title, artist)
        except DataError as error:
            faults.append(str(error))
            say(f"{title} → left out. {error}", form)
            continue
        again = " (again: it counts once)" if match.item_id in found else ""
        others = [] if artist else served.titles.artists_of(match.title)
        also = _also_by([name for name in others if name != match.artist])
        say(f"{title} → {match.named}{again}{also}", form)
        if not again:
            found.append(match.item_id)
    if not found:
        raise DataError(f"No item of {file} is in the catalogue. {faults[0]}")
    return found


def _also_by(artists: list[str]) -> str:
    """Whose songs could have been meant."""
    if not artists:
        return ""
    more = f" and {len(artists) - _NAMED:,} more" if len(artists) > _NAMED else ""
    return f"; others of this title are by {', '.join(artists[:_NAMED])}{more}: name the artist to choose"
