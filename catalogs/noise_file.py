"""The TOML file of the noise of rendered pictures, as ``noisegen fit`` writes it.

``docs/fit.md`` describes the format and what the figures mean.
"""

import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from catalogs.camera_noise import Section
from catalogs.problems import explain
from noisegen.errors import InputError, MissingDataError, StorageError, UnknownNameError
from noisegen.picture import MODELS, Model, PictureNoise

Text = Annotated[str, Field(min_length=1)]
Numbers = Annotated[tuple[float, ...], Field(min_length=1)]
PerChannel = Annotated[tuple[Numbers, ...], Field(min_length=3, max_length=3)]

DIGITS = 6
"""Digits of the numbers in a file."""


@dataclass(frozen=True)
class FittedNoise:
    """Noise of pictures, and where it comes from.

    Attributes
    ----------
    model
        What was fitted.
    noise
        Its figures.
    fitted_to
        The pairs it was fitted to.
    licence
        Under what terms they are.
    toml
        Text of its file, so that a corpus can carry it.
    """

    model: Model
    noise: PictureNoise
    fitted_to: str
    licence: str
    toml: str


class AwgnFile(Section):
    """White noise of one strength a channel."""

    model: Literal["awgn"]
    fitted_to: Text
    licence: Text
    strength: Numbers
    std: tuple[float, float, float]


class HeteroscedasticFile(Section):
    """White noise of a strength by level."""

    model: Literal["heteroscedastic"]
    fitted_to: Text
    licence: Text
    strength: Numbers
    level: Numbers
    std: PerChannel


class CovarianceFile(HeteroscedasticFile):
    """Noise of a strength by level with grain and related channels."""

    model: Literal["heteroscedastic-covariance"]  # type: ignore[assignment]
    kernel: tuple[tuple[tuple[Numbers, ...], ...], ...]


_FILES: dict[str, type[AwgnFile | HeteroscedasticFile]] = {
    "awgn": AwgnFile,
    "heteroscedastic": HeteroscedasticFile,
    "heteroscedastic-covariance": CovarianceFile,
}


def load(path: str | Path) -> FittedNoise:
    """Read a file.

    Raises
    ------
    MissingDataError
        If there is none.
    InputError
        If it does not hold the noise of pictures; the line names file and key.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MissingDataError(f"{path}: no such noise file; 'noisegen fit' makes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a noise file: {error}") from None
    return parse(text, str(path))


def parse(text: str, where: str) -> FittedNoise:
    """Make the noise of pictures of the text of its file.

    Parameters
    ----------
    text
        TOML.
    where
        What errors call the text, such as its path.

    Raises
    ------
    InputError
        If it is no TOML, or a key is missing, unknown or wrong: one line with file and key.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}: not a TOML file: {error}") from None
    model = document.get("model")
    if not isinstance(model, str):
        raise InputError(
            f"{where}: the key 'model' is missing, so this is no noise file; 'noisegen fit' makes "
            "one"
        )
    if model not in _FILES:
        raise UnknownNameError(
            "model", model, _FILES, f"{where} can hold one of {', '.join(MODELS)}"
        )
    kind = _FILES[model]
    try:
        file: Any = kind.model_validate(document)
        figures = {"level": (0.0,), "std": file.std, "strength": file.strength}
        if model == "awgn":
            figures["std"] = tuple((s,) for s in file.std)
        else:
            figures["level"] = file.level
        if model == "heteroscedastic-covariance":
            figures["kernel"] = file.kernel
        noise = PictureNoise(**figures)
    except ValidationError as error:
        raise InputError(f"{where}: {explain(error, {(): kind.model_fields})}") from None
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return FittedNoise(file.model, noise, file.fitted_to, file.licence, text)


def write(path: str | Path, model: Model, noise: PictureNoise, fitted_to: str, licence: str) -> str:
    """Write a file and return its text.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    text = to_toml(model, noise, fitted_to, licence)
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"{path}: cannot write: {error.strerror}; choose another place"
        ) from None
    return text


def to_toml(model: Model, noise: PictureNoise, fitted_to: str, licence: str) -> str:
    """Return the text of a file that :func:`parse` turns into this noise, to six digits."""
    lines = [
        f"# Noise of rendered pictures, made by `noisegen fit {model}`; 1 is white minus black.",
        f"model = {_text(model)}",
        f"fitted_to = {_text(fitted_to)}",
        f"licence = {_text(licence)}",
        "",
        "# Strengths of the pictures' noise: quantiles from the least to the greatest.",
        f"strength = {_row(noise.strength)}",
        "",
    ]
    if model == "awgn":
        lines += [
            "# Standard deviations of R, G and B.",
            f"std = {_row(row[0] for row in noise.std)}",
        ]
        return "\n".join(lines) + "\n"
    lines += [
        "# Clean levels, and the standard deviations of R, G and B there.",
        f"level = {_row(noise.level)}",
        "std = [",
        *(f"  {_row(row)}," for row in noise.std),
        "]",
    ]
    if model == "heteroscedastic-covariance":
        lines += ["", "# By channel, white field, row and column.", "kernel = ["]
        for fields in noise.kernel:
            lines.append("  [")
            for table in fields:
                lines += ["    [", *(f"      {_row(row)}," for row in table), "    ],"]
            lines.append("  ],")
        lines.append("]")
    return "\n".join(lines) + "\n"


def _row(values: Iterable[float]) -> str:
    numbers = (float(f"{value:.{DIGITS}g}") for value in values)
    return f"[{', '.join(repr(number) for number in numbers)}]"


def _text(value: str) -> str:
    # A JSON string is a TOML basic string but for the one control character JSON leaves alone.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
