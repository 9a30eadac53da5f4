"""The network of GLocal-K: an item autoencoder with kernelised weights, and a convolution of its input.

Han et al., "GLocal-K: Global and Local Kernels for Recommender Systems" (CIKM 2021), section 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from attrec.models.base import Config
from attrec.models.tunable import Choice, Range
from attrec.parameters import Width


class GLocalKNetworkConfig(Config):
    """Layers, kernels and penalties; the defaults are the paper's for MovieLens 100K."""

    hidden: Annotated[Width, Choice((250, 500, 1000))] = 500
    """Width of the hidden layers."""
    layers: int = Field(default=2, ge=1, le=1024)
    """Number of hidden layers."""
    kernel_dimension: Width = 5
    """Size of the vectors u_i and v_j whose distance the local kernel takes."""
    weight_penalty: Annotated[float, Range(1.0, 300.0, log=True)] = Field(default=20.0, ge=0)
    """λ_2, on the squared weights. The error is summed over ratings, so more ratings ask for a larger penalty."""
    kernel_penalty: Annotated[float, Range(1e-4, 1.0, log=True)] = Field(default=0.006, ge=0)
    """λ_s, on the squared entries of the local kernels."""
    kernel_size: int = Field(default=3, ge=1, le=1024)
    """Rows and columns of the global kernel."""
    kernel_scale: Annotated[float, Range(0.1, 3.0, log=True)] = Field(default=1.0, gt=0)
    """Factor of the dot product that gives the global kernel."""


class LocalKernelLayer(nn.Module):
    """x (W ∘ K) + b with K_ij = max(0, 1 - ‖u_i - v_j‖²): weights between distant vectors are cut."""

    def __init__(self, inputs: int, outputs: int, dimension: int, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        nn.init.xavier_uniform_(self.weight, generator=generator)
        # Almost equal vectors: at the start every weight passes.
        self.input_vectors = nn.Parameter(1e-3 * torch.randn(inputs, dimension, generator=generator))
        self.output_vectors = nn.Parameter(1e-3 * torch.randn(outputs, dimension, generator=generator))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def kernel(self) -> Tensor:
        """K [inputs, outputs]."""
        u, v = self.input_vectors, self.output_vectors
        squared_distance = u.square().sum(1, keepdim=True) + v.square().sum(1) - 2 * u @ v.T
        return (1 - squared_distance).clamp(min=0)

    def forward(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        """[n, inputs] → [n, outputs]."""
        return torch.addmm(self.bias, inputs, self.weight * kernel)


class GLocalKNetwork(nn.Module):
    """Reconstructs a rating matrix [n_items, n_users] (0 where unknown), each item from its own ratings."""

    def __init__(
        self, n_items: int, n_users: int, config: GLocalKNetworkConfig, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.config = config
        widths = [n_users, *[config.hidden] * config.layers]
        self.encoder = nn.ModuleList(
            LocalKernelLayer(inputs, outputs, config.kernel_dimension, generator)
            for inputs, outputs in pairwise(widths)
        )
        self.decoder = LocalKernelLayer(config.hidden, n_users, config.kernel_dimension, generator)
        size = config.kernel_size
        self.convolution_kernels = nn.Parameter(0.1 * torch.randn(n_items, size, size, generator=generator))

    def forward(self, ratings: Tensor, smooth: bool) -> tuple[Tensor, Tensor]:
        """Reconstruction [n_items, n_users] of the ratings or (`smooth`) of the convolved ratings, and the penalty.

        The penalty is λ_2 Σ W² + λ_s Σ K² over all layers.
        """
        layers = [*cast(Iterable[LocalKernelLayer], self.encoder), self.decoder]
        kernels = [layer.kernel() for layer in layers]

        def encode(hidden: Tensor) -> Tensor:
            for layer, kernel in zip(layers[:-1], kernels[:-1], strict=True):
                hidden = torch.sigmoid(layer(hidden, kernel))
            return hidden  # [n_items, hidden]

        hidden = encode(ratings)
        if smooth:
            hidden = encode(convolve(ratings, self._global_kernel(hidden, kernels[-1])))
        weights = torch.stack([layer.weight.square().sum() for layer in layers]).sum()
        entries = torch.stack([kernel.square().sum() for kernel in kernels]).sum()
        penalty = self.config.weight_penalty * weights + self.config.kernel_penalty * entries
        return self.decoder(hidden, kernels[-1]), penalty

    def _global_kernel(self, hidden: Tensor, kernel: Tensor) -> Tensor:
        """Sum [k, k] of the items' convolution kernels, weighted by their mean reconstructed rating."""
        # The mean over users of what a linear layer puts out is cheaper taken over its weights.
        weight = (self.decoder.weight * kernel).mean(1)
        mean_rating = hidden @ weight + self.decoder.bias.mean()  # [n_items]
        return self.config.kernel_scale * torch.tensordot(mean_rating, self.convolution_kernels, dims=1)


def convolve(ratings: Tensor, kernel: Tensor) -> Tensor:
    """ReLU of the cross-correlation of [n_items, n_users] with a [k, k] kernel, zeros beyond the border."""
    return functional.conv2d(ratings[None, None], kernel[None, None], padding="same")[0, 0].relu()
