"""Layers run a few rows at a time are the layers run whole."""

import pytest
import torch

from denoisers.layers import strips
from denoisers.layers.strips import in_strips


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("around", ["zeros", "replicate"])
def test_strips_are_the_whole_and_lie_as_it_does(layout, around, monkeypatch):
    draws = torch.Generator().manual_seed(0)
    x = torch.randn((2, 3, 23, 11), generator=draws, dtype=torch.float64)
    x = x.contiguous(memory_format=layout)
    conv = torch.nn.Conv2d(3, 5, 3, padding=2, dilation=2, padding_mode=around).double()
    seen = []

    def run(strip):
        seen.append(strip.shape[2])
        return conv(strip).contiguous(memory_format=layout)

    monkeypatch.setattr(strips, "CACHED", 1)
    with torch.no_grad():
        found = in_strips(run, x, 2, 5)
    assert seen == [10, 12, 9]
    torch.testing.assert_close(found, conv(x), rtol=0, atol=1e-12)
    assert found.is_contiguous(memory_format=layout)
    in_strips(run, x, 2, 5)
    assert seen[3:] == [23], "gradients are of the whole"
