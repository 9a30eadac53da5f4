"""What a model recommends behind titles, worked out by hand."""

from __future__ import annotations

import pandas as pd

from attrec.sequences.baselines import Popularity
from tasks.engine.artifacts import writing
from tasks.families.sequences.title_example import title_example
from tasks.track_sequence_models import FittedSequenceModel


def test_titles_in_titles_out() -> None:
    done = pd.DataFrame({"user_id": [1, 1, 1, 2, 2, 3], "item_id": [7, 8, 9, 9, 8, 9]})
    titles = pd.DataFrame(
        {"item_id": [7, 8, 9], "title": ["Alpha (1990)", "Beta, The (1991)", "Gamma (1992)"]}
    )
    with writing("sequence-model") as model:
        Popularity().fit(done).save(model.folder)
    with writing("sequence-fit") as fit:
        titles.to_parquet(fit.folder / "items.parquet")
    fitted = FittedSequenceModel(
        name="popularity", config={}, seeds=[0], models=[model.artifact], validation=[], test=[]
    )
    table = title_example([fitted], ["the beta"], fit.artifact)
    assert table.drop(columns="score").to_dict("list") == {
        "model": ["popularity", "popularity"],
        "rank": [1, 2],
        "title": ["Gamma (1992)", "Alpha (1990)"],
    }
