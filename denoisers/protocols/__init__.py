"""Test protocols as they were published, each by its own rules, by name.

>>> from denoisers import protocols
>>> protocols.names()[:3]
['set12', 'bsd68', 'cbsd68']

A package of other people offers a protocol as an entry point of the group ``noisegen.protocols``
whose object is a :class:`denoisers.protocols.base.Protocol`; it is loaded when it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from noisegen import plugins
from noisegen.errors import InputError, UnknownNameError

if TYPE_CHECKING:  # names are listed without loading torch
    from denoisers.protocols.base import Protocol

__all__ = ["GROUP", "BrokenProtocolError", "entry", "names"]

GROUP = "noisegen.protocols"
"""Entry point group of other people's protocols."""

_OWN = {
    "set12": "denoisers.protocols.awgn:SET12",
    "bsd68": "denoisers.protocols.awgn:BSD68",
    "cbsd68": "denoisers.protocols.awgn:CBSD68",
    "kodak24": "denoisers.protocols.awgn:KODAK24",
    "mcmaster": "denoisers.protocols.awgn:MCMASTER",
    "urban100": "denoisers.protocols.awgn:URBAN100",
    "urban100-gray": "denoisers.protocols.awgn:URBAN100_GRAY",
    "awgn": "denoisers.protocols.awgn:AWGN",
    "awgn-gray": "denoisers.protocols.awgn:AWGN_GRAY",
    "sidd-val": "denoisers.protocols.sidd:VALIDATION",
    "sidd-benchmark": "denoisers.protocols.sidd:BENCHMARK",
    "dnd": "denoisers.protocols.dnd:DND",
    "dnd-raw": "denoisers.protocols.dnd_raw:DND_RAW",
    "fivek-raw": "denoisers.protocols.fivek_raw:FIVEK_RAW",
    "real-raw": "denoisers.protocols.real_raw:REAL_RAW",
    "polyu": "denoisers.protocols.paired:POLYU",
    "cc": "denoisers.protocols.paired:CC",
    "pairs": "denoisers.protocols.paired:PAIRS",
    "lsrw": "denoisers.protocols.low_light:LSRW",
    "lol": "denoisers.protocols.low_light:LOL",
    "lsrw-r2rnet": "denoisers.protocols.low_light:LSRW_R2RNET",
    "lol-r2rnet": "denoisers.protocols.low_light:LOL_R2RNET",
    "dvd": "denoisers.protocols.guided:DVD",
    "faid": "denoisers.protocols.guided:FAID",
    "dvd-rffnet": "denoisers.protocols.guided:DVD_RFFNET",
    "faid-rffnet": "denoisers.protocols.guided:FAID_RFFNET",
    "corpus": "denoisers.protocols.paired:CORPUS",
}
"""Protocol: module and attribute of its page."""


class BrokenProtocolError(InputError):
    """A protocol whose package cannot be loaded."""


def names() -> list[str]:
    """Return all names, this project's first; nothing is loaded."""
    return plugins.names(GROUP, _OWN)


def entry(name: str) -> "Protocol":
    """Return a protocol.

    Raises
    ------
    UnknownNameError
        If nobody has heard of it.
    BrokenProtocolError
        If the package that offers it cannot be loaded.
    """
    from denoisers.protocols.base import Protocol

    if name in _OWN:
        module, _, attribute = _OWN[name].partition(":")
        own: Protocol = getattr(import_module(module), attribute)
        return own
    found = plugins.load(
        GROUP, name, Protocol, "denoisers.protocols.base.Protocol", "protocol", BrokenProtocolError
    )
    if found is None:
        raise UnknownNameError("protocol", name, names(), f"there are {', '.join(names())}")
    return found
