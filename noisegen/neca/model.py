"""A camera's three networks in files: as published, and in noisegen's own form.

Published: a folder with ``checkpoint_E.pth``, ``checkpoint_G1.pth`` and ``checkpoint_G2.pth``, in
each the weights of one network, bare or as ``model_state_dict``. Own: ``neca.safetensors``, all
weights under the names ``gain.…``, ``level.…`` and ``correlation.…``, and a card in its header.
"""

import hashlib
import inspect
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from noisegen.errors import InputError, MissingDataError, WeightsError, did_you_mean
from noisegen.neca.card import Card
from noisegen.neca.networks import CorrelationNet, GainNet, LevelNet
from noisegen.weights import (
    State,
    fill,
    one_state,
    plain_names,
    read_checkpoint,
    read_safetensors,
    write_safetensors,
)

Part = Literal["gain", "level", "correlation"]

PARTS: tuple[Part, ...] = get_args(Part)
"""The networks E, P and C; the last one alone makes NeCA-S."""

PUBLISHED: dict[Part, str] = {
    "gain": "checkpoint_E.pth",
    "level": "checkpoint_G1.pth",
    "correlation": "checkpoint_G2.pth",
}
"""File of each network in a published folder."""

FILE = "neca.safetensors"
"""Name of noisegen's own file in a folder."""

KEY = "noisegen"
"""Of the card in the file's header."""

_CLASSES: dict[Part, type[nn.Module]] = {
    "gain": GainNet,
    "level": LevelNet,
    "correlation": CorrelationNet,
}


