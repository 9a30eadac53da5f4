"""Benchmarks of the sequence models: what is kept, and what the table says of it."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from benchmarks.rows import Rows, commit
from benchmarks.sequence_growth import growth, losses_compared
from benchmarks.sequence_scale import BLOCKS, Point, sweeps
from benchmarks.sequence_table import OURS, Setting, System, speed_table, to_target
from benchmarks.sequences import search, settings


class Killed(BaseException):
    """What no code catches."""


def killed():
    raise Killed


def never():
    raise AssertionError("measured again")


def test_a_killed_run_goes_on_with_the_row_it_died_in(tmp_path):
    path = tmp_path / "rows.json"
    rows = Rows(path, {"size": 1})
    assert rows.measure("a", lambda: {"seconds": 1.5}) == {"seconds": 1.5}
    with pytest.raises(Killed):
        rows.measure("b", killed)
    again = Rows(path, {"size": 1})
    assert again.measure("a", never) == {"seconds": 1.5}
    assert again.measure("b", lambda given: {"seconds": given}, 2) == {"seconds": 2}
    assert Rows(path, {"size": 1}).find("b") == {"seconds": 2}


def test_other_conditions_are_measured_again_and_lose_nothing(tmp_path):
    path = tmp_path / "rows.json"
    Rows(path, {"size": 1}).measure("a", lambda: {"seconds": 1})
    assert Rows(path, {"size": 2}).find("a") is None
    Rows(path, {"size": 2}).measure("a", lambda: {"seconds": 2})
    assert Rows(path, {"size": 1}).find("a") == {"seconds": 1}
    assert len(json.loads(path.read_text())) == 2


def test_other_code_is_measured_again_and_loses_nothing(tmp_path):
    rows = Rows(tmp_path / "rows.json", {"size": 1})
    rows.measure("a", lambda: {"seconds": 1}, code="old")
    assert rows.measure("a", lambda: {"seconds": 2}, code="new") == {"seconds": 2}
    assert rows.find("a", "old") == {"seconds": 1}
    assert rows.commit_of("a", "old") == commit()
    assert rows.find("a") is None


def training(epochs, validations, ndcg):
    return {
        "set_up": 1,
        "epochs": epochs,
        "validations": validations,
        "evaluations": validations,
        "ndcg": ndcg,
        "peak_mb": 2048,
    }


def test_seconds_to_target_are_set_up_and_epochs_and_validations_up_to_it():
    one = training([10, 4, 4, 4], [1, 1, 1, 1], [0.1, 0.2, 0.1, 0.3])
    two = training([10, 4, 4, 6], [1, 1, 1, 3], [0.1, 0.1, 0.1, 0.2])
    assert to_target([one], 0.2) == ("2", "**17 s** (1 seed)")
    # 17 and 31 seconds: mean 24, standard deviation 14 / √2.
    assert to_target([one, two], 0.2) == ("2–4", "**24 ± 10 s** (2 seeds)")


def test_a_target_that_was_missed_is_said():
    one = training([1, 1], [1, 1], [0.1, 0.2])
    two = training([1, 1, 1], [1, 1, 1], [0.1, 0.15, 0.1])
    assert to_target([one, two], 0.2) == ("–", "not reached by 1 of 2 seeds: best 0.2000 in 3 epochs")


def test_table_takes_medians_without_the_first_epoch(tmp_path):
    size = {"dimension": 64, "blocks": 2, "heads": 2, "length": 200, "dropout": 0.2}
    rows = Rows(tmp_path / "rows.json", {**size, "target": 0.2})
    ours = System(OURS, "float32", setting=Setting(32, 0.004, 0.002))
    theirs = System("SASRecModel", "float32", setting=Setting(64, 0.001))
    rows.measure(ours.key(1), lambda: training([50, 4, 6, 8], [1, 2, 9, 2], [0.1, 0.2, 0.2, 0.2]))
    lines = speed_table(rows, [ours, theirs]).splitlines()
    [line] = [line for line in lines if line.startswith(f"| {OURS}")]
    assert line == (
        f"| {OURS} | float32 | batch 32, Adam 0.004, Muon 0.002"
        " | 1.0 s | 6.0 s | 2.00 s | 2 | **58 s** (1 seed) | 2.0 GiB |"
    )
    assert not [line for line in lines if line.startswith("| RecTools")]
    assert "RecTools" not in "\n".join(lines)
    assert f"code of {commit()})" in "\n".join(lines)
    rows.measure(theirs.key(1), lambda: training([50, 4, 6, 8], [1, 2, 9, 2], [0.1, 0.2, 0.2, 0.2]))
    text = speed_table(rows, [ours, theirs])
    assert "SASRecModel is" in text
    assert "FlatSASRecNet" not in text
    assert "The search" not in text
    rows.measure(theirs.key(0), lambda: training([50, 4], [1, 2], [0.1, 0.1]))
    text = speed_table(rows, [ours, theirs], searched=[ours, theirs])
    missed = "not reached: best 0.1000 in 2 epochs"
    assert f"| SASRecModel | float32 | batch 64, Adam 0.001 | – | {missed} |" in text
    assert f"| {OURS} | float32 | batch 32, Adam 0.004, Muon 0.002 | – |" not in text


def test_the_setting_that_is_soonest_at_the_target_is_chosen_and_others_are_held_against_it():
    system, against = System("SASRecModel", "float32"), []
    epochs = {32: 10, 64: 4, 128: 6}

    def train(each, seed, ahead):
        assert seed == 0
        against.append(list(ahead))
        reaches = each.setting.learning_rate == 4e-3 and each.setting.batch != 128
        return training([epochs[each.setting.batch]] * 3, [1] * 3, [0.1, 0.2 if reaches else 0.1, 0.1])

    chosen, tried = search(system, train, target=0.2)
    assert chosen.setting == Setting(64, 4e-3)
    assert [each.setting for each in tried] == settings(system)
    # Set-up, two epochs and validations: 23 s at batch 32, 11 s at 64.
    assert against == [[]] * 2 + [[(12, 0.1), (23, 0.2)]] * 4 + [[(6, 0.1), (11, 0.2)]] * 6
    ours = settings(System(OURS, "bfloat16"))
    assert [each for each in ours if each.matrix_rate is None] == settings(system)


def test_the_search_goes_on_while_the_largest_step_is_the_best():
    def train(each, seed, ahead):
        # Sooner the larger the step is, up to 0.018.
        rate = each.setting.learning_rate
        return training([1.0], [1 / rate if rate < 0.02 else 9000.0], [0.2])

    muon = System(OURS, "bfloat16")
    chosen, tried = search(muon, train, target=0.2)
    assert chosen.setting == Setting(32, 0.018, 0.009)
    assert [each.setting for each in tried[len(settings(muon)) :]] == [
        Setting(32, rate, rate / 2) for rate in (0.012, 0.018, 0.027)
    ]


def test_of_settings_that_are_nearly_as_good_more_seeds_decide():
    seconds = {(2e-3, 0): 10.0, (4e-3, 0): 9.5, (2e-3, 101): 10.0, (4e-3, 101): 30.0, (8e-3, 0): 12.0}
    seeds = []

    def train(each, seed, ahead=()):
        seeds.append(seed)
        rate = each.setting.learning_rate
        return training([1.0], [seconds.get((rate, seed), 10.0) if each.setting.batch == 32 else 90.0], [0.2])

    chosen, _ = search(System("SASRecModel", "float32"), train, target=0.2)
    assert chosen.setting == Setting(32, 2e-3)
    assert seeds[-6:] == [101, 102] * 3  # of 0.002, 0.004 and 0.001


def test_operations_of_a_step_are_those_of_its_products():
    # One sequence of 2, d = 3: 12·2·9 + 4·4·3 = 264 a block and 2·2·3 an item; three times forward.
    assert BLOCKS == 2
    whole = Point("length", 2, 3, items=10, negatives=None, sequences=1).described()
    sampled = Point("length", 2, 3, items=10, negatives=4, sequences=1).described()
    assert (whole["products"], sampled["products"]) == (3 * (2 * 264 + 120), 3 * (2 * 264 + 60))
    assert (whole["output_share"], sampled["output_share"]) == (120 / 648, 60 / 588)
    # Two targets are 1 + 9/10 items on average; each of the others is a negative with a chance of 4 in 10.
    both = Point("length", 2, 3, items=10, negatives=4, targets=True, sequences=1).described()
    assert both["products"] == pytest.approx(3 * (2 * 264 + 12 * (1.9 + 0.4 * 8.1)))


@pytest.mark.parametrize("point", [point for point in sweeps() if point.sweep != "items"], ids=str)
def test_length_and_width_sweeps_are_hardly_about_the_output(point):
    assert point.described()["output_share"] < 0.03


def test_losses_are_compared_at_each_size_of_the_catalogue():
    grown = pd.DataFrame(
        {
            "sweep": ["length", "items", "items", "items", "items"],
            "items": [50, 10, 2000, 10, 2000],
            "loss": ["4 sampled", "softmax over all", "softmax over all", "9 sampled", "9 sampled"],
            "seconds": [9.0, 1.0, 8.0, 2.0, 3.0],
            "step_mb": [9, 10, 5000, 20, 30],
        }
    )
    assert losses_compared(grown) == (
        "A step with softmax over all items, with 9 sampled: 10 items: 1.00 s and 10 MiB, 2.00 s and 20 MiB;"
        " 2,000 items: 8.00 s and 5,000 MiB, 3.00 s and 30 MiB."
    )


def test_growth_is_from_each_point_to_the_next():
    points = {"sweep": "length", "loss": "16 sampled", "length": [100, 200, 400]}
    grown = pd.DataFrame(
        points | {"seconds": [1.0, 2.0, 8.0], "products": [1.0, 3.0, 9.0], "step_mb": [5, 5, 10]}
    )
    assert list(growth(grown)) == [
        "| length n | 16 sampled | 100 | 200 | × 2.0 | × 3.0 | × 1.0 |",
        "| length n | 16 sampled | 200 | 400 | × 4.0 | × 3.0 | × 2.0 |",
    ]
