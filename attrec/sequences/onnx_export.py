"""A sequence transformer as an ONNX file: histories padded to one length in, scores of all items out.

Needs the packages of the extra `onnx`.
"""

from __future__ import annotations

import copy
import math
import warnings

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from attrec.datasets.histories import Histories
from attrec.errors import ServiceError
from attrec.files import StrPath, whole
from attrec.sequences.network import SequenceTransformer
from attrec.sequences.transformer import Block, NeighbourMix


class PaddedScorer(nn.Module):
    """The network of packed rows in the textbook's form, one padded tensor: slower, and free of anything ragged.

    It is a copy on the CPU, wherever the model is.
    """

    popularity: Tensor

    def __init__(self, model: SequenceTransformer) -> None:
        super().__init__()
        self.network = copy.deepcopy(model.network).cpu().eval()
        self.length, self.causal = model.config.network.length, model.CAUSAL
        self.register_buffer("popularity", torch.from_numpy(np.log1p(model.popularity)))

    def forward(self, items: Tensor, lengths: Tensor) -> Tensor:
        """Scores [b, items] of what comes next.

        Args:
            items: [b, n] codes, oldest first, filled up on the right with any code.
            lengths: [b] how many of them are real, of which the newest `length` count; 0 asks what most people
                choose. For BERT4Rec the last real one is the mask, whose code is the number of items.
        """
        network = self.network
        column = torch.arange(items.shape[1])
        ages = lengths.unsqueeze(1) - 1 - column  # [b, n]
        hidden = (ages < 0) | (ages >= self.length)
        table = network.item if network.mask is None else torch.cat([network.item, network.mask])
        rows = table[items] * network.scale + network.position[ages.clamp(0, self.length - 1)]  # [b, n, d]
        if network.user is not None:
            rows = rows + network.user.mean(0)
        for block in network.transformer.blocks:
            rows = _block(block, rows, hidden, self.causal)  # type: ignore[arg-type]
        newest = rows[torch.arange(items.shape[0]), (lengths - 1).clamp(min=0)]  # [b, d]
        scores: Tensor = network.transformer.norm(newest) @ network.item.T
        return torch.where(lengths.unsqueeze(1) > 0, scores, self.popularity)


def _block(block: Block, rows: Tensor, hidden: Tensor, causal: bool) -> Tensor:
    b, n, width = rows.shape
    normal = block.attention_norm(rows)
    if block.mix is not None:
        normal = _mixed(block.mix, normal, hidden)
    qkv = block.query_key_value(normal).view(b, n, 3, block.heads, -1)
    query, key, value = qkv.permute(2, 0, 3, 1, 4)  # [b, heads, n, d / heads] each
    scores = query @ key.transpose(2, 3) / math.sqrt(width // block.heads)
    if block.by_distance is not None:
        place = torch.arange(n)
        same = block.by_distance.shape[1] // 2
        apart = place - place.unsqueeze(1)
        scores = scores + block.by_distance[:, (same + apart).clamp(0, 2 * same)]
    unseen = hidden[:, None, None, :]
    if causal:
        unseen = unseen | torch.ones(n, n, dtype=torch.bool).triu(1)
    # Not -inf: a hidden row may see nothing, and undefined weights would spread.
    weights = scores.masked_fill(unseen, torch.finfo(scores.dtype).min).softmax(3)
    attended = (weights @ value).transpose(1, 2).reshape(b, n, width)
    rows = rows + block.attention_output(attended)
    inner = functional.relu if block.activation is functional.relu else functional.gelu
    return rows + block.contract(inner(block.expand(block.network_norm(rows))))


def _mixed(mix: NeighbourMix, rows: Tensor, hidden: Tensor) -> Tensor:
    real = rows.masked_fill(hidden.unsqueeze(2), 0)
    mixed = rows
    n = rows.shape[1]
    for step, weight in enumerate(mix.weight, start=1):
        moved = functional.pad(real, (0, 0, step, 0))[:, :n]
        mixed = mixed + moved * weight
    return mixed


def export_onnx(model: SequenceTransformer, file: StrPath) -> None:
    """Write a fitted model as ONNX: inputs `items` [b, n] and `lengths` [b], output `scores` [b, items].

    What `PaddedScorer` says of the inputs holds; codes are positions in `model.items`. The file's metadata have
    `length`, how many of the newest actions count, `items`, how many there are, and for BERT4Rec `mask`, the code of
    the mask. A model with user embeddings scores as for somebody new.

    Raises:
        ServiceError: the packages that write ONNX are not installed.
    """
    items, lengths = padded(model, Histories.of_lists([[0, 0, 0], [0]]))
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ServiceError("ONNX export needs more packages: pip install 'attrec[onnx]'.") from error
    histories, length = torch.export.Dim("histories"), torch.export.Dim("length")
    with warnings.catch_warnings():
        # The exporter warns of its own deprecated internals.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            PaddedScorer(model),
            (items, lengths),
            input_names=["items", "lengths"],
            output_names=["scores"],
            dynamic_shapes=({0: histories, 1: length}, {0: histories}),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    facts = {"length": model.config.network.length, "items": len(model.items)}
    if not model.CAUSAL:
        facts["mask"] = len(model.items)
    program.model.metadata_props.update({name: str(value) for name, value in facts.items()})
    with whole(file) as temporary:
        program.save(temporary, external_data=False)


def padded(model: SequenceTransformer, histories: Histories) -> tuple[Tensor, Tensor]:
    """What `PaddedScorer` takes for these histories."""
    asked = model.questions(histories)
    lengths = torch.from_numpy(asked.counts)
    rows = torch.split(torch.from_numpy(asked.items), lengths.tolist())
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True), lengths
