"""Digest of exposures with camera bodies, to compare processors (run in a subprocess too)."""

import hashlib
import itertools

import numpy as np

from noisegen.random import BodyCounter, counter
from noisegen.sensor import BodyParameters, Levels, NoiseModel, NoiseParameters, add_noise, pattern

LEVELS = Levels((512, 513, 514, 512.5), 16383)
PARAMETERS = NoiseParameters(
    (1e-4, 2e-4, 3e-4, 1.5e-4),
    (1e-6, 2e-6, 3e-6, 4e-6),
    row=1e-3,
    tukey_lambda=-0.1,
    tukey_scale=2e-3,
)
BODY = BodyParameters(0.01, 0.02, 1e-3, 2e-3, 1e-3, 5e-4, 1e-3, 5e-3, 0.05, 2e-3, 0.3, 3.0)


def everything():
    """Return one digest of all laws and terms at two places, and of the maps."""
    hasher = hashlib.sha256()
    mosaic = (np.arange(37 * 300) * 977 % 16384).reshape(37, 300).astype(np.uint16)
    mosaic[:8] = 500 + mosaic[:8] % 200
    of = BodyCounter(3, 4, 5, 6)
    for y, x in ((-5, 1001), (8, 256)):
        for part in pattern(mosaic.shape, BODY, of, LEVELS, "GRBG", y=y, x=x):
            hasher.update(part.tobytes())
        for shot, read in itertools.product(
            ("none", "gaussian", "poisson"), ("none", "gaussian", "tukey-lambda")
        ):
            model = NoiseModel("any", shot, read, row=True)
            where = counter(2024, 7, 3)
            arguments = (mosaic, LEVELS, model, PARAMETERS, LEVELS, "GRBG", where)
            out = add_noise(*arguments, y=y, x=x, body=BODY, body_counter=of)
            hasher.update(out.tobytes())
    return hasher.hexdigest()
