"""Networks as ONNX files, each run by another runtime before it is called done.

What is exported are standard operations alone, for pictures of any height and width that are
multiples of the network's.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

import denoisers
from denoisers.base import Denoiser
from denoisers.card import KEY, Card
from denoisers.storage import write_whole
from noisegen.errors import InputError, RunError
from noisegen.random import Stream, torch_generator

NEEDED = ("onnx", "onnxruntime", "onnxscript")
"""Packages that export and its check take."""

OPSET = 20
"""The first in which deformable sampling keeps one meaning for all numbers of dimensions."""

SIZES = ((48, 64), (72, 40), (128, 96))
"""Height and width of the picture that is traced, and of others that are compared."""

TOLERANCE = 1e-4
"""Largest difference to torch on a scale of 0 to 1; float32 leaves about 1e-6 (measured)."""


class Exported(NamedTuple):
    """What came of an export.

    Attributes
    ----------
    difference
        The largest to torch, of all compared values.
    pixels
        How many were compared.
    """

    difference: float
    pixels: int


def export(network: Denoiser, card: Card, path: Path) -> Exported:
    """Write a network as ONNX, and compare what onnxruntime makes of it with torch.

    Parameters
    ----------
    network
        In evaluation mode, on the CPU.
    card
        Stored in the file under ``noisegen``; names the network and its options.
    path
        Of the file, which is there only if the two agree.

    Raises
    ------
    InputError
        If packages are missing, or the network cannot be exported.
    RunError
        If the results differ by more than 1e-4.
    StorageError
        If the file cannot be written.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(
            f"export needs {', '.join(missing)}: install them with pip install 'noisegen[onnx]'"
        )
    page = denoisers.entry(card.model)
    if any(len(shape) != 4 for shape in page.shapes(page.check(card.options), *SIZES[0])):
        raise InputError(
            f"{card.model} takes numbers beside pictures ({', '.join(page.inputs)}): only networks "
            "of pictures are exported"
        )
    multiple, options = network.multiple, page.check(card.options)
    pictures = [
        _pictures(page.shapes(options, *(-(-side // multiple) * multiple for side in size)), number)
        for number, size in enumerate(SIZES)
    ]
    program = _traced(network, pictures[0], page.inputs, card.model)
    program.model.metadata_props[KEY] = card.to_json()
    found: list[Exported] = []

    def write(partial: Path) -> None:
        with _quiet():
            program.save(partial, external_data=False)
        found.append(_compared(network, pictures, partial, card.model))

    write_whole(path, write)
    return found[0]


def _pictures(shapes: tuple[tuple[int, ...], ...], number: int) -> tuple[Tensor, ...]:
    draws = torch_generator(0, Stream.PARITY, number)
    return tuple(torch.rand(shape, generator=draws) for shape in shapes)


def _traced(
    network: Denoiser, inputs: tuple[Tensor, ...], names: tuple[str, ...], model: str
) -> Any:
    multiple = network.multiple
    sides = {
        2 + axis: multiple * torch.export.Dim(name, min=1, max=1 << 16)
        if multiple > 1
        else torch.export.Dim(name, min=2, max=1 << 16)
        for axis, name in enumerate(("rows", "columns"))
    }
    try:
        with torch.no_grad(), _quiet():
            return torch.onnx.export(
                network,
                inputs,
                input_names=list(names),
                output_names=["restored"],
                opset_version=OPSET,
                dynamic_shapes=tuple(sides for _ in inputs),
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # the exporter raises whatever stopped it
        reason = str(error.__cause__ or error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"{model} cannot be exported to ONNX: {reason[0]}") from None


def _compared(
    network: Denoiser, pictures: list[tuple[Tensor, ...]], path: Path, model: str
) -> Exported:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what fails is said once, below
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own kinds, which share no base
        raise _unrunnable(model, error) from None
    names = [given.name for given in session.get_inputs()]
    worst, pixels = 0.0, 0
    for inputs in pictures:
        with torch.no_grad():
            expected: Tensor = network(*inputs)
        given = {n: t.numpy() for n, t in zip(names, inputs, strict=True)}
        try:
            (restored,) = session.run(None, given)
        except Exception as error:
            raise _unrunnable(model, error) from None
        # A difference that is no number is one too many.
        worst = float(np.maximum(worst, np.abs(restored - expected.numpy()).max()))
        pixels += expected.shape[-2] * expected.shape[-1]
    if not worst <= TOLERANCE:
        raise RunError(
            f"{model}: onnxruntime and torch differ by {worst:.2g}, more than {TOLERANCE:g}; the "
            "file is not kept"
        )
    return Exported(worst, pixels)


def _unrunnable(model: str, error: Exception) -> InputError:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return InputError(
        f"{model} cannot be exported: this release of onnxruntime does not run it ({reason}); the "
        "file is not kept"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter writes of its own parts off the screen."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            redirect_stdout(StringIO()),
            redirect_stderr(StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
