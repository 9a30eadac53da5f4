"""Against the plain formula on a dense matrix."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from attrec.ratings.imputed_svd import ImputedSVD, ImputedSVDConfig
from tests.attrec.ratings.contract import RatingContract


def filled(ratings: pd.DataFrame, users: pd.Index, items: pd.Index) -> np.ndarray:
    matrix = ratings.pivot(index="user_id", columns="item_id", values="rating").reindex(users, columns=items)
    return matrix.fillna(matrix.mean()).to_numpy("float64")


def truncated(matrix: np.ndarray, rank: int) -> np.ndarray:
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    return (left[:, :rank] * values[:rank]) @ right[:rank]


@pytest.fixture
def everything(world) -> pd.DataFrame:  # type: ignore[no-untyped-def]
    users, items = world.user_features.index, world.item_features.index
    return pd.MultiIndex.from_product([users, items]).to_frame(index=False, name=["user_id", "item_id"])


@pytest.mark.parametrize("rank", [1, 3, 17, 18, 40])
def test_predicts_the_clipped_reconstruction(rank: int, world, everything) -> None:  # type: ignore[no-untyped-def]
    """Ranks from 18 on take the dense way, and reconstruct everything."""
    model = ImputedSVD(ImputedSVDConfig(ranks=(rank,)))
    model.fit(world.training, world.user_features, world.item_features)
    matrix = filled(world.training, world.user_features.index, world.item_features.index)
    expected = np.clip(truncated(matrix, rank), 1, 5)
    np.testing.assert_allclose(model.predict(everything), expected.ravel(), rtol=1e-6)


@pytest.mark.parametrize("rank", [1, 3, 17, 18, 40])
def test_items_may_be_more_than_users(rank: int, world) -> None:  # type: ignore[no-untyped-def]
    """The same world with the roles changed: each of the 18 that were items rates those that were users."""
    turned = world.training.rename(columns={"user_id": "item_id", "item_id": "user_id"})
    users, items = (
        features[[]].rename_axis(index=name)
        for features, name in ((world.item_features, "user_id"), (world.user_features, "item_id"))
    )
    assert len(users) < len(items)
    model = ImputedSVD(ImputedSVDConfig(ranks=(rank,))).fit(turned, users, items)
    expected = np.clip(truncated(filled(turned, users.index, items.index), rank), 1, 5)
    pairs = pd.MultiIndex.from_product([users.index, items.index]).to_frame(index=False)
    np.testing.assert_allclose(model.predict(pairs), expected.ravel(), rtol=1e-6)


def test_validation_chooses_the_rank(world) -> None:  # type: ignore[no-untyped-def]
    def rmse(ranks: tuple[int, ...], validation: pd.DataFrame | None = None) -> tuple[ImputedSVD, float]:
        model = ImputedSVD(ImputedSVDConfig(ranks=ranks))
        model.fit(world.training, world.user_features, world.item_features, validation)
        return model, float(np.mean((model.predict(world.validation) - world.validation["rating"]) ** 2))

    each = {rank: rmse((rank,))[1] for rank in (1, 2, 3, 12)}
    best = min(each, key=each.__getitem__)
    chosen, loss = rmse((1, 2, 3, 12), world.validation)
    assert chosen.rank == best != 3
    assert loss == pytest.approx(each[best])
    assert chosen.chosen_config() == ImputedSVDConfig(ranks=(best,))
    assert chosen.directions.shape == (18, best)
    assert rmse((1, 2, 3, 12))[0].rank == 3


def test_a_new_user_is_projected_as_if_known(world) -> None:  # type: ignore[no-untyped-def]
    """A twin of a training user has the same filled row, so the same predictions."""
    model = ImputedSVD(ImputedSVDConfig(ranks=(3,)))
    model.fit(world.training, world.user_features, world.item_features)
    user = world.training["user_id"].iloc[0]
    history = world.training[world.training["user_id"] == user].assign(user_id=9001)
    pairs = pd.DataFrame({"user_id": user, "item_id": world.item_features.index})
    twins = model.predict(pairs.assign(user_id=9001), history)
    np.testing.assert_allclose(twins, model.predict(pairs), rtol=1e-9)


def test_no_rank_is_no_model() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        ImputedSVDConfig(ranks=(0, 2))


class TestImputedSVD(RatingContract):
    model = ImputedSVD
    configs = {"imputed SVD": None}
    learns = False
    # A decomposition of another rank rounds the last bits otherwise.
    rounding = 1e-12
