"""The published comparisons of sequence models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from pydantic import Field

from attrec.errors import ParamsError
from attrec.models.specs import Spec
from attrec.prepare.sequence_splits import SequenceConfig, SequenceSplitConfig
from attrec.sequences.specs import SEQUENCE_MODELS, SequenceSpec
from flows.fitting import fit_models
from flows.prepare import prepare_dataset
from flows.prepare_params import PrepareParams
from flows.published.comparison import Comparison
from tasks.comparison.family import Fitted
from tasks.comparison.score import read_scores
from tasks.comparison.summary import write_summary
from tasks.engine import tracking
from tasks.engine.artifacts import Artifact
from tasks.engine.training_data import Part
from tasks.families.sequences.data import PreparedSequences, make_sequences
from tasks.families.sequences.family import SEQUENCES
from tasks.families.sequences.figures import RANKING_METRIC, evaluate_sequences
from tasks.families.sequences.shown import title_example
from tasks.reports.facts import model_facts
from tasks.reports.pages import write_sequence_page
from tasks.reports.results import ablation_table


class SequenceComparison(Comparison):
    """Sequence models, and the sequences they are compared on, ranked without what users have had."""

    family: ClassVar = SEQUENCES
    parts: ClassVar = ("validation", "test")
    files: ClassVar = {"comparisons": "comparisons", "beyond": "beyond", "by-seed": "by_seed"}

    actions: SequenceConfig = SequenceConfig()
    split: SequenceSplitConfig = SequenceSplitConfig()
    seeds: list[int] = Field([0, 1, 2], min_length=1)
    models: dict[str, SequenceSpec]
    ablation: dict[str, SequenceSpec] = Field({})
    """Steps that are held against the first of their kind."""
    example: list[str] = Field([])
    """Titles behind which every model shows what it recommends."""

    @property
    def together(self) -> str:
        return self.split.name

    def some_splits(self, number: int) -> dict[str, Any]:
        raise ParamsError(f"{self.datasets[0]} has one split: leave out --splits.")

    def prepared(self, dataset: str) -> list[PreparedSequences]:
        cleaned = prepare_dataset(PrepareParams(dataset=dataset, prepare=self.prepare)).cleaned
        return [make_sequences(dataset, cleaned, self.actions, self.split)]

    def evaluate(
        self, dataset: str, splits: Sequence[PreparedSequences], fitted: Sequence[Sequence[Fitted]]
    ) -> dict[Part, Artifact]:
        [data], [models] = splits, fitted
        return {
            "validation": SEQUENCES.evaluate(
                data, "validation", {one.name: one.validation for one in models}
            ),
            "test": SEQUENCES.evaluate(data, "test", {one.name: one.test for one in models}),
        }

    def compare_steps(self, dataset: str, splits: Sequence[PreparedSequences]) -> pd.DataFrame:
        [data] = splits
        fitted = fit_models(
            SEQUENCES, self.ablation, self.seeds[:1], data, f"{dataset}, ablation", ("validation",)
        )
        tables = []
        for kind in dict.fromkeys(spec.kind for spec in self.ablation.values()):
            ranks = {one.name: one.validation for one in fitted if self.ablation[one.name].kind == kind}
            evaluation = evaluate_sequences(data, "validation", ranks, next(iter(ranks)))
            tables.append(ablation_table(evaluation, RANKING_METRIC))
        return pd.concat(tables)

    def further_tables(
        self, splits: Sequence[PreparedSequences], fitted: Sequence[Sequence[Fitted]]
    ) -> dict[str, pd.DataFrame]:
        tables = {"models": model_facts(fitted)}
        if self.example:
            tables["example"] = title_example(fitted[0], self.example, splits[0].training)
        return tables

    def write_page(
        self,
        file: Path,
        dataset: str,
        splits: Sequence[PreparedSequences],
        fitted: Sequence[Sequence[Fitted]],
        evaluations: Mapping[Part, Artifact],
        tables: Mapping[str, pd.DataFrame],
        runs: Mapping[str, str],
        settings: Mapping[str, Any],
    ) -> None:
        best = SEQUENCES.best(read_scores(evaluations["validation"]))
        by_part = {str(part): evaluation for part, evaluation in evaluations.items()}
        summary = write_summary(
            SEQUENCES, SEQUENCES.facts(splits[0]), splits[0].training, list(fitted[0]), by_part, best
        )
        tracking.log_files(runs["results"], summary.path, "sequence")
        write_sequence_page(file, dataset, summary, tables, runs, settings)


BASELINES: dict[str, Spec] = {
    kind: SEQUENCE_MODELS.spec(kind) for kind in ("popularity", "markov-chain", "item-knn")
}


def _sasrec(recipe: str, **changes: Any) -> Spec:
    return SEQUENCE_MODELS.spec("sasrec", recipe=recipe, changes=changes)


_ALIKE = {"epochs": 20, "patience": 20}
"""As many epochs as every step of the ablation has."""


def _step(**changes: Any) -> Spec:
    """The recipe `field` with one change."""
    return _sasrec("field", training=_ALIKE, **changes)


def _bert4rec_step(**changes: Any) -> Spec:
    """The recipe `full` with these changes."""
    return SEQUENCE_MODELS.spec("bert4rec", recipe="full", changes={"training": _ALIKE, **changes})


_FASTER = {"training": {"precision": "bfloat16"}}
"""The papers' recipes in bfloat16, as all others: in less time."""

