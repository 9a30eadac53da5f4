"""The playlists that every playlist model of a run shares, in folders that keep the test's answers out of reach."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from attrec.datasets.tables import Tables, read_parquet, write_parquet
from attrec.models.storage import read_arrays, read_json, write_arrays, write_json
from attrec.playlists.ceiling import playlist_ceiling
from attrec.prepare.likes import LikesConfig, film_cleaning, liked_playlists
from attrec.prepare.playlist_splits import EvaluatedPlaylists, PlaylistSplitConfig, split_playlists
from attrec.prepare.songs import TableCleaner, TableCleaningConfig, Vectors, labels_of_items, numbers_of_items
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.engine.training_data import Phase, Prepared, TrainingData


class PlaylistTraining(TrainingData, frozen=True):
    """Training playlists, validation playlists and the catalogue."""

    def arguments(self, phase: Phase) -> dict[str, Any]:
        """As `PlaylistModel.fit` takes them; every model is fitted once, on the training playlists."""
        return {"playlists": self.playlists(), "songs": self.vectors(), "validation": self.validation()}

    def playlists(self) -> pd.DataFrame:
        """Training playlists: user_id (the playlist), item_id (the song)."""
        return read_parquet(self.folder.path / "train.parquet")

    def validation(self) -> EvaluatedPlaylists:
        """Given and held-out songs of validation playlists."""
        given, held_out = (
            read_parquet(self.folder.path / f"validation_{side}.parquet") for side in ("given", "held_out")
        )
        return EvaluatedPlaylists(given, held_out)

    def vectors(self) -> Vectors:
        """The catalogue as points; its cleaning was learned from the songs of training playlists."""
        named = read_json(self.folder.path / "vectors.json")
        values = read_arrays(self.folder.path / "vectors.safetensors")["values"]
        return Vectors(pd.Index(named["ids"], name="item_id"), tuple(named["columns"]), values)

    def songs(self) -> pd.DataFrame:
        """Songs as cleaned: item_id, and title, artist, genres and whatever else is known."""
        return read_parquet(self.folder.path / "items.parquet")

    def cleaner(self) -> TableCleaner:
        """How the songs became points."""
        return TableCleaner.from_dict(read_json(self.folder.path / "cleaner.json"))


class PreparedPlaylists(Prepared, frozen=True):
    """`test_given` has the songs that the test gives; `test_held_out` the answers; `facts` what is told of all."""

    training: PlaylistTraining
    facts: Artifact
    test_given: Artifact
    test_held_out: Artifact


@cached_task("playlists")
def make_playlists(
    dataset: str,
    cleaned: Artifact,
    likes: LikesConfig,
    split: PlaylistSplitConfig,
    cleaning: TableCleaningConfig | None,
) -> PreparedPlaylists:
    """Split the playlists of the clean tables, and make points of their songs.

    Args:
        cleaning: How points are made; None for what suits the data.

    Raises:
        NoPlaylists: too few playlists are long enough, nobody likes anything, or nothing describes the items.
        DataError: the cleaning asks for what the items do not have.
    """
    tables = Tables.load(cleaned.path)
    rows = playlist_rows(tables, likes)
    parts = split_playlists(rows, split)
    items = with_training_genres(tables.items, rows, parts.train)
    cleaner = TableCleaner(cleaning or suited_cleaning(items))
    cleaner.fit(items[items["item_id"].isin(parts.train["item_id"])])
    vectors = cleaner.vectors(items)
    # Where rows with a missing value are dropped, their songs are out of the catalogue.
    train = parts.train[parts.train["item_id"].isin(vectors.ids)]
    facts = {
        "dataset": dataset,
        "split": {"name": split_name(split), "hash": parts.split_hash, **parts.summary},
        "playlists": {
            "kind": "songs" if is_of_songs(tables.items) else "likes",
            "min_rating": likes.min_rating if are_likes(tables) else None,
        },
        "cleaning": cleaner.report,
    }
    with writing("playlist-training") as training:
        write_parquet(train, training.folder / "train.parquet")
        write_parquet(parts.validation.given, training.folder / "validation_given.parquet")
        write_parquet(parts.validation.held_out, training.folder / "validation_held_out.parquet")
        write_parquet(items, training.folder / "items.parquet")
        _write_vectors(vectors, training.folder)
        write_json(training.folder / "cleaner.json", cleaner.to_dict())
    with writing("playlist-facts") as described:
        (described.folder / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")
    with writing("playlist-test-given") as given:
        write_parquet(parts.test.given, given.folder / "given.parquet")
    with writing("playlist-test-held-out") as held_out:
        write_parquet(parts.test.held_out, held_out.folder / "held_out.parquet")
        if is_of_songs(tables.items) and tables.truth is not None:
            ceiling = pd.DataFrame(playlist_ceiling(tables.truth, parts.test, vectors.ids))
            write_parquet(ceiling, held_out.folder / "ceiling.parquet")
    return PreparedPlaylists(
        training=PlaylistTraining(folder=training.artifact),
        facts=described.artifact,
        test_given=given.artifact,
        test_held_out=held_out.artifact,
    )


def playlist_rows(tables: Tables, likes: LikesConfig) -> pd.DataFrame:
    """user_id (the playlist), item_id (the song), and what else the rows have.

    Raises:
        NoPlaylists: nobody likes anything.
    """
    return liked_playlists(tables, likes.min_rating) if are_likes(tables) else tables.ratings


def are_likes(tables: Tables) -> bool:
    """Whether a playlist is what somebody rated well."""
    return tables.feedback == "ratings"


def with_training_genres(items: pd.DataFrame, rows: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """The items with genres from training playlists alone, where a genre is that of a playlist (`rows` have a column
    `genre`): the commonest genre and subgenre of each, none for an item of no training playlist.

    Otherwise the genre of a hidden song would tell in which playlists it was hidden.
    """
    if "genre" not in rows:
        return items
    trained_on = rows[rows["user_id"].isin(train["user_id"])]
    labels = [labels_of_items(trained_on, items["item_id"], name) for name in ("genre", "subgenre")]
    genres = [pd.unique(pd.Series(pair).dropna()).tolist() for pair in zip(*labels, strict=True)]
    return items.assign(genres=pd.Series(genres, index=items.index, dtype=object))


def is_of_songs(items: pd.DataFrame) -> bool:
    """Whether items come with artists."""
    return "artist" in items


def has_songs(cleaned: Artifact) -> bool:
    """`is_of_songs` of the clean tables."""
    return is_of_songs(Tables.load(cleaned.path).items)


def suited_cleaning(items: pd.DataFrame) -> TableCleaningConfig:
    """What suits the data: numbers that describe them, year and artists of songs, of films numbers, years and genres.

    The genre of a song is left out: a song of no training playlist has none.

    Raises:
        NoPlaylists: nothing describes the items.
    """
    if not is_of_songs(items):
        return film_cleaning(items)
    numbers = (*numbers_of_items(items), "year")
    # Three standard deviations, for one column against thirteen.
    return TableCleaningConfig(
        numbers=numbers, indicators=("artist",), indicator_weight=3, max_indicated=2_000
    )


def split_name(split: PlaylistSplitConfig) -> str:
    """What tables call a split: `fold1of5`."""
    return f"fold{split.fold}of{split.n_folds}"


def load_playlist_facts(playlists: PreparedPlaylists) -> dict[str, Any]:
    """Dataset, split with its hash and counts, what a playlist is, and what the cleaning did."""
    facts: dict[str, Any] = json.loads((playlists.facts.path / "facts.json").read_text())
    return facts


def load_test_playlists(playlists: PreparedPlaylists) -> EvaluatedPlaylists:
    """What the test gives and asks for; for the ranking of models that are fitted."""
    given = read_parquet(playlists.test_given.path / "given.parquet")
    return EvaluatedPlaylists(given, read_parquet(playlists.test_held_out.path / "held_out.parquet"))


def load_ceiling(playlists: PreparedPlaylists) -> pd.DataFrame | None:
    """A row a test playlist, a column a metric: what could be expected of who knows by what chances songs were put into
    playlists. None of data that were not simulated."""
    file = playlists.test_held_out.path / "ceiling.parquet"
    return read_parquet(file) if file.is_file() else None


def _write_vectors(vectors: Vectors, folder: Path) -> None:
    write_json(folder / "vectors.json", {"ids": vectors.ids.tolist(), "columns": list(vectors.columns)})
    write_arrays(folder / "vectors.safetensors", {"values": vectors.values})
