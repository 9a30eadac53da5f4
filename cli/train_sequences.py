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
from typing import Any

from attrec.datasets.tables import Tables
from attrec.errors import ParamsError
from attrec.models.base import MODEL_FILE, Model
from attrec.models.distributed import process_group
from attrec.prepare.sequence_splits import split_sequences
from attrec.serving.items import save_shown_items, with_actions
from flows.sequence_params import SequenceParams
from flows.stage import one_sentence_errors
from tasks.comparison.fit import watched
from tasks.engine import environment
from tasks.engine.params import load_params


def main(words: Sequence[str] | None = None) -> None:
    """Train and save; the first process says how good it is on validation."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        prog="cli.train_sequences",
    )
    parser.add_argument("model", help="name of a transformer in params.yaml, sequence.models")
    parser.add_argument("--output", type=Path, required=True, help="folder for the saved model")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(words)
    with one_sentence_errors(), process_group() as share:
        section = load_params(SequenceParams).sequence
        models: dict[str, Any] = {
            name: spec.model(spec.config(), arguments.seed) for name, spec in section.all_models().items()
        }
        trained = {name: model for name, model in models.items() if model.rounds is not None}
        if arguments.model not in trained:
            raise ParamsError(
                f"{arguments.model} is no transformer of params.yaml; there is {', '.join(trained)}."
            )
        model = trained[arguments.model]
        if (arguments.output / MODEL_FILE).exists():
            held = Model.class_of(arguments.output)
            if held is not type(model):
                raise ParamsError(
                    f"{arguments.output} holds a model of another kind ({held.__name__}): name another folder with"
                    " --output."
                )
        tables = Tables.load(environment.ROOT / "data" / "interim")
        parts = split_sequences(tables.ratings, section.actions, section.split)
        # Another number of processes draws other noise.
        identity = [model.config.model_dump_json(), arguments.seed, section.exclude_seen, share.processes]
        with watched(model, f"fit {arguments.model}", *identity) as (checkpoint, progress):
            model.fit(
                parts.actions,
                parts.validation,
                exclude_seen=section.exclude_seen,
                checkpoint=checkpoint,
                progress=progress,
            )
            if share.is_first:
                model.save(arguments.output)
                save_shown_items(with_actions(tables.items, parts.actions), arguments.output)
        if share.is_first:
            print(f"{arguments.output}: validation NDCG@10 {1 - model.losses[''].best_loss:.4f}")


if __name__ == "__main__":
    main()
