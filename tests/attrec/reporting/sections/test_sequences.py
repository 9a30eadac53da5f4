"""The next-item section: highest first, leads above zero, sampled metrics apart, and what the sequences are."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from attrec.reporting.contents import DatasetReport, SequenceReport
from attrec.reporting.elements import Section, Table
from attrec.reporting.sections.sequences import sequence_section

DATASET = DatasetReport("d", "Some <films>", "6e47046882bad158")
SOME = {"actions": 10, "actions_without_timestamp": 10}


def laid_out(report: SequenceReport) -> Section:
    return sequence_section(report, DATASET)


def table(section: Section, beginning: str) -> Table:
    [found] = [one for one in (*section.tables, *section.further_tables) if one.caption.startswith(beginning)]
    return found


def test_the_highest_value_leads_and_every_lead_is_above_zero(sequence_report: SequenceReport) -> None:
    section = laid_out(sequence_report)
    board = table(section, "Leaderboard")
    assert board.caption == "Leaderboard: Some <films>, split leave-one-out, test part"
    assert board.rows["model"].tolist() == ["sasrec", "markov-chain", "popularity (best on validation)"]
    assert board.rows["behind the best by"].tolist() == [
        "best",
        "0.0700 (0.0500 – 0.0900)",
        "0.1400 (0.1100 – 0.1700)",
    ]
    assert board.rows["p"].tolist() == ["", "0.001", "< 0.001"]
    assert section.summary == [
        "On Some <films>, split leave-one-out, sasrec has the best test NDCG@10: 0.1900 (95% interval 0.1800 to "
        "0.2000, mean of 2 seeds).",
        "It is ahead of markov-chain by 0.0700 (95% interval 0.0500 to 0.0900, p 0.001): a significant lead.",
        "The model chosen on validation, and registered, is popularity.",
    ]


def test_a_lead_that_may_be_chance_is_not_called_significant(sequence_report: SequenceReport) -> None:
    assert sequence_report.comparisons is not None
    unsure = sequence_report.comparisons.assign(p_adjusted=0.2, ci_high=0.01)
    section = laid_out(replace(sequence_report, comparisons=unsure))
    assert section.summary[1].endswith("interval -0.0100 to 0.0900, p 0.200): not a significant lead.")
    assert table(section, "Leaderboard").rows["p"].tolist() == ["", "0.200 (n.s.)", "0.200 (n.s.)"]


def test_the_leaderboard_has_a_row_a_model_and_users_for_what_was_scored(
    sequence_report: SequenceReport,
) -> None:
    columns = table(laid_out(sequence_report), "Leaderboard").rows.columns.tolist()
    assert columns == [
        "model", "NDCG@10", "95% interval", "HR@10", "MRR@10", "behind the best by", "p",
    ]  # fmt: skip


def test_other_cut_offs_and_sampled_metrics_are_folded_and_apart(sequence_report: SequenceReport) -> None:
    section = laid_out(sequence_report)
    whole, sampled = table(section, "Other cut-offs"), table(section, "Sampled metrics")
    assert whole.folded
    assert sampled.folded
    assert whole.rows.columns.tolist() == ["model", "HR@5", "NDCG@5", "NDCG@20"]
    assert whole.rows["NDCG@5"].tolist()[0] == "0.1710 (0.1610 – 0.1810)"
    assert sampled.rows.columns.tolist() == [
        "model", "NDCG@20-sampled-uniform100", "Recall@20-sampled-uniform100",
    ]  # fmt: skip
    assert "not in the whole catalogue" in sampled.note
    assert "sampled" not in " ".join(table(section, "Leaderboard").rows.columns)


def test_models_stand_in_the_same_order_everywhere(sequence_report: SequenceReport) -> None:
    section = laid_out(sequence_report)
    order = ["sasrec", "markov-chain", "popularity"]
    assert table(section, "What is recommended").rows["model"].tolist() == order
    lengths = table(section, "Test NDCG@10 by length").rows
    assert lengths["model"].tolist() == order
    assert lengths.columns.tolist() == ["model", "3–9", "10–40"]
    assert lengths["10–40"].tolist() == [0.21, 0.13, 0.06]


def test_says_what_the_sequences_are(sequence_report: SequenceReport) -> None:
    section = laid_out(sequence_report)
    assert section.facts == {
        "Split": "leave-one-out", "Users": "60", "Items": "40", "Actions": "1,045",
        "Actions trained on": "925", "Validation targets": "60", "Test targets": "60",
    }  # fmt: skip
    notes = " ".join(section.notes)
    for expected in (
        "Time leaks", "but for what the user has had", "Ratings of 4 and more are actions; 222 lower ones",
        "33 actions are not trained on: of users with fewer than 5 actions", "11 users are left out altogether",
        "77 bear the timestamp", "6 users of the test and 7 of the validation part",
        "4 test targets are items that do not occur in training", "5 are in the user's own history, and a miss",
    ):  # fmt: skip
        assert expected in notes, expected


def test_the_temporal_split_is_said_to_leak_no_time(sequence_report: SequenceReport) -> None:
    counts = {**sequence_report.counts, "targets_without_history": 9}
    notes = " ".join(laid_out(replace(sequence_report, split="temporal", counts=counts)).notes)
    assert "time does not leak" in notes
    assert "9 targets without a history" in notes
    assert "Time leaks" not in notes


def test_data_without_timestamps_and_without_filters(sequence_report: SequenceReport) -> None:
    plain = replace(sequence_report, counts=SOME, actions={"min_rating": None}, exclude_seen=False)
    notes = " ".join(laid_out(plain).notes)
    assert "There are no timestamps: actions are in the order of the file." in notes
    assert "left out" not in notes
    assert "what the user has had included" in notes
    assert "in the user's own history." in notes


def test_published_figures_stand_apart_with_their_metrics(sequence_report: SequenceReport) -> None:
    published = table(laid_out(sequence_report), "Published figures")
    assert published.rows.columns.tolist() == ["model", "NDCG@10", "HR@10", "note"]
    assert "none was measured here" in published.note


def test_what_is_absent_is_left_out(sequence_report: SequenceReport) -> None:
    bare = SequenceReport(sequence_report.leaderboard)
    section = laid_out(bare)
    assert len(section.figures) == 1
    assert section.further_tables == []
    assert section.facts == {}
    assert "whether the lead is more than chance was not tested" in section.summary[1]
    empty = pd.DataFrame(columns=["model", "epoch", "train", "validation"])
    assert len(laid_out(replace(bare, curves=empty, attention=empty)).figures) == 1


def test_attention_says_what_the_newest_action_looked_at(sequence_report: SequenceReport) -> None:
    shown = laid_out(sequence_report).figures[-1]
    assert "sasrec" in shown.caption
    assert "block 2" in shown.caption
    assert "the last row attends most to Film 1, weight 1.00 on average over 2 heads" in shown.svg


def test_a_leaderboard_without_the_ranking_metric_is_refused(sequence_report: SequenceReport) -> None:
    board = sequence_report.leaderboard
    with pytest.raises(ValueError, match="ndcg@10"):
        laid_out(replace(sequence_report, leaderboard=board[board["metric"] != "ndcg@10"]))
