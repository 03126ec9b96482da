"""The type that an operator of our own computes in."""

import torch
from torch import Tensor


def working_dtype(x: Tensor) -> torch.dtype:
    """Return autocast's type where autocast is on, else that of ``x``."""
    device = x.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return x.dtype
