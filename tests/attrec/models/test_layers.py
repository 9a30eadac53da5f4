import torch

from attrec.models.layers import Dropout, linear, seeded_generator


def test_dropout_keeps_the_expectation_and_is_off_in_evaluation() -> None:
    layer = Dropout(0.25, seeded_generator(0))
    ones = torch.ones(200, 500)
    dropped = layer(ones)
    assert set(dropped.unique().tolist()) == {0.0, float(torch.tensor(1.0) / 0.75)}
    assert abs(float((dropped == 0).float().mean()) - 0.25) < 0.005
    assert torch.equal(layer.eval()(ones), ones)


def test_linear_is_initialised_as_torch_does() -> None:
    layer = linear(100, 300, seeded_generator(0))
    assert float(layer.weight.detach().abs().max()) <= 0.1
    assert abs(float(layer.weight.detach().std()) - 0.1 / 3**0.5) < 0.001
    assert torch.equal(layer.weight, linear(100, 300, seeded_generator(0)).weight)
