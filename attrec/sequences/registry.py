"""Which class a saved sequence model belongs to, told by the file that only this class writes."""

from __future__ import annotations

from pathlib import Path

from attrec.models.storage import load_saved
from attrec.sequences.baselines import ItemKNN, MarkovChain, Popularity
from attrec.sequences.bert4rec import BERT4Rec, BERT4RecConfig
from attrec.sequences.model import SequenceModel
from attrec.sequences.network import SequenceTransformer
from attrec.sequences.sasrec import SASRec, SASRecConfig

SEQUENCE_MODELS: dict[str, type[SequenceModel]] = {
    "sasrec.json": SASRec,
    "bert4rec.json": BERT4Rec,
    "popularity.json": Popularity,
    "item_knn.json": ItemKNN,
    "markov_chain.json": MarkovChain,
}


def make_transformer(config: SASRecConfig | BERT4RecConfig, seed: int) -> SequenceTransformer:
    """The transformer that a config is of, not yet fitted."""
    return SASRec(config, seed) if isinstance(config, SASRecConfig) else BERT4Rec(config, seed)


def load_sequence_model(directory: Path) -> SequenceModel:
    """Load any saved sequence model.

    Raises:
        DataError: see `load_saved`.
    """
    return load_saved(directory, SEQUENCE_MODELS, "sequence")
