"""Unprocessing: each stage undoes its twin, and the whole chain comes back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from noisegen import cfa
from noisegen.errors import InputError
from noisegen.isp import inverse, pipeline, stages, tone, transfer
from noisegen.isp.parameters import GAMMAS, REFERENCES, IspParameters

MATRIX = ((0.7161, 0.2475, 0.0364), (0.2759, 0.9854, -0.2613), (0.0253, -0.2454, 1.2201))

unit = st.floats(0, 1)
pictures = arrays(np.float64, (4, 6, 3), elements=unit)
gains = st.tuples(*[st.floats(0.3, 4)] * 3)


def parameters(**changes):
    return IspParameters(**({"white_balance": (2.1, 1.0, 1.5), "cam_to_xyz": MATRIX} | changes))


def forward(function, picture, *arguments):
    """Apply a torch stage to an (H, W, 3) array."""
    tensor = torch.tensor(np.moveaxis(picture, -1, 0))[None]
    return np.moveaxis(function(tensor, *arguments)[0].numpy(), 0, -1)


def psnr(a, b):
    return -10 * np.log10(np.mean((a - b) ** 2))


@given(pictures, st.floats(-1, 1))
def test_the_chains_own_tone_mapping(picture, alpha):
    toned = forward(stages.tone_map, picture, torch.tensor([alpha], dtype=torch.float64))
    p = parameters(alpha=alpha)
    # At alpha = 1 both curves are flat at white: an error e becomes sqrt(sqrt(e)) there.
    inside = picture < 0.9
    undone = tone.invert(toned, inverse.chain_tone(p))
    np.testing.assert_allclose(undone[inside], picture[inside], rtol=0, atol=1e-9)
    np.testing.assert_allclose(undone, picture, rtol=0, atol=2e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gamma", GAMMAS)
@given(st.data())
def test_gamma(gamma, dtype, data):
    picture = data.draw(arrays(dtype, (3, 2, 3), elements=st.floats(0, 1, width=32)))
    encoded = forward(stages.gamma, picture, gamma)
    np.testing.assert_allclose(transfer.encode(picture, gamma), encoded, rtol=1e-6)
    decoded = transfer.decode(encoded, gamma)
    assert decoded.dtype == dtype
    tolerance = 1e-12 if dtype == np.float64 else 2e-6
    np.testing.assert_allclose(
        decoded, np.maximum(picture, 1e-8) if gamma == "2.2" else picture, rtol=0, atol=tolerance
    )


@pytest.mark.parametrize("gamma", GAMMAS)
@given(arrays(np.float64, 20, elements=st.floats(-0.5, 1.5)))
def test_decoding_is_monotone(gamma, encoded):
    assert np.all(np.diff(transfer.decode(np.sort(encoded), gamma)) >= 0)


@pytest.mark.parametrize("reference", REFERENCES)
@given(pictures, gains)
def test_matrix(reference, picture, white_balance):
    p = parameters(white_balance=white_balance, reference=reference)
    matrix = stages.color_matrix(torch.tensor(p.cam_to_xyz, dtype=torch.float64)[None], reference)
    linear = forward(lambda rgb: stages.apply_matrix(matrix, rgb), picture)
    np.testing.assert_allclose(inverse.invert_matrix(linear, p), picture, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("highlights", "most"), [("plain", 1.0), ("saturate", 0.9)])
@given(data=st.data(), white_balance=gains)
def test_white_balance(highlights, most, data, white_balance):
    picture = data.draw(arrays(np.float64, (4, 6, 3), elements=st.floats(1e-8, most)))
    g = parameters(white_balance=white_balance).gains
    divided = inverse.invert_white_balance(picture, g, highlights)
    balanced = np.clip(divided * g, 1e-8, 1)
    np.testing.assert_allclose(balanced, picture, rtol=1e-12)
    assert divided.max() <= most


@given(gains)
def test_white_stays_saturated(white_balance):
    p = parameters(white_balance=white_balance)
    white = np.ones((4, 4, 3))
    x = inverse.unprocess(white, p, "RGGB")
    np.testing.assert_allclose(x, 1, atol=1e-6)
    np.testing.assert_allclose(
        inverse.unprocess(white, p, "RGGB", highlights="plain"),
        np.tile((1 / np.array(p.gains))[cfa.colors("RGGB")], (2, 2)),
        atol=1e-6,
    )


@given(st.floats(0, 1), st.floats(0, 1), gains)
def test_highlights_grow_with_the_picture(a, b, white_balance):
    # A grey ramp must not fold over where the gains are weakened.
    low, high = np.sort([a, b])
    g = parameters(white_balance=white_balance).gains
    dark, bright = (inverse.invert_white_balance(np.full((1, 3), v), g) for v in (low, high))
    assert np.all(bright >= dark - 1e-15)


@pytest.mark.parametrize("phase", cfa.PHASES)
def test_mosaic_keeps_the_colour_of_each_pixel(phase):
    rgb = np.random.default_rng(0).random((7, 9, 3))
    expected = np.take_along_axis(rgb, _colors(phase, 7, 9)[..., None], 2)[..., 0]
    assert np.array_equal(inverse.mosaic(rgb, phase), expected)


@pytest.mark.parametrize("phase", cfa.PHASES)
@pytest.mark.parametrize("encoded", [True, False], ids=["encoded", "linear"])
@pytest.mark.parametrize("gamma", GAMMAS)
def test_smooth_pictures_come_back_through_the_mosaic(gamma, encoded, phase):
    y, x = np.mgrid[:96, :128]
    hue = np.stack([np.sin(x / 23 + k) * np.cos(y / 31 - k) for k in range(3)], -1)
    picture = 0.45 + 0.1 * np.cos((x + 2 * y) / 37)[..., None] + 0.05 * hue
    p = parameters(gamma=gamma, alpha=0.3)
    mosaic = inverse.unprocess(picture, p, phase, encoded=encoded)
    rendered = pipeline.render(
        torch.tensor(mosaic)[None, None],
        phase,
        p,
        final_stage="tone_mapping" if encoded else "rgb_to_srgb",
    )[0].permute(1, 2, 0)
    # Malvar is exact on planes; what is left is the pictures' curvature, below 1/20^2 a pixel^2
    # of an amplitude below 0.15 and a kernel of weight 1/4: 1e-4, or 80 dB, less the tone's slope.
    inside = rendered.numpy()[2:-2, 2:-2]
    assert psnr(inside, picture[2:-2, 2:-2]) > 60


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept(dtype):
    rgb = np.random.default_rng(1).random((6, 8, 3)).astype(dtype)
    p = parameters(alpha=0.5)
    x = inverse.unprocess(rgb, p, "GBRG")
    assert x.dtype == dtype
    assert 0 <= x.min() <= x.max() <= 1
    np.testing.assert_allclose(
        x, inverse.unprocess(rgb.astype(np.float64), p, "GBRG"), rtol=0, atol=5e-6
    )


@pytest.mark.parametrize(
    ("picture", "options", "message"),
    [
        (np.zeros((4, 4)), {}, r"picture of shape \(4, 4\)"),
        (np.zeros((4, 4, 3), np.uint8), {}, "uint8"),
        (np.zeros((4, 4, 3)), {"highlights": "burn"}, "no treatment of highlights"),
    ],
)
def test_wrong_pictures_are_named(picture, options, message):
    with pytest.raises(InputError, match=message):
        inverse.unprocess(picture, parameters(), "RGGB", **options)


def _colors(phase, height, width):
    planes = cfa.plane_map(phase, (height, width)).astype(int)
    return np.where(planes == 3, 1, planes)
