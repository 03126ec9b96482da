"""Weights as their authors publish them: which network they belong to is told by their names.

A model's page in the registry (:class:`denoisers.base.ModelEntry`) says what its names look like
and how its options follow from shapes; this module knows no model.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import denoisers
from denoisers import card as own
from denoisers.base import Denoiser, ModelEntry, Options
from denoisers.card import Card
from noisegen.errors import MissingDataError, RecipeError, WeightsError, did_you_mean
from noisegen.weights import fill, one_state, plain_names, read_checkpoint, read_safetensors


def load(
    source: str | os.PathLike[str] | Mapping[str, Any],
    *,
    key: str | None = None,
    model: str | None = None,
    variant: str | None = None,
) -> tuple[Denoiser, Card]:
    """Return a published network, recognised by the names and shapes of its weights.

    Parameters
    ----------
    source
        A file (``.pt``, ``.pth`` …, read with ``weights_only=True``, or safetensors), or what is in
        one: a state dict, bare or under a key such as ``"params"``, ``"state_dict"`` or
        ``"model"``, its names with or without ``module.``. A file of noisegen's own is taken too,
        and the folder of a network whose parts lie in files of their own (R2RNet's ``ckpts``).
    key
        Which of several state dicts in the file is meant.
    model
        Name of the network, where the names of the weights would fit several.
    variant
        Which published net it is, where several have one architecture (ADFNet's RGB and real).

    Returns
    -------
    model
        In evaluation mode, on the CPU.
    card
        Name, options, the variants it may be, origin and licence.

    Raises
    ------
    MissingDataError
        If there is no such file.
    UnreadableFileError
        If the file is damaged, or more than weights.
    WeightsError
        If no network is recognised, or more than one, or the weights do not fit it; the message
        names the first that are missing, unexpected, or of another shape.
    """
    where = "the state dict" if isinstance(source, Mapping) else str(source)
    content = source if isinstance(source, Mapping) else _read(Path(source))
    if isinstance(content, tuple):
        network, card = content
        return network, _narrowed(card, variant, where)
    state = plain_names(one_state(content, key, where), where)
    page, options = recognise({n: tuple(t.shape) for n, t in state.items()}, where, model)
    settings = options.model_dump()
    state = {n: t for n, t in state.items() if not _matches(n, page.derived)}
    network = fill(
        denoisers.create(page.name, **settings), state, f"{where}, taken for {page.name} {settings}"
    )
    card = Card(
        model=page.name,
        options=settings,
        variants=page.variants_of(options),
        origin="" if isinstance(source, Mapping) else Path(source).name,
        licence=page.licence,
    )
    return network, _narrowed(card, variant, where)


def recognise(
    shapes: Mapping[str, tuple[int, ...]], where: str, model: str | None = None
) -> tuple[ModelEntry, Options]:
    """Return the page and the options of the network that has tensors of these names and shapes.

    Parameters
    ----------
    shapes
        Of a state dict, by name.
    where
        What an error calls the weights.
    model
        Name of the network, if it is known.

    Raises
    ------
    WeightsError
        If there is no such network, or more than one.
    """
    page = denoisers.entry(model) if model else _likeliest(shapes, where)
    try:
        return page, page.check(page.infer(shapes))
    except LookupError as error:
        reason = f"without {error.args[0]}" if error.args else "incomplete"
    except (RecipeError, ValueError) as error:
        reason = str(error)
    raise WeightsError(f"{where}: its names are those of {page.name}, but {reason}")


def _likeliest(shapes: Mapping[str, tuple[int, ...]], where: str) -> ModelEntry:
    """Return the model whose patterns match the most names, more than half of them."""
    pages, _ = denoisers.entries()
    shares = {page.name: _share(page, shapes) for page in pages}
    best = max(shares.values())
    likely = [page for page in pages if shares[page.name] == best]
    if best <= 0.5:
        some = ", ".join(list(shapes)[:3])
        raise WeightsError(
            f"{where}: names such as {some} are of no network known here "
            f"({', '.join(denoisers.names())})"
        )
    if len(likely) > 1:
        found = " or ".join(page.name for page in likely)
        raise WeightsError(f"{where}: its names are those of {found}; say which with model=")
    return likely[0]


def _share(page: ModelEntry, shapes: Mapping[str, tuple[int, ...]]) -> float:
    return sum(_matches(n, (*page.keys, *page.derived)) for n in shapes) / len(shapes)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def _narrowed(card: Card, variant: str | None, where: str) -> Card:
    if variant is None:
        return card
    if variant not in card.variants:
        fits = ", ".join(card.variants) or "no published net"
        raise WeightsError(
            f"{where}: not variant '{variant}'{did_you_mean(variant, card.variants)} of "
            f"{card.model}: options {card.options} are those of {fits}"
        )
    return card.model_copy(update={"variants": (variant,)})


def _read(path: Path) -> Mapping[str, Any] | tuple[Denoiser, Card]:
    """Return what a file holds; its own kind is loaded already."""
    if path.is_dir():
        return _joined(path)
    if not path.is_file():
        raise MissingDataError(f"there is no file {path}: check the path")
    if path.suffix == ".safetensors":
        tensors, header = read_safetensors(path)
        return own.load(path) if own.KEY in header else tensors
    return read_checkpoint(path)


def _joined(folder: Path) -> Mapping[str, Any]:
    """Return the state dict of a network whose parts lie in folders of their own."""
    there = {part.name for part in folder.iterdir() if part.is_dir()}
    pages, _ = denoisers.entries()
    known = {page.name: page.parts for page in pages if page.parts}
    for parts in known.values():
        if there >= set(parts):
            return {
                f"{prefix}{name}": tensor
                for part, prefix in parts.items()
                for name, tensor in _latest(folder / part).items()
            }
    told = "; ".join(f"{name}: {', '.join(parts)}" for name, parts in known.items())
    raise WeightsError(f"{folder}: not the folders of a network's parts ({told}); give a file")


def _latest(folder: Path) -> Mapping[str, Any]:
    """Return the weights of the most iterations, which is a file's name."""
    saved = [path for path in folder.iterdir() if path.is_file() and path.stem.isdecimal()]
    if not saved:
        raise MissingDataError(f"{folder} has no file NUMBER.tar: check the path")
    path = max(saved, key=lambda path: int(path.stem))
    return plain_names(one_state(read_checkpoint(path), None, str(path)), str(path))
