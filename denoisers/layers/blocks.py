"""Cutting a batch into pieces whose temporaries stay in a processor's cache."""

from collections.abc import Iterator

import torch


def budget(device: torch.device, cached: int) -> int:
    """Return how many values a temporary may have: ``cached`` on a CPU, far more elsewhere."""
    # An accelerator is slowed by small launches, not by leaving its cache: 256 MB in float32.
    return cached if device.type == "cpu" else 1 << 26


def blocks(samples: int, rows: int, per_row: int, limit: int) -> Iterator[tuple[slice, slice]]:
    """Yield slices of samples and of rows that together cover a batch.

    Parameters
    ----------
    samples, rows
        Size of the batch and height of its pictures.
    per_row
        Values of a temporary for one row of one sample.
    limit
        Values that a piece may have; a piece is one row of one sample at least.
    """
    high = min(rows, max(1, limit // per_row))
    many = max(1, limit // (per_row * rows)) if high == rows else 1
    for n in range(0, samples, many):
        for r in range(0, rows, high):
            yield slice(n, min(n + many, samples)), slice(r, min(r + high, rows))
