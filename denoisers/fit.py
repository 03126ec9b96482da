"""Whether weights fit a network: strictly, and what does not is named."""

from collections.abc import Iterable, Mapping

from torch import Tensor

from denoisers.base import Denoiser
from noisegen.errors import WeightsError

NAMED = 3
"""How many names of each kind of mistake an error spells out."""


def fill(model: Denoiser, state: Mapping[str, Tensor], where: str) -> Denoiser:
    """Return ``model`` with the weights of ``state``, in evaluation mode.

    Parameters
    ----------
    model
        A network on the CPU; its weights are replaced.
    state
        One tensor for each of the network's, of its shape; floating point of any precision becomes
        the network's own.
    where
        What an error calls the weights.

    Raises
    ------
    WeightsError
        If a tensor is missing, unexpected, of another shape, or has values that are not finite.
    """
    own = model.state_dict()
    mistakes = [
        _named("missing", [n for n in own if n not in state]),
        _named("unexpected", [n for n in state if n not in own]),
        _named(
            "of another shape",
            [
                f"{n} is {_shape(state[n])}, not {_shape(t)}"
                for n, t in own.items()
                if n in state and state[n].shape != t.shape
            ],
        ),
        _named("not finite", [n for n, t in state.items() if not t.isfinite().all()]),
    ]
    if any(mistakes):
        raise WeightsError(f"{where}: {'; '.join(filter(None, mistakes))}")
    model.load_state_dict(state)
    return model.eval()


def _named(what: str, names: Iterable[str]) -> str:
    found = list(names)
    if not found:
        return ""
    shown = ", ".join(found[:NAMED]) + (", …" if len(found) > NAMED else "")
    return f"{len(found)} {what} ({shown})"


def _shape(tensor: Tensor) -> str:
    return "x".join(str(n) for n in tensor.shape) or "a scalar"
