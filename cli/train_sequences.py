"""Train one sequence model of params.yaml outside the pipeline, on as many processes as `torchrun` starts.

    torchrun --standalone --nproc-per-node 2 -m cli.train_sequences sasrec --output models/mine

It reads the clean data of the stage `prepare` (data/interim) and splits them as the stage `sequence` does. Each
process takes its share of every batch, on a GPU of its own where there is one. `python -m` in the place of `torchrun`
is one process. A training that was killed resumes when it is started again in the same way. Ask what it made by

    attrec recommend --titles "Toy Story" --model models/mine
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from attrec.datasets.tables import Tables
from attrec.errors import ParamsError
from attrec.models.base import MODEL_FILE
from attrec.models.distributed import process_group
from attrec.models.storage import read_json
from attrec.prepare.sequence_splits import split_sequences
from attrec.sequences.model import SequenceModel
from attrec.sequences.specs import SEQUENCE_MODELS
from attrec.serving.items import save_shown_items
from flows.sequence import SequenceParams
from flows.sequence_models import NetworkSpec
from flows.stage import one_sentence_errors
from tasks.engine import environment
from tasks.engine.params import load_params
from tasks.engine.progress import resumable_training

MODULE = "cli.train_sequences"


def main(words: Sequence[str] | None = None) -> None:
    """Train and save; the first process says how good it is on validation."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog=MODULE
    )
    parser.add_argument("model", help="name of a transformer in params.yaml, sequence.models")
    parser.add_argument("--output", type=Path, required=True, help="folder for the saved model")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(words)
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
        model = SEQUENCE_MODELS.rows[spec.kind].model(config, arguments.seed)
        assert isinstance(model, SequenceModel)
        held = arguments.output / MODEL_FILE
        kind = type(model).__name__
        if held.is_file() and (other := read_json(held)["class"].rpartition(".")[2]) != kind:
            raise ParamsError(
                f"{arguments.output} holds a model of another kind ({other}): name another folder with --output."
            )
        # Another number of processes draws other noise.
        identity = [config.model_dump_json(), arguments.seed, section.exclude_seen, share.processes]
        label, epochs = f"fit {arguments.model}", config.training.epochs
        with resumable_training(
            label, epochs, MODULE, *identity, unit="targets", validation="1 - NDCG@10"
        ) as (checkpoint, show):
            model.fit(
                parts.actions,
                parts.validation,
                exclude_seen=section.exclude_seen,
                checkpoint=checkpoint,
                progress=show,
            )
            if share.is_first:
                model.save(arguments.output)
                save_shown_items(tables.items, arguments.output)
        if share.is_first:
            print(f"{arguments.output}: validation NDCG@10 {1 - model.losses[''].best_loss:.4f}")


if __name__ == "__main__":
    main()
