"""Sampling: fast as published, tiled as whole, windows as crops, any size, any number of draws."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegen.errors import InputError, WeightsError
from noisegen.jpeg import SUBSAMPLINGS, through_jpeg
from noisegen.kernels.philox import normals
from noisegen.neca import Card, CorrelationNet, GainNet, LevelNet, Neca, Sampler, Window
from noisegen.neca.card import Jpeg
from noisegen.neca.correlation import FastCorrelation
from noisegen.neca.gain import TILE, FastGain
from noisegen.neca.level import FastLevel
from noisegen.neca.sampling import FIELDS
from noisegen.neca.windows import reflected
from noisegen.random import counter
from tests.neca.conftest import GAINS, randomised

CPU = torch.device("cpu")
SIGMA = 25 / 255


@pytest.fixture(scope="module")
def sampler(small):
    return Sampler(small)


def picture(height, width, seed=0, dtype=np.uint8):
    rng = np.random.Generator(np.random.Philox(seed))
    return rng.integers(0, np.iinfo(dtype).max, (height, width, 3), dtype, endpoint=True)


def tensor(array):
    return torch.tensor(np.asarray(array, np.float32)).permute(2, 0, 1)[None]


def array(tensor):
    return tensor[0].permute(1, 2, 0).numpy()


def white(shape, draw):
    """e as it must be: the normals of the counter at their places."""
    return np.stack([normals(shape, draw, field) for field in FIELDS], -1)


@pytest.mark.parametrize("options", [{}, {"depth": 3}, {"depth": 7}, {"width": 64, "depth": 4}])
@pytest.mark.parametrize("size", [(24, 40), (TILE + 24, 33)])
def test_the_gain_is_the_network_s(options, size):
    net = randomised(GainNet(**({"width": 6} | options)))
    noisy = picture(*size)
    with torch.no_grad():
        plain = float(net(tensor(noisy / np.float32(255))))
    assert FastGain(net, CPU)(noisy) == pytest.approx(plain, abs=1e-6)


def calmed(net):
    """P with a last layer that keeps levels below 1."""
    randomised(net)
    with torch.no_grad():
        net.conv5.weight *= 0.3
    return net


@pytest.mark.parametrize("gain", [0.0, 0.02, 0.7])
@pytest.mark.parametrize("kept", [0, 1 << 18, 1 << 30])
def test_the_level_map_is_the_network_s(gain, kept):
    net = calmed(LevelNet(width=7))
    clean = picture(100, 233)
    fast = FastLevel(net, CPU, kept)
    with torch.no_grad():
        plain = array(net(tensor(clean / np.float32(255)), torch.tensor(gain).view(1, 1, 1, 1)))
    level = fast(clean, gain)
    assert 0.01 < plain.max() < 2
    assert np.abs(level - plain).max() < 3e-6
    assert level.min() >= 0


def test_statistics_hold_where_features_lie_far_from_zero():
    net = randomised(LevelNet(width=7))
    with torch.no_grad():
        net.conv2.bias += 1000
        clean = picture(150, 233)
        doubled = LevelNet(width=7).double()
        doubled.load_state_dict(net.state_dict())
        x = tensor(clean).double() / 255
        exact = doubled(x, torch.tensor(0.1, dtype=torch.float64).view(1, 1, 1, 1))
    # A feature of 1000 is held to 6e-5, a standard deviation of the features is 0.6.
    assert np.abs(FastLevel(net, CPU)(clean, 0.1) - array(exact)).max() < 1e-4


@pytest.mark.parametrize("stages", [2, 3, 4, 5])
@pytest.mark.parametrize(
    "options", [{}, {"activation": "leaky", "padding": "reflect"}, {"final": "exp"}]
)
def test_the_correlation_is_the_network_s_whole_and_in_tiles(stages, options):
    net = randomised(CorrelationNet(width=4, stages=stages, **options))
    whole = Window.of(112 + net.multiple, 128)
    v = torch.randn(1, 3, *whole.shape, generator=torch.Generator().manual_seed(1))
    fast = FastCorrelation(net, CPU)
    with torch.no_grad():
        plain = net(v)
        at_once = fast(v, whole, whole)
        assert (at_once - plain).abs().max() < 1e-5
        for core in whole.tiles(2 * fast.grid):
            seen = fast.seen(core, whole)
            tile = fast(v[..., *seen.slices], seen, core)
            assert torch.equal(tile, at_once[..., *core.slices])


def test_less_halo_would_show():
    net = randomised(CorrelationNet(width=4, final="linear"))
    whole, core = Window.of(256, 256), Window(112, 144, 112, 144)
    v = torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    fast = FastCorrelation(net, CPU)
    with torch.no_grad():
        right, seen = fast(v, whole, core), core.grown(32, whole)
        assert (fast(v[..., *seen.slices], seen, core) - right).abs().max() > 1e-6


@pytest.mark.parametrize(
    ("stages", "size", "edge"),
    [(4, (200, 168), 64), (4, (24, 400), 32), (4, (264, 16), 32), (3, (168, 156), 32)],
)
@pytest.mark.parametrize("winograd", [False, True])
def test_tiles_of_the_published_size_are_those_of_the_whole_to_the_bit(
    stages, size, edge, winograd
):
    net = randomised(CorrelationNet(stages=stages))
    whole = Window.of(*size)
    v = torch.randn(1, 3, *whole.shape, generator=torch.Generator().manual_seed(1))
    fast = FastCorrelation(net, CPU, winograd=winograd)
    with torch.no_grad():
        at_once = fast(v, whole, whole)
        assert (at_once - net(v)).abs().max() < 1e-5
        for core in whole.tiles(edge):
            seen = fast.seen(core, whole)
            assert torch.equal(fast(v[..., *seen.slices], seen, core), at_once[..., *core.slices])


@given(st.integers(8, 90), st.integers(8, 90), st.integers(0, 3))
@settings(max_examples=12, deadline=None)
def test_any_size_is_that_of_the_picture_gone_on_by_reflection(small, height, width, draw):
    sampler = Sampler(small, tile=32)
    clean, where = picture(height, width), counter(5, 7, draw)
    level = sampler.level_map(clean, 0.1)
    noise = sampler.noise(level, (height, width), where)
    taller, wider = (-(-n // 8) * 8 for n in (height, width))
    extended = np.pad(level, ((0, taller - height), (0, wider - width), (0, 0)), "reflect")
    v = tensor(extended * white((taller, wider), where))
    with torch.no_grad():
        w = array(v + small.correlation(v))[:height, :width]
    assert np.abs(noise - w).max() < 1e-5
    codes = sampler.add_noise(clean, level, where)
    exact = np.clip(clean / 255 + w.astype(np.float64), 0, 1) * 255
    assert np.abs(codes - exact).max() < 0.5 + 1e-2


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_the_noise_of_a_window_is_the_window_of_the_noise(small, data):
    sampler = Sampler(small)
    height, width = 171, 190
    clean, where = picture(height, width, dtype=np.uint16), counter(1, 2)
    top, left = (data.draw(st.integers(0, n - 1)) for n in (height, width))
    bottom = data.draw(st.integers(top + 1, height))
    right = data.draw(st.integers(left + 1, width))
    window = Window(top, bottom, left, right)
    level = sampler.level_map(clean, 0.05)
    whole = sampler.noise(level, (height, width), where)
    part = sampler.noise(level, (height, width), where, window)
    assert part.shape == (*window.shape, 3)
    assert np.array_equal(part, whole[window.slices])
    codes = sampler.add_noise(clean, level, where, window)
    assert codes.dtype == np.uint16
    assert np.array_equal(codes, sampler.add_noise(clean, level, where)[window.slices])


def with_jpeg(neca, quality, subsampling="4:2:0"):
    jpeg = Jpeg(quality=quality, subsampling=subsampling)
    return Neca(**neca.networks, card=neca.card.model_copy(update={"jpeg": jpeg}))


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_noisy_pictures_come_out_of_the_card_s_jpeg(small, subsampling):
    plain, sampler = Sampler(small), Sampler(with_jpeg(small, (60, 81), subsampling))
    clean, where = picture(45, 67), counter(4, 1)
    level = sampler.level_map(clean, 0.05)
    np.testing.assert_array_equal(level, plain.level_map(clean, 0.05))
    np.testing.assert_array_equal(
        sampler.noise(level, (45, 67), where), plain.noise(level, (45, 67), where)
    )
    goes_in = np.ascontiguousarray(plain.add_noise(clean, level, where)[..., ::-1])
    for asked, quality in ((None, 70), (35, 35), (98, 98)):
        codes = sampler.add_noise(clean, level, where, quality=asked)
        expected = through_jpeg(goes_in, quality, subsampling)[..., ::-1]
        np.testing.assert_array_equal(codes, expected)
        assert codes.flags.c_contiguous
    without = plain.add_noise(clean, level, where, quality=35)
    np.testing.assert_array_equal(without[..., ::-1], goes_in)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_window_of_a_jpeg_is_the_window_of_the_whole_one(small, data):
    quality = data.draw(st.sampled_from([20, 75, 95]))
    sampler = Sampler(with_jpeg(small, (90, 90), data.draw(st.sampled_from(SUBSAMPLINGS))))
    height, width = data.draw(st.sampled_from([(64, 96), (75, 83), (9, 70)]))
    clean, where = picture(height, width, 3), counter(1, 3)
    top, left = (data.draw(st.integers(0, n - 1)) for n in (height, width))
    bottom = data.draw(st.integers(top + 1, height))
    right = data.draw(st.integers(left + 1, width))
    window = Window(top, bottom, left, right)
    whole = sampler.add_noise(clean, 0.05, where, quality=quality)
    part = sampler.add_noise(clean, 0.05, where, window, quality=quality)
    np.testing.assert_array_equal(part, whole[window.slices])


def test_a_jpeg_has_8_bits(small):
    sampler = Sampler(with_jpeg(small, (60, 80), "4:2:2"))
    with pytest.raises(InputError, match=r"a JPEG has 8 bits \(quality 60 to 80, 4:2:2, says"):
        sampler.add_noise(picture(24, 24, dtype=np.uint16), 0.1, counter(1, 1))


def test_the_hash_of_networks_tells_their_jpeg_and_is_the_old_one_without(small):
    said = {"options": small.card.options, "gains": small.card.gains}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for name, weights in sorted(small.state.items()):
        digest.update(name.encode() + weights.numpy().tobytes())
    assert small.sha256 == digest.hexdigest()
    cards = [((60, 80), "4:2:0"), ((60, 81), "4:2:0"), ((60, 80), "4:4:4")]
    hashes = {with_jpeg(small, *jpeg).sha256 for jpeg in cards} | {small.sha256}
    assert len(hashes) == 4


@pytest.mark.parametrize("quality", [(0, 50), (50, 101), (80, 60)])
def test_a_card_with_a_jpeg_that_cannot_be_is_refused(small, quality):
    told = json.loads(with_jpeg(small, (60, 80)).card.to_json())
    assert Card.from_json(json.dumps(told)).jpeg == Jpeg(quality=(60, 80), subsampling="4:2:0")
    told["jpeg"]["quality"] = quality
    with pytest.raises(WeightsError, match=r"jpeg\.quality"):
        Card.from_json(json.dumps(told))


def test_the_simplified_noise_is_white_where_nothing_is_correlated():
    net = randomised(CorrelationNet(width=2))
    with torch.no_grad():
        for tensor in net.decoder_head.parameters():
            tensor.zero_()
    shape = (200, 200)
    noise = Sampler(Neca(net)).noise(SIGMA, shape, counter(3, 0))
    assert np.array_equal(noise, (white(shape, counter(3, 0)) * np.float32(SIGMA)))
    values = noise.reshape(-1, 3).astype(np.float64) / SIGMA
    n = len(values)
    # Five standard errors each: false alarms below 1e-5.
    assert np.abs(values.mean(0)).max() < 5 / np.sqrt(n)
    assert np.abs(values.var(0) - 1).max() < 5 * np.sqrt(2 / n)
    correlation = np.corrcoef(values.T)
    assert np.abs(correlation - np.eye(3)).max() < 5 / np.sqrt(n)


def test_draws_are_their_counters(sampler):
    clean = picture(40, 40)
    level = sampler.level_map(clean, 0.1)
    first, again = (sampler.add_noise(clean, level, counter(1, 2, 3)) for _ in range(2))
    assert np.array_equal(first, again)
    for other in (counter(2, 2, 3), counter(1, 3, 3), counter(1, 2, 4)):
        assert not np.array_equal(first, sampler.add_noise(clean, level, other))


def test_half_precision_is_asked_for(small):
    half = Sampler(small, precision="bfloat16")
    shape = (64, 64)
    exact, near = (s.noise(0.1, shape, counter(1, 1)) for s in (Sampler(small), half))
    off = np.abs(exact - near)
    assert 1e-5 < off.max() < 3e-2
    assert near.dtype == np.float32


def test_gains_beyond_those_of_training_are_cut_with_a_warning(small, sampler):
    assert sampler.card.highest_gain == 2 * GAINS[1600][0]
    assert sampler.bounded(0.1) == 0.1
    with pytest.warns(UserWarning, match=r"a gain of -0\.1 .* 0 is taken"):
        assert sampler.bounded(-0.1) == 0
    with pytest.warns(UserWarning, match=r"0\.12 is taken"):
        assert sampler.bounded(7) == 0.12
    with pytest.raises(InputError, match="not finite"):
        sampler.bounded(float("nan"))
    bare = Sampler(Neca(**small.networks, card=Card()))
    with pytest.warns(UserWarning, match=r"0\.5 is taken"):
        level = bare.level_map(picture(20, 20), 0.7)
    assert np.array_equal(level, bare.level_map(picture(20, 20), 0.5))
    with torch.no_grad():
        low = randomised(GainNet(width=4))
        low.linear[0][0].bias.fill_(-100)
    with pytest.warns(UserWarning, match="0 is taken"):
        assert Sampler(Neca(small.correlation, gain=low)).gain(picture(9, 9)) == 0


def test_what_cannot_be_sampled_is_refused(small, sampler):
    alone = Sampler(Neca(small.correlation))
    clean = picture(20, 24)
    with pytest.raises(WeightsError, match=r"no gain network \(E\)"):
        alone.gain(clean)
    with pytest.raises(WeightsError, match=r"no level network \(P\)"):
        alone.level_map(clean, 0.1)
    with pytest.raises(WeightsError, match="2 numbers a picture"):
        Sampler(Neca(small.correlation, gain=GainNet(width=2, outputs=2)))
    with pytest.raises(InputError, match="7x24 pixels is too small"):
        sampler.level_map(clean[:7], 0.1)
    with pytest.raises(InputError, match=r"shape \(20, 24\) and uint8"):
        sampler.level_map(clean[..., 0], 0.1)
    with pytest.raises(InputError, match="not to float64"):
        sampler.add_noise(clean / 255, 0.1, counter(1, 1))
    with pytest.raises(InputError, match=r"window \(0, 21, 0, 24\) is not within"):
        sampler.add_noise(clean, 0.1, counter(1, 1), Window(0, 21, 0, 24))
    with pytest.raises(InputError, match=r"level map of shape \(19, 24, 3\)"):
        sampler.add_noise(clean, sampler.level_map(clean[:19], 0.1), counter(1, 1))
    with pytest.raises(InputError, match=r"\(24, 24, 3\) is needed"):
        sampler.noise(0.1, (20, 24), np.zeros((20, 24, 3), np.float32))


def test_reflection_is_numpys():
    for size in (2, 5):
        expected = np.pad(np.arange(size), (7, 9), "reflect")
        assert np.array_equal(reflected(-7, size + 9, size), expected)


MEMORY = """
import resource, sys
import numpy as np
import torch
from noisegen.neca import CorrelationNet, GainNet, LevelNet, Neca, Sampler
from noisegen.random import counter

torch.set_num_threads(1)
edge = int(sys.argv[1])
clean = np.full((edge, edge, 3), 99, np.uint8)
sampler = Sampler(Neca(CorrelationNet(8), LevelNet(8), GainNet(8)), kept=1 << 24)
sampler.gain(clean)
sampler.add_noise(clean, sampler.level_map(clean, 0.03), counter(1, 1))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_grows_by_the_pictures_alone():
    peaks = [
        1024 * int(subprocess.check_output([sys.executable, "-c", MEMORY, str(edge)]))
        for edge in (1600, 2800)
    ]
    # The clean and the noisy picture have 3 bytes a pixel each, the level map has 12.
    assert (peaks[1] - peaks[0]) / (2800**2 - 1600**2) < 30
