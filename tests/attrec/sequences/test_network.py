"""What SASRec and BERT4Rec read, learn from and must not see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from attrec.datasets.histories import Histories
from attrec.errors import DataError
from attrec.models.distributed import shuffled
from attrec.models.layers import seeded_generator
from attrec.models.training import TrainingConfig
from attrec.sequences.baselines import ItemKNN, MarkovChain
from attrec.sequences.bert4rec import BERT4Rec, BERT4RecConfig
from attrec.sequences.network import SequenceTransformer, stretches
from attrec.sequences.sasrec import SASRec, SASRecConfig
from attrec.sequences.transformer import TransformerConfig

NETWORK = TransformerConfig(dimension=8, heads=2, length=6, dropout=0.1)
TRAINING = TrainingConfig(epochs=3, learning_rate=0.01, patience=3)


@pytest.fixture(scope="module")
def actions() -> pd.DataFrame:
    """60 users, 2 to 14 of 20 items each."""
    rng = np.random.default_rng(0)
    counts = rng.integers(2, 15, 60)
    items = np.concatenate([rng.choice(20, count, replace=False) for count in counts])
    return pd.DataFrame({"user_id": np.repeat(np.arange(60), counts), "item_id": items})


def sasrec(**options: Any) -> SASRec:
    return SASRec(
        SASRecConfig.model_validate({"network": NETWORK, "training": TRAINING, "batch": 16, **options})
    )


def bert4rec(**options: Any) -> BERT4Rec:
    return BERT4Rec(
        BERT4RecConfig.model_validate({"network": NETWORK, "training": TRAINING, "batch": 16, **options})
    )


MIXED = {"network": {**NETWORK.model_dump(), "neighbours": 2}}
DISTANT = {"network": {**NETWORK.model_dump(), "distances": True}}
KINDS = {
    "sasrec": sasrec,
    "bert4rec": bert4rec,
    "sasrec with neighbours": lambda **options: sasrec(**MIXED, **options),
    "bert4rec with causal steps": lambda **options: bert4rec(causal_epochs=1, causal_share=0.5, **options),
    "bert4rec with neighbours": lambda **options: bert4rec(**MIXED, **options),
    "sasrec with distances": lambda **options: sasrec(**DISTANT, **options),
    "bert4rec with distances": lambda **options: bert4rec(**DISTANT, **options),
}


@pytest.fixture(params=KINDS)
def fitted(request: pytest.FixtureRequest, actions: pd.DataFrame) -> SequenceTransformer:
    return KINDS[request.param]().fit(actions)


def test_sasrec_learns_at_every_action_what_comes_next() -> None:
    model = sasrec(batch=8)
    histories = Histories.of_lists([[1, 2, 3], [4], [5, 6], list(range(10, 20))])
    (batch,) = model.batches(histories, seeded_generator(0), epoch=1)
    read = dict(
        zip(batch.inputs.layout.lengths.tolist(), torch.split(batch.inputs.items, [1, 2, 6]), strict=True)
    )
    said = dict(zip([1, 2, 6], torch.split(batch.targets, [1, 2, 6]), strict=True))
    assert {size: codes.tolist() for size, codes in read.items()} == {
        1: [5],
        2: [1, 2],
        6: [13, 14, 15, 16, 17, 18],
    }
    assert {size: codes.tolist() for size, codes in said.items()} == {
        1: [6],
        2: [2, 3],
        6: [14, 15, 16, 17, 18, 19],
    }
    assert batch.rows is None


def test_older_actions_are_read_in_stretches() -> None:
    histories = Histories.of_lists([list(range(7)), [7], [8, 9, 10]])
    pieces = stretches(histories, 3, older=True)
    assert [pieces.take(np.array([row])).items.tolist() for row in range(len(pieces))] == [
        [4, 5, 6],
        [1, 2, 3],
        [0],
        [7],
        [8, 9, 10],
    ]
    assert stretches(histories, 3, older=True, shortest=2).items.tolist() == [4, 5, 6, 1, 2, 3, 8, 9, 10]
    assert stretches(histories, 3, older=False).items.tolist() == [4, 5, 6, 7, 8, 9, 10]


@pytest.mark.parametrize("model", [SASRec, BERT4Rec])
def test_the_first_epochs_read_all_in_short_stretches(model: type[SequenceTransformer]) -> None:
    """Of 20 actions stretches of a quarter of 12; SASRec's have a target more, which it does not read."""
    rows = pd.DataFrame({"user_id": 1, "item_id": range(20)})
    fitted = model(
        network={**NETWORK.model_dump(), "length": 12}, short_epochs=2, batch=100, training=TRAINING
    )
    fitted.fit(rows)
    for epoch, expected in ((1, 3), (2, 3), (3, 12)):
        [batch] = fitted.batches(Histories.of_lists([list(range(20))]), seeded_generator(0), epoch)
        lengths = batch.inputs.layout.lengths
        assert lengths.max() == expected
        assert (lengths.sum() >= 15) == (epoch < 3)


