"""Which range of white noise trains best: steps of the root of 2, climbed while it pays."""

import math
from collections.abc import Callable, Generator

FIRST = 2
"""Step at which white noise is tried first: the double of the pairs' own range."""


def multiple(step: int) -> float:
    """Return what a step multiplies the pairs' own range with."""
    return float(2 ** (step / 2))


def climb(possible: Callable[[int], bool]) -> Generator[int, float, int]:
    """Look for the best step: up from the first, or down where the first step up does worse.

    Parameters
    ----------
    possible
        Whether a range can be trained on.

    Yields
    ------
    int
        A step that is to be tried, each once; gets how good it is.

    Returns
    -------
    int
        The best step: neither neighbour does better.
    """
    known: dict[int, float] = {}

    def at(step: int) -> Generator[int, float, float]:
        if not possible(step):
            return -math.inf
        if step not in known:
            known[step] = yield step
        return known[step]

    best = FIRST if possible(FIRST) else 0
    above, here = (yield from at(best + 1)), (yield from at(best))
    way = 1 if above > here else -1
    while (yield from at(best + way)) > (yield from at(best)):
        best += way
    return best
