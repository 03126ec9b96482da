"""What the network computes in while its weights stay float32."""

import torch

from denoisers.training.recipe import Training


def autocast(recipe: Training, device: torch.device) -> torch.autocast:
    """Return the context in which a network of a recipe runs."""
    kinds = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
    kind = kinds[recipe.precision]
    return torch.autocast(device.type, kind or torch.bfloat16, enabled=kind is not None)


def scaler(recipe: Training, device: torch.device) -> torch.amp.GradScaler:
    """Return what keeps small gradients of float16 from vanishing; idle in other precisions."""
    return torch.amp.GradScaler(device.type, enabled=recipe.precision == "float16")
