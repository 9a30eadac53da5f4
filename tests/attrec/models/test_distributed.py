"""Two processes that train together end where one would: `torchrun` as a user types it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from attrec.datasets.histories import Histories
from attrec.models.distributed import process_group
from attrec.models.training import TrainingConfig
from attrec.sequences.bert4rec import BERT4Rec
from attrec.sequences.sasrec import SASRec, SASRecConfig
from attrec.sequences.transformer import TransformerConfig

pytestmark = pytest.mark.slow

SCRIPT = """
import shutil
import sys
from pathlib import Path
import pandas as pd
import torch
from attrec.models.distributed import process_group
from attrec.datasets.histories import Histories
from attrec.sequences.sasrec import SASRec, SASRecConfig
from attrec.sequences.bert4rec import BERT4Rec, BERT4RecConfig
from attrec.models.training import TrainingConfig, train

folder = Path(sys.argv[1])
actions, validation = (pd.read_parquet(folder / f"{name}.parquet") for name in ("actions", "validation"))
shown = []
with process_group() as share:
    sasrec = SASRec(SASRecConfig.model_validate_json((folder / "sasrec.json").read_text()), seed=3)
    sasrec.fit(actions, validation, progress=lambda *losses: shown.append(losses))
    bert4rec = BERT4Rec(BERT4RecConfig(network={"dimension": 8}, batch=16, training={"epochs": 3}), seed=3)
    bert4rec.fit(actions, validation, progress=lambda *losses: shown.append(losses))
    sasrec.save(folder / f"sasrec-{share.rank}")
    bert4rec.save(folder / f"bert4rec-{share.rank}")
    kinds = []

    class Noting(BERT4Rec):
        def batches(self, *given):
            for batch in super().batches(*given):
                kinds.append(batch.inputs.causal)
                yield batch

    mixed = BERT4RecConfig(
        network={"dimension": 8}, batch=4, causal_epochs=1, causal_share=0.5, training={"epochs": 3}
    )
    Noting(mixed, seed=3).fit(actions, validation)
    (folder / f"kinds-{share.rank}").write_text(str(kinds))
    (folder / f"shown-{share.rank}").write_text(str(len(shown)))
    noisy = SASRecConfig(
        network={"dimension": 8, "dropout": 0.3}, batch=16, training={"epochs": 4, "checkpoint_every": 1}
    )
    kept, resumed = folder / "kept.safetensors", []

    def keep(epoch, *losses):
        if epoch == 2:
            shutil.copy(folder / "running.safetensors", kept)

    whole = SASRec(noisy, seed=3).fit(
        actions, validation, checkpoint=folder / "running.safetensors", progress=keep
    )
    killed = SASRec(noisy, seed=3).fit(
        actions, validation, checkpoint=kept, progress=lambda epoch, *_: resumed.append(epoch)
    )
    whole.save(folder / f"whole-{share.rank}")
    killed.save(folder / f"killed-{share.rank}")
    (folder / f"resumed-{share.rank}").write_text(str(resumed))
    # By what the second process measures the training would stop after three epochs.
    measured = iter([6, 5, 4, 3, 2, 1] if share.is_first else [1, 2, 3, 4, 5, 6])
    history = train(
        torch.nn.Linear(1, 1),
        batches=lambda drawn, _: [torch.ones(4, 1)],
        loss=lambda network, batch: network(batch).square().mean(),
        config=TrainingConfig(epochs=6, patience=2),
        generator=torch.Generator().manual_seed(0),
        validate=lambda network: float(next(measured)),
    )
    (folder / f"stopped-{share.rank}").write_text(f"{history.epochs} {history.best_epoch} {history.best_loss}")
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Path:
    """What each of two processes saved after one epoch."""
    folder = tmp_path_factory.mktemp("distributed")
    rng = np.random.default_rng(0)
    counts = rng.integers(3, 12, 45)
    items = np.concatenate([rng.choice(20, count, replace=False) for count in counts])
    every = pd.DataFrame({"user_id": np.repeat(np.arange(45), counts), "item_id": items})
    validation = every.groupby("user_id", sort=False).tail(1)
    every.drop(validation.index).to_parquet(folder / "actions.parquet")
    validation.to_parquet(folder / "validation.parquet")
    config = SASRecConfig(
        network=TransformerConfig(dimension=8, dropout=0),
        batch=16,
        # The order of the second epoch is drawn after noise, of which two processes have their own.
        training=TrainingConfig(epochs=1, learning_rate=0.01),
    )
    (folder / "sasrec.json").write_text(config.model_dump_json())
    (folder / "train.py").write_text(SCRIPT)
    words = ["torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, "-m", *words, str(folder / "train.py"), str(folder)],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def weights(model: SASRec | BERT4Rec) -> dict[str, np.ndarray]:
    return {name: weight.numpy() for name, weight in model.network.state_dict().items()}


def test_a_step_is_of_one_kind_for_both_processes(trained: Path) -> None:
    kinds = [ast.literal_eval((trained / f"kinds-{rank}").read_text()) for rank in range(2)]
    assert kinds[0] == kinds[1]
    steps = len(kinds[0]) // 3
    assert all(kinds[0][:steps])
    assert set(kinds[0][steps:]) == {True, False}


def test_two_processes_end_where_one_does(trained: Path) -> None:
    config = SASRecConfig.model_validate_json((trained / "sasrec.json").read_text())
    actions, validation = (pd.read_parquet(trained / f"{name}.parquet") for name in ("actions", "validation"))
    alone = SASRec(config, seed=3).fit(actions, validation)
    together = SASRec.load(trained / "sasrec-0")
    # Not weight by weight: the bias of the keys has no effect and no gradient but rounding, which Adam enlarges.
    histories = Histories.of(actions, alone.users, alone.items)
    np.testing.assert_allclose(together.score(histories), alone.score(histories), atol=1e-5)
    assert np.abs(alone.score(histories)).max() > 0.05
    assert together.course.train_loss == pytest.approx(alone.course.train_loss, rel=1e-5)


@pytest.mark.parametrize("kind", [SASRec, BERT4Rec])
def test_all_processes_hold_the_same_network(trained: Path, kind: type[SASRec] | type[BERT4Rec]) -> None:
    name = kind.__name__.lower()
    first, second = (kind.load(trained / f"{name}-{rank}") for rank in (0, 1))
    for weight, other in zip(weights(first).values(), weights(second).values(), strict=True):
        np.testing.assert_array_equal(weight, other)
    assert first.course == second.course


def test_the_first_process_alone_shows_its_progress(trained: Path) -> None:
    assert [(trained / f"shown-{rank}").read_text() for rank in (0, 1)] == ["4", "0"]


def test_a_killed_training_of_two_ends_as_if_it_had_not_been(trained: Path) -> None:
    assert (trained / "resumed-0").read_text() == "[3, 4]"
    for rank in (0, 1):
        whole, killed = (SASRec.load(trained / f"{name}-{rank}") for name in ("whole", "killed"))
        assert whole.course == killed.course
        for weight, other in zip(weights(whole).values(), weights(killed).values(), strict=True):
            np.testing.assert_array_equal(weight, other)


def test_all_processes_stop_where_the_first_does(trained: Path) -> None:
    for rank in (0, 1):
        assert (trained / f"stopped-{rank}").read_text() == "[1, 2, 3, 4, 5, 6] 6 1.0"


@pytest.mark.parametrize(
    ("gpus", "processes", "rank", "backend", "gpu"),
    [(0, 2, 1, "gloo", None), (1, 2, 1, "gloo", 0), (2, 2, 1, "nccl", 1), (1, 1, 0, "nccl", 0)],
)
def test_nccl_where_each_process_has_a_gpu(
    monkeypatch: pytest.MonkeyPatch, gpus: int, processes: int, rank: int, backend: str, gpu: int | None
) -> None:
    for name, value in {"WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes, "LOCAL_RANK": rank}.items():
        monkeypatch.setenv(name, str(value))
    chosen: list[object] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.distributed, "init_process_group", chosen.append)
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: None)
    with process_group():
        assert chosen == ([] if gpu is None else [gpu]) + [backend]
