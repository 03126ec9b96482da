"""Weights in files: what they hold, under which names, and whether they fit a network.

A checkpoint may hold a program; none is ever run: pickles are read as weights alone.
"""

import os
import pickle
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

import torch
from torch import Tensor, nn

from noisegen.errors import MissingDataError, StorageError, UnreadableFileError, WeightsError

State = Mapping[str, Tensor]
"""Tensors by name, as ``state_dict`` returns them."""

Network = TypeVar("Network", bound=nn.Module)

WRAPPERS = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before names."""

PROFILER = ("total_ops", "total_params")
"""Last parts of the names that a MAC counter leaves in a state dict."""

NAMED = 3
"""How many names of each kind of mistake an error spells out."""


def read_checkpoint(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    """Return what a file that ``torch.save`` wrote holds.

    Raises
    ------
    MissingDataError
        If there is no such file.
    UnreadableFileError
        If it is damaged, or more than weights.
    WeightsError
        If it is no mapping.
    """
    if not Path(path).is_file():
        raise MissingDataError(f"there is no file {path}: check the path")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on pickles of other protocols: they load or they fail
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UnreadableFileError(
            f"{path} is no file of weights alone, and what else it holds may be a program: it is "
            f"not run ({_line(error).partition('. ')[0]})"
        ) from None
    except Exception as error:  # a damaged file may raise anything
        raise UnreadableFileError(f"cannot read {path}: {_line(error)}") from None
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path}: a {type(content).__name__}, not a state dict")
    return content


def read_safetensors(
    path: str | os.PathLike[str],
) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    """Return the tensors and the header's texts of a safetensors file.

    Raises
    ------
    MissingDataError
        If there is no such file.
    UnreadableFileError
        If it is no safetensors file, or damaged.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise MissingDataError(f"there is no file {path}: check the path")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UnreadableFileError(f"cannot read {path}: {error}") from None


def write_safetensors(
    path: str | os.PathLike[str], state: State, header: Mapping[str, str]
) -> None:
    """Write tensors and texts as a safetensors file, replacing what was there by one rename.

    Parameters
    ----------
    path
        By convention ``NAME.safetensors``.
    state
        On any device, in any memory format.
    header
        Texts that any safetensors reader shows.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    from safetensors.torch import save as serialise

    # Contiguous copies: channels_last or tied tensors are stored as plain ones.
    plain = {name: t.detach().cpu().clone().contiguous() for name, t in state.items()}
    target = Path(path)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(serialise(plain, dict(header)))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StorageError(f"cannot write {target}: {error.strerror or error}") from None


def one_state(content: Mapping[Any, Any], key: str | None, where: str) -> State:
    """Return the one state dict in a checkpoint.

    Parameters
    ----------
    content
        A state dict, or a mapping that holds one beside other things.
    key
        Which of several is meant.
    where
        What an error calls the checkpoint.

    Raises
    ------
    WeightsError
        If there is none, or more than one and no key.
    """
    if _is_state(content) and key is None:
        return content
    found = {name: value for name, value in content.items() if _is_state(value)}
    if key is not None:
        if key not in found:
            there = ", ".join(map(str, found)) or "none"
            raise WeightsError(f"{where}: no weights under '{key}'; there are: {there}")
        return found[key]
    if not found:
        some = ", ".join(str(k) for k in list(content)[:5]) or "nothing"
        raise WeightsError(f"{where}: no weights in it (it holds {some})")
    if len(found) > 1:
        names = ", ".join(map(str, found))
        raise WeightsError(f"{where}: several sets of weights ({names}); say which with key=")
    return next(iter(found.values()))


def plain_names(state: State, where: str) -> State:
    """Return the weights under the network's own names, without what wrappers and tools left.

    Parameters
    ----------
    state
        Weights, their names with or without :data:`WRAPPERS`.
    where
        What an error calls them.

    Raises
    ------
    WeightsError
        If two weights have one name, or there are none.
    """
    plain: dict[str, Tensor] = {}
    for name, tensor in state.items():
        short = name
        while short.startswith(WRAPPERS):
            short = short.partition(".")[2]
        if short.rpartition(".")[2] in PROFILER:
            continue
        if short in plain:
            raise WeightsError(f"{where}: {short} is there twice, with and without a prefix")
        plain[short] = tensor
    if not plain:
        raise WeightsError(f"{where}: no weights in it")
    return plain


def fill(model: Network, state: State, where: str) -> Network:
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


def _is_state(value: object) -> TypeGuard[State]:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(n, str) and isinstance(t, Tensor) for n, t in value.items())
    )


def _line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
