"""Powers, directions and bell-shaped numbers of leaves, from tables: the same bits everywhere."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_BRIGHTEST, _STOPS, _STOP_STEPS = 8, 20, 256
# Rounded like kernels.leaves.SINE, for the same reason: C libraries differ in the last bit.
_POWERS: Floats = np.array(
    [
        round(2 ** (_BRIGHTEST - i / _STOP_STEPS) * 2**32) / 2**32
        for i in range(_STOPS * _STOP_STEPS)
    ]
)


def bell(draw: Callable[[], Floats]) -> Floats:
    """Return bell-shaped numbers of mean 0 and variance 1 in [-3, 3] from three uniforms each."""
    return 2 * (draw() + draw() + draw() - 1.5)


def power(stops: Floats) -> Floats:
    """Return 2**stops from the table, for stops in (-12, 8], in steps of 1/256 stop."""
    place = np.floor((_BRIGHTEST - stops) * _STOP_STEPS + 0.5)
    return _POWERS[np.clip(place, 0, len(_POWERS) - 1).astype(np.int64)]


def stops(values: Floats) -> Floats:
    """Return log2 of values in (2**-12, 2**8], by the table that :func:`power` takes them from."""
    place = len(_POWERS) - np.searchsorted(_POWERS[::-1], values, side="right")
    return _BRIGHTEST - place / _STOP_STEPS


def direction(turns: Floats) -> tuple[Floats, Floats]:
    """Return cosine and sine of an angle given in turns, from the table."""
    from noisegen.kernels.leaves import SINE, SINE_STEPS

    place = np.floor(turns * SINE_STEPS).astype(np.int64)
    return SINE[(place + SINE_STEPS // 4) % SINE_STEPS], SINE[place % SINE_STEPS]
