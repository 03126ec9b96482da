"""Multiply-adds of operators that torch's own counter does not see: they tell them here."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_totals: ContextVar[list[int] | None] = ContextVar("totals", default=None)


@contextmanager
def tallied() -> Iterator[list[int]]:
    """Collect what operators tell within the block, one number a call."""
    totals: list[int] = []
    token = _totals.set(totals)
    try:
        yield totals
    finally:
        _totals.reset(token)


def tell(macs: int) -> None:
    """Add multiply-adds of an operator, if anybody counts."""
    totals = _totals.get()
    if totals is not None:
        totals.append(macs)
