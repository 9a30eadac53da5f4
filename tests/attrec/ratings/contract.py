"""What every rating model must do, whatever it is: the test class of a model inherits it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from attrec.errors import DataError
from attrec.metrics import top_lists
from attrec.models.training import TrainingConfig
from attrec.ratings.baselines import UserItemBias
from attrec.ratings.boosting import BoostingConfig
from attrec.ratings.model import RatingModel
from attrec.ratings.pairs.model import PairNetworkConfig
from tests.attrec.models.contract import ModelContract

TREES = BoostingConfig(trees=(5, 20, 40), learning_rate=0.2, max_depth=4, column_sample=1.0, reg_alpha=0)
# For models that choose in several parts at once: each part has one thing to choose from, the last epoch, 20 trees.
LAST_EPOCH = TrainingConfig(epochs=4, learning_rate=0.02, validate_every=4)
SO_MANY_TREES = TREES.model_copy(update={"trees": (20,)})


def pair_config(embedding: str, head: str, **options: object) -> PairNetworkConfig:
    return PairNetworkConfig.model_validate(
        {
            "embedding": embedding,
            "head": head,
            "dimension": 8,
            "deviation": 0.5,
            "hidden": (16,),
            "batch": 64,
            "training": TrainingConfig(epochs=60, learning_rate=0.02, patience=60),
            **options,
        }
    )


def shapes(
    ratings: pd.DataFrame, user_features: pd.DataFrame | None, item_features: pd.DataFrame | None
) -> tuple[int, int]:
    """How many users and items a fit will know."""
    tables = (("user_id", user_features), ("item_id", item_features))
    users, items = (ratings[column].nunique() if table is None else len(table) for column, table in tables)
    return users, items


def empty(ratings: pd.DataFrame) -> pd.DataFrame:
    return ratings[:0]


FAULTS: dict[str, tuple[Callable[[pd.DataFrame], Any], str]] = {
    "no frame": (lambda ratings: ratings.to_dict("list"), "The ratings are a dict: give a pandas DataFrame"),
    "no column": (
        lambda ratings: ratings.rename(columns={"rating": "stars"}),
        "The ratings have no column rating, only user_id, item_id, stars",
    ),
    "no id": (
        lambda ratings: ratings.assign(user_id=ratings["user_id"].where(ratings["user_id"] != 5)),
        r"Row \d+ of the ratings has no user_id, as have \d+ more",
    ),
    "mixed ids": (
        lambda ratings: ratings.assign(user_id=[1, *ratings["user_id"][1:].astype(str)]),
        "In the ratings some of user_id are numbers and some are text",
    ),
    "half an id": (
        lambda ratings: ratings.assign(user_id=ratings["user_id"] + 0.5),
        r"Row \d+ of the ratings has a user_id that is no whole number",
    ),
    "true ids": (
        lambda ratings: ratings.assign(user_id=ratings["user_id"] > 3),
        "In the ratings user_id is true or false: give ids",
    ),
    "true ratings": (
        lambda ratings: ratings.assign(rating=ratings["rating"] > 3),
        "In the ratings rating is no number, but such as",
    ),
    "no number": (
        lambda ratings: ratings.assign(rating="4 stars"),
        "In the ratings rating is no number, but such as '4 stars'",
    ),
    "infinite": (
        lambda ratings: ratings.assign(rating=np.inf),
        r"Row \d+ of the ratings has an infinite rating",
    ),
    "no rating": (
        lambda ratings: ratings.assign(rating=np.nan),
        r"Row \d+ of the ratings has no rating, as have \d+ more",
    ),
    "twice": (
        lambda ratings: pd.concat([ratings, ratings[3:4]]),
        r"The rating of item m\d+ by user \d+ is more than once in the ratings: keep one row",
    ),
    "none": (empty, "no rating to fit"),
}


class RatingContract(ModelContract):
    """A subclass says which model, with which configurations, and how it is fitted if not as the others are."""

    model: ClassVar[type[RatingModel]]
    configs: ClassVar[Mapping[str, Any]]
    """By name; a configuration of None is the default."""
    learns: ClassVar[bool] = True
    """Whether it learns of pairs what biases cannot see; not so baselines, and what begins with noise."""
    rounding: ClassVar[float] = 0.0
    """Relative difference that a fit may have which was told what validation chose."""

    @classmethod
    def model_class(cls) -> type[RatingModel]:
        return cls.model

    @classmethod
    def make(cls, config: Any) -> Any:
        return cls.model(config, seed=3)

    @classmethod
    def fit(cls, model: Any, *tables: pd.DataFrame | None, **options: Any) -> Any:
        """Tables and options are those of `RatingModel.fit`."""
        return model.fit(*tables, **options)

    @classmethod
    def without_choice(cls, config: Any) -> Any:
        """Of a model that chooses in several parts at once, a configuration that has nothing to choose from."""
        return None

    @classmethod
    def tell(cls, model: Any, fitted: Any) -> None:
        """Tell a model what validation chose for the fitted one."""
        model.config = fitted.chosen_config()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "name" in metafunc.fixturenames:
            metafunc.parametrize("name", list(self.configs), scope="class")

    @pytest.fixture(scope="class")
    @classmethod
    def config(cls, name: str) -> Any:
        return cls.configs[name]

    @pytest.fixture(scope="class")
    @classmethod
    def world(cls, world: Any) -> Any:
        """With a moment for each rating, no two alike."""
        moments = np.random.default_rng(1).permutation(24 * 18) + 1_000
        timed = {
            part: getattr(world, part).assign(timestamp=moments[getattr(world, part).index])
            for part in ("training", "validation", "test")
        }
        return world._replace(**timed)

    @pytest.fixture(scope="class")
    @classmethod
    def features(cls, world: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
        return world.user_features, world.item_features

    @pytest.fixture(scope="class")
    @classmethod
    def fitted(cls, config: Any, world: Any, features: Any) -> Any:
        return cls.fit(cls.make(config), world.training, *features, world.validation)

    @pytest.fixture(scope="class")
    @classmethod
    def history(cls, world: Any) -> pd.DataFrame:
        """Two users whom training never saw: one agrees with even items, the other with odd ones."""
        items = world.item_features.index[:8]
        likes = np.tile([5.0, 1.0], 4)
        return pd.concat(
            pd.DataFrame({"user_id": user, "item_id": items, "rating": ratings.astype("float32")})
            for user, ratings in ((9001, likes), (9002, 6 - likes))
        )

    def test_predictions_are_finite_in_range_and_one_a_pair(self, fitted, world) -> None:
        predicted = fitted.predict(world.test)
        assert predicted.shape == (len(world.test),)
        assert np.isfinite(predicted).all()
        assert predicted.min() >= 1
        assert predicted.max() <= 5

    def test_where_all_rate_alike_the_prediction_is_what_they_rate(self, config, world, features) -> None:
        alike = world.training.assign(rating=np.float32(3)), world.validation.assign(rating=np.float32(3))
        try:
            model = self.fit(self.make(config), alike[0], *features, alike[1])
        except DataError as refused:
            assert "2 to 20 rating values, and there are 1" in str(refused)  # noqa: PT017
            return
        np.testing.assert_allclose(model.predict(world.test), 3, rtol=1e-6)

    def test_predictions_do_not_depend_on_order_or_company(self, fitted, world) -> None:
        predicted = fitted.predict(world.test)
        shuffled = world.test.sample(frac=1, random_state=0)
        order = world.test.index.get_indexer(shuffled.index)
        # Matrix products of other shapes may round the last bit otherwise.
        np.testing.assert_allclose(fitted.predict(shuffled), predicted[order], rtol=1e-6)
        np.testing.assert_allclose(fitted.predict(world.test[:1]), predicted[:1], rtol=1e-6)

    def test_saved_and_loaded_is_the_same_model(self, fitted, world, history, tmp_path: Path) -> None:
        fitted.save(str(tmp_path))
        loaded = RatingModel.load(str(tmp_path))
        assert type(loaded) is type(fitted)
        assert (loaded.config, loaded.seed) == (fitted.config, fitted.seed)
        new = history.assign(item_id=world.item_features.index[-1])
        assert np.array_equal(loaded.predict(world.test), fitted.predict(world.test))
        assert np.array_equal(loaded.predict(new, history), fitted.predict(new, history))
        known = world.user_features.index[0]
        pd.testing.assert_frame_equal(loaded.recommend(known, 5), fitted.recommend(known, 5))
        assert not [path for path in tmp_path.rglob("*") if path.suffix in {".tmp", ".pkl", ".pt"}]

    def test_damaged_model_folder_is_a_clear_error(self, fitted, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="holds no saved"):
            type(fitted).load(tmp_path)
        fitted.save(tmp_path)
        (tmp_path / "known.json").write_text("{")
        with pytest.raises(DataError, match=r"known\.json is not a readable model file"):
            type(fitted).load(tmp_path)

    def test_recommendations_are_the_best_unseen_items(self, fitted, world) -> None:
        user = world.training["user_id"].iloc[0]
        seen = set(world.training.loc[world.training["user_id"] == user, "item_id"])
        everything = fitted.recommend(user, k=1000, exclude_seen=False)
        assert list(everything["item_id"].sort_values()) == sorted(world.item_features.index)
        assert everything["score"].is_monotonic_decreasing
        unseen = fitted.recommend(user, k=3)
        assert not seen & set(unseen["item_id"])
        own = fitted.seen[fitted.seen[:, 0] == fitted.catalogue.users.get_loc(user), 1]
        expected = everything[~everything["item_id"].isin(fitted.catalogue.items[own])][:3]
        assert list(unseen["item_id"]) == list(expected["item_id"])

    def test_many_are_answered_as_each_alone_and_pair_by_pair(
        self, fitted, world, history, monkeypatch
    ) -> None:
        users = [9002, *world.user_features.index[:5], 9001]
        items = world.item_features.index
        together = fitted.recommend(users, k=4, history=history)
        assert together.columns.tolist() == ["user_id", "item_id", "rank", "score"]
        assert together["user_id"].unique().tolist() == users
        of_a_frame = fitted.recommend(pd.DataFrame({"user_id": [*users, 9002]}), k=4, history=history)
        pd.testing.assert_frame_equal(of_a_frame, together)
        monkeypatch.setattr(top_lists, "_CELLS", 2 * len(items))
        pd.testing.assert_frame_equal(fitted.recommend(users, k=4, history=history), together)
        for user in users:
            pairs = pd.DataFrame({"user_id": user, "item_id": items})
            scores = pd.Series(fitted.predict(pairs, history), index=items)
            listed = fitted.recommend(user, k=1000, exclude_seen=False, history=history)
            assert sorted(listed["item_id"]) == sorted(items)
            assert listed["rank"].tolist() == list(range(1, len(items) + 1))
            np.testing.assert_allclose(listed["score"], scores[listed["item_id"]], rtol=1e-5)
            own = together[together["user_id"] == user].reset_index(drop=True)
            pd.testing.assert_frame_equal(fitted.recommend(user, k=4, history=history), own)

    def test_unknown_ids_get_a_sane_prediction(self, fitted, world) -> None:
        user, item = world.user_features.index[0], world.item_features.index[0]
        pairs = pd.DataFrame({"user_id": [user, -1, -1], "item_id": ["nowhere", item, "nowhere"]})
        predicted = fitted.predict(pairs)
        assert np.isfinite(predicted).all()
        everything = pd.concat([world.training, world.validation])["rating"].mean()
        assert abs(predicted[2] - everything) < 0.2
        with pytest.raises(DataError, match="unknown to this model"):
            fitted.recommend(-1)
        with pytest.raises(DataError, match="unknown to this model, nor 1 more"):
            fitted.recommend([user, -1, -2])
        with pytest.raises(DataError, match="k is 0"):
            fitted.recommend(user, k=0)

    def test_new_users_need_no_retraining(self, fitted, world, history) -> None:
        before = fitted.predict(world.test)
        known = fitted.recommend(9001, k=4, history=history)
        assert not set(known["item_id"]) & set(history["item_id"])
        alone = fitted.predict(history[:8], history[:8])
        together = fitted.predict(history, history)[:8]
        np.testing.assert_allclose(alone, together, rtol=1e-5)
        assert np.array_equal(fitted.predict(world.test, history), before)

    def test_rated_id_without_a_feature_row_is_a_clear_error(self, config, world) -> None:
        with pytest.raises(DataError, match="has no feature row"):
            self.fit(self.make(config), world.training, world.user_features[1:], world.item_features)
        with pytest.raises(DataError, match="no rating to fit"):
            self.fit(self.make(config), world.training[:0], world.user_features, world.item_features)

    def test_works_without_features_and_with_a_user_of_one_rating_and_an_unrated_item(
        self, config, world
    ) -> None:
        lonely, unrated = world.user_features.index[0], world.item_features.index[0]
        ratings = world.training[world.training["item_id"] != unrated]
        others = ratings["user_id"] != lonely
        ratings = pd.concat([ratings[others], ratings[~others][:1]])
        # Without features the users are those of the ratings; item_id may be a column.
        items = world.item_features[[]].reset_index()
        model = self.fit(self.make(config), ratings, None, items)
        assert model.catalogue.users.tolist() == sorted(ratings["user_id"].unique())
        assert model.catalogue.items.tolist() == world.item_features.index.tolist()
        items = [unrated, world.item_features.index[1]]
        pairs = pd.DataFrame({"user_id": [lonely, lonely], "item_id": items})
        assert np.isfinite(model.predict(pairs)).all()

    @pytest.mark.parametrize(("change", "said"), FAULTS.values(), ids=FAULTS)
    def test_ratings_that_cannot_be_fitted_are_told(self, config, world, change, said) -> None:
        with pytest.raises(ValueError, match=said):
            self.fit(self.make(config), change(world.training), world.user_features, world.item_features)
        if change is not empty:
            others = change(world.validation)
            with pytest.raises(ValueError, match=said.replace("ratings", "validation ratings")):
                self.fit(self.make(config), world.training, world.user_features, world.item_features, others)

    def test_what_is_validated_on_must_not_be_fitted_on(self, config, world) -> None:
        shared = pd.concat([world.validation, world.training[5:8]])
        with pytest.raises(ValueError, match="as 3 of the validation ratings, is in the ratings too"):
            self.fit(self.make(config), world.training, world.user_features, world.item_features, shared)

    def test_features_that_cannot_be_read_are_told(self, config, world) -> None:
        users, items = world.user_features, world.item_features
        said = "has more than one row in the user features"
        with pytest.raises(ValueError, match=said):
            self.fit(self.make(config), world.training, pd.concat([users, users[:1]]), items)
        with pytest.raises(ValueError, match="title of the item features is no number"):
            self.fit(self.make(config), world.training, users, items.assign(title="A film"))
        with pytest.raises(ValueError, match="year of the item features is missing or infinite"):
            self.fit(self.make(config), world.training, users, items.assign(year=np.nan))

    def test_pairs_that_cannot_be_predicted_are_told(self, fitted, world, history) -> None:
        pairs = world.test[["user_id", "item_id"]]
        with pytest.raises(ValueError, match="pairs have no column item_id, only user_id, film"):
            fitted.predict(pairs.rename(columns={"item_id": "film"}))
        with pytest.raises(ValueError, match=r"Row \d+ of the pairs has no item_id"):
            fitted.predict(pairs.assign(item_id=None))
        as_text = pairs.astype({"user_id": str})
        with pytest.raises(ValueError, match=r"user_id of the pairs is text such as '.*model knows numbers"):
            fitted.predict(as_text)
        with pytest.raises(
            ValueError, match=r"item_id of the pairs is numbers such as 1, .*model knows text"
        ):
            fitted.predict(pairs.assign(item_id=1))
        with pytest.raises(ValueError, match="history has an infinite rating"):
            fitted.predict(pairs, history.assign(rating=np.inf))
        with pytest.raises(ValueError, match="user_id is text such as"):
            fitted.recommend(as_text["user_id"])
        with pytest.raises(ValueError, match="history have no column rating"):
            fitted.recommend(9001, history=history.drop(columns="rating"))

    def test_test_ratings_are_never_read(self, fitted, world, upside_down) -> None:
        assert np.array_equal(fitted.predict(upside_down(world.test)), fitted.predict(world.test))

    def test_validation_ratings_choose_and_nothing_else(
        self, config, fitted, world, features, upside_down
    ) -> None:
        """A fit without them, told what they chose, is the same; with nothing to choose, they change nothing."""
        fixed = self.without_choice(config)
        if fixed is not None:
            expected, changed, without = (
                self.fit(self.make(fixed), world.training, *features, validation).predict(world.test)
                for validation in (world.validation, upside_down(world.validation), None)
            )
            assert np.array_equal(changed, expected)
        else:
            expected = fitted.predict(world.test)
            told = self.make(config)
            self.tell(told, fitted)
            without = self.fit(told, world.training, *features).predict(world.test)
        np.testing.assert_allclose(without, expected, rtol=self.rounding)

    def test_fitted_again_it_is_the_same_bits_whenever_things_were_rated(
        self, config, fitted, world, features
    ) -> None:
        """Neither when something was rated nor when a rating is asked for may tell anything to who does not say so."""
        expected = fitted.predict(world.test)
        training, validation, asked = (
            part.assign(timestamp=part["timestamp"].to_numpy()[::-1])
            for part in (world.training, world.validation, world.test)
        )
        of_other_times = self.fit(self.make(config), training, *features, validation)
        unchanged = [
            np.array_equal(of_other_times.predict(world.test), expected),
            np.array_equal(fitted.predict(asked), expected),
        ]
        uses_time = fitted.config.uses_time
        assert unchanged == 2 * [not uses_time]
        if uses_time:
            again = self.fit(self.make(config), world.training, *features, world.validation)
            assert np.array_equal(again.predict(world.test), expected)

    def test_rounds_are_those_that_progress_is_told_of(self, config, world, features) -> None:
        told: list[int] = []
        model = self.make(config)
        self.fit(model, world.training, *features, progress=lambda done, *_: told.append(done))
        assert told == ([] if model.rounds is None else list(range(1, model.rounds + 1)))

    def test_probabilities_are_of_the_models_that_say_so(self, fitted, world) -> None:
        assert (fitted.classes is not None) == fitted.has_classes(fitted.config)
        if fitted.classes is None:
            with pytest.raises(DataError, match="no class probabilities"):
                fitted.probabilities(world.test)
        else:
            shares = fitted.probabilities(world.test)
            assert shares.shape == (len(world.test), len(fitted.classes))
            np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-5)

    def test_camps_are_learned(self, fitted, world, features) -> None:
        """Users and items of one camp agree, others do not: biases cannot see it, those that learn of pairs must."""

        def rmse(model: RatingModel) -> float:
            return float(np.sqrt(np.mean((model.predict(world.test) - world.test["rating"]) ** 2)))

        if not self.learns:
            pytest.skip("a baseline, or what begins with noise")
        biases = UserItemBias().fit(world.training, *features, world.validation)
        assert rmse(fitted) < 1.0 < 1.3 < rmse(biases)
