"""What a source of clean images is, and what a catalogue says about it.

A source lists its images once, when a run is planned, and reads one at a time, in any process: it
is a small picklable value, and reading the same image twice gives the same pixels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from noisegen.errors import MissingDataError, RecipeError, did_you_mean

if TYPE_CHECKING:  # the catalogue is listed without loading the readers of raw files
    from noisegen.raw import RawMetadata

Kind = Literal["mosaic", "srgb", "linear", "rgbir"]
"""Raw mosaic in digital numbers; gamma-coded picture; scene-linear RGB; mosaic of 4x4 red, green,
blue and infrared pixels."""

Guide = Literal["nir", "flash"]
"""A second picture of the same scene, in register: near infrared, or a photo with flash."""

GUIDE_CHANNELS: Mapping[Guide, int] = {"nir": 1, "flash": 3}
"""Channels of a guide."""


@dataclass(frozen=True)
class ImageRef:
    """One image of a source, by name.

    Parameters
    ----------
    name
        Unique in the source: the path relative to the root, with forward slashes, or a scene's id.
    scene
        What the picture shows; images of one scene never fall into different splits.
    size
        (height, width) in pixels where it is known without opening the image.
    """

    name: str
    scene: str
    size: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class SourceImage:
    """One clean image as it was read.

    Parameters
    ----------
    kind
        What the pixels are.
    pixels
        ``"mosaic"``: (H, W) uint16 digital numbers, not black-subtracted. ``"srgb"``: (H, W, 3)
        uint8 or uint16, R, G, B. ``"linear"``: (H, W, 3) float32 linear sRGB in [0, 1].
        ``"rgbir"``: (H, W) float32 from 0 to 1023, laid out as :mod:`noisegen.rgbir` says.
    sha256
        32 bytes, of the file as it lies on disk, or of the pixels where there is no file.
    raw
        What the camera wrote down, for a mosaic.
    lossy
        Whether the file was compressed with loss (JPEG, most WebPs).
    guide
        (H, W, G) of the same scene in register, gamma-coded uint8 or uint16, or linear float32 in
        [0, 1]; none where none was asked for.
    """

    kind: Kind
    pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | npt.NDArray[np.float32]
    sha256: bytes
    raw: "RawMetadata | None" = None
    lossy: bool = False
    guide: npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | npt.NDArray[np.float32] | None = None


class Source(Protocol):
    """A named supply of clean images: picklable and deterministic."""

    @property
    def name(self) -> str:
        """Name in the catalogue."""

    @property
    def licence(self) -> str:
        """Under what terms the images may be used, in a few words."""

    @property
    def default_per_image(self) -> int:
        """How many patches are cut from an image unless the user says otherwise."""

    @property
    def skipped(self) -> tuple[str, ...]:
        """One line for each kind of thing under the root that :meth:`images` leaves out."""

    def images(self) -> tuple[ImageRef, ...]:
        """List all images, in an order that depends on their names alone."""

    def read(self, ref: ImageRef) -> SourceImage:
        """Read one image.

        Raises
        ------
        UnreadableFileError
            If the file is damaged or cut short.
        UnsupportedFileError
            If it is sound, but of a kind that noisegen refuses.
        """


@dataclass(frozen=True)
class Option:
    """One setting of a source.

    Parameters
    ----------
    default
        Its value if nothing is said; its type is the option's type.
    text
        What it does, in one line.
    choices
        The values there are; empty if any of the type will do.
    minimum
        The least value of a number.
    """

    default: int | str
    text: str
    choices: tuple[str, ...] = ()
    minimum: int = 0

    def parse(self, owner: str, name: str, value: object) -> int | str:
        """Return ``value`` as this option's type, or raise RecipeError with what is allowed."""
        if isinstance(self.default, int):
            try:
                if isinstance(value, bool | float):
                    raise ValueError
                number = int(str(value))
            except ValueError:
                number = self.minimum - 1
            if number < self.minimum:
                raise RecipeError(
                    f"option {name}={value!r} of source '{owner}' is no whole number of at least "
                    f"{self.minimum}; see `noisegen sources {owner}`"
                )
            return number
        if self.choices and value not in self.choices:
            raise RecipeError(
                f"option {name}={value!r} of source '{owner}' is not one of "
                f"{', '.join(self.choices)}{did_you_mean(str(value), self.choices)}"
            )
        return str(value)


