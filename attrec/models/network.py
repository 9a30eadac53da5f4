"""A model that is one network, trained by `attrec.models.training.train`: its epochs, losses, size and weights."""

from __future__ import annotations

from dataclasses import asdict

import torch
from torch import nn

from attrec.models.base import Model, Parameters, Saved
from attrec.models.training import Losses


class NetworkModel(Model):
    """Stands before the family's base among the bases of a model, whose `config.training` is a `TrainingConfig`."""

    network: nn.Module
    course: Losses
    """Of its training."""

    @property
    def rounds(self) -> int:
        return int(self.config.training.epochs)

    @property
    def losses(self) -> dict[str, Losses]:
        return {"": self.course}

    @property
    def trained(self) -> int:
        return sum(weight.numel() for weight in self.network.parameters())

    def network_parameters(self) -> Parameters:
        """The network's share of `parameters`: its weights, and how its training went."""
        weights = {
            f"network.{name}": value.cpu().numpy() for name, value in self.network.state_dict().items()
        }
        return Parameters(weights, {"course": asdict(self.course)})

    def take_network(self, saved: Saved, network: nn.Module) -> None:
        """Take back what `network_parameters` gave, into a `network` of the same shape."""
        weights = {n.removeprefix("network."): a for n, a in saved.arrays.items() if n.startswith("network.")}
        network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
        self.network = network.eval()
        self.course = Losses(**saved.values["course"])
