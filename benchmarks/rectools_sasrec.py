"""Run in an environment that has RecTools, by benchmarks/sequences.py: one training of one of its SASRec networks.

Arguments: a folder with actions.csv and validation.csv, and the settings as JSON. The last line printed is JSON: CPU
seconds of set-up, epochs and validations, NDCG@10 of each epoch, peak memory in MiB, versions.

What depends on the data alone is done once and counts as set-up, here as on our side.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import Callback, Trainer, seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.fast_transformers import FlatSASRecNet, SequenceBatchDataset, build_sequences
from rectools.models import SASRecModel
from rectools.models.nn.transformers.sasrec import SASRecDataPreparator
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

Settings = dict[str, Any]
TOP = 10
USERS_AT_ONCE = 256  # the default of SASRecModel
BETAS = (0.9, 0.98)  # of SASRecModel, which cannot be told otherwise


class Rival(Protocol):
    """One network, ready to be trained."""

    @property
    def set_up(self) -> float:
        """CPU seconds of set-up so far; some of it may fall into the first calls of the others."""

    def epoch(self) -> float:
        """Train an epoch; its CPU seconds."""

    def ndcg(self) -> float:
        """Mean NDCG@10 of the validation targets, seen items left out, all items ranked."""


class OncePreparator(SASRecDataPreparator):
    """Keeps what depends on the data alone, which RecTools works out again for every epoch and every list."""

    seconds = 0.0  # that were spent on what is kept for lists

    def process_dataset_train(self, dataset: Dataset) -> None:
        if not hasattr(self, "train_dataset"):
            super().process_dataset_train(dataset)

    def get_dataloader_train(self) -> DataLoader:
        if not hasattr(self, "train_batches"):
            self.train_batches = super().get_dataloader_train()
        return self.train_batches

    def transform_dataset_u2i(self, *given: Any, **named: Any) -> Dataset:
        return self._once("users", super().transform_dataset_u2i, *given, **named)

    def get_dataloader_recommend(self, *given: Any, **named: Any) -> DataLoader:
        return self._once("recommend", super().get_dataloader_recommend, *given, **named)

    def _once(self, name: str, work: Any, *given: Any, **named: Any) -> Any:
        kept = self.__dict__.setdefault("kept", {})
        if name not in kept:
            start = time.process_time()
            kept[name] = work(*given, **named)
            self.seconds += time.process_time() - start
        return kept[name]


class Clock(Callback):
    """CPU seconds of the last epoch alone, without what the trainer does around it."""

    started, seconds = 0.0, 0.0  # of the class: the trainer copies its callbacks
    first: float | None = None

    def on_train_epoch_start(self, *_: Any) -> None:
        Clock.started = time.process_time()
        Clock.first = Clock.first or Clock.started

    def on_train_epoch_end(self, *_: Any) -> None:
        Clock.seconds = time.process_time() - Clock.started


def trainer(precision: str) -> Trainer:
    """Nothing written, nothing shown."""
    return Trainer(
        accelerator="cpu",
        precision="bf16-mixed" if precision == "bfloat16" else "32-true",
        max_epochs=1,
        min_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Clock()],
    )


class Model:
    """rectools.models.SASRecModel, by its public `fit_partial` and `recommend`."""

    def __init__(self, settings: Settings, actions: pd.DataFrame, validation: pd.DataFrame) -> None:
        self.began = time.process_time()
        self.validation = validation
        # It orders by time alone, and the actions are in order.
        moments = pd.to_datetime(np.arange(len(actions)), unit="s")
        weighed = actions.assign(**{Columns.Datetime: moments, Columns.Weight: 1})
        self.dataset = Dataset.construct(weighed)
        self.model = SASRecModel(
            n_factors=settings["dimension"],
            n_blocks=settings["blocks"],
            n_heads=settings["heads"],
            session_max_len=settings["length"],
            batch_size=settings["batch"],
            dropout_rate=settings["dropout"],
            loss="softmax",
            lr=settings["learning_rate"],
            epochs=1,
            recommend_batch_size=USERS_AT_ONCE,
            recommend_torch_device="cpu",
            data_preparator_type=OncePreparator,
            get_trainer_func=trainer,
            get_trainer_func_kwargs={"precision": settings["precision"]},
        )

    @property
    def set_up(self) -> float:
        return (Clock.first or self.began) - self.began + self.model.data_preparator.seconds

    def epoch(self) -> float:
        self.model.fit_partial(self.dataset, min_epochs=1, max_epochs=1)
        return Clock.seconds

    def ndcg(self) -> float:
        users = self.validation[Columns.User].to_numpy()
        lists = self.model.recommend(users, self.dataset, k=TOP, filter_viewed=True)
        found = lists.merge(self.validation, on=[Columns.User, Columns.Item])
        return float((1 / np.log2(found[Columns.Rank] + 1)).sum() / len(self.validation))


class Flat:
    """rectools.fast_transformers.FlatSASRecNet, which comes without a training loop: it gets the start (Xavier), the
    optimiser and the loss of SASRecModel."""

    def __init__(self, settings: Settings, actions: pd.DataFrame, validation: pd.DataFrame) -> None:
        began = time.process_time()
        # Its attention gives NaN for padding in torch's fast path for inference.
        torch.backends.mha.set_fastpath_enabled(False)
        self.bfloat16 = settings["precision"] == "bfloat16"
        users, items = (torch.from_numpy(actions[name].to_numpy()) for name in (Columns.User, Columns.Item))
        x, y, known_items, known_users = build_sequences(
            users, items, torch.arange(len(actions)), settings["length"]
        )
        self.batches = DataLoader(SequenceBatchDataset(x, y), batch_size=settings["batch"], shuffle=True)
        self.net = FlatSASRecNet(
            n_items=len(known_items),
            n_factors=settings["dimension"],
            n_blocks=settings["blocks"],
            n_heads=settings["heads"],
            session_max_len=settings["length"],
            dropout=settings["dropout"],
        )
        for parameter in self.net.parameters():
            if parameter.dim() > 1:
                torch.nn.init.xavier_normal_(parameter.data)
        with torch.no_grad():
            self.net.item_emb.weight[FlatSASRecNet.PADDING_IDX] = 0
        rate = settings["learning_rate"]
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=rate, betas=BETAS)
        # What a user did last is the newest input of a question.
        self.questions = torch.cat([x[:, 1:], y[:, -1:]], 1)
        code = pd.Index(known_items.numpy())
        user = pd.Index(known_users.numpy())
        self.asked = len(validation)
        row = user.get_indexer(pd.Index(validation[Columns.User]))
        target = code.get_indexer(pd.Index(validation[Columns.Item]))
        self.target = torch.full((len(user),), -1)
        self.target[torch.from_numpy(row[row >= 0])] = torch.from_numpy(target[row >= 0])
        seen = actions[actions[Columns.User].isin(user)]
        position = torch.from_numpy(user.get_indexer(pd.Index(seen[Columns.User])))
        codes = torch.from_numpy(code.get_indexer(pd.Index(seen[Columns.Item])))
        groups = (
            torch.stack([position[at] % USERS_AT_ONCE, codes[at]])
            for first in range(0, len(user), USERS_AT_ONCE)
            for at in [(position >= first) & (position < first + USERS_AT_ONCE)]
        )
        self.seen = list(groups)
        self.set_up = time.process_time() - began

    def epoch(self) -> float:
        start = time.process_time()
        self.net.train()
        for batch in self.batches:
            self.optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
                logits = self.net(batch)  # [users, length, items]; items begin at 0 here, at 1 in y
                loss = cross_entropy(logits.flatten(0, 1), batch["y"].flatten() - 1, ignore_index=-1)
            loss.backward()
            self.optimizer.step()
        return time.process_time() - start

    @torch.no_grad()
    def ndcg(self) -> float:
        self.net.eval()
        total = 0.0
        items = self.net.all_item_embeddings()
        groups = zip(
            self.questions.split(USERS_AT_ONCE), self.target.split(USERS_AT_ONCE), self.seen, strict=True
        )
        for questions, target, seen in groups:
            scores = self.net.encode_last(questions) @ items.T
            scores[seen[0], seen[1]] = -torch.inf
            found = scores.topk(TOP, dim=1).indices == target.unsqueeze(1)
            total += float((found / torch.log2(torch.arange(TOP) + 2)).sum())
        return total / self.asked


NETWORKS = {"SASRecModel": Model, "FlatSASRecNet": Flat}


def main() -> None:
    folder, settings = Path(sys.argv[1]), json.loads(sys.argv[2])
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    seed_everything(settings["seed"], verbose=False)
    actions = pd.read_csv(folder / "actions.csv")
    validation = pd.read_csv(folder / "validation.csv")
    torch.optim.Adam([torch.zeros(1)])  # torch imports a second's worth at the first one
    rival: Rival = NETWORKS[settings["network"]](settings, actions, validation)
    epochs, validations, figures = [], [], []
    while True:
        epochs.append(rival.epoch())
        start, before = time.process_time(), rival.set_up
        figures.append(rival.ndcg())
        validations.append(time.process_time() - start - (rival.set_up - before))
        print(
            f"  epoch {len(epochs)}: {epochs[-1]:.1f} s, NDCG@10 {figures[-1]:.4f}",
            file=sys.stderr,
            flush=True,
        )
        reached = max(figures) >= settings["target"] and len(epochs) >= settings["least_epochs"]
        spent = sum(epochs) + sum(validations)
        ahead = [figure for seconds, figure in settings["ahead"] if seconds <= spent]
        behind = max(figures) < settings["least_share"] * max(ahead, default=0.0)
        if reached or behind or len(epochs) >= settings["most_epochs"] or spent >= settings["most_seconds"]:
            break
    result = {
        "set_up": rival.set_up,
        "epochs": epochs,
        "validations": validations,
        "evaluations": validations,
        "ndcg": figures,
        "peak_mb": float(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024,
        "version": version("rectools"),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
