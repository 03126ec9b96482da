"""The compiled ISP of float mosaics against the pipeline, and where it may stand for it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from denoisers.models import dualdn
from denoisers.models.dualdn import Isp, Shot
from noisegen import cfa
from noisegen.isp import compiled, pipeline
from noisegen.isp.parameters import DEMOSAICS, GAMMAS, HALO

MATRIX = [[0.7161, 0.2475, 0.0364], [0.2759, 0.9854, -0.2613], [0.0253, -0.2454, 1.2201]]

PLAIN = Isp()


def batch(height, width, size=2, seed=0, low=-0.1, high=1.1):
    draws = torch.Generator().manual_seed(seed)
    mosaic = low + (high - low) * torch.rand(size, 1, height, width, generator=draws)
    gains = 1 + torch.rand(size, 3, generator=draws)
    matrix = torch.tensor(MATRIX) + 0.05 * torch.rand(size, 3, 3, generator=draws)
    alpha = torch.rand(size, generator=draws)
    return mosaic, gains, matrix / matrix.sum(2, keepdim=True), alpha


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(cfa.PHASES),
    st.sampled_from(DEMOSAICS),
    st.sampled_from(GAMMAS),
    st.integers(8, 40),
    st.integers(8, 40),
    st.integers(0, 1 << 30),
)
def test_it_is_the_pipeline(phase, demosaic, gamma, height, width, seed):
    mosaic, *others = batch(height, width, seed=seed)
    options = {"demosaic": demosaic, "gamma": gamma}
    ours = compiled.process(mosaic, phase, *others, **options)
    exact = pipeline.process(mosaic.double(), phase, *(t.double() for t in others), **options)
    off = (ours - exact).abs() / exact.abs().clamp_min(1)
    # The pure power's slope is endless at 0. AHD's directions may tie: then all of a pixel changes.
    limit = 1e-4 if gamma == "2.2" else 2e-5
    assert (off > limit).float().mean() <= (0.01 if demosaic == "ahd" else 0)


def test_four_gains_and_the_other_white_point():
    mosaic, _, matrix, alpha = batch(16, 18)
    gains = torch.tensor([[2.0, 1.0, 1.5, 1.1]]).expand(2, 4)
    options = {"demosaic": "malvar", "reference": "D50"}
    ours = compiled.process(mosaic, "GBRG", gains, matrix, alpha, **options)
    theirs = pipeline.process(mosaic, "GBRG", gains, matrix, alpha, **options)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("demosaic", DEMOSAICS)
def test_what_is_no_number_shows_as_in_the_pipeline(demosaic, value):
    mosaic, *others = batch(20, 20, 1)
    mosaic[0, 0, 9, 9] = value
    ours = compiled.process(mosaic, "RGGB", *others, demosaic=demosaic)
    theirs = pipeline.process(mosaic, "RGGB", *others, demosaic=demosaic)
    assert bool(ours.isnan().any()) == bool(theirs.isnan().any()) == (value != value)


def test_where_it_may_stand_for_the_pipeline(monkeypatch):
    mosaic, gains, matrix, alpha = batch(16, 16)
    one = torch.full((2,), 0.01)
    used = []
    genuine = compiled.process
    monkeypatch.setattr(
        dualdn.compiled, "process", lambda *a, **k: used.append(1) or genuine(*a, **k)
    )

    def develops(mosaic, isp=PLAIN, alpha=alpha, phase="RGGB"):
        used.clear()
        picture = isp.develop(mosaic, Shot(one, one, gains, matrix, alpha, phase))
        assert picture.shape == (2, 3, 16, 16)
        return bool(used)

    assert develops(mosaic)
    assert develops(mosaic[..., :16, :16].clone().requires_grad_().detach())
    wanted = mosaic.clone().requires_grad_()
    assert not develops(wanted)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert develops(wanted, alpha=alpha.clone().requires_grad_())
    assert not develops(mosaic, isp=Isp(border="published"))
    assert not develops(mosaic, phase=torch.tensor([[0, 1], [3, 2]]))
    assert not develops(mosaic, alpha=torch.tensor(0.5))
    assert not compiled.takes(mosaic.double(), demosaic="ahd")
    assert not compiled.takes(mosaic[..., : HALO["ahd"], :], demosaic="ahd")
