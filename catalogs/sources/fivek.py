"""MIT-Adobe FiveK: 5000 photographs as DNG, in Adobe's tree or in DualDn's flat layout.

References
----------
V. Bychkovsky, S. Paris, E. Chan, F. Durand, "Learning photographic global tonal adjustment with a
database of input/output image pairs", CVPR 2011.
"""

import re
from dataclasses import dataclass

from catalogs.sources.base import ImageRef, Option, Source, SourceEntry, SourceImage, no_images
from catalogs.sources.fivek_ids import DUALDN_INVALID, DUALDN_TRAIN, DUALDN_VAL
from catalogs.sources.folder import read_file
from catalogs.sources.roots import Root

_NAME = re.compile(r"(?:^|/)a(\d{4})(?:[-_][^/]*)?\.dng$", re.IGNORECASE)
_LISTED = re.compile(r"a(\d{4})(?!\d)", re.IGNORECASE)
_EXPECTED = {"all": 5000, "dualdn-train": 200, "dualdn-val": 20}


@dataclass(frozen=True)
class FiveK:
    """FiveK's raws, known by their numbers, wherever they lie under the root.

    Stacked files are listed like all others and refused when they are read.

    Parameters
    ----------
    root
        A path or an fsspec URL.
    split
        ``"all"``, ``"dualdn-train"`` or ``"dualdn-val"``. The lists are DualDn's, or those that lie
        under the root as ``list_file/train_list.txt`` and ``list_file/val_list.txt``; an image for
        validation is never one for training.
    """

    root: str
    split: str = "all"
    name: str = "fivek"
    licence: str = "research only (Adobe and MIT licences in the download)"
    default_per_image: int = 16

    def images(self) -> tuple[ImageRef, ...]:
        """List the split's raws in the order of their paths; the scene is ``aNNNN``.

        Raises
        ------
        MissingDataError
            If there is none.
        """
        refs, _ = self._scan()
        if not refs:
            raise no_images(self.name, self.root, f"no aNNNN-*.dng of split '{self.split}'")
        return refs

    @property
    def skipped(self) -> tuple[str, ...]:
        """Lines on the split's images that are not there, and on those known to be refused."""
        refs, wanted = self._scan()
        lines = []
        there = {ref.scene[1:] for ref in refs}
        if missing := sorted((wanted or there) - there):
            lines.append(
                f"{len(missing)} of {len(wanted or ())} images of split '{self.split}' are not "
                f"there, first a{missing[0]}"
            )
        if stacked := sorted(DUALDN_INVALID & there):
            lines.append(f"stacked raws, refused when read: a{', a'.join(stacked)}")
        return tuple(lines)

    def read(self, ref: ImageRef) -> SourceImage:
        """Read one mosaic.

        Raises
        ------
        UnreadableFileError
            If the file is damaged, cut short or gone.
        UnsupportedFileError
            If it is one of the stacked files of the set.
        """
        return read_file(Root(self.root), ref.name)

    def _scan(self) -> tuple[tuple[ImageRef, ...], frozenset[str] | None]:
        """Return the split's images and its numbers; None where it is not a list."""
        root = Root(self.root)
        names = root.names()
        wanted = None if self.split == "all" else _wanted(root, names, self.split)
        found: dict[str, ImageRef] = {}
        for name in names:
            match = _NAME.search(name)
            if match and match[1] not in found and (wanted is None or match[1] in wanted):
                found[match[1]] = ImageRef(name, f"a{match[1]}")
        return tuple(found.values()), wanted


def _wanted(root: Root, names: list[str], split: str) -> frozenset[str]:
    validation = _list(root, names, "val_list.txt", DUALDN_VAL)
    if split == "dualdn-val":
        return validation
    return _list(root, names, "train_list.txt", DUALDN_TRAIN) - validation


def _list(root: Root, names: list[str], name: str, published: frozenset[str]) -> frozenset[str]:
    """Return the numbers in a list under the root, or the published ones."""
    for path in (f"list_file/{name}", name):
        if path in names:
            # Any line ends, and a last line without one, are fine.
            lines = root.read(path).decode("utf-8", "replace").splitlines()
            return frozenset(match[1] for line in lines if (match := _LISTED.search(line)))
    return published


def _make(root: str, *, split: str) -> Source:
    return FiveK(root, split)


ENTRY = SourceEntry(
    name="fivek",
    title="MIT-Adobe FiveK: 5000 photographs as DNG, by many cameras",
    licence=FiveK.licence,
    url="https://data.csail.mit.edu/graphics/fivek/",
    size="50 GB: fivek_dataset.tar",
    layout=(
        "raw_photos/HQa1to700/photos/a0001-jmac_DSC1459.dng … (Adobe's tree), or Raw/*.dng with "
        "optional list_file/train_list.txt and val_list.txt (DualDn's)"
    ),
    make=_make,
    options={"split": Option("all", "which images", choices=tuple(_EXPECTED))},
    expected=_EXPECTED,
)