def test_every_sequence_is_in_one_batch_of_an_epoch() -> None:
    histories = Histories.of_lists([[code] * (1 + code % 4) for code in range(50)])
    groups = list(shuffled(histories, 8, seeded_generator(3)))
    assert [len(group) for group in groups] == [8, 8, 8, 8, 8, 8, 2]
    assert sorted(np.concatenate([group.items for group in groups])) == sorted(histories.items)
    assert all((np.diff(group.counts) >= 0).all() for group in groups)


def test_bert4rec_hides_its_shares() -> None:
    model = bert4rec(network={**NETWORK.model_dump(), "length": 50}, batch=400)
    model.items = pd.Index(range(1000))
    histories = Histories.of_lists([list(range(start, start + 50)) for start in range(400)])
    (batch,) = model.batches(histories, seeded_generator(0), epoch=1)
    assert batch.rows is not None
    shown, wanted = batch.inputs.items[batch.rows], batch.targets
    assert len(batch.rows) / len(histories.items) == pytest.approx(0.15, abs=0.01)
    assert (shown == 1000).float().mean().item() == pytest.approx(0.8, abs=0.03)
    assert (shown == wanted).float().mean().item() == pytest.approx(0.1, abs=0.025)
    untouched = torch.ones(len(histories.items), dtype=torch.bool)
    untouched[batch.rows] = False
    assert (batch.inputs.items[: len(untouched)][untouched] < 1000).all()


