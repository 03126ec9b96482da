"""SIDD: validation blocks with their clean halves, and the benchmark's submission file.

The validation set lies as the two MATLAB files of its authors, or as PNG blocks of one name in
``lq`` (noisy) and ``hq`` (clean). Numbers of scenes and blocks count from 0.

Papers do not agree on what they print, so all of it is measured: ``psnr`` and ``ssim`` of 8-bit
pictures, ``psnr_float`` (not rounded) and ``ssim_truncated`` as ADFNet's script prints them, and
``ssim_volume`` as SIDD's MATLAB script has it, whose PSNR is that of 8-bit pictures.

References
----------
A. Abdelhamed et al., "A High-Quality Denoising Dataset for Smartphone Cameras", CVPR 2018.
H. Shen et al., "Adaptive Dynamic Filtering Network for Image Denoising", AAAI 2023, and its code.
"""

import re
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from catalogs.sources import pictures, sidd_blocks
from catalogs.sources.matlab import Blocks, read_blocks, times
from catalogs.sources.roots import Root
from catalogs.sources.sidd_blocks import BLOCKS, CLEAN, NOISY, SCENES, SIDE, block_name
from denoisers.inference import files, metadata
from denoisers.inference.chop import Chop
from denoisers.protocols import matlab
from denoisers.protocols.base import (
    PSNR,
    SSIM,
    Asked,
    Case,
    Cases,
    Floats,
    Measure,
    Protocol,
    Submission,
    similarity,
)
from denoisers.storage import make_folder
from noisegen.errors import MissingDataError, StorageError
from noisegen.metrics import psnr, ssim_volume, to_8bit

BENCHMARK_NOISY = "BenchmarkNoisyBlocksSrgb"
SUBMITTED = "DenoisedBlocksSrgb"

_TRUNCATED = Measure(
    "ssim_truncated",
    "SSIM, truncated",
    lambda x, y: similarity(to_8bit(x, "truncate"), to_8bit(y, "truncate")),
    4,
)
_FLOAT = Measure("psnr_float", "PSNR, not rounded", psnr, 2)
_VOLUME = Measure(
    "ssim_volume", "SSIM, MATLAB", lambda x, y: ssim_volume(to_8bit(x), to_8bit(y)), 4
)


def open_validation(asked: Asked) -> Cases:
    """Find the validation blocks, in MATLAB files or as PNG."""
    root = asked.root
    if any(sidd_blocks.find(root).values()):
        return _cases(root.url, *sidd_blocks.read_both(root))
    return _open_png(root, root.names())


def open_benchmark(asked: Asked) -> Cases:
    """Find the benchmark's noisy blocks."""
    root, name = asked.root, f"{BENCHMARK_NOISY}.mat"
    found = [n for n in root.names() if PurePosixPath(n).name == name]
    if not found:
        raise MissingDataError(f"{root.url}: {name} is not there; give --root its folder")
    return _cases(root.url, read_blocks(root, found[0], BENCHMARK_NOISY), None)


