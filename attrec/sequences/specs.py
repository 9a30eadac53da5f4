"""The sequence models there are: a row each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrec.models.specs import Row, Spec, Table
from attrec.sequences.baselines import ItemKNN, MarkovChain, Popularity
from attrec.sequences.bert4rec import BERT4Rec
from attrec.sequences.recipes import BERT4REC_RECIPES, SASREC_RECIPES
from attrec.sequences.sasrec import SASRec

SEQUENCE_MODELS = Table(
    Row(
        "popularity",
        Popularity,
        "Baseline: the items with the most training actions, the same for everybody.",
    ),
    Row(
        "item-knn",
        ItemKNN,
        "Baseline: items that have many users in common with those of the history.",
    ),
    Row(
        "markov-chain",
        MarkovChain,
        "Baseline: what most often follows the newest action.",
    ),
    Row(
        "sasrec",
        SASRec,
        "Causal self-attention over the history, read at its newest action (Kang & McAuley 2018).",
        SASREC_RECIPES,
    ),
    Row(
        "bert4rec",
        BERT4Rec,
        "Attention in both directions that learns to fill in hidden actions, asked for one behind the newest "
        "(Sun et al. 2019); with causal steps it learns as SASRec does beside.",
        BERT4REC_RECIPES,
    ),
)

if TYPE_CHECKING:
    SequenceSpec = Spec
else:
    SequenceSpec = SEQUENCE_MODELS.union()
"""What `params.yaml` says of a sequence model."""


def check_sequence_names(models: Mapping[str, Spec]) -> None:
    """Raises: ValueError if a name does not say what the model is."""
    for name, spec in models.items():
        if not name.startswith(spec.kind):
            raise ValueError(f"the name {name} must begin with what the model is: {spec.kind}")
