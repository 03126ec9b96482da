"""What the network computes in while its weights stay float32."""

import torch

from denoisers.training.recipe import Training


def settled(recipe: Training, device: torch.device) -> Training:
    """Return the recipe with the precision ``auto`` replaced by what it means on a device."""
    if recipe.precision != "auto":
        return recipe
    precision = "bfloat16" if has_bfloat16(device) else "float32"
    return recipe.model_copy(update={"precision": precision})


def has_bfloat16(device: torch.device) -> bool:
    """Tell whether a device computes bfloat16 by instructions of its own, not by imitating it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Torch says so under a private name alone.
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())


def autocast(recipe: Training, device: torch.device) -> torch.autocast:
    """Return the context in which a network of a settled recipe runs."""
    kinds = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
    kind = kinds[recipe.precision]
    return torch.autocast(device.type, kind or torch.bfloat16, enabled=kind is not None)


def scaler(recipe: Training, device: torch.device) -> torch.amp.GradScaler:
    """Return what keeps small gradients of float16 from vanishing; idle in other precisions."""
    return torch.amp.GradScaler(device.type, enabled=recipe.precision == "float16")
