"""What every playlist model must do, whatever it is: a class to inherit from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from attrec.datasets.histories import Histories
from attrec.errors import DataError
from attrec.metrics import top_lists
from attrec.metrics.playlist import playlist_metrics
from attrec.models.base import Config, Model
from attrec.playlists.model import PlaylistModel
from attrec.playlists.ranking import encode, rank_playlists
from attrec.playlists.specs import PLAYLIST_MODELS
from attrec.prepare.playlist_splits import PlaylistSplit, split_playlists
from attrec.prepare.songs import Vectors
from tests.attrec.models.contract import ModelContract

STYLES, SONGS = 6, 20


def world() -> tuple[PlaylistSplit, Vectors]:
    """Six styles of twenty songs each, far apart; a playlist has songs of one style."""
    rng = np.random.default_rng(0)
    centres = 8 * rng.standard_normal((STYLES, 4))
    values = np.repeat(centres, SONGS, axis=0) + rng.standard_normal((STYLES * SONGS, 4))
    names = [f"song {code}" for code in rng.permutation(STYLES * SONGS)]
    rows = [
        (playlist, names[playlist % STYLES * SONGS + song])
        for playlist in range(60)
        for song in rng.choice(SONGS, 8, replace=False)
    ]
    split = split_playlists(pd.DataFrame(rows, columns=["user_id", "item_id"]))
    songs = Vectors(pd.Index(names, name="item_id"), ("a", "b", "c", "d"), values.astype("float32"))
    return split, songs


SPLIT, CATALOGUE = world()


class PlaylistContract(ModelContract):
    """A subclass names the row of the table that it tests, and may configure the model."""

    kind: ClassVar[str]
    config: ClassVar[Config | None] = None
    finds_the_style: ClassVar[bool] = True
    """Whether it must find the songs of the style that a playlist is of."""

    @classmethod
    def model_class(cls) -> type[Model]:
        return PLAYLIST_MODELS.rows[cls.kind].model

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> PlaylistModel:
        model = cls.model_class()(cls.config)
        assert isinstance(model, PlaylistModel)
        return model.fit(SPLIT.train, CATALOGUE, SPLIT.validation)

    def test_scores_are_finite_float32_of_the_whole_catalogue(self, model: PlaylistModel) -> None:
        scores = model.score(Histories.of_lists([[0, 1], [5], []]))
        assert scores.shape == (3, len(CATALOGUE))
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()

    def test_order_and_repetition_mean_nothing(self, model: PlaylistModel) -> None:
        scores = model.score(Histories.of_lists([[0, 30, 61], [61, 0, 30, 0, 0]]))
        assert (scores[0] == scores[1]).all()

    def test_a_playlist_is_answered_the_same_whatever_stands_beside_it(self, model: PlaylistModel) -> None:
        alone = model.score(Histories.of_lists([[3, 4, 50]]))[0]
        beside = model.score(Histories.of_lists([[1], [], [3, 4, 50], [7, 8]]))[2]
        assert alone == pytest.approx(beside, rel=1e-6)

    def test_saved_and_loaded_it_says_the_same(self, model: PlaylistModel, tmp_path: Path) -> None:
        model.save(str(tmp_path))
        again = PlaylistModel.load(str(tmp_path))
        assert type(again) is type(model)
        asked = Histories.of_lists([[0, 1], [], [100]])
        assert (again.score(asked) == model.score(asked)).all()
        assert again.items.equals(model.items)
        with pytest.raises(DataError, match="holds no saved"):
            type(model).load(tmp_path / "elsewhere")
        with pytest.raises(DataError, match="holds no saved playlist model"):
            PlaylistModel.load(tmp_path / "elsewhere")

    def test_recommends_what_the_playlist_does_not_have(self, model: PlaylistModel) -> None:
        mine = [CATALOGUE.ids[0], CATALOGUE.ids[1], "nobody's song", CATALOGUE.ids[0]]
        listed = model.recommend(mine, k=5)
        assert len(listed) == 5
        assert not set(listed["item_id"]) & set(mine)
        assert (listed["score"].diff().dropna() <= 0).all()
        assert len(model.recommend(mine, k=10_000)) == len(CATALOGUE) - 2

    def test_many_are_answered_as_each_alone(
        self, model: PlaylistModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = CATALOGUE.ids
        playlists = {"z": [3, 4, 50, 3], "a": [1], "m": [7, 8], "all": range(len(ids))}
        rows = pd.DataFrame(
            [(name, ids[song]) for name, songs in playlists.items() for song in songs],
            columns=["user_id", "item_id"],
        )
        together = model.recommend(rows, k=5)
        assert together.columns.tolist() == ["user_id", "item_id", "rank", "score"]
        assert together["user_id"].unique().tolist() == ["z", "a", "m"]
        monkeypatch.setattr(top_lists, "_CELLS", 2 * len(ids))
        pd.testing.assert_frame_equal(model.recommend(rows, k=5), together, rtol=1e-5)
        for name in ("z", "a", "m"):
            alone = model.recommend(rows.loc[rows["user_id"] == name, "item_id"].tolist(), k=5)
            listed = together[together["user_id"] == name].drop(columns="user_id").reset_index(drop=True)
            pd.testing.assert_frame_equal(listed, alone, rtol=1e-5)

    def test_playlists_that_cannot_be_answered(self, model: PlaylistModel) -> None:
        with pytest.raises(DataError, match="playlist is empty"):
            model.recommend([])
        with pytest.raises(DataError, match="No item of this playlist"):
            model.recommend(["nobody's", "nor this"])

    def test_fits_that_cannot_be_made(self, model: PlaylistModel) -> None:
        kind = type(model)
        with pytest.raises(DataError, match="no playlist to fit"):
            kind().fit(SPLIT.train.iloc[:0], CATALOGUE)
        stranger = pd.DataFrame({"user_id": [1], "item_id": ["stranger"]})
        with pytest.raises(DataError, match="song stranger is in a playlist but not in the catalogue"):
            kind().fit(stranger, CATALOGUE)
        twice = Vectors(pd.Index(["a", "a"]), ("x",), np.zeros((2, 1), dtype="float32"))
        with pytest.raises(DataError, match="song a is in the catalogue more than once"):
            kind().fit(pd.DataFrame({"user_id": [1], "item_id": ["a"]}), twice)

    def test_playlists_that_cannot_be_fitted_are_told(self, model: PlaylistModel) -> None:
        kind = type(model)
        with pytest.raises(ValueError, match="playlists have no column user_id, only playlist, item_id"):
            kind().fit(SPLIT.train.rename(columns={"user_id": "playlist"}), CATALOGUE)
        with pytest.raises(ValueError, match=r"Row \d+ of the playlists has no item_id"):
            kind().fit(SPLIT.train.assign(item_id=None), CATALOGUE)
        with pytest.raises(ValueError, match="artist of the songs is no number"):
            kind().fit(SPLIT.train, pd.DataFrame({"item_id": CATALOGUE.ids, "artist": "Somebody"}))

    def test_features_of_songs_are_a_frame_and_may_be_left_out(self, model: PlaylistModel) -> None:
        # Of what is trained one epoch will do.
        brief = {"training": {"epochs": 1}} if model.rounds else {}

        def fitted(*songs: Any) -> PlaylistModel:
            return type(model)(model.config, **brief).fit(SPLIT.train, *songs)

        frame = pd.DataFrame(CATALOGUE.values, CATALOGUE.ids, CATALOGUE.columns).reset_index()
        asked = SPLIT.test.given
        expected = fitted(CATALOGUE).recommend(asked, k=3)
        pd.testing.assert_frame_equal(fitted(frame).recommend(asked, k=3), expected)
        if model.needs_content:
            with pytest.raises(ValueError, match="knows songs by their features: give `songs`"):
                fitted()
        else:
            alone = fitted()
            assert alone.items.tolist() == sorted(SPLIT.train["item_id"].unique())
            assert len(alone.recommend(alone.items[:2].tolist(), k=3)) == 3

    def test_who_finds_the_style(self, model: PlaylistModel) -> None:
        given, held_out = encode(SPLIT.test, CATALOGUE.ids)
        found = playlist_metrics(rank_playlists(model, given, held_out).ranks, held_out)
        # Four of sixteen songs of the style that are left are asked for, and four of 116 of the whole catalogue.
        if self.finds_the_style:
            assert found["recall@50"].mean() > 0.8
            assert found["r-precision"].mean() > 0.12
        else:
            assert found["recall@50"].mean() < 0.7

    def test_what_no_seed_changes_says_so(self, model: PlaylistModel) -> None:
        if not model.seeded:
            other = type(model)(model.config, seed=model.seed + 1).fit(
                SPLIT.train, CATALOGUE, SPLIT.validation
            )
            asked = Histories.of_lists([[0, 1], [5]])
            assert (other.score(asked) == model.score(asked)).all()

    def test_what_is_trained_has_rounds_and_losses(self, model: PlaylistModel) -> None:
        if model.trained is None:
            assert (model.rounds, model.losses) == (None, {})
        else:
            assert model.rounds is not None
            assert 0 < len(model.losses[""].epochs) <= model.rounds

    def test_what_of_a_playlist_counted_is_told_where_it_can_be(self, model: PlaylistModel) -> None:
        mine = CATALOGUE.ids[:3].tolist()
        points, centroid = model.space(mine)
        assert points.shape == (len(CATALOGUE), len(centroid))
        if model.explains:
            assert sorted(model.explain(mine)["item_id"]) == sorted(mine)
        else:
            with pytest.raises(DataError, match="does not weigh the items"):
                model.explain(mine)
        # Where it clusters, each song has a label and what was tried is told.
        assert (model.labels is None) == (model.trials == ())
        assert model.labels is None or model.labels.shape == (len(CATALOGUE),)
