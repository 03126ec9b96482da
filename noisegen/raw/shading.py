"""The lens shading that a raw file records in its opcodes, on its visible mosaic.

DNG applies the opcodes of list 2 to the mosaic and those of list 3 after demosaicing. Here both are
applied to the mosaic: demosaicers reach two pixels, over which a gain hardly changes.
"""

import numpy as np
import numpy.typing as npt

from noisegen import cfa as bayer
from noisegen.errors import UnreadableFileError
from noisegen.isp.shading import GainMaps, Radial, Shading
from noisegen.raw.metadata import RawMetadata
from noisegen.raw.opcodes import FixVignetteRadial, GainMap

_REMEDY = "shade with a radial model, or take the file out of the folder"


def recorded_shading(metadata: RawMetadata) -> Shading:
    """Return the shading that makes up for a file's fall-off.

    Raises
    ------
    UnreadableFileError
        One line, if the file records none, or its opcodes are damaged, do not cover the frame, do
        not fit its colours, or are more than one gain map a plane or more than one radial model.
    """
    opcodes = metadata.opcodes
    if opcodes.problem:
        raise _refusal(metadata, f"damaged opcodes ({opcodes.problem})")
    if not opcodes.gain_maps and not opcodes.vignettes:
        raise _refusal(metadata, "no GainMap and no FixVignetteRadial")
    if len(opcodes.vignettes) > 1:
        raise _refusal(metadata, f"{len(opcodes.vignettes)} FixVignetteRadial opcodes")
    try:
        radial = _radial(metadata, opcodes.vignettes[0]) if opcodes.vignettes else None
        return Shading(radial, _maps(metadata) if opcodes.gain_maps else None)
    except ValueError as error:
        raise _refusal(metadata, str(error)) from None


def gain_map_opcodes(
    maps: GainMaps, shape: tuple[int, int], phase: bayer.Phase
) -> tuple[GainMap, ...]:
    """Return the four opcodes that phones write for the maps of an (H, W) mosaic's planes."""
    tile = bayer.planes(phase)
    return tuple(
        GainMap(
            maps.gains[tile[y, x], :, :, None],
            area=(y, x, *shape),
            pitch=(2, 2),
            origin=maps.origin,
            spacing=maps.spacing,
        )
        for y in (0, 1)
        for x in (0, 1)
    )


def _refusal(metadata: RawMetadata, what: str) -> UnreadableFileError:
    return UnreadableFileError(f"{metadata.path}: no lens shading to use: {what}; {_REMEDY}")


def _radial(metadata: RawMetadata, opcode: FixVignetteRadial) -> Radial:
    top, left, height, width = metadata.opcodes.active_area
    rows, columns = metadata.shape
    if (top, left, height, width) == (0, 0, rows, columns):
        return Radial(opcode.k, opcode.centre)
    # The same distance in pixels in a frame of another size: r² scales by the corners' distances.
    y, x, scale = Radial((0.0,), opcode.centre).scale((height, width))
    centre = ((y + top) / rows, (x + left) / columns)
    _, _, own = Radial((0.0,), centre).scale((rows, columns))
    return Radial(tuple(k * (scale / own) ** (i + 1) for i, k in enumerate(opcode.k)), centre)


def _maps(metadata: RawMetadata) -> GainMaps:
    """Gather the grid of each plane."""
    every = metadata.opcodes.gain_maps
    if len({(m.gains.shape[:2], m.origin, m.spacing) for m in every}) > 1:
        raise ValueError("GainMaps on different grids")
    tile = bayer.planes(metadata.cfa)
    found: dict[int, npt.NDArray[np.float32]] = {}
    for opcode in every:
        for (y, x), plane in np.ndenumerate(tile):
            grid = _grid(metadata, opcode, y, x, int(plane))
            if grid is None:
                continue
            if int(plane) in found:
                raise ValueError(f"more than one GainMap on plane {bayer.PLANES[plane]}")
            found[int(plane)] = grid
    missing = [bayer.PLANES[plane] for plane in range(4) if plane not in found]
    if missing:
        raise ValueError(f"no GainMap on plane {', '.join(missing)}")
    # Places in the active area, which is 1 by 1, become places in the visible mosaic.
    first, area = every[0], metadata.opcodes.active_area
    corner, lengths = area[:2], area[2:]
    stretch = [a / own for a, own in zip(lengths, metadata.shape, strict=True)]
    origin = [
        o * s + c / own
        for o, s, c, own in zip(first.origin, stretch, corner, metadata.shape, strict=True)
    ]
    spacing = [d * s for d, s in zip(first.spacing, stretch, strict=True)]
    return GainMaps(
        np.stack([found[plane] for plane in range(4)]),
        (origin[0], origin[1]),
        (spacing[0], spacing[1]),
    )


def _grid(
    metadata: RawMetadata, opcode: GainMap, y: int, x: int, plane: int
) -> npt.NDArray[np.float32] | None:
    """Return the opcode's gains of the pixels at parity (y, x) of the visible mosaic, if any."""
    layer = _layer(opcode, plane)
    corner = metadata.opcodes.active_area[:2]
    for axis, parity in enumerate((y, x)):
        start, stop, step = opcode.area[axis], opcode.area[axis + 2], opcode.pitch[axis]
        if step > 2:
            raise ValueError(f"a GainMap of every {step}th row or column, which no CFA plane is")
        # Places of the opcode's pixels in the visible mosaic: start, start + step, …
        start, stop = start + corner[axis], stop + corner[axis]
        if step == 2 and (start - parity) % 2:
            return None
        length = metadata.shape[axis]
        last = length - 1 - (length - 1 - parity) % 2
        if start > parity or stop <= last:
            top, left, bottom, right = opcode.area
            raise ValueError(
                f"a GainMap of rows {top} to {bottom} and columns {left} to {right}, which does "
                f"not cover the frame of {metadata.shape[0]} x {metadata.shape[1]} pixels"
            )
    return None if layer is None else opcode.gains[..., layer]


def _layer(opcode: GainMap, plane: int) -> int | None:
    """Return the map plane that holds for a plane of the CFA; None if it is not multiplied."""
    first, count = opcode.planes
    layers = opcode.gains.shape[2]
    if opcode.opcode_list == 2:
        if (first, layers) != (0, 1):
            raise ValueError(f"a GainMap with {layers} planes from plane {first} on for one mosaic")
        return 0
    if opcode.pitch != (1, 1) or layers > count:
        raise ValueError(f"a GainMap with {layers} planes for {count} colours of the picture")
    color = 1 if plane == 3 else plane
    return min(color - first, layers - 1) if first <= color < first + count else None
