"""Pictures laid on each other: known shifts are found in noise, and content is moved by them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from noisegen.errors import InputError
from noisegen.registration import LEAST, MARGIN, Shift, find_shift, moved, within


class Scene:
    """Waves of periods of 5 to 40 pixels: a scene that is known between its pixels."""

    def __init__(self, seed, waves=20):
        rng = np.random.default_rng(seed)
        period, angle = rng.uniform(5, 40, waves), rng.uniform(0, 2 * np.pi, waves)
        self.down, self.right = np.sin(angle) / period, np.cos(angle) / period
        # Channels are alike, as they are in pictures; 0.12 is the scene's standard deviation.
        self.phase = rng.uniform(0, 2 * np.pi, waves) + rng.normal(0, 0.4, (3, waves))
        self.height = 0.12 * (2 / waves) ** 0.5

    def at(self, size, shift=(0.0, 0.0)):
        """Return the scene moved down and right: (size, size, 3), about 0.5."""
        y, x = np.arange(size) - shift[0], np.arange(size) - shift[1]
        down, right = (
            np.exp(2j * np.pi * np.outer(*axis)) for axis in ((y, self.down), (x, self.right))
        )
        waves = [((down * np.exp(1j * phase)) @ right.T).real for phase in self.phase]
        return 0.5 + self.height * np.stack(waves, -1)


def codes(values, depth=8):
    return np.rint(values.clip(0, 1) * (2**depth - 1)).astype(f"uint{depth}")


def grain(rng, size, std):
    """White noise of neighbours and channels that are alike, as a camera's is."""
    white = ndimage.gaussian_filter(rng.normal(size=(size, size, 3)), (0.7, 0.7, 0.4))
    return std / 255 * white / white.std()


shifts = st.tuples(st.floats(-2.5, 2.5), st.floats(-2.5, 2.5))


@settings(max_examples=15, deadline=None)
@given(shifts, st.integers(0, 1000), st.sampled_from([2.0, 8.0, 25.0]))
def test_a_known_shift_is_found_in_noise(shift, seed, std):
    scene, rng = Scene(seed), np.random.default_rng(seed)
    noisy = codes(scene.at(128, shift) * 1.03 - 0.02 + grain(rng, 128, std))
    found = find_shift(codes(scene.at(128)), noisy)
    # Derivatives by differences, and rounding: a hundredth. Noise: what the error says, five times.
    assert np.abs(np.subtract(found[:2], shift)).max() < 0.01 + 5 * found.error
    assert found.error < 0.004 * std


def test_the_error_is_that_of_many_draws():
    scene, rng = Scene(3), np.random.default_rng(3)
    clean, still = codes(scene.at(96)), scene.at(96, (0.3, -0.2))
    found = np.array([find_shift(clean, codes(still + grain(rng, 96, 20))) for _ in range(60)])
    # A standard deviation of 60 draws is known to 9 %, a jackknife of 16 blocks to 18 %.
    scatter = found[:, :2].std(0).max()
    assert np.sqrt((found[:, 2] ** 2).mean()) == pytest.approx(scatter, rel=0.5)
    assert np.abs(found[:, :2].mean(0) - (0.3, -0.2)).max() < 0.01 + 5 * scatter / 60**0.5


@settings(max_examples=15, deadline=None)
@given(shifts, st.sampled_from([8, 16]))
def test_a_moved_picture_is_the_scene_there(shift, depth):
    scene = Scene(5)
    there = moved(codes(scene.at(96), depth), Shift(*shift, 0.0))
    true = within(codes(scene.at(96, shift), depth))
    assert there.shape == (96 - 2 * MARGIN, 96 - 2 * MARGIN, 3)
    assert there.dtype == true.dtype
    # Rounding twice is one code at most; the spline is within 0.4 % of white for these periods.
    assert np.abs(there.astype(float) - true).max() <= 1 + 0.004 * 2**depth


def test_blur_and_large_noise_do_not_move():
    scene, rng = Scene(7), np.random.default_rng(7)
    blurred = ndimage.gaussian_filter(scene.at(160), (1.0, 1.0, 0))
    found = find_shift(codes(scene.at(160)), codes(blurred + grain(rng, 160, 10)))
    assert found.length < 0.01 + 5 * found.error < 0.1


def test_spots_and_lamps_do_not_pull():
    scene, rng = Scene(8), np.random.default_rng(8)
    noisy = scene.at(128, (0.4, 0.1)) + grain(rng, 128, 4)
    noisy[40:52, 60:90] = 1  # something that came into the picture
    found = find_shift(codes(scene.at(128)), codes(noisy))
    np.testing.assert_allclose(found[:2], (0.4, 0.1), atol=0.03)


def test_a_flat_scene_stays():
    rng = np.random.default_rng(9)
    flat = np.full((64, 64, 3), 0.5)
    found = find_shift(codes(flat), codes(flat + grain(rng, 64, 20)))
    assert found[:2] == (0, 0)


def test_what_is_no_pair_is_refused():
    scene = Scene(10)
    with pytest.raises(InputError, match="the halves lie"):
        find_shift(codes(scene.at(128)), codes(scene.at(128, (7.0, 2.0))))
    small = codes(scene.at(LEAST - 1))
    with pytest.raises(InputError, match="31x31 pixels are too few to find a shift"):
        find_shift(small, small)