STEPS: dict[str, Spec] = {
    "field: softmax, d 64, length 200, dropout 0.2": _step(),
    "loss: binary, one negative": _step(loss={"kind": "bce"}),
    "loss: gBCE, 256 negatives": _step(loss={"kind": "gbce", "negatives": 256}),
    "loss: sampled softmax, 256 negatives": _step(loss={"kind": "sampled-softmax", "negatives": 256}),
    "loss: sampled softmax, 1024 negatives": _step(loss={"kind": "sampled-softmax", "negatives": 1024}),
    "length 50": _step(network={"length": 50}),
    "length 100": _step(network={"length": 100}),
    "d 32": _step(network={"dimension": 32}),
    "d 128": _step(network={"dimension": 128}),
    "dropout 0": _step(network={"dropout": 0.0}),
    "dropout 0.4": _step(network={"dropout": 0.4}),
    "batch 128": _step(batch=128),
    "older stretches": _step(older=True),
    "neighbours 3": _step(network={"neighbours": 3}),
    "distances": _step(network={"distances": True}),
    "all of `full`": _sasrec("full", training=_ALIKE),
    "bert4rec, hidden actions alone": _bert4rec_step(causal_epochs=0, causal_share=0.0),
    "bert4rec, half of the steps causal": _bert4rec_step(causal_epochs=0),
    "bert4rec, 8 epochs causal and half of the later steps": _bert4rec_step(causal_epochs=8),
}
"""What each choice of `sasrec` contributed, and what causal steps do for `bert4rec`."""

HARRY_POTTER = [
    "Harry Potter and the Sorcerer's Stone",
    "Harry Potter and the Chamber of Secrets",
    "Harry Potter and the Prisoner of Azkaban",
    "Harry Potter and the Goblet of Fire",
]
"""The example of Lin & Yao: four films in, the later ones expected."""

SEQUENCE_TABLES = {
    "ml-1m-sequences": SequenceComparison(
        about="what comes next on ML-1M, leave-one-out, three seeds",
        datasets=["ml-1m-sequences"],
        models={
            **BASELINES,
            "sasrec": _sasrec("full"),
            "bert4rec-causal": SEQUENCE_MODELS.spec("bert4rec", recipe="full"),
        },
        ablation=STEPS,
    ),
    "ml-1m-papers": SequenceComparison(
        about="the same by the papers' own recipes",
        datasets=["ml-1m-sequences"],
        models={
            "sasrec-paper": _sasrec("paper", **_FASTER),
            "bert4rec-paper": SEQUENCE_MODELS.spec("bert4rec", recipe="paper", changes=_FASTER),
        },
    ),
    "ml-latest-small": SequenceComparison(
        about="what comes next on MovieLens latest-small, leave-one-out, three seeds",
        datasets=["ml-latest-small"],
        actions=SequenceConfig(min_rating=4.0, min_length=5),
        models={
            **BASELINES,
            "sasrec": _sasrec("small"),
            "bert4rec": SEQUENCE_MODELS.spec("bert4rec", recipe="small"),
        },
        example=HARRY_POTTER,
    ),
}
