"""What a network is given for a guide in a test: its own, or one that lies."""

from typing import Literal, get_args

import numpy as np

from denoisers.protocols.base import Case, Cases, Picture
from noisegen.errors import InputError

Given = Literal["own", "none", "moved", "other"]
"""The picture's own guide; a black one; its own, 8 pixels down and to the right; another's."""

GIVEN: tuple[Given, ...] = get_args(Given)

MOVED = 8
"""Pixels that a guide is moved by, along rows and columns; what leaves at one side comes back at
the other."""


def given(cases: Cases, number: int, case: Case, how: Given) -> Picture | None:
    """Return what is given for the guide of a test's picture; None where it has none.

    Another's is that of the picture half the test's pictures further on.

    Raises
    ------
    InputError
        If the other picture has another size, or there is none.
    """
    if case.guide is None or how == "own":
        return case.guide
    if how == "none":
        return np.zeros_like(case.guide)
    if how == "moved":
        return np.roll(case.guide, (MOVED, MOVED), (0, 1))
    step = len(cases) // 2
    other = cases.load((number + step) % len(cases)).guide if step else None
    if other is None or other.shape != case.guide.shape:
        raise InputError(
            f"{cases.where}: {cases.names[number]} has no other picture whose guide could stand "
            "for its own: that takes two pictures or more, all of one size"
        )
    return other
