"""Which ratings are off the scale that a dataset has."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from attrec.datasets.tables import Tables
from tasks.data.expectations import ON_SCALE
from tasks.data.validate import _with_relations


@pytest.mark.parametrize("scale", [(0.0, 100.0, 0.001), (1.0, 5.0, 0.5), (-10.0, 10.0, 0.1)])
def test_a_rating_is_off_the_scale_by_what_32_bits_can_tell(scale: tuple[float, float, float]) -> None:
    lowest, highest, step = scale
    on = np.arange(round((highest - lowest) / step) + 1) * step + lowest
    values = np.concatenate([on, on[:-1] + step / 10]).astype("float32")
    ratings = pd.DataFrame({"user_id": 1, "item_id": 1, "rating": values})
    tables = Tables(ratings, pd.DataFrame({"user_id": [1]}), pd.DataFrame({"item_id": [1]}))
    found = _with_relations(tables, scale)["ratings"][ON_SCALE]
    assert found[: len(on)].all()
    assert not found[len(on) :].any()
