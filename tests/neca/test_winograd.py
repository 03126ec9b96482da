"""Winograd's convolution is the convolution, of any size and of parts that begin on a square."""

import pytest
import torch
from torch.nn import functional

from noisegen.neca.winograd import SQUARES, Winograd


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(1, 1), (3, 9), (4, 4), (37, 50)])
@pytest.mark.parametrize("slope", [0.0, 0.2])
@pytest.mark.parametrize("adds", [False, True])
def test_it_is_the_activated_convolution(size, slope, adds):
    x, weight, bias = drawn(1, 7, *size), drawn(5, 7, 3, 3, seed=1), drawn(5, seed=2)
    onto = drawn(1, 5, *size, seed=3)
    right = functional.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    right = functional.leaky_relu(right + onto if adds else right, slope)
    found = Winograd(weight, bias, slope)(x, onto if adds else None)
    assert found.shape == right.shape
    assert (found - right).abs().max() < 1e-5 * right.abs().max()


def test_a_part_that_begins_on_a_square_is_the_whole_s_to_the_bit():
    made = Winograd(drawn(64, 64, 3, 3, seed=1), drawn(64, seed=2))
    x = drawn(1, 64, 80, 72)
    assert 5 * SQUARES < (80 // 4) * (72 // 4)
    whole = made(x)
    for top, left in ((0, 0), (8, 4), (44, 36)):
        part = made(x[..., top : top + 36, left : left + 33])
        inside = whole[..., top : top + 36, left : left + 33]
        y, x_ = (4 if edge else 0 for edge in (top, left))
        assert torch.equal(part[..., y:32, x_:28], inside[..., y:32, x_:28])
