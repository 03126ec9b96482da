"""PSNR and SSIM against their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from noisegen import metrics
from noisegen.errors import InputError


def pair(shape, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.random(shape).astype(dtype), rng.random(shape).astype(dtype)
    top = np.iinfo(dtype).max
    return rng.integers(0, top + 1, (2, *shape)).astype(dtype)


@given(st.floats(1e-6, 1), st.sampled_from([(5, 7), (5, 7, 3)]))
def test_psnr_of_a_constant_difference(difference, shape):
    reference = np.zeros(shape)
    expected = -20 * math.log10(difference)
    assert metrics.psnr(reference + difference, reference) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("dtype", "peak"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_the_peak_goes_with_the_kind_of_number(dtype, peak):
    x, y = pair((16, 20, 3), dtype=dtype)
    for metric in (metrics.psnr, metrics.ssim):
        assert metric(x, y) == metric(x, y, peak)
        assert metric(x, y) != metric(x, y, 2 * peak)


def test_integers_do_not_wrap_around():
    black, white = np.zeros((12, 12), np.uint8), np.full((12, 12), 255, np.uint8)
    assert metrics.psnr(black, white) == metrics.psnr(white, black) == 0


@pytest.mark.parametrize("shape", [(13, 17), (11, 11), (14, 12, 3)])
def test_ssim_is_its_definition_window_by_window(shape):
    x, y = pair(shape, seed=3)
    yx = np.mgrid[-5:6, -5:6]
    window = np.exp(-(yx**2).sum(0) / (2 * 1.5**2))
    window /= window.sum()
    C1, C2 = 0.01**2, 0.03**2
    values = []
    planes = ((x, y),) if x.ndim == 2 else zip(np.moveaxis(x, 2, 0), np.moveaxis(y, 2, 0))  # noqa: B905
    for a, b in planes:
        for r in range(shape[0] - 10):
            for c in range(shape[1] - 10):
                p, q = a[r : r + 11, c : c + 11], b[r : r + 11, c : c + 11]
                mp, mq = (window * p).sum(), (window * q).sum()
                vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
                cov = (window * (p - mp) * (q - mq)).sum()
                values.append(
                    (2 * mp * mq + C1) * (2 * cov + C2) / ((mp**2 + mq**2 + C1) * (vp + vq + C2))
                )
    assert metrics.ssim(x, y) == pytest.approx(np.mean(values), abs=1e-12)


@given(st.integers(0, 2**32 - 1))
def test_ssim_laws(seed):
    x, y = pair((15, 13), seed)
    assert metrics.ssim(x, x) == pytest.approx(1, abs=1e-12)
    assert metrics.ssim(x, y) == pytest.approx(metrics.ssim(y, x), abs=1e-12)
    assert metrics.ssim(x, y) < 1
    scaled = metrics.ssim(100 * x, 100 * y, 100)
    assert metrics.ssim(x, y) == pytest.approx(scaled, abs=1e-9)


def structured(shape):
    """Return edges, gradients and fine stripes, and the same blurred, darkened and noisy."""
    row, column = np.mgrid[: shape[0], : shape[1]]
    planes = [row / shape[0], (row + column) % 2, np.hypot(row - 20, column - 15) < 12]
    x = np.stack([planes[(channel + 2) % 3] for channel in range(3)], -1).astype(float)
    x = x if len(shape) == 3 else x.mean(-1)
    blurred = sum(np.roll(x, shift, (0, 1)) for shift in ((0, 0), (0, 1), (1, 0), (1, 1))) / 4
    noise = np.random.default_rng(5).normal(0, 0.05, x.shape)
    return x, np.clip(0.9 * blurred + noise, 0, 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
@pytest.mark.parametrize("shape", [(37, 48), (48, 37, 3), (11, 11, 3)])
@pytest.mark.parametrize("content", ["random", "structured"])
def test_psnr_and_ssim_are_those_of_scikit_image(content, shape, dtype):
    """To 1e-12 dB and 1e-12: both compute in float64, in another order."""
    x, y = pair(shape, 6, dtype) if content == "random" else structured(shape)
    peak = 1 if dtype is np.float64 else np.iinfo(dtype).max
    if x.dtype != dtype:
        x, y = (np.rint(a * peak).astype(dtype) for a in (x, y))
    assert metrics.psnr(x, y) == pytest.approx(
        peak_signal_noise_ratio(y, x, data_range=peak), abs=1e-12
    )
    # The window of 11 pixels is scikit-image's for this sigma; it, too, leaves the border out.
    theirs = structural_similarity(
        x,
        y,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=peak,
        channel_axis=-1 if len(shape) == 3 else None,
    )
    assert metrics.ssim(x, y) == pytest.approx(theirs, abs=1e-12)


def test_equal_pictures_have_no_noise():
    x, _ = pair((4, 4))
    assert metrics.psnr(x, x) == math.inf


def test_eight_bits():
    values = np.array([-0.1, 0, 0.5 / 255, 1.5 / 255, 2.4 / 255, 2.6 / 255, 1, 1.7])
    assert metrics.to_8bit(values).tolist() == [0, 0, 0, 2, 2, 3, 255, 255]
    assert metrics.to_8bit(values, "truncate").tolist() == [0, 0, 0, 1, 2, 2, 255, 255]
    codes = np.arange(256, dtype=np.uint8)
    for dtype in (np.float32, np.float64):
        for rounding in ("half-even", "truncate"):
            back = metrics.to_8bit(codes.astype(dtype) / dtype(255), rounding)
            assert np.array_equal(back, codes)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x, y: metrics.psnr(x, y[1:]), r"one shape, found \(12, 12\) and \(11, 12\)"),
        (lambda x, y: metrics.psnr(x[0], y[0]), r"found \(12,\) and \(12,\)"),
        (lambda x, y: metrics.ssim(x[:9], y[:9]), "at least 11x11 pixels, found 9x12"),
        (lambda x, y: metrics.psnr(x, metrics.to_8bit(y)), "found float64 and uint8"),
        (lambda x, y: metrics.psnr(x > 0, y > 0), "found bool and bool"),
        (lambda x, y: metrics.to_8bit(metrics.to_8bit(x)), "found uint8"),
        (lambda x, y: metrics.to_8bit(x * np.nan), "not finite"),
    ],
)
def test_what_cannot_be_compared_is_refused(call, said):
    with pytest.raises(InputError, match=said):
        call(*pair((12, 12)))


@pytest.mark.parametrize("shape", [(4, 5), (7, 6, 3)])
def test_ssim_of_a_volume_is_its_definition(shape):
    """Every window about every place, the outermost values repeated."""
    x, y = pair(shape, seed=4)
    window = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    for _ in shape[1:]:
        window = np.multiply.outer(window, np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2)))
    window /= window.sum()
    padded = [np.pad(a, 5, "edge") for a in (x, y)]
    C1, C2 = 0.01**2, 0.03**2
    values = []
    for place in np.ndindex(shape):
        p, q = (a[tuple(slice(i, i + 11) for i in place)] for a in padded)
        mp, mq = (window * p).sum(), (window * q).sum()
        vp, vq = (window * p * p).sum() - mp**2, (window * q * q).sum() - mq**2
        cov = (window * p * q).sum() - mp * mq
        values.append((2 * mp * mq + C1) * (2 * cov + C2) / ((mp**2 + mq**2 + C1) * (vp + vq + C2)))
    assert metrics.ssim_volume(x, y) == pytest.approx(np.mean(values), abs=1e-12)
