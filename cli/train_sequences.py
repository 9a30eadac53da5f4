"""Train one sequence model of params.yaml outside the pipeline, on as many processes as `torchrun` starts.

    torchrun --standalone --nproc-per-node 2 -m cli.train_sequences sasrec --output models/mine

It reads the clean data of the stage `prepare` (data/interim) and splits them as the stage `sequence` does. Each
process takes its share of every batch, on a GPU of its own where there is one. `python -m` in the place of `torchrun`
is one process.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from attrec.datasets.tables import Tables
from attrec.distributed import process_group
from attrec.errors import ParamsError
from attrec.metrics.ranking import ndcg_at, rank_users
from attrec.models.bert4rec import BERT4Rec
from attrec.models.histories import Histories
from attrec.models.sasrec import SASRec, SASRecConfig
from attrec.models.sequence_network import SequenceTransformer
from attrec.prepare.sequences import split_sequences
from flows.sequence import SequenceParams
from flows.sequence_models import NetworkSpec
from flows.stage import one_sentence_errors
from tasks import environment
from tasks.params import load_params
from tasks.training_progress import training_progress


def main() -> None:
    """Train and save; the first process says how good it is on validation."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="cli.train_sequences"
    )
    parser.add_argument("model", help="name of a transformer in params.yaml, sequence.models")
    parser.add_argument("--output", type=Path, required=True, help="folder for the saved model")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with one_sentence_errors(), process_group() as share:
        section = load_params(SequenceParams).sequence
        spec = section.models.get(arguments.model)
        if not isinstance(spec, NetworkSpec):
            known = [name for name, other in section.models.items() if isinstance(other, NetworkSpec)]
            raise ParamsError(
                f"{arguments.model} is no transformer of params.yaml; there is {', '.join(known)}."
            )
        config = spec.config()
        tables = Tables.load(environment.ROOT / "data" / "interim")
        parts = split_sequences(tables.ratings, section.actions, section.split)
        model: SequenceTransformer
        model = (SASRec if isinstance(config, SASRecConfig) else BERT4Rec)(config, arguments.seed)
        with training_progress(f"fit {arguments.model}", config.training.epochs) as show:
            model.fit(parts.actions, parts.validation, progress=show)
        if share.is_first:
            model.save(arguments.output)
            print(
                f"{arguments.output}: validation NDCG@10 {validation_ndcg(model, parts.actions, parts.validation):.4f}"
            )


def validation_ndcg(model: SequenceTransformer, actions: pd.DataFrame, validation: pd.DataFrame) -> float:
    """Mean NDCG@10 of the validation targets."""
    histories = Histories.of(actions, pd.Index(validation["user_id"]), model.items)
    targets = model.items.get_indexer(pd.Index(validation["item_id"]))
    return float(ndcg_at(rank_users(model, histories, targets, k=0).ranks, 10).mean())


if __name__ == "__main__":
    main()
