"""Fit recipes of the sequence networks and print what they reach on validation and what that takes.

    python -m benchmarks.recipes ml-100k sasrec:quick bert4rec:quick --seeds 4
    python -m benchmarks.recipes ml-100k sasrec:quick --changes '{"batch": 64, "training": {"matrix_rate": null}}'

One thread, one fit after the other; CPU-seconds are those of the whole fit, validation included.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch

from attrec.datasets.registry import load_dataset
from attrec.prepare.sequence_splits import SequenceConfig, SequenceSplitConfig, split_sequences
from attrec.sequences import BERT4Rec, SASRec
from attrec.sequences.network import SequenceNetworkConfig, SequenceTransformer
from attrec.sequences.recipes import BERT4REC_RECIPES, SASREC_RECIPES
from tasks.engine.environment import keep_freed_memory

MODELS: dict[str, tuple[type[SequenceTransformer], dict[str, SequenceNetworkConfig]]] = {
    "sasrec": (SASRec, {**SASREC_RECIPES}),
    "bert4rec": (BERT4Rec, {**BERT4REC_RECIPES}),
}


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", help="leave-one-out of its actions")
    parser.add_argument("recipes", nargs="+", help="as in sasrec:quick")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--changes", type=json.loads, default={}, help="of the recipe, as JSON")
    asked = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    torch.optim.Adam([torch.zeros(1)])  # torch imports a second's worth at the first one
    parts = split_sequences(load_dataset(asked.dataset).ratings, SequenceConfig(), SequenceSplitConfig())
    for named in asked.recipes:
        kind, _, recipe = named.partition(":")
        model_class, recipes = MODELS[kind]
        told = recipes[recipe].model_dump()
        told |= {**asked.changes, "training": told["training"] | asked.changes.get("training", {})}
        found, spent, epochs = [], [], []
        for seed in range(asked.seeds):
            model = model_class(type(recipes[recipe]).model_validate(told), seed)
            began = time.process_time()
            model.fit(parts.actions, parts.validation)
            spent.append(time.process_time() - began)
            found.append(1 - model.course.best_loss)
            epochs.append(len(model.course.epochs))
        each = ", ".join(f"{figure:.4f}" for figure in found)
        print(
            f"{asked.dataset} {named}: validation NDCG@10 {np.mean(found):.4f} ({each}),"
            f" {np.mean(spent):.1f} CPU-seconds, {min(epochs)} to {max(epochs)} epochs",
            flush=True,
        )


if __name__ == "__main__":
    main()
