"""Raw files: the mosaic of any Bayer raw with what the camera wrote down, and DNGs of one's own."""

from noisegen.raw.dng import write_dng
from noisegen.raw.metadata import RawImage, RawMetadata
from noisegen.raw.read import read, read_metadata, read_shape
from noisegen.raw.shading import recorded_shading

__all__ = [
    "RawImage",
    "RawMetadata",
    "read",
    "read_metadata",
    "read_shape",
    "recorded_shading",
    "write_dng",
]
