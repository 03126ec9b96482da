"""Tensors as compiled loops take them."""

from typing import Any

from torch import Tensor


def arrays(*tensors: Tensor) -> list[Any]:
    """Return contiguous arrays of the same values, without gradients.

    They are the tensors' own memory where that is contiguous, as it must be of what is written.
    """
    return [t.detach().contiguous().numpy() for t in tensors]