def test_bert4rec_hides_something_of_every_sequence() -> None:
    model = bert4rec(hidden_share=0.01, batch=100)
    model.items = pd.Index(range(20))
    histories = Histories.of_lists([[1, 2, 3, 4, 5]] * 100)
    (batch,) = model.batches(histories, seeded_generator(0), epoch=1)
    assert batch.rows is not None
    assert set((batch.rows // 5).tolist()) == set(range(100))


def test_bert4rec_can_hide_the_newest_alone() -> None:
    model = bert4rec(newest_hidden=1.0, masked=1.0, batch=100)
    model.items = pd.Index(range(20))
    (batch,) = model.batches(Histories.of_lists([[1, 2, 3], [4, 5]]), seeded_generator(0), epoch=1)
    assert batch.inputs.items.tolist() == [4, 20, 1, 2, 20]
    assert batch.targets.tolist() == [5, 3]


def test_bert4rec_can_learn_as_sasrec_does_before_it_fills_in() -> None:
    histories = Histories.of_lists([[1, 2, 3], [4], [5, 6], list(range(10, 16))])
    model = bert4rec(causal_epochs=1, batch=8)
    model.items = pd.Index(range(20))
    (first,) = model.batches(histories, seeded_generator(0), epoch=1)
    (as_sasrec,) = sasrec(batch=8).batches(histories, seeded_generator(0), epoch=1)
    assert first.inputs.causal
    assert first.rows is None
    assert first.inputs.items.tolist() == as_sasrec.inputs.items.tolist()
    assert first.targets.tolist() == as_sasrec.targets.tolist()
    (second,) = model.batches(histories, seeded_generator(0), epoch=2)
    assert not second.inputs.causal
    assert (second.inputs.items == 20).any()
    # Who did one thing alone has no next action, and is left out of that step.
    (alone,) = model.batches(Histories.of_lists([[4]]), seeded_generator(0), epoch=1)
    assert alone.inputs.items.tolist() == [20]


def test_nothing_is_kept_of_the_epochs_before_the_mask_is_learnt(actions: pd.DataFrame) -> None:
    validation = actions.groupby("user_id").tail(1)
    rest = actions.drop(validation.index)
    training = {"epochs": 6, "patience": 1, "learning_rate": 0.01}
    # Patience of one epoch would end a training whose first epochs count.
    model = bert4rec(causal_epochs=4, causal_share=0.2, training=training).fit(rest, validation)
    assert model.course.validation_loss[:4] == [None] * 4
    assert model.course.best_epoch > 4
    untrained = BERT4Rec(model.config)
    untrained.users, untrained.items = model.users, model.items
    start = untrained._build(seeded_generator(0)).mask
    assert start is not None
    assert model.network.mask is not None
    assert (model.network.mask != start).all()


@pytest.mark.parametrize(
    "options", [{"causal_epochs": 3}, {"causal_epochs": 500}, {"causal_share": 1.0}], ids=str
)
def test_a_training_that_hides_nothing_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="what is hidden is learnt"):
        bert4rec(**options)


def test_a_share_of_the_steps_of_bert4rec_looks_back_alone() -> None:
    model = bert4rec(causal_share=0.3, batch=1)
    model.items = pd.Index(range(20))
    histories = Histories.of_lists([[1, 2, 3]] * 2000)
    back = [batch.inputs.causal for batch in model.batches(histories, seeded_generator(0), epoch=1)]
    assert np.mean(back) == pytest.approx(0.3, abs=0.04)


def test_bert4rec_asks_behind_the_newest_action() -> None:
    model = bert4rec()
    model.items = pd.Index(range(20))
    asked = model.questions(Histories.of_lists([[], [3], list(range(10))]))
    assert asked.counts.tolist() == [1, 2, 6]
    assert asked.items.tolist() == [20, 3, 20, 5, 6, 7, 8, 9, 20]


@pytest.mark.parametrize("kind", ["sasrec", "sasrec with neighbours"])
def test_sasrec_never_looks_ahead(actions: pd.DataFrame, kind: str) -> None:
    model = KINDS[kind]().fit(actions)
    first, second = (model.network(model.inputs(Histories.of_lists([[1, 2, 3, code]]))) for code in (4, 5))
    assert torch.equal(first[:3], second[:3])
    assert not torch.equal(first[3], second[3])


def test_bert4rec_looks_both_ways(actions: pd.DataFrame) -> None:
    model = bert4rec().fit(actions)
    first, second = (model.network(model.inputs(Histories.of_lists([[1, 2, 3, code]]))) for code in (4, 5))
    assert not torch.equal(first[0], second[0])


def test_the_order_of_a_history_matters(fitted: SequenceTransformer) -> None:
    scores = fitted.score(Histories.of_lists([[1, 2, 3], [3, 2, 1]]))
    assert not np.array_equal(scores[0], scores[1])


def test_what_is_older_than_the_length_does_not_count(fitted: SequenceTransformer) -> None:
    reach = 6 if isinstance(fitted, SASRec) else 5
    newest = list(range(reach))
    scores = fitted.score(Histories.of_lists([[7, 8, *newest], [9, 10, 11, *newest], newest]))
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[0], scores[2])


def test_attention_maps_are_weights(fitted: SequenceTransformer) -> None:
    maps = fitted.attention([1, 2, 3])
    size = 3 if isinstance(fitted, SASRec) else 4
    assert [block.shape for block in maps] == [(2, size, size)] * 2
    for block in maps:
        np.testing.assert_allclose(block.sum(2), 1, atol=1e-6)
        if isinstance(fitted, SASRec):
            assert (np.triu(block, 1) == 0).all()


