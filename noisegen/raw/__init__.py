"""Raw files: the mosaic of any Bayer raw with what the camera wrote down, and DNGs of one's own."""

from noisegen.raw.dng import write_dng
from noisegen.raw.metadata import RawImage, RawMetadata
from noisegen.raw.read import read, read_metadata, read_shape

__all__ = ["RawImage", "RawMetadata", "read", "read_metadata", "read_shape", "write_dng"]
