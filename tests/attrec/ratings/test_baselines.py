"""The baselines keep the contract."""

from __future__ import annotations

from attrec.ratings.baselines import GlobalMean, UserItemBias
from tests.attrec.ratings.contract import RatingContract


class TestGlobalMean(RatingContract):
    model = GlobalMean
    configs = {"global mean": None}
    learns = False


class TestUserItemBias(RatingContract):
    model = UserItemBias
    configs = {"user/item bias": None}
    learns = False
