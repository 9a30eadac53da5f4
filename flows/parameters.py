"""The whole of params.yaml at once, as no single stage reads it."""

from __future__ import annotations

from pathlib import Path

from flows.paper_params import PaperParams
from flows.playlist_params import PlaylistParams
from flows.prepare_params import PrepareParams
from flows.rating_params import RatingParams
from flows.sequence_params import SequenceParams
from tasks.engine.params import load_params


def check_params(file: Path | None = None, dataset: str | None = None) -> str:
    """Check every section of params.yaml; return the dataset that it names.

    A stage would find the same fault, but only when DVC has removed its outs.

    Args:
        file: What stands in for params.yaml.
        dataset: In place of the one that it names.

    Raises:
        ParamsError: params.yaml is missing, not YAML or at fault.
        DataError: there is no such dataset.
    """
    params = load_params(PrepareParams, file)
    params.model_copy(update={"dataset": dataset or params.dataset}).check()
    for model in (RatingParams, SequenceParams, PlaylistParams, PaperParams):
        load_params(model, file)
    return params.dataset
