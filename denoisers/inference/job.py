"""Pictures to be denoised or made bright: which files become which, and by what."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

import denoisers
from catalogs.sources import pictures
from denoisers.base import Denoiser, ModelEntry, Verb
from denoisers.card import Card
from denoisers.inference import files
from denoisers.inference.metadata import Metadata
from denoisers.inference.restorer import Precision, Restorer, best_precision
from denoisers.storage import make_folder
from denoisers.training.ranks import chosen
from noisegen.errors import InputError, MissingDataError, NoisegenError, UnreadableFileError

DOES: Mapping[Verb, str] = {
    "denoise": "takes noise off pictures",
    "enhance": "makes dark pictures bright",
}
"""What networks of a verb do."""


@dataclass(frozen=True)
class Job:
    """Files to be read and written, and the network between.

    Attributes
    ----------
    paths
        In and out.
    guides
        The guide of each, where the network takes one.
    restorer, card
        The network.
    bits
        Bits of a written value; none: as read.
    shown
        The files of each picture's maps, where they are drawn, in the order of the network's page.
    """

    paths: tuple[tuple[Path, Path], ...]
    restorer: Restorer
    card: Card
    bits: files.Bits | None
    guides: tuple[Path, ...] = ()
    shown: tuple[tuple[Path, ...], ...] = ()

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
        ensemble: bool = False,
        precision: Literal["auto"] | Precision = "auto",
        bits: files.Bits | None = None,
        overwrite: bool = False,
        guide: Path | None = None,
        verb: Verb = "denoise",
        show: Path | None = None,
        strength: float | None = None,
    ) -> Self:
        """Find the files and place the network.

        Parameters
        ----------
        source, out
            Two files, or two folders; a folder is searched to the bottom.
        network, card
            Of :func:`denoisers.inference.weights.open_weights`.
        device
            ``auto``, ``cpu`` or ``cuda``.
        tile, ensemble, precision
            As in :class:`Restorer`; ``auto`` is what the device computes fast.
        bits
            Of a written value.
        overwrite
            Whether files that are there are replaced.
        guide
            File, or folder of files that are called as the pictures, of networks with a guide.
        verb
            What the network has to be for.
        show
            Folder to draw the maps into that its page names: ``PICTURE-MAP.png``.
        strength
            How far the network goes, of those that have a say in it; none: as far as it learned.

        Raises
        ------
        InputError
            If there is nothing to read, or something is in the way of what is written.
        """
        page = denoisers.entry(card.model)
        if page.verb != verb:
            raise InputError(f"{card.model} {DOES[page.verb]}: use noisegen {page.verb}")
        if strength is not None:
            if network.strength is None:
                raise InputError(f"{card.model} has no --strength: leave it away")
            network.strength = strength
        found = _files(source, out)
        for path_in, path_out in found:
            files.check_ending(path_out, bits)
            if path_out.exists() and path_in.resolve() == path_out.resolve():
                raise InputError(f"{path_out} is the picture itself; give another --out")
            if path_out.exists() and not overwrite:
                raise InputError(f"{path_out} is there already; give another --out, or --overwrite")
        where = chosen(device)
        shown = _shown(page, found, source, show, overwrite) if show is not None else ()
        if page.inputs not in (("noisy",), ("noisy", "guide")):
            raise InputError(
                f"{card.model} takes {', '.join(page.inputs)}; these are pictures alone"
            )
        if ("guide" in page.inputs) != (guide is not None):
            raise InputError(
                f"{card.model} takes pictures alone: leave --guide away"
                if guide is not None
                else f"{card.model} takes a guide beside the picture: give --guide FILE, or a "
                "folder for a folder"
            )
        guides = _guides(found, source, guide) if guide is not None else ()
        restorer = Restorer(
            network.to(where),
            channels=int(card.options.get("channels", 3)),
            guide_channels=page.guide_channels(page.check(card.options)),
            ensemble=ensemble,
            tile=tile,
            precision=best_precision(where) if precision == "auto" else precision,
            device=where,
        )
        return cls(found, restorer, card, bits, guides, shown)

    def run(self) -> Iterator[tuple[str, ...] | NoisegenError]:
        """Restore one file after the other.

        Yields
        ------
        tuple of str, or NoisegenError
            What of a file was not kept. Of several files those that are damaged, or in colour where
            the network is grey, are passed over: then that error.

        Raises
        ------
        UnreadableFileError
            If the only file is damaged.
        InputError
            If it is in colour and the network is grey.
        StorageError
            If a file cannot be written.
        """
        for number, (source, out) in enumerate(self.paths):
            try:
                file = files.read(source)
                given = [self._channels(file, source)]
                if self.guides:
                    given.append(self._guide(self.guides[number], given[0].shape))
            except (UnreadableFileError, InputError) as error:
                if len(self.paths) == 1:
                    raise
                yield error
                continue
            bits = self.bits or file.bits
            make_folder(out.parent)
            yield files.write(out, self._restored(number, given), bits, file.metadata)

    def _restored(self, number: int, given: list[npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
        """Return a picture restored; its maps are drawn where they are asked for."""
        if not self.shown:
            return self.restorer(*given)
        picture, *maps = self.restorer.with_maps(*given)
        for path, drawn in zip(self.shown[number], maps, strict=True):
            make_folder(path.parent)
            files.write(path, drawn, 8, Metadata())
        return picture

    def _guide(self, path: Path, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """Return a guide as the network takes it; one channel of a grey file."""
        file = files.read(path)
        if file.picture.shape[:2] != shape[:2]:
            height, width = file.picture.shape[:2]
            raise InputError(
                f"{path}: the guide is {width}x{height} pixels, its picture {shape[1]}x{shape[0]}; "
                "they lie on each other pixel by pixel"
            )
        channels = self.restorer.guide_channels
        if channels == 3:
            return file.picture
        if channels == 1 and file.grey:
            return np.ascontiguousarray(file.picture[..., :1])
        raise InputError(
            f"{path} is a colour picture, {self.card.model} takes a guide of one channel; give "
            "near infrared, or a network with options.guide_channels=3"
        )

    def _channels(self, file: files.File, source: Path) -> npt.NDArray[Any]:
        if self.restorer.channels == file.picture.shape[2]:
            return file.picture
        if self.restorer.channels == 1 and file.grey:
            return np.ascontiguousarray(file.picture[..., :1])
        raise InputError(
            f"{source} is a colour picture, {self.card.model} takes {self.restorer.channels} "
            "channels; use a network of colour pictures"
        )


def _guides(found: tuple[tuple[Path, Path], ...], source: Path, guide: Path) -> tuple[Path, ...]:
    """Return the guide of each picture: the file itself, or those of the same name in a folder."""
    if source.is_file():
        guides = [guide / source.name if guide.is_dir() else guide]
    else:
        guides = [guide / path.relative_to(source) for path, _ in found]
    if missing := [path for path in guides if not path.is_file()]:
        raise MissingDataError(
            f"there is no guide {missing[0]} ({len(missing)} of {len(guides)} are missing); guides "
            "of a folder have the names of their pictures"
        )
    return tuple(guides)


def _shown(
    page: ModelEntry,
    found: tuple[tuple[Path, Path], ...],
    source: Path,
    show: Path,
    overwrite: bool,
) -> tuple[tuple[Path, ...], ...]:
    """Return the files of each picture's maps, or refuse what is in their way."""
    if not page.maps:
        others = [name for name in denoisers.names() if denoisers.entry(name).maps]
        raise InputError(
            f"{page.name} has no maps to --show; networks that have some: {', '.join(others)}"
        )
    named: dict[Path, Path] = {}
    for path, _ in found:
        below = Path(path.name) if source.is_file() else path.relative_to(source)
        stem = show / below.with_suffix("")
        if stem in named:
            raise InputError(
                f"{named[stem]} and {path} would have maps of one name; rename one, or leave "
                "--show away"
            )
        named[stem] = path
    paths = [tuple(stem.with_name(f"{stem.name}-{one}.png") for one in page.maps) for stem in named]
    there = [path for every in paths for path in every if path.exists()]
    if there and not overwrite:
        raise InputError(f"{there[0]} is there already; give another --show, or --overwrite")
    return tuple(paths)


def _files(source: Path, out: Path) -> tuple[tuple[Path, Path], ...]:
    if source.is_file():
        return ((source, out / source.name if out.is_dir() else out),)
    if not source.is_dir():
        raise MissingDataError(f"there is no picture or folder {source}: check the path")
    found = [p for p in sorted(source.rglob("*")) if p.suffix.lower() in pictures.EXTENSIONS]
    if not found:
        raise MissingDataError(
            f"{source}: no picture there ({', '.join(sorted(pictures.EXTENSIONS))})"
        )
    return tuple((path, out / path.relative_to(source)) for path in found)
