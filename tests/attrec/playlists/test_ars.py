"""ARS by hand, what must not change its answers, what it must not learn from, what it learns, and its
contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from attrec.datasets.histories import Histories
from attrec.errors import DataError
from attrec.metrics.playlist import playlist_metrics
from attrec.models.layers import seeded_generator
from attrec.models.storage import read_arrays, write_arrays
from attrec.models.training import TrainingConfig
from attrec.playlists.ars import ARS, ARSConfig
from attrec.playlists.ars_network import ARSNetwork
from attrec.playlists.baselines import ItemKNN, MeanVector
from attrec.playlists.model import PlaylistModel
from attrec.playlists.ranking import encode, rank_playlists, validation_mean
from attrec.playlists.recipes import ARS_RECIPES
from attrec.prepare.playlist_splits import PlaylistSplit, split_playlists
from attrec.prepare.songs import Vectors
from tests.attrec.playlists.contract import PlaylistContract

TINY = ARSConfig(
    dimension=6,
    pairs=2,
    hidden=5,
    cooccurrence=4,
    batch=8,
    training=TrainingConfig(epochs=3, learning_rate=0.05),
)
STYLES, SONGS = 6, 20


def changed(config: ARSConfig, **changes: Any) -> ARSConfig:
    return ARSConfig.model_validate({**config.model_dump(), **changes})


def world(content: str) -> tuple[PlaylistSplit, Vectors]:
    """Playlists of one of six styles. Content tells the style, or ("noise") nothing.

    With "new songs" the last five songs of every style are in no playlist that is trained on.
    """
    rng = np.random.default_rng(1)
    styles = np.repeat(np.arange(STYLES), SONGS)
    centres = 3 * rng.standard_normal((STYLES, 4))
    values = rng.standard_normal((len(styles), 4))
    if content != "noise":
        values = values + centres[styles]
    rows = [
        (playlist, playlist % STYLES * SONGS + song)
        for playlist in range(120)
        for song in rng.choice(SONGS, 8, replace=False)
    ]
    split = split_playlists(pd.DataFrame(rows, columns=["user_id", "item_id"]))
    if content == "new songs":
        old = split.train["item_id"] % SONGS < SONGS - 5
        split = PlaylistSplit(split.train[old], split.validation, split.test, split.summary, "")
    names = pd.Index(range(len(styles)), name="item_id")
    return split, Vectors(names, tuple("abcd"), values.astype("float32"))


SPLIT, CATALOGUE = world("style")


class TestARS(PlaylistContract):
    kind = "ars"
    config = ARS_RECIPES["quick"]


@pytest.fixture(scope="module", params=["default", "no attention", "learned similarity"])
def fitted(request: pytest.FixtureRequest) -> ARS:
    changes: dict[str, dict[str, Any]] = {
        "no attention": {"attention": False},
        "learned similarity": {"similarity": "learned"},
    }
    config = changed(TINY, **changes.get(request.param, {}))
    return ARS(config).fit(SPLIT.train, CATALOGUE, SPLIT.validation)


def softmax(values: np.ndarray) -> np.ndarray:
    exponents = np.exp(values)
    shares: np.ndarray = exponents / exponents.sum(axis=-1, keepdims=True)
    return shares


def sigmoid(values: np.ndarray) -> np.ndarray:
    points: np.ndarray = 1 / (1 + np.exp(-values))
    return points


def test_forward_by_hand() -> None:
    """Two pairs over three songs of two numbers, every step as the docstring has it."""
    network = ARSNetwork(2, 3, 2, True, "distance", True, 0.0, seeded_generator(0)).eval()
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.from_numpy(rng.normal(size=parameter.shape)))
    w = {name: value.numpy().astype(float) for name, value in network.state_dict().items()}
    x = np.array([[0.3, -1.0], [1.2, 0.4], [-0.7, 0.1]])
    decoded = []
    for p in ("pairs.0", "pairs.1"):
        query, key, value = (x @ w[f"{p}.{name}.weight"].T for name in ("query", "key", "value"))
        encoded = softmax(query @ key.T / np.sqrt(2)) @ value + x
        inner = np.maximum(encoded @ w[f"{p}.inner.weight"].T + w[f"{p}.inner.bias"], 0)
        decoded.append(encoded + inner @ w[f"{p}.outer.weight"].T + w[f"{p}.outer.bias"])
    mean = (decoded[0] + decoded[1]) / 2
    expected = mean.mean(0) @ w["output.weight"].T + w["output.bias"]

    songs = torch.tensor(x, dtype=torch.float32)
    hidden = network(songs[None], torch.ones(1, 3, dtype=torch.bool))
    assert hidden.detach().numpy()[0] == pytest.approx(expected, rel=1e-4)
    counts = torch.tensor([0.0, 1.0, 9.0])
    distances = ((sigmoid(expected) - sigmoid(x)) ** 2).sum(axis=1)
    scores = -np.exp(w["log_scale"]) * distances + w["popularity"] * np.log1p(counts.numpy())
    assert network.scores(hidden, songs, counts).detach().numpy()[0] == pytest.approx(scores, rel=1e-4)


def test_untrained_it_is_the_mean_of_the_songs() -> None:
    network = ARSNetwork(4, 3, 2, True, "distance", False, 0.0, seeded_generator(0)).eval()
    songs = torch.randn(1, 5, 4, generator=seeded_generator(1))
    hidden = network(songs, torch.ones(1, 5, dtype=torch.bool))
    assert torch.allclose(hidden, songs.mean(1), atol=1e-6)


def test_scores_are_those_of_the_network(fitted: ARS) -> None:
    asked = Histories.of_lists([[1, 2, 3], [50]])
    songs = torch.from_numpy(fitted.vectors)
    for row, codes in enumerate(([1, 2, 3], [50])):
        with torch.no_grad():
            hidden = fitted.network(songs[codes][None], torch.ones(1, len(codes), dtype=torch.bool))
            scores = fitted.network.scores(hidden, songs, torch.from_numpy(fitted.counts))[0].numpy()
        own = fitted.score(asked)[row]
        assert own == pytest.approx(scores, abs=1e-4)


def test_order_repetition_and_company_in_a_batch_change_nothing(fitted: ARS) -> None:
    assert (fitted.centroid([5, 9, 70]) == fitted.centroid([70, 5, 9, 9, "nobody's song"])).all()
    pd.testing.assert_frame_equal(fitted.explain([5, 9, 70]), fitted.explain([9, 70, 5, 5]))
    padded, present = torch.tensor([[5, 9, 70, 0, 0]]), torch.tensor([[True] * 3 + [False] * 2])
    songs = torch.from_numpy(fitted.vectors)
    with torch.no_grad():
        alone = fitted.network(songs[[5, 9, 70]][None], present[:, :3])
        beside = fitted.network(songs[padded], present)
        shuffled = fitted.network(songs[[70, 5, 9]][None], present[:, :3])
    assert torch.allclose(alone, beside, atol=1e-6)
    assert torch.allclose(alone, shuffled, atol=1e-6)


def test_a_song_weighs_as_far_as_the_centroid_moves_without_it(fitted: ARS) -> None:
    told = fitted.explain([5, 9, 70, "nobody's song"])
    assert set(told["item_id"]) == {5, 9, 70}
    assert told["weight"].sum() == pytest.approx(1)
    assert (told["weight"].diff().dropna() <= 0).all()
    whole = fitted.centroid([5, 9, 70])
    moved = {
        song: np.linalg.norm(fitted.centroid([other for other in (5, 9, 70) if other != song]) - whole)
        for song in (5, 9, 70)
    }
    weights = told.set_index("item_id")["weight"]
    for song, distance in moved.items():
        assert weights[song] == pytest.approx(distance / sum(moved.values()), rel=1e-4)
    assert fitted.explain([5])["weight"].tolist() == [1]
    for ask in (fitted.explain, fitted.centroid):
        with pytest.raises(DataError, match="playlist is empty"):
            ask([])
        with pytest.raises(DataError, match="No item"):
            ask(["nobody's song"])


def test_explains_playlists_that_can_be_taken_apart_in_time(
    fitted: ARS, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attrec.playlists.ars.MOST_EXPLAINED", 3)
    fitted.explain([5, 9, 70])
    with pytest.raises(DataError, match="has 4 items; how each moves the centroid is told of 3 at most"):
        fitted.explain([5, 9, 70, 71])


def test_weights_of_another_version_are_refused_in_a_sentence(fitted: ARS, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    arrays = read_arrays(tmp_path / "parameters.safetensors")
    write_arrays(
        tmp_path / "parameters.safetensors", {**arrays, "network.pooling": np.zeros(6, dtype="float32")}
    )
    with pytest.raises(DataError, match="of another version of attrec; fit it again"):
        PlaylistModel.load(tmp_path)


def test_points_are_in_the_unit_cube(fitted: ARS) -> None:
    centroid = fitted.centroid([1, 2])
    assert fitted.points.shape == (len(CATALOGUE), 6)
    for points in (fitted.points, centroid):
        assert points.min() > 0
        assert points.max() < 1


def test_nearest_songs_are_recommended() -> None:
    model = ARS(changed(TINY, popularity=False)).fit(SPLIT.train, CATALOGUE)
    distances = np.linalg.norm(model.points - model.centroid([1, 2, 3]), axis=1)
    distances[[1, 2, 3]] = np.inf
    listed = model.recommend([1, 2, 3], k=7)
    assert listed["item_id"].tolist() == np.argsort(distances)[:7].tolist()


def test_seeds_decide_everything() -> None:
    first, same, other = (ARS(TINY, seed).fit(SPLIT.train, CATALOGUE) for seed in (1, 1, 2))
    asked = Histories.of_lists([[1, 2], [3]])
    assert (first.score(asked) == same.score(asked)).all()
    assert (first.score(asked) != other.score(asked)).any()


class Killed(Exception):
    pass


ARTISTS = Vectors(
    CATALOGUE.ids,
    tuple(map(str, range(44))),
    np.hstack([CATALOGUE.values, np.eye(40, dtype="float32")[np.arange(len(CATALOGUE)) // 3]]),
)
"""The same songs, three of each artist, who have a column each."""


@pytest.mark.parametrize("catalogue", [CATALOGUE, ARTISTS], ids=["numbers", "artists"])
def test_a_killed_training_ends_as_if_it_had_not_been(tmp_path: Path, catalogue: Vectors) -> None:
    training = TrainingConfig(epochs=5, learning_rate=0.01, checkpoint_every=2, average_decay=0.9)
    config = changed(TINY, training=training)
    whole = ARS(config).fit(SPLIT.train, catalogue, SPLIT.validation)

    def die(epoch: int, train_loss: float, validation_loss: float | None) -> None:
        if epoch == 3:
            raise Killed

    checkpoint = tmp_path / "training.safetensors"
    with pytest.raises(Killed):
        ARS(config).fit(SPLIT.train, catalogue, SPLIT.validation, checkpoint=checkpoint, progress=die)
    seen: list[int] = []
    resumed = ARS(config).fit(
        SPLIT.train,
        catalogue,
        SPLIT.validation,
        checkpoint=checkpoint,
        progress=lambda epoch, *_: seen.append(epoch),
    )
    assert seen == [3, 4, 5]
    assert whole.course == resumed.course
    assert (whole.vectors == resumed.vectors).all()
    asked = Histories.of_lists([[1, 2], [3]])
    assert (whole.score(asked) == resumed.score(asked)).all()


def test_the_chosen_epochs_without_validation_give_the_same_model() -> None:
    config = changed(TINY, training=TrainingConfig(epochs=6, learning_rate=0.05, patience=6))
    stopped = ARS(config).fit(SPLIT.train, CATALOGUE, SPLIT.validation)
    training = config.training.model_copy(update={"epochs": stopped.course.best_epoch})
    again = ARS(changed(config, training=training)).fit(SPLIT.train, CATALOGUE)
    assert (stopped.vectors == again.vectors).all()


def test_test_playlists_cannot_change_the_fit() -> None:
    rows = pd.concat(
        [SPLIT.train, *(pd.concat([part.given, part.held_out]) for part in (SPLIT.validation, SPLIT.test))]
    )
    tested = rows["user_id"].isin(SPLIT.test.given["user_id"])
    moved = rows.assign(item_id=rows["item_id"].where(~tested, (rows["item_id"] + 37) % len(CATALOGUE)))
    other = split_playlists(moved)
    assert set(other.test.given["user_id"]) == set(SPLIT.test.given["user_id"])
    assert other.split_hash != SPLIT.split_hash
    models = [ARS(TINY).fit(split.train, CATALOGUE, split.validation) for split in (SPLIT, other)]
    asked = Histories.of_lists([[1, 2], [3]])
    assert (models[0].score(asked) == models[1].score(asked)).all()


def measured(model: MeanVector | ItemKNN | ARS, split: PlaylistSplit) -> float:
    given, held_out = encode(split.test, model.items)
    ranks = rank_playlists(model, given, held_out, k=1).ranks
    return float(playlist_metrics(ranks, held_out)["r-precision"].mean())


# Of sixteen songs of a style that are left, four are asked for: chance within the style is 0.25.
LEARNER = changed(
    ARS_RECIPES["quick"], cooccurrence=16, training=TrainingConfig(epochs=40, learning_rate=0.01, patience=15)
)


def test_learns_what_content_does_not_show() -> None:
    split, songs = world("noise")
    model = ARS(LEARNER).fit(split.train, songs, split.validation)
    assert measured(MeanVector().fit(split.train, songs), split) < 0.1
    assert measured(model, split) > 0.2
    blind = ARS(changed(LEARNER, cooccurrence=0)).fit(split.train, songs, split.validation)
    assert measured(blind, split) < measured(model, split)


def test_finds_new_songs_by_their_content() -> None:
    split, songs = world("new songs")
    model = ARS(LEARNER).fit(split.train, songs, split.validation)
    new = np.flatnonzero(model.counts == 0)
    assert new.tolist() == [code for code in range(STYLES * SONGS) if code % SONGS >= SONGS - 5]
    listed = model.recommend([0, 1, 2, 3], k=16)["item_id"]
    assert set(listed) & set(range(15, 20))
    assert (listed < SONGS).mean() > 0.8


def test_a_sampled_catalogue_teaches_about_the_same() -> None:
    split, songs = world("noise")
    sampled = ARS(changed(LEARNER, max_candidates=40)).fit(split.train, songs, split.validation)
    assert measured(sampled, split) > 0.2


def test_playlists_of_one_song_teach_nothing_and_content_is_left() -> None:
    alone = pd.DataFrame({"user_id": range(3), "item_id": [0, 40, 80]})
    model = ARS(changed(TINY, popularity=False)).fit(alone, CATALOGUE)
    assert model.course.train_loss == [0, 0, 0]
    listed = model.recommend([1, 2, 3], k=10)["item_id"]
    assert (listed < SONGS).mean() > 0.5


def test_stops_at_the_best_mean_of_the_metrics() -> None:
    config = changed(TINY, training=TrainingConfig(epochs=6, learning_rate=0.05, patience=6))
    model = ARS(config).fit(SPLIT.train, CATALOGUE, SPLIT.validation)
    losses = model.course.validation_loss
    assert model.course.best_epoch == 1 + int(np.argmin([loss or 0 for loss in losses]))
    assert 1 - validation_mean(model, SPLIT.validation) == pytest.approx(min(loss or 0 for loss in losses))
    given, held_out = encode(SPLIT.validation, CATALOGUE.ids)
    values = playlist_metrics(rank_playlists(model, given, held_out).ranks, held_out)
    mean = sum(value.mean() for value in values.values()) / 3
    assert validation_mean(model, SPLIT.validation) == pytest.approx(mean)


def test_configurations_that_cannot_be() -> None:
    for share in ((0.0, 0.5), (0.6, 0.4), (0.5, 1.0)):
        with pytest.raises(ValidationError, match="given_share must be two shares"):
            ARSConfig(given_share=share)


@pytest.mark.parametrize("changes", [{"cooccurrence": 0}, {"pairs": 1}, {"popularity": False}])
def test_ablations_fit(changes: dict[str, Any]) -> None:
    model = ARS(changed(TINY, **changes)).fit(SPLIT.train, CATALOGUE)
    assert model.course.train_loss[-1] < model.course.train_loss[0]
    if not changes.get("popularity", True):
        assert model.network.popularity is None
