"""Every camera file loads, and its figures are the published ones, converted by hand here."""

import math
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from catalogs import cameras
from catalogs.color import GOOGLE_MATRICES
from noisegen.sensor import models
from noisegen.sensor.sampling import DUALDN_CAMERAS

NAMES = cameras.names()
DOCS = Path(__file__).parents[2] / "docs" / "cameras.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)


def test_the_promised_cameras_are_there():
    promised = (
        "GP IP G4 N6 S6 SonyA7S2 NikonD850 CanonEOS5D4 CanonEOS70D CanonEOS700D Nexus6P SonyA7R "
        "OMD_EM10 SonyRX100 Reno10x SonyA7M4 IMX686 IMX385 dualdn google"
    )
    assert set(promised.split()) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_camera_is_whole(name):
    camera = cameras.load(name)
    assert camera.name == name
    assert camera.iso_range or camera.gain_range
    assert camera.levels.white < 2**camera.bits
    assert camera.licence and camera.note and camera.sources
    assert cameras.parse(camera.toml, name, "again") == camera
    assert pickle.loads(pickle.dumps(camera)) == camera


@pytest.mark.parametrize("name", NAMES)
def test_camera_draws_with_every_model_it_has_figures_for(name):
    camera = cameras.load(name)
    rng = np.random.default_rng(5)
    wanted = ["awgn", "heteroscedastic", "poisson-gaussian"]
    wanted += ["eld"] if {"row", "tukey-lambda"} <= camera.noise.has else []
    wanted += ["eld-gaussian"] if "row" in camera.noise.has else []
    for model in wanted:
        state = camera.draw(rng, model=model)
        p = state.parameters
        values = [*p.shot, *p.read, p.row, *p.bias, state.gain]
        assert np.isfinite(values).all()
        assert min(p.read) > 0 and state.gain > 0
        assert (p.tukey_scale is not None) == (models.get(model).read == "tukey-lambda")
        assert p.read_includes == camera.read_includes


