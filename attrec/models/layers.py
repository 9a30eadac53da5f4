"""Layers whose randomness comes from an explicit generator, so that trainings side by side cannot disturb
one another."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def seeded_generator(seed: int, device: str = "cpu") -> torch.Generator:
    """The one source of randomness of one model: initialisation, shuffling and dropout."""
    return torch.Generator(device).manual_seed(seed)


def linear(inputs: int, outputs: int, generator: torch.Generator, bias: bool = True) -> nn.Linear:
    """`nn.Linear` with torch's default initialisation, U(-1/sqrt(inputs), 1/sqrt(inputs)), drawn from
    `generator`."""
    layer = _Linear(inputs, outputs, bias=bias)
    bound = inputs**-0.5 if inputs else 0.0
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return layer


class _Linear(nn.Linear):
    """Not initialised; `nn.utils.skip_init` gives the same, half a second later: it imports torch's symbolic shapes."""

    def reset_parameters(self) -> None:
        """Draw nothing from the process-wide generator."""


class Dropout(nn.Module):
    """Inverted dropout; `torch.nn.Dropout` draws from the process-wide generator and takes no other."""

    def __init__(self, probability: float, generator: torch.Generator) -> None:
        super().__init__()
        self.probability = probability
        self.generator = generator

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training or self.probability == 0:
            return inputs
        uniform = torch.rand(inputs.shape, generator=self.generator, device=self.generator.device)
        kept = (uniform >= self.probability).to(inputs)
        return inputs * kept / (1 - self.probability)
