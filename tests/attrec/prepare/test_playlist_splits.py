"""What a split of playlists promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from attrec.datasets.registry import load_dataset
from attrec.errors import DataError
from attrec.prepare.playlist_splits import EvaluatedPlaylists, PlaylistSplitConfig, split_playlists


def rows(lengths: list[int], seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        [(f"p{p}", int(s)) for p, n in enumerate(lengths) for s in rng.choice(99, n, replace=False)],
        columns=["user_id", "item_id"],
    )


def pairs(*frames: pd.DataFrame) -> list[tuple[str, int]]:
    return sorted(tuple(row) for frame in frames for row in frame.itertuples(index=False))


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 12), min_size=12, max_size=30),
    st.integers(0, 4),
    st.floats(0.05, 0.95),
)
def test_every_pair_is_in_one_part_and_no_playlist_in_two(
    lengths: list[int], fold: int, share: float
) -> None:
    table = rows([*lengths, *[5] * 10])
    split = split_playlists(table, PlaylistSplitConfig(fold=fold, given_share=share))
    evaluated = (split.validation, split.test)
    parts = [split.train, *(frame for part in evaluated for frame in (part.given, part.held_out))]
    assert pairs(*parts) == pairs(table)
    names = [set(split.train["user_id"]), *(set(part.given["user_id"]) for part in evaluated)]
    assert sum(map(len, names)) == len(set.union(*names)) == table["user_id"].nunique()
    sizes = table.groupby("user_id").size()
    for part in evaluated:
        given_sizes, held_out = part.given.groupby("user_id").size(), part.held_out.groupby("user_id").size()
        assert set(given_sizes.index) == set(held_out.index)
        assert (sizes[given_sizes.index] >= 4).all()
        expected = (share * sizes[given_sizes.index]).astype(int).clip(lower=1)
        assert (given_sizes == np.minimum(expected, sizes[given_sizes.index] - 1)).all()


def test_folds_test_every_long_playlist_once_on_the_same_songs() -> None:
    table = rows([6] * 20 + [2] * 5)
    folds = [split_playlists(table, PlaylistSplitConfig(fold=fold)) for fold in range(5)]
    tested = [name for split in folds for name in split.test.given["user_id"].unique()]
    assert sorted(tested) == sorted(f"p{p}" for p in range(20))
    # Whether a playlist is validated or tested on, its given songs are the same.
    seen: dict[str, set[int]] = {}
    for split in folds:
        for part in (split.test, split.validation):
            for name, songs in part.given.groupby("user_id")["item_id"]:
                assert seen.setdefault(str(name), set(songs)) == set(songs)


def test_neither_order_nor_repetition_of_rows_matters() -> None:
    table = rows([6] * 20)
    shuffled = pd.concat([table, table.iloc[:7]]).sample(frac=1, random_state=3)
    first, second = split_playlists(table), split_playlists(shuffled)
    assert first.split_hash == second.split_hash
    assert second.summary["repeated_rows"] == 7
    other_seed = split_playlists(table, PlaylistSplitConfig(seed=1))
    assert other_seed.split_hash != first.split_hash


def test_test_playlists_do_not_depend_on_validation() -> None:
    table = rows([6] * 20)
    few = split_playlists(table, PlaylistSplitConfig(validation_fraction=0.1)).test
    many = split_playlists(table, PlaylistSplitConfig(validation_fraction=0.8)).test
    assert isinstance(few, EvaluatedPlaylists)
    pd.testing.assert_frame_equal(few.held_out, many.held_out)


def test_draws_are_those_of_every_earlier_version() -> None:
    """Figures are comparable with those of an earlier version as long as the split and its hash stay."""
    songs = [(f"p{place}", song) for place in range(12) for song in range(place, place + 3 + place % 4)]
    split = split_playlists(pd.DataFrame([*songs, songs[0]], columns=["user_id", "item_id"]))
    assert split.split_hash[:12] == "93acc7c93d6e"
    assert pairs(split.validation.given) == [("p7", 9), ("p7", 10), ("p7", 11)]
    assert pairs(split.validation.held_out) == [("p7", 7), ("p7", 8), ("p7", 12)]
    assert pairs(split.test.given) == [("p1", 1), ("p1", 2), ("p10", 11), ("p10", 12)]
    # p0, p4 and p8 have three songs each.
    assert split.summary == {
        "rows": 55,
        "repeated_rows": 1,
        "playlists": 12,
        "playlists_too_short_to_evaluate": 3,
        "songs": 17,
        "train_playlists": 9,
        "train_songs": 17,
        "validation_playlists": 1,
        "validation_songs_given": 3,
        "validation_songs_given_unknown": 0,
        "validation_songs_held_out": 3,
        "validation_songs_held_out_unknown": 0,
        "test_playlists": 2,
        "test_songs_given": 4,
        "test_songs_given_unknown": 0,
        "test_songs_held_out": 5,
        "test_songs_held_out_unknown": 0,
    }


def test_summary_counts_unknown_songs() -> None:
    table = pd.DataFrame({"user_id": np.repeat(np.arange(10), 4), "item_id": np.arange(40)})
    summary = split_playlists(table).summary
    assert summary["test_songs_held_out_unknown"] == summary["test_songs_held_out"] == 4
    assert summary["train_playlists"] == 6
    assert summary["validation_playlists"] == 2


def test_too_few_playlists() -> None:
    with pytest.raises(DataError, match="Only 1 of 3 playlists have 4 different songs"):
        split_playlists(rows([5, 2, 2]))
    with pytest.raises(DataError, match="Only 0 of 0"):
        split_playlists(rows([]))
    with pytest.raises(ValidationError, match="fold must be below"):
        PlaylistSplitConfig(fold=5)


@pytest.mark.realdata
def test_real_playlists(data_dir: Path) -> None:
    summary = split_playlists(load_dataset("spotify-playlists", data_dir=data_dir).ratings).summary
    assert summary["repeated_rows"] == 157
    assert summary["playlists_too_short_to_evaluate"] == 84
    assert summary["test_playlists"] == 51
    assert summary["validation_playlists"] == 40
    assert summary["train_playlists"] == 336 - 51 - 40
