"""Deformable convolution on the CPU: its kernel gives what torch's own operations do."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from denoisers.layers import deformable, deformable_cpu

ATOL = 1e-10
"""In float64: sums of some hundred terms of about one, in another order."""


def leaves(*tensors):
    return [t.requires_grad_() for t in tensors]


def assert_alike(found, expected, inputs, rng):
    """Compare outputs and the products of one cotangent with their derivatives."""
    cotangents = [torch.randn(e.shape, generator=rng, dtype=e.dtype) for e in expected]
    gradients = [torch.autograd.grad(out, inputs, cotangents) for out in (found, expected)]
    for ours, theirs in zip((*found, *gradients[0]), (*expected, *gradients[1]), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=ATOL)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 1 << 30),
    size=st.tuples(
        st.integers(1, 3), st.integers(5, 12), st.integers(5, 12) | st.sampled_from([20, 69, 133])
    ),
    groups=st.sampled_from([1, 2, 4]),
    per_group=st.integers(1, 9),
    settings_=st.tuples(st.integers(1, 2), st.integers(0, 2), st.integers(1, 2)),
    reach=st.sampled_from([0.3, 3.0, 30.0]),
    cached=st.sampled_from([1, 2000, 1 << 20]),
    memory_format=st.sampled_from([torch.contiguous_format, torch.channels_last]),
)
def test_deformable_convolution(
    seed, size, groups, per_group, settings_, reach, cached, memory_format
):
    rng = torch.Generator().manual_seed(seed)
    stride, padding, dilation = settings_
    (n, height, width), channels = size, groups * per_group
    ho, wo = ((side + 2 * padding - 2 * dilation - 1) // stride + 1 for side in (height, width))

    def draw(*shape):
        drawn = torch.randn(shape, generator=rng, dtype=torch.float64)
        return drawn.contiguous(memory_format=memory_format)

    inputs = leaves(
        draw(n, channels, height, width),
        reach * draw(n, 18 * groups, ho, wo),
        draw(n, 9 * groups, ho, wo),
        draw(3, channels, 3, 3),
    )
    own = deformable_cpu.Settings(stride, padding, dilation, 3, groups)
    geometry = deformable._checked(*inputs, stride, padding, dilation)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deformable_cpu, "CACHED", cached)
        found = deformable_cpu.convolve(*inputs, own)
        assert_alike([found], [deformable._in_one_piece(*inputs, geometry)], inputs, rng)
        with torch.no_grad():
            assert torch.equal(deformable_cpu.convolve(*inputs, own), found)


def test_samples_a_pixel_outside_are_nothing_and_have_no_derivative():
    x = torch.ones(1, 1, 3, 3, dtype=torch.float64)
    weight = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    dy = torch.tensor([-1.0, -0.25, 2.5, 3.0, float("nan")], dtype=torch.float64)
    offset = torch.zeros(1, 2, 1, 5, dtype=torch.float64)
    offset[0, 0, 0] = dy
    offset[0, 1, 0] = -torch.arange(5)  # every output pixel reads column 0
    mask = torch.ones(1, 1, 1, 5, dtype=torch.float64)
    inputs = leaves(x, offset, mask, weight)
    own = deformable_cpu.Settings(1, 0, 1, 1, 1)
    out = deformable_cpu.convolve(*inputs, own)
    assert out.flatten().tolist() == [0, 0.75, 0.5, 0, 0]
    (to_offset,) = torch.autograd.grad(out.sum(), [inputs[1]])
    assert to_offset[0, 0, 0].tolist() == [0, 1, -1, 0, 0]


def test_threads_divide_the_work():
    rng = torch.Generator().manual_seed(0)
    picture = torch.randn(2, 8, 20, 24, generator=rng)
    offset, mask = (torch.randn(2, n, 20, 24, generator=rng) for n in (144, 72))
    weight = torch.randn(8, 8, 3, 3, generator=rng)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            inputs = leaves(picture.clone(), offset.clone(), mask.clone(), weight.clone())
            out = deformable.modulated_deform_conv2d(*inputs, padding=1)
            found.append((out, *torch.autograd.grad(out.square().sum(), inputs)))
    finally:
        torch.set_num_threads(before)
    for one, several in zip(*found, strict=True):
        torch.testing.assert_close(one, several, rtol=1e-4, atol=1e-4)


def test_under_autocast_it_computes_in_float32():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(1, 8, 9, 11, generator=rng).bfloat16()
    offset, mask = (torch.randn(1, n, 9, 11, generator=rng) for n in (18, 9))
    weight = torch.randn(8, 8, 3, 3, generator=rng)
    with torch.autocast("cpu", torch.bfloat16):
        found = deformable.modulated_deform_conv2d(x, offset, mask, weight, padding=1)
    expected = deformable.modulated_deform_conv2d(x.float(), offset, mask, weight, padding=1)
    assert torch.equal(found, expected.bfloat16())