class SubmitSrgb(Submission):
    """``SubmitSrgb.mat`` and the PNG blocks beside it.

    Parameters
    ----------
    cases
        Of :func:`open_benchmark`.
    out
        Folder.
    """

    def __init__(self, cases: Cases, out: Path) -> None:
        self._names, self._out = cases.names, out
        self._blocks: list[Blocks] = []
        self._pixels, self._began = 0, time.monotonic()
        make_folder(out / "blocks")

    def add(self, number: int, restored: Floats) -> None:
        """See :meth:`Submission.add`."""
        codes = to_8bit(restored)
        self._pixels += codes.shape[0] * codes.shape[1]
        self._blocks.append(codes)
        path = self._out / "blocks" / f"{self._names[number]}.png"
        files.write(path, restored, 8, metadata.Metadata())

    def finish(self) -> tuple[Path, ...]:
        """See :meth:`Submission.finish`."""
        seconds = time.monotonic() - self._began
        scenes = len({name[:4] for name in self._names})
        blocks = matlab.cell(self._blocks, (scenes, len(self._blocks) // scenes))
        path = self._out / "SubmitSrgb.mat"
        per_megapixel = seconds / self._pixels * 1024**2
        matlab.write(path, {SUBMITTED: blocks, "TimeMPSrgb": per_megapixel})
        for name, block in zip(self._names, self._blocks, strict=True):
            png = self._out / "blocks" / f"{name}.png"
            if not np.array_equal(pictures.decode(png.read_bytes(), str(png)), block):
                raise StorageError(f"{png} is not what was written; check the disk")
        return (path,)


def _cases(where: str, noisy: Blocks, clean: Blocks | None) -> Cases:
    scenes, blocks = noisy.shape[:2]
    places = [(s, b) for s in range(scenes) for b in range(blocks)]
    notes: tuple[str, ...] = ()
    if noisy.shape != (SCENES, BLOCKS, SIDE, SIDE, 3):
        notes = (f"{times(noisy.shape[:4])} blocks, SIDD has {SCENES}x{BLOCKS}x{SIDE}x{SIDE}",)
    return Cases(
        where,
        tuple(block_name(s, b) for s, b in places),
        _OfBlocks(noisy, clean),
        groups=tuple(f"scene {s}" for s, _ in places),
        notes=notes,
    )


@dataclass(frozen=True)
class _OfBlocks:
    noisy: Blocks
    clean: Blocks | None

    def __call__(self, number: int) -> Case:
        place = divmod(number, self.noisy.shape[1])
        return Case(self.noisy[place], None if self.clean is None else self.clean[place])


def _open_png(root: Root, names: list[str]) -> Cases:
    halves: dict[str, list[str]] = {"lq": [], "hq": []}
    for name in names:
        path = PurePosixPath(name)
        if path.parent.as_posix() in halves and path.suffix.lower() in pictures.EXTENSIONS:
            halves[path.parent.as_posix()].append(path.name)
    noisy, clean = (set(those) for those in halves.values())
    if not noisy and not clean:
        raise MissingDataError(
            f"{root.url}: neither {NOISY}.mat and {CLEAN}.mat nor PNG blocks in lq/ and hq/"
        )
    if noisy ^ clean:
        name = min(noisy ^ clean)
        there, missing = ("lq", "hq") if name in noisy else ("hq", "lq")
        raise MissingDataError(f"{root.url}: {name} is in {there}/ and not in {missing}/")
    ordered = tuple(sorted(noisy))
    notes: tuple[str, ...] = ()
    if len(ordered) != SCENES * BLOCKS:
        notes = (f"{len(ordered)} blocks, SIDD has {SCENES * BLOCKS}",)
    stems = tuple(PurePosixPath(name).stem for name in ordered)
    return Cases(root.url, stems, _OfPng(root, ordered), groups=_scenes(stems), notes=notes)


def _scenes(stems: tuple[str, ...]) -> tuple[str, ...]:
    """Return the scene that a block's name begins with, such as ``0012-0003``, if all have one."""
    found = [re.fullmatch(r"(\d+)[-_]\d+", stem) for stem in stems]
    return tuple(f"scene {int(m[1])}" for m in found if m) if all(found) else ()


@dataclass(frozen=True)
class _OfPng:
    root: Root
    names: tuple[str, ...]

    def __call__(self, number: int) -> Case:
        noisy, clean = (
            pictures.decode(self.root.read(path), self.root.locate(path))
            for path in (f"{half}/{self.names[number]}" for half in ("lq", "hq"))
        )
        return Case(noisy, clean)


VALIDATION = Protocol(
    name="sidd-val",
    title="SIDD validation, sRGB",
    source="SIDD (CVPR 2018); ADFNet's and SIDD's scripts",
    layout=f"{NOISY}.mat and {CLEAN}.mat, or PNG blocks in lq/ and hq/",
    channels=3,
    open=open_validation,
    ensemble_tile=Chop(400_000),
    measures=(PSNR, SSIM, _FLOAT, _TRUNCATED, _VOLUME),
    settings={"rounding": "half-even"},
)

BENCHMARK = Protocol(
    name="sidd-benchmark",
    title="SIDD benchmark, sRGB: a file for its server",
    source="SIDD (CVPR 2018); ADFNet's script",
    layout=f"{BENCHMARK_NOISY}.mat",
    channels=3,
    open=open_benchmark,
    ensemble_tile=Chop(400_000),
    measures=(),
    submission=SubmitSrgb,
    settings={"rounding": "half-even"},
)
