"""Raw files to be denoised: which files become which, and by what."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import numpy as np

from catalogs.sources import pictures
from denoisers.base import Denoiser
from denoisers.card import Card
from denoisers.inference import files, from_picture, iphone, metadata
from denoisers.inference.metadata import Metadata
from denoisers.inference.raws import (
    Frame,
    Noise,
    Picture,
    RawRestorer,
    as_large_as,
    cropped,
    noise_of,
    normalised,
    oriented,
    shot_of,
    unoriented,
)
from denoisers.inference.restorer import Precision, best_precision
from denoisers.models.dualdn import Developing
from denoisers.storage import make_folder
from denoisers.training.ranks import chosen
from noisegen import raw
from noisegen.cfa import plane_map
from noisegen.errors import InputError, MissingDataError, NoisegenError, UnreadableFileError
from noisegen.isp.color import inverse
from noisegen.raw import RawImage, RawMetadata, write_dng
from noisegen.raw.metadata import neutral_of_gains
from noisegen.raw.opcodes import FixVignetteRadial, GainMap
from pipelines.frame import matrix_of

DNG = ".dng"

RAWS = frozenset({DNG, ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw"})
"""Endings of the raw files that are looked for in a folder."""

TOP = 65535
"""Largest code of a DNG that is written."""


@dataclass(frozen=True)
class RawJob:
    """Raw files to be read, pictures or DNGs to be written, and the network between.

    Attributes
    ----------
    paths
        In and out.
    restorer, card
        The network.
    bits
        Bits of a written picture's value; none: 8, or as many as a picture has.
    given
        Noise of the files, if it was said.
    alpha
        Strength of the tone curve.
    reference
        Picture whose colours the result gets.
    iphone
        Whether light and noise are set by :mod:`denoisers.inference.iphone`.
    noise
        Of each file that was read, filled in while the job runs.
    """

    paths: tuple[tuple[Path, Path], ...]
    restorer: RawRestorer
    card: Card
    bits: files.Bits | None = None
    given: Noise | None = None
    alpha: float = 0.0
    reference: Path | None = None
    iphone: bool = False
    noise: dict[Path, Noise] = field(default_factory=dict)

    @classmethod
    def prepare(
        cls,
        source: Path,
        out: Path,
        network: Denoiser,
        card: Card,
        *,
        device: str = "auto",
        tile: int | None = None,
        precision: Literal["auto"] | Precision = "auto",
        bits: files.Bits | None = None,
        levels: tuple[float, float] | None = None,
        alpha: float = 0.0,
        reference: Path | None = None,
        published_colours: bool = False,
        iphone: bool = False,
        overwrite: bool = False,
    ) -> Self:
        """Find the files and place the network.

        Parameters
        ----------
        source, out
            Two files, or two folders; a folder is searched to the bottom for raws, which become
            PNGs, or where it has none for pictures.
        network, card
            Of :func:`denoisers.inference.weights.open_weights`.
        device, tile, precision
            As in :class:`RawRestorer`; ``auto`` is what the device computes fast.
        bits
            Of a picture's value; 8 if it is not said.
        levels
            K and S of the files; none: looked up.
        alpha, reference, iphone, published_colours
            As in this class and :class:`RawRestorer`.
        overwrite
            Whether files that are there are replaced.

        Raises
        ------
        InputError
            If the network is of pictures, there is nothing to read, or something is in the way of
            what is written.
        """
        if not isinstance(network, Developing):
            raise InputError(
                f"{card.model} takes no raws; use a network of mosaics, such as dualdn"
            )
        found = _files(source, out)
        if reference is not None and len(found) > 1:
            raise InputError("--reference: the colours of one picture are those of one raw file")
        pictured = [path for path, _ in found if _is_picture(path)]
        if pictured and (reference is not None or iphone):
            option = "--iphone" if iphone else "--reference"
            raise InputError(f"{pictured[0]} is no raw: leave {option} away")
        if iphone and levels is not None:
            raise InputError("--iphone sets the noise: leave --shot and --read away")
        for path_in, path_out in found:
            _check_ending(path_out, bits, network)
            if path_out.suffix.lower() == DNG and (iphone or path_in in pictured):
                what = "a picture is no mosaic" if pictured else "--iphone brightens the mosaic"
                raise InputError(f"{path_out}: {what}, write a PNG, TIFF or JPEG")
            if path_out.exists() and path_in.resolve() == path_out.resolve():
                raise InputError(f"{path_out} is the raw file itself; give another --out")
            if path_out.exists() and not overwrite:
                raise InputError(f"{path_out} is there already; give another --out, or --overwrite")
        where = chosen(device)
        restorer = RawRestorer(
            network.to(where),
            tile=tile,
            precision=best_precision(where) if precision == "auto" else precision,
            published_colours=published_colours,
            device=where,
        )
        given = None if levels is None else Noise(*levels, "given")
        return cls(found, restorer, card, bits, given, alpha, reference, iphone)

    def run(self) -> Iterator[tuple[str, ...] | NoisegenError]:
        """Denoise one file after the other.

        Yields
        ------
        tuple of str, or NoisegenError
            What of a file was not kept; of several files, the error of one that is passed over.

        Raises
        ------
        UnreadableFileError, UnsupportedFileError, InputError
            If the only file cannot be used.
        StorageError
            If a file cannot be written.
        """
        for source, out in self.paths:
            write = self._of_picture if _is_picture(source) else self._of_raw
            try:
                yield write(source, out)
            except (UnreadableFileError, InputError) as error:
                if len(self.paths) == 1:
                    raise
                yield error

    def _of_raw(self, source: Path, out: Path) -> tuple[str, ...]:
        image = raw.read(source)
        reference = self._reference(image)
        if reference is not None:
            image = cropped(image, *reference.shape[:2])
        noise = self.given or noise_of(image)
        if self.iphone:
            frame, noise = self._brightened(source, image, noise)
        else:
            frame = Frame.of(image, noise, self.alpha)
        self.noise[source] = noise
        mosaic, picture = self.restorer(frame, reference)
        make_folder(out.parent)
        if out.suffix.lower() == DNG:
            return _write_dng(out, frame.own(mosaic)[..., 0], image)
        upright = oriented(frame.own(picture), image.metadata.orientation)
        kept = Metadata(exif=metadata.read(source.read_bytes()).exif)
        return files.write(out, np.clip(upright, 0, 1), self.bits or 8, kept)

    def _brightened(self, source: Path, image: RawImage, noise: Noise) -> tuple[Frame, Noise]:
        own = image.metadata
        if own.make != iphone.APPLE:
            raise InputError(
                f"{source}: made by {own.make or 'nobody named'}, not by {iphone.APPLE}; leave "
                "--iphone away"
            )
        exposure = iphone.read(source, source.read_bytes())
        bright, noise = exposure.applied(np.clip(normalised(image), 0, 1), noise)
        return Frame.at_red(bright, own.cfa, shot_of(own, noise, self.alpha)), noise

    def _of_picture(self, source: Path, out: Path) -> tuple[str, ...]:
        file = files.read(source)
        isp = self.restorer.model.isp
        frame, self.noise[source] = from_picture.frame(
            file.picture, isp, self.alpha, self.given, source
        )
        _, picture = self.restorer(frame)
        make_folder(out.parent)
        own = np.clip(frame.own(picture), 0, 1)
        return files.write(out, own, self.bits or file.bits, file.metadata)

    @property
    def warnings(self) -> list[str]:
        """What a user has to know of the files before they are denoised."""
        pictured = [path for path, _ in self.paths if _is_picture(path)]
        if not pictured:
            return []
        what = from_picture.WARNING.format(path=pictured[0], model=self.card.model)
        return [what + (f" ({len(pictured)} such files)" if len(pictured) > 1 else "")]

    def _reference(self, image: RawImage) -> Picture | None:
        """Return the reference as the sensor lies, from 0 to 1."""
        if self.reference is None:
            return None
        found = files.read(self.reference).picture
        return as_large_as(unoriented(found, image.metadata.orientation), image.mosaic.shape)


def _files(source: Path, out: Path) -> tuple[tuple[Path, Path], ...]:
    if source.is_file():
        name = source.name if _is_picture(source) else f"{source.stem}.png"
        return ((source, out / name if out.is_dir() else out),)
    if not source.is_dir():
        raise MissingDataError(f"there is no raw file or folder {source}: check the path")
    every = sorted(source.rglob("*"))
    found = [p for p in every if p.suffix.lower() in RAWS]
    if not found:
        pictured = tuple((p, out / p.relative_to(source)) for p in every if _is_picture(p))
        if not pictured:
            raise MissingDataError(
                f"{source}: no raw file there ({', '.join(sorted(RAWS))}), and no picture"
            )
        return pictured
    return tuple((path, (out / path.relative_to(source)).with_suffix(".png")) for path in found)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in pictures.EXTENSIONS


def _check_ending(path: Path, bits: files.Bits | None, network: Developing) -> None:
    if path.suffix.lower() != DNG:
        files.check_ending(path, bits)
    elif network.domain == "srgb":
        raise InputError(
            f"{path}: a network of domain srgb leaves the mosaic as it is; write a PNG"
        )
    elif bits is not None:
        raise InputError(f"{path}: a DNG is written with 16 bits; leave --bits away")


def _write_dng(path: Path, mosaic: Picture, image: RawImage) -> tuple[str, ...]:
    """Write a mosaic, black 0 and white 1, with the tags of the file that it was.

    Codes are finer than the camera's by the power of two for which 16 bits have room. The noise
    profile is left out: the noise is another.

    Returns
    -------
    tuple of str
        What of the file is not in it.
    """
    own = image.metadata
    scale = 2 ** max(0, int(np.log2(TOP / own.white_level)))
    planes = plane_map(own.cfa, own.shape)
    black = np.asarray(own.black_level)[planes]
    codes = (mosaic * (own.white_level - black) + black) * scale
    matrix = matrix_of(own)
    gain_maps, vignette = _shading(own)
    write_dng(
        path,
        np.rint(codes).clip(0, TOP).astype(np.uint16),
        cfa=own.cfa,
        black_level=[level * scale for level in own.black_level],
        white_level=int(own.white_level * scale),
        as_shot_neutral=own.as_shot_neutral or neutral_of_gains(own.white_balance),
        color_matrix=own.xyz_to_cam if matrix is None or own.xyz_to_cam else inverse(matrix),
        orientation=own.orientation,
        make=own.make,
        model=own.model,
        iso=None if own.iso is None else round(own.iso),
        exposure_time=own.exposure_time,
        gain_maps=gain_maps,
        vignette=vignette,
    )
    there = (*own.opcodes.gain_maps, *own.opcodes.vignettes)
    kept = len(gain_maps) + (vignette is not None)
    return ("opcodes of its lens shading",) if kept < len(there) else ()


def _shading(own: RawMetadata) -> tuple[tuple[GainMap, ...], FixVignetteRadial | None]:
    """Return the opcodes that say of the mosaic what they say of the file."""
    if own.opcodes.active_area != (0, 0, *own.shape):
        return (), None
    maps = tuple(each for each in own.opcodes.gain_maps if each.opcode_list == 2)
    vignettes = own.opcodes.vignettes
    return maps, vignettes[0] if len(vignettes) == 1 else None