@dataclass(frozen=True, eq=False)
class Neca:
    """The networks of one camera, in evaluation mode.

    Attributes
    ----------
    correlation
        C.
    level
        P; without it there is NeCA-S alone.
    gain
        E; without it gains are given as numbers.
    card
        What is known of them; its options are set from the networks.
    """

    correlation: CorrelationNet
    level: LevelNet | None = None
    gain: GainNet | None = None
    card: Card = field(default_factory=Card)

    def __post_init__(self) -> None:
        """Say on the card what the networks are."""
        options = {part: options_of(net) for part, net in self.networks.items()}
        object.__setattr__(self, "card", self.card.model_copy(update={"options": options}))

    @property
    def networks(self) -> dict[Part, nn.Module]:
        """The networks there are, by name."""
        found: dict[Part, nn.Module | None] = {
            "gain": self.gain,
            "level": self.level,
            "correlation": self.correlation,
        }
        return {part: net for part, net in found.items() if net is not None}

    @property
    def state(self) -> dict[str, Tensor]:
        """The weights of all networks, ``PART.`` before their published names."""
        return {
            f"{part}.{name}": tensor
            for part, net in self.networks.items()
            for name, tensor in net.state_dict().items()
        }

    @property
    def sha256(self) -> str:
        """Hash of all that noise follows from: options, weights as float32, gains by ISO, JPEG."""
        said: dict[str, Any] = {"options": self.card.options, "gains": self.card.gains}
        if self.card.jpeg is not None:
            said["jpeg"] = self.card.jpeg.model_dump()
        digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
        for name, tensor in sorted(self.state.items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
        return digest.hexdigest()


def options_of(network: nn.Module) -> dict[str, Any]:
    """Return the arguments of a network's constructor that differ from the defaults."""
    parameters = inspect.signature(type(network)).parameters.values()
    values = {p.name: (getattr(network, p.name), p.default) for p in parameters}
    return {name: value for name, (value, default) in values.items() if value != default}


def load(path: str | os.PathLike[str], parts: Iterable[Part] = PARTS) -> Neca:
    """Return a camera's networks.

    Parameters
    ----------
    path
        A folder of either form, or a ``.safetensors`` file of noisegen's own.
    parts
        Networks that are wanted, ``"correlation"`` among them; the others are not read.

    Raises
    ------
    MissingDataError
        If the folder or a file in it is not there.
    UnreadableFileError
        If a file is damaged, or more than weights.
    WeightsError
        If the weights do not fit their network; the message names the first that do not.
    """
    wanted = tuple(parts)
    place = Path(path)
    if place.is_file():
        return _load_own(place, wanted)
    if not place.is_dir():
        raise MissingDataError(f"no NeCA weights at {place}: there is no such folder or file")
    if (place / FILE).is_file():
        return _load_own(place / FILE, wanted)
    missing = [PUBLISHED[part] for part in wanted if not (place / PUBLISHED[part]).is_file()]
    if missing:
        raise MissingDataError(
            f"{place} holds no {' and no '.join(missing)}; NeCA weights are a folder with "
            f"{', '.join(PUBLISHED.values())} or with {FILE}"
        )
    nets = {part: _load_published(place / PUBLISHED[part], part) for part in wanted}
    return Neca(**nets, card=Card(camera=place.name, origin="published weights"))  # type: ignore[arg-type]


def save(path: str | os.PathLike[str], neca: Neca, dtype: torch.dtype = torch.float32) -> Path:
    """Write a camera's networks and its card as one file, by one rename.

    Parameters
    ----------
    path
        A folder that is there; the file in it is :data:`FILE`.
    neca
        What is written.
    dtype
        Of the weights in the file; ``torch.float16`` halves it.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    WeightsError
        If a weight is too large for that type.
    StorageError
        If the file cannot be written.
    """
    state = {name: tensor.detach().to(dtype) for name, tensor in neca.state.items()}
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise WeightsError(f"{name}: a weight is not finite as {dtype}")
    target = Path(path) / FILE
    write_safetensors(target, state, {KEY: neca.card.to_json()})
    return target


def infer(part: Part, state: State) -> dict[str, Any]:
    """Return the options that the shapes of a network's weights tell.

    Activations, padding and the final function leave no trace in shapes; they are not among them.

    Parameters
    ----------
    part
        Which network it is.
    state
        Its weights by their published names.

    Raises
    ------
    LookupError
        If weights are missing that would tell.
    """
    if part == "gain":
        depth = sum(f"model.{k}.0.weight" in state for k in range(len(state))) + 1
        return {
            "width": len(state["model.0.0.weight"]),
            "depth": depth,
            "outputs": len(state["linear.0.0.weight"]),
        }
    if part == "level":
        return {"width": len(state["conv1.weight"])}
    stages = sum(f"encoders.{k}.0.weight" in state for k in range(len(state)))
    return {"width": len(state["encoders.0.0.weight"]), "stages": stages}


def _load_published(path: Path, part: Part) -> nn.Module:
    state = plain_names(one_state(read_checkpoint(path), None, str(path)), str(path))
    try:
        options = infer(part, state)
    except LookupError as error:
        some = ", ".join(list(state)[:3])
        raise WeightsError(
            f"{path}: not the {part} network, without {error.args[0]} (it has {some}, …)"
        ) from None
    return _made(part, options, state, str(path))


def _load_own(path: Path, wanted: tuple[Part, ...]) -> Neca:
    state, header = read_safetensors(path)
    if KEY not in header:
        raise WeightsError(f"{path} has no card of noisegen's in its header")
    try:
        card = Card.from_json(header[KEY])
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    if unknown := [part for part in card.options if part not in PARTS]:
        raise WeightsError(f"{path}: its card has options of {unknown[0]}, which NeCA has not")
    if absent := [part for part in wanted if part not in card.options]:
        raise WeightsError(f"{path}: its card has no {absent[0]} network")
    if strange := [name for name in state if name.partition(".")[0] not in card.options]:
        raise WeightsError(f"{path}: {strange[0]} is a weight of no network on its card")
    nets = {part: _made(part, card.options[part], _of(part, state), str(path)) for part in wanted}
    return Neca(**nets, card=card)  # type: ignore[arg-type]


def _of(part: Part, state: State) -> State:
    return {n.removeprefix(f"{part}."): t for n, t in state.items() if n.startswith(f"{part}.")}


def _made(part: Part, options: Mapping[str, Any], state: State, where: str) -> nn.Module:
    make: Callable[..., nn.Module] = _CLASSES[part]
    known = inspect.signature(make).parameters
    if strange := [name for name in options if name not in known]:
        raise WeightsError(
            f"{where}: unknown option '{strange[0]}' of the {part} network"
            f"{did_you_mean(strange[0], known)}; it has {', '.join(known)}"
        )
    try:
        network = make(**options)
    except InputError as error:
        raise WeightsError(f"{where}: {error}") from None
    return fill(network, state, f"{where}, taken for the {part} network {dict(options)}")
