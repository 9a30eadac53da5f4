"""Run in an environment that has RecTools, by benchmarks/sequences.py: the same training with its SASRec.

Arguments: folder with actions.csv and validation.csv, NDCG@10 to reach, epochs to time, batch, width, blocks, heads,
length. Prints JSON: version, CPU seconds of an epoch (median after the first), of the evaluation, and until the target.
"""

import json
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import Trainer
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

MOST_EPOCHS = 100


def trainer() -> Trainer:
    """One thread, nothing written, nothing shown."""
    return Trainer(
        accelerator="cpu",
        max_epochs=1,
        min_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def main() -> None:
    folder, target = Path(sys.argv[1]), float(sys.argv[2])
    epochs, batch, width, blocks, heads, length = map(int, sys.argv[3:])
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    actions = pd.read_csv(folder / "actions.csv")
    validation = pd.read_csv(folder / "validation.csv")
    # It orders by time alone, and the actions are in order.
    actions[Columns.Datetime] = pd.to_datetime(np.arange(len(actions)), unit="s")
    dataset = Dataset.construct(actions.assign(**{Columns.Weight: 1}))
    model = SASRecModel(
        n_factors=width,
        n_blocks=blocks,
        n_heads=heads,
        session_max_len=length,
        batch_size=batch,
        dropout_rate=0.2,
        loss="softmax",
        lr=1e-3,
        epochs=1,
        recommend_torch_device="cpu",
        get_trainer_func=trainer,
    )
    started = time.process_time()
    times, evaluations, reached = [], [], float("inf")
    for epoch in range(MOST_EPOCHS):
        start = time.process_time()
        model.fit_partial(dataset, min_epochs=1, max_epochs=1)
        times.append(time.process_time() - start)
        start = time.process_time()
        figure = ndcg(model, dataset, validation)
        evaluations.append(time.process_time() - start)
        print(f"epoch {epoch + 1}: {times[-1]:.0f} s, NDCG@10 {figure:.4f}", file=sys.stderr, flush=True)
        if figure >= target and reached == float("inf"):
            reached = time.process_time() - started
        if reached < float("inf") and epoch + 1 >= epochs:
            break
    print(
        json.dumps(
            {
                "version": version("rectools"),
                "epoch": float(np.median(times[1:epochs])),
                "evaluation": float(np.median(evaluations)),
                "reached": reached,
            }
        )
    )


def ndcg(model: SASRecModel, dataset: Dataset, validation: pd.DataFrame) -> float:
    """Mean NDCG@10 of the validation targets, seen items left out, all items ranked."""
    lists = model.recommend(validation[Columns.User].to_numpy(), dataset, k=10, filter_viewed=True)
    found = lists.merge(validation, on=[Columns.User, Columns.Item])
    return float((1 / np.log2(found[Columns.Rank] + 1)).sum() / len(validation))


if __name__ == "__main__":
    main()
