"""R2RNet's three networks: Decom, Denoise, Relight.

References
----------
J. Hai et al., "R2RNet: Low-light Image Enhancement via Real-low to Real-normal Network", Journal of
Visual Communication and Image Representation 90, 2023.
"""

from denoisers.r2rnet.decom import Decom, Parts
from denoisers.r2rnet.denoise import Denoise
from denoisers.r2rnet.relight import Relight

__all__ = ["Decom", "Denoise", "Parts", "Relight"]
