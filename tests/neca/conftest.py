"""Small networks with weights that tell everything apart."""

import pytest
import torch

from noisegen.neca import Card, CorrelationNet, GainNet, LevelNet, Neca

GAINS = {100: (0.01, 0.012, 0.015), 400: (0.02, 0.022), 1600: (0.06,)}


def randomised(network, seed=0):
    """A network with weights of unit gain, so that no layer's part is lost in the others'."""
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in network.parameters():
            scale = tensor[0].numel() ** -0.5 if tensor.dim() == 4 else 0.1
            tensor.copy_(scale * torch.randn(tensor.shape, generator=draws))
    return network.eval()


@pytest.fixture(scope="session")
def small():
    return Neca(
        gain=randomised(GainNet(width=8)),
        level=randomised(LevelNet(width=8)),
        correlation=randomised(CorrelationNet(width=4)),
        card=Card(camera="small", gains=GAINS, licence="made in a test"),
    )