def test_every_calibrated_default_is_possible():
    for name in NAMES:
        camera = cameras.load(name)
        camera.check(model=camera.default_model)


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_documented_example_is_a_camera(text, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    camera = cameras.load(file)
    assert camera.name == "mine"
    assert camera.draw(np.random.default_rng(0)).gain > 0


def test_documentation_has_an_example_of_every_kind():
    kinds = {re.search(r'^kind = "(.*)"', text, re.MULTILINE)[1] for text in EXAMPLES}
    assert kinds == {"table", "polynomial", "regression", "prior"}


@pytest.mark.parametrize(
    ("name", "iso", "shot", "read"),
    [
        # SIDD's NoiseProfile tags, normalised as they are.
        ("GP", 100, 0.000228, 2e-6),
        ("GP", 3200, 0.007029, 0.000179),
        ("N6", 800, 0.003476, 5.2e-5),
        ("S6", 3200, 0.01993, 2e-6),
        ("G4", 400, 0.00186, 2e-6),
        ("IP", 1600, 0.000687, 2e-6),
        # PMRID: K(100) = 0.05995267 + 0.00868861, B(100) = 0.00711772 + 0.06514934 + 0.11492713,
        # over 959 and 959 squared.
        ("Reno10x", 100, 0.06864128 / 959, 0.18719419 / 959**2),
        ("Reno10x", 1600, 0.96793133 / 959, 2.97945359 / 959**2),
        # CRVD: DN of a full scale of 4095 - 240 = 3855.
        ("IMX385", 1600, 3.513262 / 3855, 11.917691 / 3855**2),
        ("IMX385", 25600, 52.032536 / 3855, 1819.818657 / 3855**2),
        # PMN: K in DN, standard deviation in DN, full scale 16383 - 512 = 15871.
        ("SonyA7S2-PMN", 1600, 1.53008 / 15871, (6.29925 / 15871) ** 2),
        ("SonyA7S2-PMN", 2000, 1.9126 / 15871, (2.65387 / 15871) ** 2),
        ("iPhone12Pro", 32, 3e-5, 3e-8),
    ],
)
def test_figures_by_iso(name, iso, shot, read):
    parameters = cameras.load(name).typical(model="heteroscedastic", iso=iso).parameters
    assert parameters.shot == pytest.approx((shot,) * 4, rel=1e-7)
    assert parameters.read == pytest.approx((read,) * 4, rel=1e-7)


def test_figures_of_a_regression():
    # ELD, Nikon D850, K = 2: log of each scale in DN, full scale 16383 - 800 = 15583.
    state = cameras.load("NikonD850").typical(gain=2.0)
    full, log_k = 15583, math.log(2)
    assert state.parameters.shot == pytest.approx((2 / full,) * 4)
    read = math.exp(0.563461 * log_k + 0.79941) / full
    gaussian = cameras.load("NikonD850").typical(model="eld-gaussian", gain=2.0).parameters
    assert gaussian.read == pytest.approx((read**2,) * 4)
    assert gaussian.tukey_scale is None
    scale = math.exp(0.47739 * log_k - 0.090445) / full
    assert state.parameters.tukey_scale == pytest.approx(scale)
    # The recorded read variance is the Tukey law's; SciPy computes it on its own.
    unit = scipy.stats.tukeylambda.var(-0.228571)
    assert state.parameters.read == pytest.approx((unit * scale**2,) * 4)
    assert state.parameters.row == pytest.approx(math.exp(0.448292 * log_k - 1.79771) / full)
    # log 2 lies 37.8 % of the way from 0.415 to 26.56: step 0.378 * 15 = 5.67, the seventh.
    assert state.parameters.tukey_lambda == -0.228571
    expected = np.array([-2.75701, -1.62802, -2.16858, -1.0784]) / full
    assert state.parameters.bias == pytest.approx(tuple(expected))
    assert math.isnan(state.iso)


def test_figures_per_plane():
    # Measured per plane in DN: R 0.0888, B 0.0917; full scale 1023 - 60.
    parameters = cameras.load("IMX296").typical(gain=0.0888).parameters
    assert parameters.shot == pytest.approx(np.array([0.0888, 0.0888, 0.0917, 0.0889]) / 963)
    assert parameters.read == pytest.approx(np.array([0.25, 0.287, 0.247, 0.285]) / 963**2)


def test_sidd_levels_and_phases():
    s6, gp = cameras.load("S6"), cameras.load("GP")
    assert (s6.levels.black, s6.levels.white, s6.levels.clips_at) == ((0,) * 4, 1023, "black")
    assert (gp.levels.black, gp.levels.white, gp.levels.clips_at) == ((64,) * 4, 1023, "adc")
    assert gp.assumed == ("levels",) and s6.assumed == ()
    phases = {name: cameras.load(name).cfa for name in ("GP", "IP", "S6", "N6", "G4")}
    assert phases == {"GP": "BGGR", "IP": "RGGB", "S6": "GRBG", "N6": "BGGR", "G4": "BGGR"}


def test_sony_a7s2_has_an_iso_by_gain():
    # PMN: K = 0.0009563 ISO.
    camera = cameras.load("SonyA7S2")
    state = camera.typical(iso=1000)
    assert state.gain == pytest.approx(0.9563)
    assert camera.typical(gain=0.9563).iso == pytest.approx(1000)
    assert any("gain mode at ISO 2000" in w for w in state.warnings)


def test_dualdn_prior_is_the_published_line():
    line = DUALDN_CAMERAS["SonyA7S2"]
    noise = cameras.load("dualdn").noise
    assert noise.kind == "prior"
    assert noise.read.slope == line.slope + 2
    assert (noise.read.intercept, noise.read.sigma) == (line.bias, line.spread)
    # Specification: without the random part S is 4.70e-7 at K = 2e-3.
    state = cameras.load("dualdn").typical(gain=2e-3 * (16383 - 512))
    assert state.parameters.read[0] == pytest.approx(4.70e-7, rel=2e-3)


def test_google_mixture_is_made_of_the_cameras_second_matrices():
    for name, matrix in GOOGLE_MATRICES.items():
        tags = {m.tag: m.xyz_to_cam for m in cameras.load(name).color_matrices}
        assert tags["ColorMatrix2"] == matrix


def test_matrices_for_d65_see_its_white_with_plausible_gains():
    # A camera's green is the most sensitive of the three in daylight; none has gains beyond 4.
    white = np.array([0.95047, 1, 1.08883])
    for name in NAMES:
        for m in cameras.load(name).color_matrices:
            if m.illuminant == "D65":
                neutral = np.array(m.xyz_to_cam) @ white
                assert neutral[1] == neutral.max(), name
                assert (neutral[1] / neutral < 4).all(), name
