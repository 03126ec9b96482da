"""The parameters recorded with every sample: one table of names, types and units.

A sample's pixels are a function of its clean mosaic and its row in this table alone: the shard
maker first writes the row, in the stored types, and develops the sample from it. So a lazy corpus
gives the bytes of a stored one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Parameter:
    """One recorded parameter.

    Attributes
    ----------
    name
        Name of the array under ``params/``.
    dtype
        NumPy type it is stored in.
    dims
        Names of the dimensions after ``sample``.
    units
        Unit, ``"1"`` for pure numbers.
    description
        What it is.
    """

    name: str
    dtype: str
    dims: tuple[str, ...]
    units: str
    description: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the dimensions after ``sample``."""
        return tuple(LENGTHS[dim] for dim in self.dims)


LENGTHS = {"plane": 4, "color": 3, "camera_color": 3, "xyz": 3, "radial": 3, "axis": 2}
"""Lengths of the named dimensions. ``plane`` is R, G in red rows, B, G in blue rows."""

_F8, _U4 = "float64", "uint32"

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "valid", "uint8", (), "1", "1: a sample; 0: its image could not be used, or no place"
    ),
    Parameter("image", _U4, (), "1", "row of the image under images/"),
    Parameter("index", _U4, (), "1", "number of the patch in its image"),
    Parameter("draw", _U4, (), "1", "number of the noise draw of the patch"),
    Parameter("key", _U4, (), "1", "number of the patch in the counter of its noise fields"),
    Parameter("y", _U4, (), "pixel", "row of the patch's top left corner in the frame"),
    Parameter("x", _U4, (), "pixel", "column of the patch's top left corner in the frame"),
    Parameter("cfa", "uint8", (), "1", "phase at the corner: 0 RGGB, 1 BGGR, 2 GRBG, 3 GBRG"),
    Parameter("black", _F8, ("plane",), "DN", "black level"),
    Parameter("white", _F8, (), "DN", "white level"),
    Parameter("iso", _F8, (), "1", "ISO speed; NaN where the camera has none"),
    Parameter("gain", _F8, (), "DN/electron", "system gain; NaN where it is not known"),
    Parameter("shot", _F8, ("plane",), "1", "variance of x is shot * x + read, x from 0 to 1"),
    Parameter("read", _F8, ("plane",), "1", "variance of the read noise of x"),
    Parameter("row", _F8, (), "1", "standard deviation of the offset of a row"),
    Parameter("tukey_lambda", _F8, (), "1", "shape of the read noise; NaN: Gaussian"),
    Parameter("tukey_scale", _F8, (), "1", "scale of the Tukey-lambda read noise"),
    Parameter("bias", _F8, ("plane",), "1", "mean dark offset"),
    Parameter("body", _U4, (), "1", "number of the camera body, of the recipe's bodies"),
    Parameter("exposure_time", _F8, (), "s", "of the picture, or of hot pixels; NaN: not known"),
    Parameter("aperture", _F8, (), "1", "f-number of a real picture; NaN: not known"),
    Parameter("dark_frame", _U4, (), "1", "its dark frame, from 1 in order of names; 0: none"),
    Parameter("dark_y", _U4, (), "pixel", "row in the dark frame of the patch's top left corner"),
    Parameter("dark_x", _U4, (), "pixel", "column in the dark frame of that corner"),
    Parameter("source_shot", _F8, ("plane",), "1", "shot noise of the clean picture itself"),
    Parameter("source_read", _F8, ("plane",), "1", "read noise of the clean picture itself"),
    Parameter("source_origin", "uint8", (), "1", "0 unknown, 1 profile, 2 catalog, 3 estimate"),
    Parameter(
        "strength",
        _F8,
        (),
        "1",
        "of noise on the picture: its factor, neca-w's gain, or neca-s's σ; NaN: not on it",
    ),
    Parameter("exposure_ratio", _F8, (), "1", "light of the clean over light of the noisy picture"),
    Parameter("shading", _F8, ("radial",), "1", "k of the gain 1 + k1 r^2 + k2 r^4 + k3 r^6"),
    Parameter("shading_centre", _F8, ("axis",), "1", "its centre (y, x), the frame being 1 by 1"),
    Parameter("wb", _F8, ("color",), "1", "white balance gains, the smallest is 1"),
    Parameter("cam_to_xyz", _F8, ("xyz", "camera_color"), "1", "balanced camera RGB to XYZ"),
    Parameter("ccm", _F8, ("color", "camera_color"), "1", "balanced camera RGB to linear sRGB"),
    Parameter("tone", _F8, (), "1", "tone amplification α"),
    Parameter("temperature", _F8, (), "K", "colour temperature of the light; NaN: not known"),
    Parameter("exposure", _F8, (), "1", "factor on a picture's light; NaN: a raw file"),
    Parameter("source_tone", "uint8", (), "1", "tone curve of the picture that was undone"),
    Parameter("source_tone_strength", _F8, (), "1", "its strength; NaN: none was undone"),
    Parameter("source_tone_pivot", _F8, (), "1", "its pivot; NaN: it is no s-curve"),
    Parameter("nr_luma", "float32", (), "1", "luma noise reduction, as a difference of Y; 0: off"),
    Parameter("nr_chroma", "float32", (), "1", "chroma noise reduction, as a difference; 0: off"),
    Parameter("sharpen", _F8, (), "1", "amount of the unsharp mask; 0: off"),
    Parameter("sharpen_radius", _F8, (), "pixel", "standard deviation of its blur; NaN: off"),
    Parameter("resize", _F8, (), "1", "pixels of the frame for one of the picture"),
    Parameter("jpeg_quality", "uint8", (), "1", "quality of the JPEG, 1 to 100; 0: none"),
    Parameter("jpeg_subsampling", "uint8", (), "1", "of its colours: 0 4:4:4, 1 4:2:2, 2 4:2:0"),
    Parameter("mean", "float32", (), "1", "mean of x over the clean patch"),
    Parameter("texture", "float32", (), "1", "mean absolute difference of same-colour neighbours"),
    Parameter("clipped", "float32", (), "1", "share of clean pixels at or above white"),
    Parameter("noise", "float32", ("color",), "1", "std of noisy - clean, if real; else NaN"),
)

RECORD = np.dtype([(p.name, p.dtype, p.shape) for p in PARAMETERS])
"""Structured type of one row of the table."""


def empty(rows: int) -> npt.NDArray[np.void]:
    """Return a table of ``rows`` invalid samples: zeros, and NaN where nothing is known."""
    table = np.zeros(rows, RECORD)
    for parameter in PARAMETERS:
        if parameter.dtype.startswith("float"):
            table[parameter.name] = np.nan
    return table


def alike(rows: npt.NDArray[np.void], *names: str) -> Iterator[slice]:
    """Yield the runs of rows in which some parameters stay the same."""
    columns = np.concatenate([rows[name].reshape(len(rows), -1) for name in names], axis=1)
    changes = (np.flatnonzero((columns[1:] != columns[:-1]).any(axis=1)) + 1).tolist()
    return map(slice, [0, *changes], [*changes, len(rows)])


def table(rows: bytes) -> npt.NDArray[np.void]:
    """Return a table, to be written to, of the bytes of its rows.

    Rows are handed about as bytes: NumPy copies a structured row field by field, which takes ten
    times as long.
    """
    return np.frombuffer(bytearray(rows), RECORD)
