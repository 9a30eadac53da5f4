"""What every sequence model must do, whatever it is: a class to inherit from."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
import pytest

from attrec.datasets.histories import Histories
from attrec.errors import DataError
from attrec.metrics import top_lists
from attrec.metrics.ranking import MISS
from attrec.models.base import Config, Model
from attrec.models.training import TrainingConfig
from attrec.prepare.sequence_splits import SequenceConfig, SequenceSplit, SequenceSplitConfig, split_sequences
from attrec.sequences.model import SequenceModel
from attrec.sequences.ranking import rank_users
from attrec.sequences.specs import SEQUENCE_MODELS
from attrec.sequences.transformer import TransformerConfig
from tests.attrec.models.contract import ModelContract

NETWORK = TransformerConfig(dimension=16, heads=2, length=12, dropout=0.1)
TRAINING = TrainingConfig(epochs=25, learning_rate=0.02, patience=25)
BRIEF = TrainingConfig(epochs=3, learning_rate=0.02)
"""Enough for bits to differ, where nothing need be learned."""
CYCLE = 15


class World(NamedTuple):
    rows: pd.DataFrame
    parts: SequenceSplit


def make_world() -> World:
    """After each of fifteen films comes a certain other one; half of the users begin with the same.

    Nobody has seen all, and nobody sees a film twice, so what comes next is always there to be ranked.
    """
    rng = np.random.default_rng(0)
    names = [f"film {number}" for number in rng.permutation(CYCLE)]
    rows = []
    for user in rng.permutation(90):
        begin = 0 if user % 2 else int(rng.integers(CYCLE))
        steps = int(rng.integers(4, 10))
        rows += [(f"u{user}", names[(begin + step) % CYCLE]) for step in range(steps)]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id"])
    return World(frame, split_sequences(frame, SequenceConfig(), SequenceSplitConfig()))


@pytest.fixture(scope="module")
def world() -> World:
    return make_world()


def asked(model: SequenceModel, world: World) -> tuple[Histories, np.ndarray]:
    """What users did before their test target, and its code."""
    test = world.parts.test
    histories = Histories.of(world.parts.test_histories, pd.Index(test["user_id"]), model.items)
    return histories, model.items.get_indexer(pd.Index(test["item_id"]))


def scores_of(model: SequenceModel, world: World) -> np.ndarray:
    return model.score(asked(model, world)[0])


class SequenceContract(ModelContract):
    """A subclass names the row of the table that it tests, and may configure the model."""

    kind: ClassVar[str]
    config: ClassVar[Config | None] = None
    knows_what_follows: ClassVar[float] = 0
    """For what share of the users it must name the next item of the cycle first."""

    @classmethod
    def model_class(cls) -> type[Model]:
        return SEQUENCE_MODELS.rows[cls.kind].model

    @classmethod
    def model(cls, training: TrainingConfig) -> SequenceModel:
        """A model to fit, if it is trained by epochs in this way."""
        config = cls.config
        if config is not None and "training" in type(config).model_fields:
            config = config.model_copy(update={"training": training})
        model = cls.model_class()(config, seed=3)
        assert isinstance(model, SequenceModel)
        return model

    @pytest.fixture(scope="class")
    @classmethod
    def world(cls) -> World:
        return make_world()

    @pytest.fixture(scope="class")
    @classmethod
    def fitted(cls, world: World) -> SequenceModel:
        return cls.model(TRAINING).fit(world.parts.actions, world.parts.validation)

    @pytest.fixture(scope="class")
    @classmethod
    def brief(cls, world: World) -> SequenceModel:
        """Trained for a few epochs, to be compared bit by bit with others that are."""
        return cls.model(BRIEF).fit(world.parts.actions, world.parts.validation)

    def test_what_comes_next_is_ranked_above_chance(self, fitted: SequenceModel, world: World) -> None:
        histories, targets = asked(fitted, world)
        ranks = rank_users(fitted, histories, targets).ranks
        by_chance = (CYCLE - histories.counts + 1) / 2
        assert ranks.mean() < 0.8 * by_chance.mean()
        assert (ranks == 1).mean() >= self.knows_what_follows

    def test_scores_are_finite_and_one_an_item(self, fitted: SequenceModel, world: World) -> None:
        scores = scores_of(fitted, world)
        assert scores.shape == (len(world.parts.test), len(fitted.items))
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()

    def test_fitting_twice_gives_the_same_bits(self, brief: SequenceModel, world: World) -> None:
        again = self.model(BRIEF).fit(world.parts.actions, world.parts.validation)
        assert np.array_equal(scores_of(again, world), scores_of(brief, world))

    def test_scores_do_not_depend_on_order_or_company(self, fitted: SequenceModel, world: World) -> None:
        histories, _ = asked(fitted, world)
        together = fitted.score(histories)
        order = np.random.default_rng(3).permutation(len(histories))
        # Matrix products of other shapes may round the last bit otherwise.
        np.testing.assert_allclose(fitted.score(histories.take(order)), together[order], rtol=1e-5, atol=1e-6)
        for user in order[:5]:
            alone = fitted.score(histories.take(np.array([user])))
            np.testing.assert_allclose(alone, together[[user]], rtol=1e-5, atol=1e-6)
        history = histories.take(order[:1]).items.tolist()
        alone, beside_nobody = (fitted.score(Histories.of_lists(of)) for of in ([history], [[], history, []]))
        np.testing.assert_allclose(beside_nobody[1], alone[0], rtol=1e-5, atol=1e-6)
        assert fitted.score(Histories.of_lists([])).shape == (0, len(fitted.items))

    def test_saved_and_loaded_is_the_same_model(
        self, fitted: SequenceModel, world: World, tmp_path: Path
    ) -> None:
        fitted.save(str(tmp_path))
        loaded = type(fitted).load(str(tmp_path))
        assert np.array_equal(scores_of(loaded, world), scores_of(fitted, world))
        history = [world.rows["item_id"].iloc[0]]
        pd.testing.assert_frame_equal(loaded.recommend(history, 5), fitted.recommend(history, 5))
        pd.testing.assert_index_equal(loaded.items, fitted.items)
        assert not [path for path in tmp_path.rglob("*") if path.suffix in {".tmp", ".pkl", ".pt"}]

    def test_damaged_model_folder_is_a_clear_error(self, fitted: SequenceModel, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="holds no saved"):
            type(fitted).load(tmp_path)
        fitted.save(tmp_path)
        for file in [*tmp_path.glob("*.safetensors"), *tmp_path.glob("*.json")]:
            whole = file.read_bytes()
            file.write_bytes(whole[: len(whole) // 2])
            with pytest.raises(DataError, match=file.name):
                type(fitted).load(tmp_path)
            file.write_bytes(whole)

    def test_recommendations_are_the_best_unseen_items(self, fitted: SequenceModel, world: World) -> None:
        history = world.parts.test_histories.groupby("user_id")["item_id"].agg(list).iloc[0]
        everything = fitted.recommend(history, k=1000, exclude_seen=False)
        assert sorted(everything["item_id"]) == sorted(world.parts.actions["item_id"].unique())
        assert everything["score"].is_monotonic_decreasing
        unseen = fitted.recommend(history, k=3)
        expected = everything[~everything["item_id"].isin(history)][:3]
        assert list(unseen["item_id"]) == list(expected["item_id"])
        histories, targets = asked(fitted, world)
        ranked = rank_users(fitted, histories, targets, k=4)
        for user, codes in enumerate(ranked.lists):
            assert not set(codes) & set(histories.take(np.array([user])).items)
            assert (ranked.ranks[user] <= 4) == (targets[user] in codes)
        own = histories.items[histories.start[:-1]]
        assert (rank_users(fitted, histories, own).ranks == MISS).all()
        assert (rank_users(fitted, histories, own, exclude_seen=False).ranks <= CYCLE).all()

    def test_many_are_answered_as_each_alone(
        self, fitted: SequenceModel, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = world.parts.test_histories
        rows = rows[rows["user_id"].isin(rows["user_id"].unique()[:7])]
        together = fitted.recommend(rows.sample(frac=1, random_state=0).sort_index(), k=4)
        assert together.columns.tolist() == ["user_id", "item_id", "rank", "score"]
        assert together["user_id"].unique().tolist() == rows["user_id"].unique().tolist()
        monkeypatch.setattr(top_lists, "_CELLS", 3 * len(fitted.items))
        in_blocks = fitted.recommend(rows, k=4)
        pd.testing.assert_frame_equal(in_blocks, together, rtol=1e-4, atol=1e-6)
        for user, own in rows.groupby("user_id"):
            # Of nobody: a network with vectors of users would say something else of this one.
            alone = fitted.recommend(own.assign(user_id="nobody"), k=4).drop(columns="user_id")
            named = fitted.recommend(own["item_id"].tolist(), k=4)
            pd.testing.assert_frame_equal(alone, named)
            assert named["rank"].tolist() == [1, 2, 3, 4]
            if not getattr(fitted.config, "user_embedding", False):
                listed = together[together["user_id"] == user].drop(columns="user_id").reset_index(drop=True)
                pd.testing.assert_frame_equal(listed, named, rtol=1e-4, atol=1e-6)
        strange = pd.concat([rows, pd.DataFrame({"user_id": ["x", "y"], "item_id": "no such film"})])
        with pytest.raises(DataError, match="the history of x is known to the model, nor of 1 more"):
            fitted.recommend(strange)
        with pytest.raises(DataError, match="histories have no column item_id, only user_id"):
            fitted.recommend(rows[["user_id"]])

    def test_unknown_items_are_left_out_of_a_history(self, fitted: SequenceModel, world: World) -> None:
        history = world.rows["item_id"].iloc[:3].tolist()
        known = fitted.recommend(history, k=5)
        among = fitted.recommend([history[0], "no such film", *history[1:], "nor this"], k=5)
        pd.testing.assert_frame_equal(among, known)
        with pytest.raises(DataError, match="No item"):
            fitted.recommend(["no such film", "nor this"])

    def test_somebody_unknown_gets_an_answer(self, fitted: SequenceModel) -> None:
        scores = fitted.score(Histories.of_lists([[], []]))
        assert np.isfinite(scores).all()
        assert np.array_equal(scores[0], scores[1])
        assert len(fitted.recommend([], k=4)) == 4

    def test_names_of_users_and_items_mean_nothing(self, brief: SequenceModel, world: World) -> None:
        # Numbers in the place of names; those of the items in the order of the names, which is that of the codes.
        numbers = {item: 1000 + code for code, item in enumerate(brief.items)}

        def numbered(frame: pd.DataFrame) -> pd.DataFrame:
            users = frame["user_id"].str.removeprefix("u").astype(int)
            return frame.assign(user_id=users, item_id=frame["item_id"].map(numbers).astype(int))

        parts = world.parts
        model = self.model(BRIEF).fit(numbered(parts.actions), numbered(parts.validation))
        assert model.items.tolist() == sorted(numbers.values())
        histories, _ = asked(brief, world)
        renamed = Histories.of(
            numbered(world.parts.test_histories), pd.Index(numbered(world.parts.test)["user_id"]), model.items
        )
        assert np.array_equal(model.score(renamed), brief.score(histories))
        history = [numbers[item] for item in world.rows["item_id"].iloc[:3]]
        recommended = model.recommend(history)
        assert pd.api.types.is_integer_dtype(recommended["item_id"])
        named = brief.recommend(world.rows["item_id"].iloc[:3].tolist())
        assert recommended["item_id"].tolist() == [numbers[item] for item in named["item_id"]]

    def test_rows_of_users_may_be_interleaved(self, brief: SequenceModel, world: World) -> None:
        def interleaved(frame: pd.DataFrame) -> pd.DataFrame:
            return frame.iloc[np.argsort(frame.groupby("user_id").cumcount(), kind="stable")]

        model = self.model(BRIEF).fit(interleaved(world.parts.actions), world.parts.validation)
        assert np.array_equal(scores_of(model, world), scores_of(brief, world))

    def test_nothing_of_a_target_reaches_a_fit(self, brief: SequenceModel, world: World) -> None:
        """Bit for bit: other test targets change no fit, other validation targets none that makes no choice on them."""
        last = world.rows.groupby("user_id").cumcount(ascending=False)

        def fitted_with(other: pd.DataFrame, validate: bool) -> np.ndarray:
            parts = split_sequences(other, SequenceConfig(), SequenceSplitConfig())
            return scores_of(
                self.model(BRIEF).fit(parts.actions, parts.validation if validate else None), world
            )

        other_test = world.rows.assign(item_id=world.rows["item_id"].mask(last == 0, "another film"))
        assert np.array_equal(fitted_with(other_test, True), scores_of(brief, world))
        other_validation = world.rows.assign(item_id=world.rows["item_id"].mask(last == 1, "another film"))
        assert np.array_equal(fitted_with(other_validation, False), fitted_with(world.rows, False))

    def test_fit_takes_its_vocabulary_from_training_and_leaves_its_input_alone(self, world: World) -> None:
        actions, validation = world.parts.actions.copy(), world.parts.validation.copy()
        validation.loc[0, "item_id"] = "never trained on"
        before = actions.copy(), validation.copy()
        model = self.model(BRIEF).fit(actions, validation)
        assert model.items.tolist() == sorted(actions["item_id"].unique())
        pd.testing.assert_frame_equal(actions, before[0])
        pd.testing.assert_frame_equal(validation, before[1])

    def test_odd_histories_can_be_fitted(self) -> None:
        # One action alone, the same thing over and over, everything there is.
        histories = {1: "a", 2: "bbbb", 3: "abc", 4: "cabab"}
        rows = [(user, item) for user, items in histories.items() for item in items]
        model = self.model(BRIEF).fit(pd.DataFrame(rows, columns=["user_id", "item_id"]))
        scores = model.score(Histories.of_lists([[0], [1, 1, 1], [0, 1, 2], [], [2] * 500]))
        assert np.isfinite(scores).all()
        assert model.recommend(["a", "b", "c"]).empty
        assert len(model.recommend(["a"], k=10)) == 2

    def test_nothing_to_fit_on_is_a_clear_error(self, world: World) -> None:
        with pytest.raises(DataError, match="no action to fit"):
            self.model(BRIEF).fit(world.parts.actions[:0])

    def test_actions_that_cannot_be_used_are_told(self, fitted: SequenceModel, world: World) -> None:
        actions, validation = world.parts.actions, world.parts.validation
        with pytest.raises(ValueError, match="actions have no column item_id, only user_id, film"):
            self.model(BRIEF).fit(actions.rename(columns={"item_id": "film"}))
        with pytest.raises(ValueError, match=r"Row \d+ of the actions has no item_id, as have 2 more"):
            self.model(BRIEF).fit(actions.assign(item_id=actions["item_id"].where(actions.index > 2)))
        newest_first = actions.assign(timestamp=np.arange(len(actions))[::-1])
        with pytest.raises(ValueError, match="are not in the order of their timestamp: sort the rows"):
            self.model(BRIEF).fit(newest_first)
        with pytest.raises(ValueError, match="are not in the order of their timestamp: sort the rows"):
            fitted.recommend(newest_first)
        with pytest.raises(ValueError, match="has several validation actions"):
            self.model(BRIEF).fit(actions, pd.concat([validation, validation[:1]]))
        with pytest.raises(ValueError, match="validation actions have no column user_id"):
            self.model(BRIEF).fit(actions, validation[["item_id"]])

    def test_what_no_seed_changes_says_so(self, brief: SequenceModel, world: World) -> None:
        other = type(brief)(brief.config, seed=brief.seed + 1)
        other.fit(world.parts.actions, world.parts.validation)
        assert np.array_equal(scores_of(other, world), scores_of(brief, world)) != brief.seeded

    def test_what_is_trained_has_rounds_and_losses(self, brief: SequenceModel) -> None:
        if brief.trained is None:
            assert (brief.rounds, brief.losses) == (None, {})
        else:
            assert brief.rounds == len(brief.losses[""].epochs)

    def test_attention_is_shown_where_there_is_any(self, brief: SequenceModel) -> None:
        if not brief.attends:
            with pytest.raises(DataError, match="has no attention"):
                brief.attention([0, 1])
            with pytest.raises(DataError, match="has no attention"):
                brief.attended(["a", "b"])
        else:
            places = len(brief.attended(["a", "b"]))
            assert {weights.shape[1:] for weights in brief.attention([0, 1])} == {(places, places)}
