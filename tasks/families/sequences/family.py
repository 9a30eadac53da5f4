"""Next items, as one of the families that one mechanism serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from prefect.futures import PrefectFuture

from attrec.metrics.ranking import METRICS
from attrec.models.base import Model
from attrec.serving.items import with_actions
from attrec.serving.sequences import ServedSequences
from attrec.shown import as_cells
from tasks.comparison.champion import better_values
from tasks.comparison.examples import Example
from tasks.comparison.family import Contest, Family, Fitted, Key
from tasks.comparison.score import best_by
from tasks.engine.artifacts import Artifact
from tasks.engine.caching import of_model
from tasks.engine.training_data import Part
from tasks.families.sequences.answers import rank, read_ranks
from tasks.families.sequences.data import PreparedSequences, SequenceTraining, load_sequence_facts
from tasks.families.sequences.figures import RANKING_METRIC, evaluate_sequences
from tasks.families.sequences.shown import example_attention, examples


@dataclass(frozen=True)
class Sequences(Family[PreparedSequences, SequenceTraining]):
    """What somebody does next; the catalogue is ranked behind what they did, models are chosen by NDCG@10."""

    name: ClassVar = ServedSequences.family
    served: ClassVar = ServedSequences
    contest: ClassVar = Contest("NDCG@10", False, better_values)
    """Of user_id, item_id (the target), value (NDCG@10 of the user)."""
    refits: ClassVar = False
    source: ClassVar = "data/interim"

    def facts(self, data: PreparedSequences) -> dict[str, Any]:
        return load_sequence_facts(data)

    def training_rows(self, facts: Mapping[str, Any]) -> int:
        return int(facts["split"]["actions"])

    def split_hash(self, facts: Mapping[str, Any], training: SequenceTraining) -> str:
        """Models that were ranked with what users have had stand on another split."""
        return super().split_hash(facts, training) + ("" if training.exclude_seen else "-with-seen")

    def answer(
        self,
        key: Key,
        model: Artifact | PrefectFuture[Artifact],
        kind: type[Model],
        data: PreparedSequences,
        part: Part,
    ) -> PrefectFuture[Artifact]:
        return of_model(rank, *key).submit(model, kind, data, part)

    def evaluate(
        self,
        data: PreparedSequences,
        part: Part,
        answers: Mapping[str, list[Artifact]],
        champion: str | None = None,
    ) -> Artifact:
        return evaluate_sequences(data, part, dict(answers))

    def best(self, scores: pd.DataFrame) -> str:
        return best_by(scores, RANKING_METRIC)

    def on_validation(self, fitted: Fitted, training: SequenceTraining) -> pd.DataFrame:
        ranks = read_ranks(fitted.validation[0])
        return ranks[["user_id", "item_id"]].assign(value=METRICS[RANKING_METRIC](ranks["rank"].to_numpy()))

    def seen(self, training: SequenceTraining) -> pd.DataFrame:
        return training.actions()

    def items(self, training: SequenceTraining) -> pd.DataFrame:
        return with_actions(training.items(), training.actions())

    def described(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        return {name: facts[name] for name in ("dataset", "split", "sequences")}

    def examples(self, training: SequenceTraining, best: Fitted) -> list[Example]:
        return examples(training, best)

    def write_shown(
        self, folder: Path, training: SequenceTraining, fitted: Sequence[Fitted], champion: str
    ) -> None:
        attention = example_attention(training, fitted, champion)
        as_cells(attention).to_csv(folder / "attention.csv", index=False, float_format="%.6f")


SEQUENCES = Sequences()