@dataclass(frozen=True)
class SplitCheck:
    """How much of one split lies under a root: images found, and expected (None: any number)."""

    name: str
    found: int
    expected: int | None


@dataclass(frozen=True)
class Check:
    """What `noisegen sources NAME --root DIR` found.

    Parameters
    ----------
    splits
        A count for each split.
    opened
        How many images were read whole.
    unreadable
        One line for each of them that could not be.
    skipped
        One line for each kind of thing that is no image of the source.
    """

    splits: tuple[SplitCheck, ...]
    opened: int
    unreadable: tuple[str, ...]
    skipped: tuple[str, ...]


class Windows(NamedTuple):
    """How pictures of any size are cut into windows unless the user says otherwise, in pixels.

    They begin every `stride` pixels, and the last one ends with the picture.
    """

    patch: int
    stride: int


class Ingested(NamedTuple):
    """How `noisegen ingest` makes a corpus of clean mosaics that noise is drawn on as published.

    Attributes
    ----------
    noise
        Its name.
    patch, per_image
        Pixels along the edge of a patch, and how many are cut from an image.
    """

    noise: str
    patch: int
    per_image: int


@dataclass(frozen=True)
class SourceEntry:
    """A source's page in the catalogue.

    Parameters
    ----------
    name, title, licence, url, size, layout
        What it is, where to get it, how much it is, and how it must lie on disk.
    make
        ``make(root, **options) -> Source``; called with every option, checked and typed, and with
        an empty root where ``needs_root`` is false.
    needs_root
        Whether the source lies in a folder; false for what is generated.
    default_per_image
        Patches cut from an image unless the user says otherwise.
    options
        The settings there are.
    expected
        Number of images of each split of the published set, where the set is closed; each is a
        value of the option ``"split"``.
    guides
        Guides that it can give; ``make`` then takes one of them, or None, as ``guide``.
    guide
        The one that it gives unless told otherwise.
    windows
        How its pairs are cut, where the source is a set of noisy/clean pairs; `make` then returns a
        :class:`catalogs.sources.pair_set.PairSource`. None for clean pictures.
    ingested
        Its published noise, where it is a set of clean mosaics of a camera of its own.
    """

    name: str
    title: str
    licence: str
    url: str
    size: str
    layout: str
    make: Callable[..., Source]
    needs_root: bool = True
    default_per_image: int = 16
    options: Mapping[str, Option] = field(default_factory=dict)
    expected: Mapping[str, int] = field(default_factory=dict)
    guides: tuple[Guide, ...] = ()
    guide: Guide | None = None
    windows: Windows | None = None
    ingested: Ingested | None = None

    def check_guide(self, guide: Guide | None) -> None:
        """Refuse a guide that the source does not give.

        Raises
        ------
        RecipeError
            One line.
        """
        if guide is not None and guide not in self.guides:
            has = f"it has: {', '.join(self.guides)}" if self.guides else "it has none"
            raise RecipeError(f"source '{self.name}' has no guide '{guide}'; {has}")

    def open(self, root: str, options: Mapping[str, Any], guide: Guide | None = None) -> Source:
        """Return the source under ``root``, its options checked.

        Raises
        ------
        RecipeError
            If an option is unknown or has a value that does not fit, or there is no such guide.
        """
        self.check_guide(guide)
        for key in options:
            if key not in self.options:
                known = ", ".join(self.options) or "none"
                raise RecipeError(
                    f"source '{self.name}' has no option '{key}'"
                    f"{did_you_mean(key, self.options)}; it has: {known}"
                )
        values = {
            key: option.parse(self.name, key, options.get(key, option.default))
            for key, option in self.options.items()
        }
        return self.make(root, **values, **({"guide": guide} if self.guides else {}))


def no_images(source: str, root: str, what: str) -> MissingDataError:
    """Return the error for a root that holds nothing of a source: ``what`` is not there."""
    return MissingDataError(
        f"{what} under {root}; `noisegen sources {source}` says what source '{source}' expects"
    )
