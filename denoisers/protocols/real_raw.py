"""DualDn's real captures: raws of phones beside the JPEGs that the phones made of them.

The picture gets the JPEG's colours by a bilateral grid, and is compared with the JPEG where they
cover each other. The JPEG is no clean picture: the phone denoised and sharpened it in its own way.
Where the published test leaves strips of a frame out and mirrors portraits, here it does not.

References
----------
R. Li et al., "DualDn: Dual-domain Denoising via Differentiable ISP", ECCV 2024, and its code.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from catalogs.sources import pictures
from catalogs.sources.folder import read_file
from catalogs.sources.roots import Root
from denoisers.inference import iphone
from denoisers.inference.raws import (
    DARKEST,
    Frame,
    as_large_as,
    developed,
    noise_of,
    shot_of,
    upright,
)
from denoisers.models.dualdn import Isp
from denoisers.protocols.base import Asked, Case, Cases, Protocol
from noisegen.cfa import shift
from noisegen.errors import InputError, MissingDataError
from noisegen.isp import bilateral
from noisegen.raw import RawImage

RAWS, JPEGS, LIST = "Raw", "ref_sRGB", "list_file/val_list.txt"
ENDINGS = (".jpg", ".jpeg", ".JPG", ".JPEG", ".png")


def open_captures(asked: Asked) -> Cases:
    """Find the raws and their JPEGs."""
    root = asked.root
    names = root.names()
    listed = set(root.read(LIST).decode("utf-8", "replace").split()) if LIST in names else None
    found = [
        name
        for name in names
        if name.startswith(f"{RAWS}/")
        and name.lower().endswith(".dng")
        and (listed is None or PurePosixPath(name).name in listed)
    ]
    if not found:
        raise MissingDataError(f"{root.url}: no {RAWS}/*.dng there; add them")
    pairs = []
    for name in found:
        stem = PurePosixPath(name).stem
        made = [n for e in ENDINGS if (n := f"{JPEGS}/{stem}{e}") in names]
        if not made:
            raise MissingDataError(
                f"{root.locate(name)}: its JPEG {JPEGS}/{stem}.jpg is not there; add it"
            )
        pairs.append((name, made[0]))
    load = _Captures(root, tuple(pairs), Isp(asked.demosaic or "ahd", "rec709"))
    return Cases(root.url, tuple(PurePosixPath(name).stem for name, _ in pairs), load)


@dataclass(frozen=True)
class _Captures:
    root: Root
    pairs: tuple[tuple[str, str], ...]
    isp: Isp

    def __call__(self, number: int) -> Case:
        name, jpeg = self.pairs[number]
        found = read_file(self.root, name)
        where = self.root.locate(name)
        if found.raw is None:
            raise InputError(f"{where} is no raw file")
        image = RawImage(found.pixels.astype(np.uint16, copy=False), found.raw)
        noise = noise_of(image)
        mosaic, phase = upright(image)
        mosaic = np.clip(mosaic, 0, 1)
        if found.raw.make == iphone.APPLE:
            exposure = iphone.read(Path(where), self.root.read(name))
            mosaic, noise = exposure.applied(mosaic, noise)
        codes = pictures.decode(self.root.read(jpeg), self.root.locate(jpeg))
        reference = as_large_as(codes, mosaic.shape)
        height, width = reference.shape[:2]
        top, left = ((n - m) // 2 for n, m in zip(mosaic.shape, (height, width), strict=True))
        if min(top, left) < 0:
            raise InputError(
                f"{where}: a mosaic of {mosaic.shape[1]}x{mosaic.shape[0]}, smaller than its JPEG "
                f"of {width}x{height}"
            )
        cut = np.ascontiguousarray(mosaic[top : top + height, left : left + width])
        shot = shot_of(found.raw, noise, 0.0)
        frame = Frame.at_red(cut, shift(phase, top, left), shot, self.isp)
        with torch.inference_mode():
            plain = np.clip(frame.own(developed(frame.mosaic, shot, self.isp)), DARKEST, 1)
        noisy = bilateral.fit(plain, reference).apply(plain, plain)
        noisy = np.clip(noisy, 0, 1).astype(np.float32)
        return Case(noisy, reference, frame=frame, reference=reference)


REAL_RAW = Protocol(
    name="real-raw",
    title="Raws of phones beside their JPEGs",
    source="DualDn (ECCV 2024), its code",
    layout=f"{RAWS}/X.dng … and {JPEGS}/X.jpg …, of those that {LIST} names where it is there",
    channels=3,
    open=open_captures,
    settings={"alpha": 0.0, "isp": "gamma rec709", "colours": "bilateral grid of the JPEG"},
    mosaics=True,
)
