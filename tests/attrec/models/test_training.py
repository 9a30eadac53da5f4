import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attrec.errors import NotFinite, TrainingDiverged
from attrec.models.layers import Dropout, linear, seeded_generator
from attrec.models.training import Losses, TrainingConfig, train


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


class Killed(Exception):
    pass


class Regression(nn.Module):
    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden, self.output = linear(4, 8, generator), linear(8, 1, generator)
        self.dropout = Dropout(0.3, generator)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.output(self.dropout(torch.relu(self.hidden(inputs)))).squeeze(1)


def run(
    config: TrainingConfig,
    seed: int = 0,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    kill_at: int | None = None,
    validate: bool = True,
    rows: int = 64,
) -> tuple[dict[str, Tensor], Losses]:
    data = torch.Generator().manual_seed(99)
    inputs = torch.randn(rows, 4, generator=data)
    targets = inputs @ torch.tensor([1.0, -2.0, 0.5, 0.0]) + 0.5 * torch.randn(rows, generator=data)
    generator = seeded_generator(seed)
    network = Regression(generator)

    def batches(source: torch.Generator, epoch: int) -> list[Tensor]:
        return list(torch.randperm(rows // 2, generator=source).split(8))

    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        return (model(inputs[batch]) - targets[batch]).square().mean()

    def validation_loss(model: nn.Module) -> float:
        return float((model(inputs[rows // 2 :]) - targets[rows // 2 :]).square().mean())

    def killer(epoch: int, train_loss: float, validation_loss: float | None) -> None:
        if epoch == kill_at:
            raise Killed

    history = train(
        network,
        batches=batches,
        loss=loss,
        config=config,
        generator=generator,
        validate=validation_loss if validate else None,
        checkpoint=checkpoint,
        fingerprint=fingerprint,
        progress=killer,
    )
    return {name: value.clone() for name, value in network.state_dict().items()}, history


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


CONFIG = TrainingConfig(epochs=30, learning_rate=0.01, patience=30, checkpoint_every=5)


def test_learns_and_is_determined_by_its_seed() -> None:
    weights, history = run(CONFIG)
    again, _ = run(CONFIG)
    other, _ = run(CONFIG, seed=1)
    assert history.train_loss[-1] < history.train_loss[0] / 3
    assert same(weights, again)
    assert not same(weights, other)


def test_process_wide_seed_is_neither_used_nor_touched() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    weights, _ = run(CONFIG)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert same(weights, run(CONFIG)[0])


def test_trainings_on_two_threads_do_not_disturb_each_other() -> None:
    alone = {seed: run(CONFIG, seed)[0] for seed in (0, 1)}
    together: dict[int, dict[str, Tensor]] = {}

    def work(seed: int) -> None:
        torch.set_num_threads(1)
        together[seed] = run(CONFIG, seed)[0]

    threads = [threading.Thread(target=work, args=(seed,)) for seed in alone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same(alone[seed], together[seed]) for seed in alone)


@pytest.mark.parametrize("kill_at", [3, 5, 17, 30])
@pytest.mark.parametrize("average_decay", [0.0, 0.9])
@pytest.mark.parametrize("changes", [{}, {"schedule": "cosine"}, {"matrix_rate": 0.01}])
def test_killed_and_resumed_equals_uninterrupted(
    tmp_path: Path, kill_at: int, average_decay: float, changes: dict[str, Any]
) -> None:
    config = CONFIG.model_copy(update={"average_decay": average_decay, **changes})
    expected, expected_history = run(config)
    checkpoint = tmp_path / "run.safetensors"
    with pytest.raises(Killed):
        run(config, checkpoint=checkpoint, kill_at=kill_at)
    weights, history = run(config, checkpoint=checkpoint)
    assert same(weights, expected)
    assert history == expected_history
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.name]


def test_progress_is_told_of_an_epoch_whose_checkpoint_is_written(tmp_path: Path) -> None:
    for kill_at, written in ((4, False), (5, True)):
        with pytest.raises(Killed):
            run(CONFIG, checkpoint=tmp_path / "state.safetensors", kill_at=kill_at)
        assert (tmp_path / "state.safetensors").exists() == written


def test_steps_are_told_with_their_rows_between_epochs() -> None:
    told: list[str] = []

    class Listener:
        def step(self, rows: float) -> None:
            told.append(f"{rows:g} rows")

        def __call__(self, epoch: int, train_loss: float, validation_loss: float | None) -> None:
            told.append(f"epoch {epoch}")

    generator = seeded_generator(0)
    train(
        Regression(generator),
        batches=lambda _, epoch: [torch.ones(4, 4), torch.ones(3, 4)],
        loss=lambda network, batch: network(batch).square().mean(),
        config=CONFIG.model_copy(update={"epochs": 2}),
        generator=generator,
        progress=Listener(),
        weigh=len,
    )
    assert told == ["4 rows", "3 rows", "epoch 1", "4 rows", "3 rows", "epoch 2"]


def test_checkpoint_of_another_training_or_garbage_is_ignored(tmp_path: Path) -> None:
    expected, _ = run(CONFIG)
    checkpoint = tmp_path / "run.safetensors"
    run(CONFIG, seed=5, checkpoint=checkpoint, fingerprint="other")
    assert same(run(CONFIG, checkpoint=checkpoint, fingerprint="mine")[0], expected)
    checkpoint.write_bytes(b"not a checkpoint")
    assert same(run(CONFIG, checkpoint=checkpoint)[0], expected)


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.safetensors"
    expected, _ = run(CONFIG, checkpoint=checkpoint)
    weights, _ = run(CONFIG, checkpoint=checkpoint, kill_at=1)
    assert same(weights, expected)


def test_early_stopping_keeps_the_best_epoch() -> None:
    config = TrainingConfig(epochs=400, learning_rate=0.05, patience=10)
    _, history = run(config, rows=16)
    measured = [loss for loss in history.validation_loss if loss is not None]
    assert len(history.epochs) < 400
    assert history.best_loss == min(measured)
    assert history.validation_loss[history.best_epoch - 1] == history.best_loss
    assert len(history.epochs) == history.best_epoch + 10


def weigh_up(
    config: TrainingConfig, wanted: float = 1.0, **options: int
) -> tuple[nn.Linear, Losses, list[float]]:
    """Train a weight that each step of one an epoch raises by 0.1 (constant gradients make Adam's steps equal).

    The validation loss is its distance to `wanted`; what validation has seen comes last.
    """
    network, seen = nn.Linear(1, 1, bias=False), []
    nn.init.zeros_(network.weight)

    def validate(model: nn.Module) -> float:
        seen.append(model.weight.item())
        return abs(seen[-1] - wanted)

    history = train(
        network,
        batches=lambda generator, epoch: [-1.0],
        loss=lambda model, gradient: gradient * model.weight.sum(),
        config=config,
        generator=seeded_generator(0),
        validate=validate,
        **options,
    )
    return network, history, seen


def test_a_training_ends_with_the_weights_of_its_best_epoch() -> None:
    config = TrainingConfig(epochs=50, learning_rate=0.1, patience=4)
    network, history, seen = weigh_up(config, wanted=0.3)
    assert seen == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], abs=1e-5)
    assert history.best_epoch == 3
    assert network.weight.item() == pytest.approx(0.3, abs=1e-5)


@pytest.mark.parametrize(
    ("schedule", "weights"),
    [
        ({"schedule": "constant"}, [0.1, 0.2, 0.3, 0.4]),
        # Rates of 1, (1 + cos 45°) / 2, 1 / 2 and (1 - cos 45°) / 2.
        ({"schedule": "cosine"}, [0.1, 0.1853553, 0.2353553, 0.25]),
        ({"schedule": "steps", "step_epochs": 1}, [0.1, 0.11, 0.111, 0.1111]),
        ({"schedule": "steps", "step_epochs": 2}, [0.1, 0.2, 0.21, 0.22]),
    ],
)
def test_rates_by_hand(schedule: dict[str, Any], weights: list[float]) -> None:
    _, _, seen = weigh_up(TrainingConfig(epochs=4, learning_rate=0.1, **schedule))
    assert seen == pytest.approx(weights, abs=1e-5)


def test_parameters_of_a_name_have_their_own_rate() -> None:
    network = nn.ModuleDict({name: nn.Linear(1, 1, bias=False) for name in ("films", "films_more", "rest")})
    for layer in network.values():
        nn.init.zeros_(layer.weight)
    train(
        network,
        batches=lambda generator, epoch: [-1.0],
        loss=lambda model, gradient: gradient * sum(weight.sum() for weight in model.parameters()),
        config=TrainingConfig(epochs=2, learning_rate=0.1, rate_factors={"films": 3, "films_more": 5}),
        generator=seeded_generator(0),
    )
    raised = {name: weight.item() for name, weight in network.named_parameters()}
    expected = {"films.weight": 0.6, "films_more.weight": 1.0, "rest.weight": 0.2}
    assert raised == pytest.approx(expected, abs=1e-5)


def test_muon_moves_the_matrices_of_layers_alone_each_direction_as_far_and_as_far_as_adam_would() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.table = nn.Linear(8, 8), nn.Embedding(8, 8)
            self.shared = nn.Parameter(torch.zeros(8, 8))

    network, generator = Network(), torch.Generator().manual_seed(0)
    start = {name: value.clone() for name, value in network.state_dict().items()}
    # Of a gradient whose directions differ by a factor of ten, the step has all singular values nearly alike.
    left, right = (torch.linalg.qr(torch.randn(8, 8, generator=generator)).Q for _ in range(2))
    gradient = left @ torch.diag(torch.linspace(1, 10, 8)) @ right
    train(
        network,
        batches=lambda generator, epoch: [0],
        loss=lambda model, _: sum((gradient * weight).sum() for weight in model.parameters()),
        config=TrainingConfig(epochs=1, learning_rate=0.1, matrix_rate=0.02),
        generator=seeded_generator(0),
    )
    moved = {name: value - start[name] for name, value in network.state_dict().items()}
    for name in ("table.weight", "shared"):
        torch.testing.assert_close(moved[name], -0.1 * gradient.sign(), atol=1e-4, rtol=0)
    step = -(left.T @ moved["layer.weight"] @ right.T)
    singular = torch.linalg.svdvals(step)
    assert singular.min() > 0.6 * singular.max()
    assert (step - torch.diag(step.diag())).abs().max() < 0.1 * singular.max()
    # Of an orthogonal matrix of n rows the entries have a root mean square of 1 / sqrt(n); Adam's steps come to 0.2.
    assert moved["layer.weight"].square().mean().sqrt().item() == pytest.approx(0.2 * 0.02, rel=0.2)


def test_muons_step_follows_the_schedule() -> None:
    def end(**options: Any) -> Tensor:
        layer = linear(4, 4, seeded_generator(0))
        train(
            layer,
            batches=lambda generator, epoch: [0],
            loss=lambda model, _: model.weight.trace(),
            config=TrainingConfig(epochs=2, matrix_rate=0.1, **options),
            generator=seeded_generator(0),
        )
        return layer.weight - linear(4, 4, seeded_generator(0)).weight

    # Without a schedule two steps alike but for the rounding of bfloat16; with it the second is half as long.
    assert (end(schedule="cosine") - 0.75 * end()).norm() < 0.02 * end().norm()


def test_validation_is_looked_at_every_so_often_and_at_last() -> None:
    _, history, seen = weigh_up(TrainingConfig(epochs=7, learning_rate=0.1, validate_every=3))
    assert seen == pytest.approx([0.3, 0.6, 0.7], abs=1e-5)
    measured = history.frame().set_index("epoch")["validation_loss"].dropna()
    assert measured.to_dict() == pytest.approx({3: 0.7, 6: 0.4, 7: 0.3}, abs=1e-5)


def test_nothing_is_kept_of_epochs_before_validation_begins() -> None:
    config = TrainingConfig(epochs=9, learning_rate=0.1, patience=2)
    network, history, seen = weigh_up(config, wanted=0.2, validate_from=4)
    assert seen == pytest.approx([0.4, 0.5, 0.6], abs=1e-5)
    assert (history.best_epoch, history.best_loss) == (4, pytest.approx(0.2, abs=1e-5))
    assert network.weight.item() == pytest.approx(0.4, abs=1e-5)


def test_the_loss_of_an_epoch_is_the_mean_of_its_batches() -> None:
    def course(batches: list[float]) -> list[float]:
        return train(
            nn.Linear(1, 1, bias=False),
            batches=lambda generator, epoch: batches,
            loss=lambda model, value: value + 0 * model.weight.sum(),
            config=TrainingConfig(epochs=2),
            generator=seeded_generator(0),
        ).train_loss

    assert course([1.0, 2.0, 6.0]) == [3, 3]
    assert course([]) == [0, 0]


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (lambda weight: weight.sum() + float("nan"), r"loss is nan in epoch 1: lower the learning rate"),
        # The root has the value 0 there, and an infinite slope.
        (lambda weight: weight.sum().sqrt(), r"loss is 0.0 in epoch 1 and weights are not finite"),
    ],
)
def test_a_training_that_diverges_says_so(loss: Callable[[Tensor], Tensor], said: str) -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    with pytest.raises(TrainingDiverged, match=said):
        train(
            network,
            batches=lambda generator, epoch: [0],
            loss=lambda model, _: loss(model.weight),
            config=TrainingConfig(epochs=2),
            generator=seeded_generator(0),
        )


def test_averaged_weights_are_validated_and_kept_while_training_goes_on_with_its_own() -> None:
    averages, average = [], 0.0
    for step in range(1, 7):
        decay = min(0.9, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * 0.1 * step
        averages.append(average)
    config = TrainingConfig(epochs=6, learning_rate=0.1, patience=4, average_decay=0.9)
    network, history, seen = weigh_up(config, wanted=averages[1])
    assert seen == pytest.approx(averages, abs=1e-5)
    assert history.best_epoch == 2
    assert network.weight.item() == pytest.approx(averages[1], abs=1e-5)


def test_without_validation_all_epochs_are_run_and_the_last_weights_kept() -> None:
    weights, history = run(CONFIG, validate=False)
    shorter, _ = run(CONFIG.model_copy(update={"epochs": 29}), validate=False)
    assert history.best_epoch == 30
    assert history.frame()["validation_loss"].isna().all()
    assert history.frame().columns.tolist() == ["epoch", "train_loss", "validation_loss"]
    assert not same(weights, shorter)


def test_moving_average_is_the_recursion_it_claims_to_be() -> None:
    config = TrainingConfig(epochs=1, learning_rate=0.01, average_decay=0.5)
    averaged, _ = run(config, validate=False, rows=16)
    plain, _ = run(config.model_copy(update={"average_decay": 0.0}), validate=False, rows=16)
    start = Regression(seeded_generator(0)).state_dict()
    decay = min(0.5, 2 / 11)  # one batch of eight rows: one step
    for name, weight in averaged.items():
        torch.testing.assert_close(weight, decay * start[name] + (1 - decay) * plain[name])


def test_weight_decay_shrinks_matrices_but_not_biases() -> None:
    def after_one_step(weight_decay: float, **options: float) -> nn.Linear:
        layer = linear(2, 1, seeded_generator(0))
        train(
            layer,
            batches=lambda *_: [0],
            loss=lambda model, _: 0.0 * (model.weight.sum() + model.bias.sum()),
            config=TrainingConfig(epochs=1, learning_rate=0.01, weight_decay=weight_decay, **options),
            generator=seeded_generator(0),
        )
        return layer

    untouched, shrunk = after_one_step(0.0), after_one_step(0.1)
    assert (shrunk.weight.abs() < untouched.weight.abs()).all()
    assert torch.equal(shrunk.bias, untouched.bias)
    by_muon = after_one_step(0.1, matrix_rate=0.01)
    torch.testing.assert_close(by_muon.weight, (1 - 0.01 * 0.1) * untouched.weight)


@pytest.mark.parametrize("beta2", [0.999, 0.5])
def test_steps_after_a_large_first_gradient_are_adams(beta2: float) -> None:
    """Kingma & Ba (2015), algorithm 1, by hand: gradients 10 and 1."""
    network = nn.Linear(1, 1, bias=False)
    start = network.weight.item()
    train(
        network,
        batches=lambda generator, epoch: [10.0, 1.0],
        loss=lambda model, gradient: gradient * model.weight.sum(),
        config=TrainingConfig(epochs=1, learning_rate=0.1, beta2=beta2),
        generator=seeded_generator(0),
    )
    first_moment, second_moment = 0.9 * 1.0 + 0.1, beta2 * 100 * (1 - beta2) + (1 - beta2)
    second_step = first_moment / (1 - 0.9**2) / (second_moment / (1 - beta2**2)) ** 0.5
    assert network.weight.item() == pytest.approx(start - 0.1 * (1 + second_step), abs=1e-5)


def test_scores_that_are_not_finite_end_a_training_in_a_sentence() -> None:
    generator = seeded_generator(0)

    def validate(model: nn.Module) -> float:
        raise NotFinite

    with pytest.raises(
        TrainingDiverged, match=r"not finite in epoch 1: lower the learning rate, which is 0\.5"
    ):
        train(
            Regression(generator),
            batches=lambda source, epoch: [torch.ones(2, 4)],
            loss=lambda model, batch: model(batch).square().mean(),
            config=TrainingConfig(learning_rate=0.5),
            generator=generator,
            validate=validate,
        )
