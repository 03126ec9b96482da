"""Networks that remove noise, by name.

>>> import denoisers
>>> denoisers.names()
['adfnet', 'dncnn', 'dualdn', 'dvn', 'dvn-recons', 'mirnet', 'r2rnet', 'restormer', 'rffnet', ...]
>>> net = denoisers.create("dncnn", channels=1, depth=17)

A package of other people offers a model as an entry point of the group ``noisegen.denoisers`` whose
object is a :class:`denoisers.base.ModelEntry`; it is loaded when it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from noisegen import plugins
from noisegen.errors import InputError, UnknownNameError

if TYPE_CHECKING:  # names are listed without loading torch
    from denoisers.base import Denoiser, ModelEntry

__all__ = ["GROUP", "BrokenModelError", "create", "entries", "entry", "names"]

GROUP = "noisegen.denoisers"
"""Entry point group of other people's models."""

_OWN = {
    "adfnet": "denoisers.models.adfnet",
    "dncnn": "denoisers.models.dncnn",
    "dualdn": "denoisers.models.dualdn",
    "dvn": "denoisers.models.dvn",
    "dvn-recons": "denoisers.models.dvn_recons",
    "mirnet": "denoisers.models.mirnet",
    "r2rnet": "denoisers.models.r2rnet",
    "restormer": "denoisers.models.restormer",
    "rffnet": "denoisers.models.rffnet",
    "swinir": "denoisers.models.swinir",
}
"""Model: the module whose ENTRY is its page."""


class BrokenModelError(InputError):
    """A model whose package cannot be loaded."""


def names() -> list[str]:
    """Return all names, this project's first; nothing is loaded."""
    return plugins.names(GROUP, _OWN)


def entry(name: str) -> "ModelEntry":
    """Return a model's page in the registry.

    Raises
    ------
    UnknownNameError
        If nobody has heard of it.
    BrokenModelError
        If the package that offers it cannot be loaded.
    """
    from denoisers.base import ModelEntry

    if name in _OWN:
        own: ModelEntry = import_module(_OWN[name]).ENTRY
        return own
    found = plugins.load(
        GROUP, name, ModelEntry, "denoisers.base.ModelEntry", "model", BrokenModelError
    )
    if found is None:
        raise UnknownNameError("model", name, names(), f"there are {', '.join(names())}")
    return found


def entries() -> "tuple[list[ModelEntry], list[str]]":
    """Return all pages that can be loaded, and one line for each broken one."""
    found, broken = [], []
    for name in names():
        try:
            found.append(entry(name))
        except BrokenModelError as error:
            broken.append(str(error))
    return found, broken


def create(name: str, *, seed: int = 0, **options: Any) -> "Denoiser":
    """Return a freshly initialised network, in training mode, on the CPU.

    Parameters
    ----------
    name
        One of :func:`names`.
    seed
        The initial weights are a function of name, options and seed; torch's global generator is
        left as it was.
    options
        The model's own settings; see its page.

    Raises
    ------
    UnknownNameError
        If there is no such model.
    RecipeError
        If an option is unknown or has a value that does not fit.
    """
    import torch

    from noisegen.random import Stream, torch_generator

    page = entry(name)
    checked = page.check(options)
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would seed the accelerators too and leave them so.
        torch.default_generator.manual_seed(torch_generator(seed, Stream.WEIGHTS).initial_seed())
        return page.make(checked)