def test_a_user_vector_changes_the_scores_of_that_user(actions: pd.DataFrame) -> None:
    model = sasrec(user_embedding=True).fit(actions)
    histories = Histories.of_lists([[1, 2, 3]] * 3)
    named = Histories(histories.start, histories.items, pd.Index([0, 1, 999]))
    known, other, new = model.score(named)
    assert not np.array_equal(known, other)
    np.testing.assert_array_equal(new, model.score(histories)[0])


def test_somebody_unknown_in_validation_has_no_history_of_another(actions: pd.DataFrame) -> None:
    """Not that of the last user, whom a position of -1 would name."""
    favourite = actions["item_id"].value_counts().index[0]
    unknown = pd.DataFrame({"user_id": [999], "item_id": [favourite]})
    assert sasrec().fit(actions, unknown).course.validation_loss == [0.0] * 3


class Killed(Exception):
    """Stands for SIGKILL."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_training_ends_as_if_it_had_not_been(
    kind: str, actions: pd.DataFrame, tmp_path: Path
) -> None:
    training = TrainingConfig(epochs=5, learning_rate=0.01, checkpoint_every=2, average_decay=0.9)
    last = actions.groupby("user_id", sort=False).tail(1)
    rest = actions.drop(last.index)
    whole = KINDS[kind](training=training).fit(rest, last)

    def die(epoch: int, train_loss: float, validation_loss: float | None) -> None:
        if epoch == 3:
            raise Killed

    checkpoint = tmp_path / "training.safetensors"
    with pytest.raises(Killed):
        KINDS[kind](training=training).fit(rest, last, checkpoint=checkpoint, progress=die)
    seen: list[int] = []
    resumed = KINDS[kind](training=training).fit(
        rest, last, checkpoint=checkpoint, progress=lambda epoch, *_: seen.append(epoch)
    )
    assert seen == [3, 4, 5]
    for name, weight in whole.network.state_dict().items():
        assert torch.equal(weight, resumed.network.state_dict()[name]), name
    assert whole.course == resumed.course


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_learns_about_the_same(kind: str, actions: pd.DataFrame) -> None:
    exact = KINDS[kind]().fit(actions)
    rough = KINDS[kind](training=TRAINING.model_copy(update={"precision": "bfloat16"})).fit(actions)
    assert rough.course.train_loss == pytest.approx(exact.course.train_loss, rel=0.02)
    assert rough.network.item.dtype == torch.float32


def test_validation_ranks_what_the_test_will(tmp_path: Path) -> None:
    """Everybody goes round four items of twelve: what comes next has always been seen."""
    rng = np.random.default_rng(1)
    rounds = {user: np.tile(rng.choice(12, 4, replace=False), 3) for user in range(150)}
    rows = [(user, item) for user, items in rounds.items() for item in items[:-3]]
    cycles = pd.DataFrame(rows, columns=["user_id", "item_id"])
    targets = pd.DataFrame({"user_id": list(rounds), "item_id": [items[-3] for items in rounds.values()]})
    training = TrainingConfig(epochs=25, learning_rate=0.01, patience=25)
    model = sasrec(training=training).fit(cycles, targets, exclude_seen=False)
    assert model.course.best_epoch > 10
    assert model.course.best_loss < 0.5  # 0.62 by chance
    model.save(tmp_path)
    seen = rounds[0][:-3].tolist()
    for one in (model, SASRec.load(tmp_path)):
        assert one.recommend(seen, k=4)["item_id"].isin(seen).any()
        assert not one.recommend(seen, k=4, exclude_seen=True)["item_id"].isin(seen).any()
    for other in (sasrec(), bert4rec(), MarkovChain(), ItemKNN()):
        with pytest.raises(
            DataError, match=r"None of the 150 validation targets can be ranked.*exclude_seen"
        ):
            other.fit(cycles, targets)


def test_sasrec_without_anything_that_comes_next_is_a_clear_error() -> None:
    once = pd.DataFrame({"user_id": [1, 2, 3], "item_id": [1, 2, 1]})
    with pytest.raises(DataError, match="No user has two training actions"):
        sasrec().fit(once)
