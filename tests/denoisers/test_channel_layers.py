"""Compiled convolutions of single channels, and norms over them: what torch's own give."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn.functional import conv2d

from denoisers.layers import channel_norm as norms
from denoisers.layers.depthwise import Depthwise

DTYPES = [torch.float64, torch.float32]

SIZES = st.tuples(
    st.integers(1, 3), st.integers(1, 5), st.integers(1, 20), st.integers(1, 20) | st.just(67)
)


def drawn(rng, *shape, dtype=torch.float64):
    return torch.randn(shape, generator=rng, dtype=dtype)


def assert_alike(ours, theirs, inputs, cotangent, term):
    """Compare values and the products of a cotangent with the derivatives by the inputs.

    What differs is the order of sums over n pixels, of terms of either sign up to about ``term``.
    Their partial sums grow as the root of n, and so do errors of eps of them: n eps, 4 times over.
    """
    pixels = cotangent.numel() // cotangent.shape[1]
    bound = 4 * torch.finfo(cotangent.dtype).eps * term * (pixels + 16)
    given_, wanted = ((out, *torch.autograd.grad(out, inputs, cotangent)) for out in (ours, theirs))
    for one, other in zip(given_, wanted, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=0, atol=bound)


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@settings(max_examples=40)
@given(
    size=SIZES,
    bias=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    memory_format=st.sampled_from([torch.contiguous_format, torch.channels_last]),
    seed=st.integers(0, 1 << 30),
)
@example((1, 1, 1, 1), True, torch.float64, torch.contiguous_format, 0)
@example((2, 3, 33, 65), False, torch.float32, torch.channels_last, 0)
def test_a_depthwise_convolution_is_torchs(size, bias, dtype, memory_format, seed):
    rng = torch.Generator().manual_seed(seed)
    layer = Depthwise(size[1], bias=bias).to(dtype)
    x = drawn(rng, *size, dtype=dtype).contiguous(memory_format=memory_format).requires_grad_()
    cotangent = drawn(rng, *size, dtype=dtype).contiguous(memory_format=memory_format)
    theirs = conv2d(x, layer.weight, layer.bias, padding=1, groups=size[1])
    found = layer(x)
    assert_alike(found, theirs, [x, *layer.parameters()], cotangent, term=1)
    with torch.no_grad():
        assert torch.equal(layer(x), found)


@settings(max_examples=40)
@given(
    size=SIZES,
    bias=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    level=st.sampled_from([0.0, 3.0]),
    seed=st.integers(0, 1 << 30),
)
@example((2, 4, 16, 17), True, torch.float64, 3.0, 0)
def test_a_norm_over_the_channels_is_torchs(size, bias, dtype, level, seed):
    rng = torch.Generator().manual_seed(seed)
    x = (level + drawn(rng, *size, dtype=dtype)).requires_grad_()
    own = [drawn(rng, size[1], dtype=dtype).requires_grad_() for _ in range(1 + bias)]
    arguments = x, own[0], own[1] if bias else None, 0.1
    theirs, cotangent = norms.by_torch(*arguments), drawn(rng, *size, dtype=dtype)
    # One over the standard deviation is 3.2 at most, a value about ten.
    assert_alike(norms.channel_norm(*arguments), theirs, [x, *own], cotangent, term=32)


@pytest.mark.parametrize("kind", ["depthwise", "norm"])
def test_derivatives_do_not_depend_on_the_number_of_threads(kind, three_threads):
    rng = torch.Generator().manual_seed(0)
    x = drawn(rng, 5, 7, 40, 33, dtype=torch.float32).requires_grad_()
    layer = Depthwise(7, bias=True)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(drawn(rng, *parameter.shape, dtype=torch.float32))

    def values():
        if kind == "depthwise":
            out, own = layer(x), list(layer.parameters())
        else:
            own = [layer.bias.detach().clone().requires_grad_() for _ in range(2)]
            out = norms.channel_norm(x, *own, 1e-5)
        return out, *torch.autograd.grad(out.square().sum(), [x, *own])

    found = values()
    torch.set_num_threads(1)
    for one, other in zip(found, values(), strict=True):
        assert torch.equal(one, other)


def test_gradients_that_nobody_asks_for_are_left_out():
    layer = Depthwise(3, bias=True)
    x = torch.ones(1, 3, 4, 4)
    layer(x).sum().backward()
    assert layer.bias.grad.tolist() == [16.0] * 3
    layer.requires_grad_(False)
    assert not layer(x).requires_grad
    assert layer(x.requires_grad_()).requires_grad


def test_half_precision_is_torchs():
    layer, x = Depthwise(3, bias=True), torch.randn(1, 3, 9, 9)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = layer(x)
        wanted = conv2d(x, layer.weight, layer.bias, padding=1, groups=3)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, wanted)


def test_a_norm_is_computed_in_float32_at_least():
    x, weight = torch.randn(1, 5, 9, 9), torch.rand(5)
    exact = norms.channel_norm(x, weight, None, 1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(norms.channel_norm(x, weight, None, 1e-5), exact)
    half = norms.channel_norm(x.bfloat16(), weight, None, 1e-5)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), exact, rtol=0.02, atol=0.02)


def test_no_pixels():
    x = torch.zeros(0, 3, 4, 4, requires_grad=True)
    assert Depthwise(3, bias=True)(x).shape == x.shape
    assert norms.channel_norm(x, torch.ones(3), None, 1e-5).shape == x.shape
