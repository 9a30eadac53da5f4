"""`attrec recommend --titles`: what comes next after some titles, and what the model attended to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrec.errors import DataError
from cli.ask.registered import load_registered, show_items
from cli.tables import Form, say

if TYPE_CHECKING:
    from attrec.sequences.model import SequenceModel
    from attrec.serving.sequences import ServedSequences
    from attrec.serving.titles import Match

DRAWN = (".svg", ".png", ".pdf")


def recommend_next(titles: Sequence[str], k: int, model: str, attention: Path | None, form: Form) -> None:
    """Print what each title was taken for and the k likeliest next items.

    Raises:
        DataError: no title is given, one is not found, the model has no attention to draw, or its folder holds none.
        ServiceError: there is no such model.
    """
    if not titles:
        raise DataError('Say what somebody liked: attrec recommend --titles "Toy Story" "The Lion King".')
    if attention is not None and (attention.suffix not in DRAWN or not attention.parent.is_dir()):
        raise DataError(f"{attention} cannot be drawn: give a file that ends in {', '.join(DRAWN)}.")
    served = _load(model, form)
    if served.titles is None:
        raise DataError("The items of this model have no titles: ask it by MLflow, with the column item_id.")
    if attention is not None and not served.model.attends:
        raise DataError("This model has no attention to draw; ask a transformer with --model.")
    matches = served.titles.find_all(titles)
    for match in matches:
        say(f"{match.typed} → {match.title}", form)
    show_items(served.recommend([match.item_id for match in matches], k), form, "score")
    if attention is not None:
        _draw_attention(served.model, matches, attention, form)


def _load(model: str, form: Form) -> ServedSequences:
    """A registered or tracked model, or what `cli.train_sequences` wrote into a folder."""
    from attrec.serving.sequences import ServedSequences

    if os.sep not in model:
        return load_registered(ServedSequences, model, form)
    served = ServedSequences.read(Path(model))
    say(f"Model: {model}.", form)
    return served


def _draw_attention(model: SequenceModel, matches: Sequence[Match], file: Path, form: Form) -> None:
    import pandas as pd

    from attrec.reporting.plots.common import attention_map

    codes = model.items.get_indexer(pd.Index([match.item_id for match in matches], dtype=model.items.dtype))
    weights = model.attention(codes.tolist())[-1]
    labels = model.attended([match.title for match in matches])
    try:
        attention_map(weights, labels).savefig(file, dpi=150, bbox_inches="tight")
    except OSError as error:
        raise DataError(f"{file} cannot be written: {error.strerror or error}.") from error
    say(f"{file}: how much each title (row) attended to each other one in the last block", form)
