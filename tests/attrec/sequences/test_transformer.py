"""The residual dropout, by hand."""

from __future__ import annotations

import torch

from attrec.models.layers import seeded_generator
from attrec.sequences.transformer import ResidualDropout


def test_residual_dropout_keeps_the_expectation_and_the_rows_it_adds_to() -> None:
    layer = ResidualDropout(0.25, seeded_generator(0))
    rows, added = torch.full((200, 500), 10.0), torch.full((200, 500), 3.0)
    sums = layer(rows, added)
    # 3 is dropped, or divided by the share of three quarters that stays.
    assert set(sums.unique().tolist()) == {10.0, 14.0}
    assert abs(float((sums == 10).float().mean()) - 0.25) < 0.005
    assert torch.equal(layer.eval()(rows, added), rows + added)


def test_residual_dropout_of_nothing_is_a_sum() -> None:
    rows, added = torch.ones(3, 4), torch.full((3, 4), 2.0)
    assert torch.equal(ResidualDropout(0.0, seeded_generator(0))(rows, added), rows + added)
