"""ADFNet's operators are their plain definitions: values and gradients, in every precision."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import plain_operators as plain
from denoisers.layers import deformable, dynamic, dynamic_cpu
from denoisers.layers.deformable import modulated_deform_conv2d
from denoisers.layers.dynamic import dynamic_filter


def draws(*shapes, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes]


def filtering(N=2, M=3, C=5, H=7, W=6):
    return draws((N, M, H, W), (N, C, H, W), (9 * M, C), (9 * M,))


def deforming(N=2, C=4, outputs=6, G=2, H=6, W=7):
    x, offset, mask, weight, bias = draws(
        (N, C, H, W), (N, 18 * G, H, W), (N, 9 * G, H, W), (outputs, C, 3, 3), (outputs,)
    )
    # Not on whole pixels, where the derivative jumps.
    offset = offset.trunc() + 0.2 + 0.6 * offset.frac().abs()
    return [x, offset, mask.sigmoid(), weight, bias]


def convolve(operator, *inputs):
    return (operator(*inputs, padding=1),)


PAIRS = {
    "one dilation": (dynamic_filter, plain.dynamic_filter, filtering),
    "three dilations": (
        partial(dynamic_filter, dilations=(1, 3, 5)),
        partial(plain.dynamic_filter, dilations=(1, 3, 5)),
        filtering,
    ),
    "deformable": (
        partial(convolve, modulated_deform_conv2d),
        partial(convolve, plain.modulated_deform_conv2d),
        deforming,
    ),
}
"""Fast operator, slow operator, inputs."""


def derived(operator, inputs):
    """Return the outputs, and their gradients for drawn cotangents."""
    leaves = [t.detach().clone().requires_grad_() for t in inputs]
    outputs = operator(*leaves)
    cotangents = draws(*(o.shape for o in outputs), seed=2)
    cast = [c.to(o) for c, o in zip(cotangents, outputs, strict=True)]
    return [*(o.detach() for o in outputs), *torch.autograd.grad(outputs, leaves, cast)]


def assert_near(found, expected, tolerance):
    """Compare on the scale of each tensor."""
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        atol = tolerance * float(other.abs().max())
        torch.testing.assert_close(one.double(), other.double(), rtol=0, atol=atol)


@pytest.fixture(params=["one piece", "a row a piece", "by torch", "two threads"])
def way(request, monkeypatch):
    """Run in other pieces, by the operations that accelerators run, by several threads."""
    if request.param == "a row a piece":
        for module, name in (
            (dynamic_cpu, "CACHED"),
            (deformable, "CACHED"),
            (deformable, "CACHED_BACKWARD"),
        ):
            monkeypatch.setattr(module, name, 1)
    if request.param == "by torch":
        monkeypatch.setattr(dynamic, "PIECE", 9 * 3 * 6 * 3)  # three rows
        monkeypatch.setattr(dynamic, "_loops", lambda x: False)
    if request.param == "two threads":
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        request.addfinalizer(lambda: torch.set_num_threads(before))


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 2e-6)])
def test_fast_is_slow(pair, dtype, tolerance, way):
    fast, slow, make = PAIRS[pair]
    inputs = [t.to(dtype) for t in make()]
    found, expected = derived(fast, inputs), derived(slow, inputs)
    assert {t.dtype for t in found} == {dtype}
    assert_near(found, expected, tolerance)
    with torch.no_grad():
        assert_near(fast(*inputs), expected[: len(fast(*inputs))], tolerance)


@pytest.mark.parametrize("pair", PAIRS)
def test_derivatives_are_those_of_differences(pair):
    fast, _, make = PAIRS[pair]
    sizes = {"C": 2, "outputs": 2, "G": 1} if pair == "deformable" else {"C": 2, "M": 2}
    inputs = [t.requires_grad_() for t in make(N=1, H=3, W=4, **sizes)]
    assert torch.autograd.gradcheck(fast, inputs, eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("pair", PAIRS)
def test_channels_last_is_the_same(pair):
    fast, slow, make = PAIRS[pair]
    inputs = make()
    turned = [
        t.contiguous(memory_format=torch.channels_last) if t.dim() == 4 else t for t in inputs
    ]
    assert_near(derived(fast, turned), derived(slow, inputs), 1e-13)


HALVES = [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)]
"""Types, and how far rounding to them moves a value at most."""


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(("dtype", "rounding"), HALVES)
def test_half_precision_rounds_what_comes_out_and_nothing_else(pair, dtype, rounding):
    # The exact result for the same rounded inputs; a bias that is added after rounding, and the
    # rounding of the cotangents, make it three roundings at most.
    fast, slow, make = PAIRS[pair]
    inputs = [t.to(dtype) for t in make()]
    found = derived(fast, inputs)
    assert {t.dtype for t in found} == {dtype}
    assert_near(found, derived(slow, [t.double() for t in inputs]), 3 * rounding)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(("dtype", "rounding"), HALVES)
def test_autocast_gives_its_type_and_exact_gradients_of_float32(pair, dtype, rounding):
    fast, slow, make = PAIRS[pair]

    def cast(*inputs):
        with torch.autocast("cpu", dtype):
            return fast(*inputs)

    inputs = [t.float() for t in make()]
    found, expected = derived(cast, inputs), derived(slow, [t.double() for t in inputs])
    count = len(found) - len(inputs)
    assert {t.dtype for t in found[:count]} == {dtype}
    assert {t.dtype for t in found[count:]} == {torch.float32}
    assert_near(found, expected, 3 * rounding)


@pytest.mark.parametrize("dilations", [(1,), (1, 3, 5)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_gradients_of_weights_are_summed_in_float32(dilations, dtype):
    # 65 536 products of ones: in bfloat16 a sum stops at 256, in float16 it overflows.
    side = 256
    x, feature = (torch.ones(1, 1, side, side, dtype=dtype) for _ in range(2))
    weight, bias = torch.zeros(9, 1).requires_grad_(), torch.zeros(9).requires_grad_()
    outputs = dynamic_filter(x, feature, weight, bias, dilations)
    sum(o.float().sum() for o in outputs).backward()
    inside = [side - d for d in dilations]  # rows, or columns, whose neighbour is there
    for tap, pixels in ((4, side**2 * len(dilations)), (0, sum(n**2 for n in inside))):
        assert weight.grad[tap, 0] == bias.grad[tap] == pixels


@given(
    H=st.integers(1, 9),
    W=st.integers(1, 9),
    M=st.integers(1, 3),
    dilation=st.integers(1, 12),
    limit=st.integers(1, 400),
)
@settings(max_examples=40)
def test_any_size_and_any_reach(H, W, M, dilation, limit):
    inputs = filtering(N=2, M=M, H=H, W=W)
    fast = partial(dynamic_filter, dilations=(dilation, 1))
    slow = partial(plain.dynamic_filter, dilations=(dilation, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dynamic_cpu, "CACHED", limit)
        found = derived(fast, inputs)
    assert_near(found, derived(slow, inputs), 1e-13)


def test_traced_is_the_same():
    for name, (fast, _, make) in PAIRS.items():
        inputs = make()
        with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
            expected = fast(*inputs)
            patch.setattr(torch.compiler, "is_compiling", lambda: True)
            assert_near(fast(*inputs), expected, 1e-13 if name != "deformable" else 1e-12)


@pytest.mark.parametrize("pair", ["one dilation", "deformable"])
def test_derivatives_are_taken_once(pair):
    fast, _, make = PAIRS[pair]
    inputs = [t.requires_grad_() for t in make()]
    (gradient,) = torch.autograd.grad(
        fast(*inputs)[0].square().sum(), inputs[:1], create_graph=True
    )
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
