import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from noisegen.errors import InputError
from noisegen.isp import color

CODE = """
import numpy as np
from catalogs import cameras
from noisegen import random
from noisegen.isp import color
for number in range(200):
    rng = random.generator(1, random.Stream.COLOUR, number)
    drawn = cameras.load("GP").draw_color(rng)
    state = cameras.load("SonyA7S2").draw(rng)
    ccm = color.multiply(color.xyz_to_srgb("D65"), drawn.cam_to_xyz)
    print(drawn.cam_to_xyz, color.inverse(ccm).tolist(), state.gain, state.parameters.read)
"""


def test_matrices_and_draws_do_not_depend_on_the_processor():
    """NumPy and its BLAS choose their code by processor; what a corpus records must not follow."""
    printed = set()
    for settings in (
        {},
        {"OPENBLAS_CORETYPE": "Prescott", "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3"},
        {"OPENBLAS_CORETYPE": "Haswell", "NPY_DISABLE_CPU_FEATURES": "AVX512F"},
    ):
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **settings}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", CODE],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        printed.add(done.stdout)
    assert len(printed) == 1
    assert len(printed.pop().splitlines()) == 200


def test_inverse_and_product_are_those_of_linear_algebra():
    rng = np.random.default_rng(0)
    for _ in range(100):
        a, b = rng.normal(size=(2, 3, 3))
        np.testing.assert_allclose(color.multiply(a, b), a @ b, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(color.multiply(a, color.inverse(a)), np.eye(3), atol=1e-9)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_singular_matrix_is_refused_at_any_scale(scale):
    with pytest.raises(InputError, match="no inverse"):
        color.inverse(scale * np.array([[1.0, 2, 3], [2, 4, 6], [0, 1, 1]]))
    color.inverse(scale * np.eye(3))
