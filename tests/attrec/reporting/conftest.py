"""A small next-item report, every figure of it by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from attrec.reporting.contents import SequenceReport
from attrec.reporting.leaderboard import LeaderboardRow, build_leaderboard

NDCG = {"popularity": 0.05, "sasrec": 0.19, "markov-chain": 0.12}
SHARES = {"ndcg@10": 1.0, "hr@10": 1.7, "mrr@10": 0.8, "ndcg@5": 0.9, "ndcg@20": 1.1, "hr@5": 1.3}
SAMPLED = {"ndcg@20-sampled-uniform100": 3.1, "recall@20-sampled-uniform100": 4.3}


@pytest.fixture(scope="session")
def sequence_report() -> SequenceReport:
    """Three models, of which popularity is the worst and the champion."""
    rows = [
        LeaderboardRow(
            "sequence", "d", "leave-one-out", model, metric, share * ndcg, share * ndcg - 0.01,
            share * ndcg + 0.01, 60, 2, f"run-{model}",
        )
        for model, ndcg in NDCG.items()
        for metric, share in (SHARES | SAMPLED).items()
    ]  # fmt: skip
    attention = [
        {"model": "sasrec", "block": 2, "head": head, "query": query, "key": key,
         "query_title": f"Film {query}", "key_title": f"Film {key}",
         "weight": float(key == 1 if query == 2 else key == query)}
        for head in (1, 2) for query in range(3) for key in range(3)
    ]  # fmt: skip
    return SequenceReport(
        build_leaderboard(rows),
        comparisons=pd.DataFrame(
            {
                "model": ["markov-chain", "popularity"],
                "reference": "sasrec",
                "metric": "ndcg@10",
                "difference": [-0.07, -0.14],
                "ci_low": [-0.09, -0.17],
                "ci_high": [-0.05, -0.11],
                "p_value": [0.001, 0.0005],
                "p_adjusted": [0.001, 0.0009],
            }
        ),
        champion="popularity",
        descriptions={"popularity": "What most people <do>."},
        references=pd.DataFrame(
            {"model": ["gSASRec"], "value": [0.173], "hr@10": [0.3], "note": ["256 negatives"]}
        ),
        split="leave-one-out",
        split_hash="decaf",
        counts={
            "rows": 1300, "rows_below_min_rating": 222, "rows_of_short_users_and_rare_items": 33, "users_left_out": 11,
            "actions": 1045, "users": 60, "items": 40, "actions_without_timestamp": 0, "tied_actions": 77,
            "training_actions": 925, "test_targets": 60, "validation_targets": 60, "cold_test_targets": 4,
            "repeated_test_targets": 5, "tied_test_targets": 6, "tied_validation_targets": 7,
        },
        actions={"min_rating": 4.0, "min_length": 5, "min_item_count": 1},
        beyond=pd.DataFrame(
            {
                "model": ["popularity", "markov-chain", "sasrec"],
                "coverage@10": [0.05, 0.5, 0.625],
                "popularity@10": [321.0, 123.0, 101.5],
                "popularity-lift@10": [2.0, 0.3, -0.125],
            }
        ),
        by_length=pd.DataFrame(
            {
                "model": np.repeat(list(NDCG), 2),
                "group": ["3–9", "10–40"] * 3,
                "users": [31, 29] * 3,
                "value": [0.04, 0.06, 0.17, 0.21, 0.11, 0.13],
                "ci_low": [0.02, 0.04, 0.15, 0.19, 0.09, 0.11],
                "ci_high": [0.06, 0.08, 0.19, 0.23, 0.13, 0.15],
            }
        ),
        curves=pd.DataFrame(
            {"model": "sasrec", "epoch": [1, 2, 3], "train": [7.0, 6, 5], "validation": [np.nan, 0.8, 0.85]}
        ),
        attention=pd.DataFrame(attention),
    )  # fmt: skip
