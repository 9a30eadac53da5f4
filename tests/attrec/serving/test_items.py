"""What is shown of items beside a served model."""

from __future__ import annotations

import pandas as pd

from attrec.serving.items import read_shown_items, save_shown_items, with_actions


def test_how_often_each_was_met_is_kept_beside_it(tmp_path):
    items = pd.DataFrame({"item_id": ["a", "b", "c"], "title": ["A", "B", None], "weight": [1, 2, 3]})
    save_shown_items(with_actions(items, pd.DataFrame({"item_id": ["c", "a", "c"]})), tmp_path)
    read = read_shown_items(tmp_path)
    assert list(read.columns) == ["item_id", "title", "actions"]
    assert read["actions"].tolist() == [1, 0, 2]
