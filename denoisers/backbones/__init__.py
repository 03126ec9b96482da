"""Networks from features to features, of one width and size, that denoisers are built around."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from denoisers.backbones import mirnet, restormer, swinir
from denoisers.backbones.base import Backbone
from denoisers.base import Options, Shapes

__all__ = ["FAMILIES", "Backbone", "Family"]


@dataclass(frozen=True)
class Family:
    """One kind of backbone.

    Attributes
    ----------
    title, paper
        What it is, and who published it.
    make
        Called with a width and the options as keywords.
    options
        The settings there are.
    infer
        Returns the options that a state dict's shapes belong to.
    keys, derived
        As in :class:`denoisers.base.ModelEntry`.
    """

    title: str
    paper: str
    make: Callable[..., Backbone]
    options: type[Options]
    infer: Callable[[Shapes], Mapping[str, Any]]
    keys: tuple[str, ...]
    derived: tuple[str, ...] = ()


FAMILIES: Mapping[str, Family] = {
    "restormer": Family(
        "Restormer: attention of channels in a U-shaped transformer",
        "S. W. Zamir et al., CVPR 2022",
        restormer.Restormer,
        restormer.RestormerOptions,
        restormer.infer,
        restormer.KEYS,
    ),
    "swinir": Family(
        "SwinIR: a transformer of shifted windows",
        "J. Liang et al., ICCV workshops 2021",
        swinir.SwinIR,
        swinir.SwinIROptions,
        swinir.infer,
        swinir.KEYS,
        swinir.BUFFERS,
    ),
    "mirnet": Family(
        "MIRNet-v2: residual groups at three scales",
        "S. W. Zamir et al., IEEE TPAMI 2023",
        mirnet.MIRNet,
        mirnet.MIRNetOptions,
        mirnet.infer,
        mirnet.KEYS,
    ),
}
"""The backbones, by name."""


def below(prefix: str, shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """Return the shapes whose names begin with a prefix, without it."""
    return {n.removeprefix(prefix): s for n, s in shapes.items() if n.startswith(prefix)}


def prefixed(prefix: str, patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return patterns of names that stand below a prefix, itself a regular expression."""
    return tuple(f"{prefix}({pattern})" for pattern in patterns)
