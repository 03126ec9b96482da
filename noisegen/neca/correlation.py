"""C in tiles: the same values as those of the whole picture, at a fraction of the memory.

A convolution of what was enlarged twice by repetition is, row by row and column by column, one of
four 2x2 convolutions at the smaller size, of summed taps. Together they are one transposed
convolution of stride 2, with taps [k2, k1 + k2, k0 + k1, k0] for k0, k1, k2. What comes from the
skip is added to it, and nothing is concatenated.

A tile carries C's halo. On the way up, where most of the work is, less of it is needed from size to
size, and the rest is cut off.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from noisegen.neca.networks import LEAKY_SLOPE, CorrelationNet
from noisegen.neca.windows import Window
from noisegen.neca.winograd import EDGE, LEAST, Winograd

TILE = 512
"""Edge of a tile without its halo."""

SHARE = 128
"""Input channels of one convolution. Of more, oneDNN adds up the sums of several parts, and how
many they are depends on the size of the tile: the last bits would too."""

ONEDNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
"""Whether torch was built with it."""


class _Convolution(NamedTuple):
    """A convolution, in shares of its input channels, and its activation."""

    weights: tuple[Tensor, ...]
    bias: Tensor | None
    stride: int
    padding: int
    reflect: bool
    leaky: bool | None

    def __call__(self, x: Tensor) -> Tensor:
        return _activated(self.sum(x), self.leaky)

    def sum(self, x: Tensor) -> Tensor:
        """Return what comes before the activation."""
        padding = self.padding
        if self.reflect and padding:
            x = functional.pad(x, (padding,) * 4, "reflect")
            padding = 0
        first, *others = zip(_shares(x, 1), self.weights, strict=True)
        out = _convolved(*first, self.bias, self.stride, padding)
        for share, weight in others:
            out += _convolved(share, weight, None, self.stride, padding)
        return out


class _Merge(NamedTuple):
    """The first convolution on the way up: of what comes from below, and of the skip."""

    below: tuple[Tensor, ...]
    skip: _Convolution | Winograd
    leaky: bool

    def __call__(self, below: Tensor, skip: Tensor) -> Tensor:
        padding = 1
        if isinstance(self.skip, _Convolution) and self.skip.reflect:
            # The reflection of what was repeated is its outermost pixel once more.
            below, padding = functional.pad(below, (1, 1, 1, 1), "replicate"), 3
        first, *others = zip(_shares(below, 1), self.below, strict=True)
        out = functional.conv_transpose2d(*first, stride=2, padding=padding)
        for share, weight in others:
            out += functional.conv_transpose2d(share, weight, stride=2, padding=padding)
        if isinstance(self.skip, Winograd):
            return self.skip(skip, onto=out)
        out += self.skip.sum(skip)
        return _activated(out, self.leaky)


class FastCorrelation:
    """C, channels last in memory.

    Parameters
    ----------
    network
        C; its weights are copied.
    device
        Where it runs.
    dtype
        Of weights and features: ``torch.float32``, or ``torch.bfloat16``, which is off by up to
        half a grey level of 8 bits.
    winograd
        Convolve by Winograd's way where that is faster: on a CPU, in float32, for the published
        width and above. The halo is twice as wide.
    """

    def __init__(
        self,
        network: CorrelationNet,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        winograd: bool = False,
    ) -> None:
        self._device, self._dtype = device, dtype
        leaky = network.activation == "leaky"
        plain = (device.type, dtype, network.padding) == ("cpu", torch.float32, "zeros")
        self._winograd = winograd and plain and network.width >= LEAST
        self._down = []
        for size, encoder in enumerate(network.encoders):
            first, _, second, _ = encoder.children()
            self._down.append(
                (self._prepared(first, leaky and size > 0), self._second(second, leaky))
            )
        self._up = []
        for decoder in network.decoders:
            merged, _, last, _ = decoder.children()
            self._up.append((self._merge(merged, leaky), self._second(last, leaky)))
        head, self._final = network.decoder_head.children()
        self._head = self._prepared(head, None)
        # Tiles begin on multiples of this, so that squares do at all sizes.
        self.grid = network.multiple * (EDGE if self._winograd else 1)
        # How far around a tile its values on the way up are needed, by size.
        self._needed = [0]
        for _ in network.decoders:
            self._needed.append(self._below(self._needed[-1]))
        # On the way down: at each size a convolution, and one of stride 2 or of 7x7.
        reach = self._needed[-1]
        for _ in network.decoders:
            reach = 2 * self._before(reach) + 1
        reach = self._before(reach) + 3
        self._halo = -(-reach // self.grid) * self.grid

    def _below(self, needed: int) -> int:
        """Return how far around a tile values are needed at half the size that these are of."""
        if not self._winograd:
            return -(-(needed + 2) // 2)
        return (-(-needed // EDGE) * EDGE + 2 * EDGE) // 2

    def _before(self, needed: int) -> int:
        """Return how far around a tile values are needed before a 3x3 convolution."""
        square = EDGE if self._winograd else 1
        return -(-needed // square) * square + 1

    def seen(self, core: Window, whole: Window) -> Window:
        """Return what a tile's values are computed of: the tile and its halo in the picture.

        Parameters
        ----------
        core
            The tile; its first row and column are on multiples of :attr:`grid`.
        whole
            The picture; its size is one of such multiples.
        """
        return core.grown(self._halo, whole)

    def __call__(self, noise: Tensor, seen: Window, core: Window) -> Tensor:
        """Return C(v) of a tile.

        Parameters
        ----------
        noise
            (1, 3, h, w) v of the window ``seen``.
        seen
            The tile and what it is computed of, from :meth:`seen`.
        core
            The tile; edges of both are on multiples of the network's.

        Returns
        -------
        Tensor
            (1, 3, h, w) float32 of the window ``core``.
        """
        x = noise.to(self._dtype, memory_format=torch.channels_last)
        skips = []
        for first, second in self._down:
            x = second(first(x))
            skips.append(x)
        x = skips.pop()
        size = len(skips)
        window = core.halved(size).grown(self._needed[size], seen.halved(size))
        x = _part(x, window, seen.halved(size))
        for merge, last in self._up:
            size -= 1
            wide = Window(*(2 * edge for edge in window))
            x = last(merge(x, _part(skips.pop(), wide, seen.halved(size))))
            window = core.halved(size).grown(self._needed[size], seen.halved(size))
            x = _part(x, window, wide)
        mixed: Tensor = self._final(self._head(x).float())
        return mixed

    def _second(self, conv: nn.Module, leaky: bool) -> _Convolution | Winograd:
        assert isinstance(conv, nn.Conv2d)
        return self._fast(conv, leaky) or self._prepared(conv, leaky)

    def _fast(self, conv: nn.Conv2d, leaky: bool, first: int = 0) -> Winograd | None:
        """Return a convolution of the input channels from ``first`` on by Winograd's way."""
        if not self._winograd or conv.bias is None:
            return None
        return Winograd(conv.weight[:, first:], conv.bias, LEAKY_SLOPE if leaky else 0.0)

    def _prepared(self, conv: nn.Module, leaky: bool | None, first: int = 0) -> _Convolution:
        """Return a convolution of the input channels from ``first`` on."""
        assert isinstance(conv, nn.Conv2d)
        return _Convolution(
            self._held(conv.weight[:, first:], 1),
            None if conv.bias is None else conv.bias.detach().to(self._device, self._dtype),
            conv.stride[0],
            int(conv.padding[0]),
            conv.padding_mode == "reflect",
            leaky,
        )

    def _merge(self, conv: nn.Module, leaky: bool) -> _Merge:
        assert isinstance(conv, nn.Conv2d)
        below = conv.in_channels - conv.out_channels
        taps = _doubled(_doubled(conv.weight[:, :below].double(), 2), 3)
        skip = self._fast(conv, leaky, below) or self._prepared(conv, None, below)
        return _Merge(self._held(taps.transpose(0, 1), 0), skip, leaky)

    def _held(self, weight: Tensor, axis: int) -> tuple[Tensor, ...]:
        """Return weights on the device, in shares of the input channels, which lie on ``axis``."""
        held = weight.detach().to(self._device, self._dtype)
        shares = _shares(held, axis)
        return tuple(share.contiguous(memory_format=torch.channels_last) for share in shares)


def _convolved(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    if x.device.type == "cpu" and ONEDNN:
        # What conv2d calls, but for small tiles, where it takes other code with other last bits.
        pairs = (padding, padding), (stride, stride), (1, 1)
        out: Tensor = torch.mkldnn_convolution(x, weight, bias, *pairs, 1)
        return out
    return functional.conv2d(x, weight, bias, stride, padding)


def _shares(x: Tensor, axis: int) -> tuple[Tensor, ...]:
    return torch.split(x, SHARE, axis)


def _doubled(taps: Tensor, axis: int) -> Tensor:
    """Return the taps, along one axis, of the transposed convolution after no enlargement."""
    k0, k1, k2 = taps.unbind(axis)
    return torch.stack([k2, k1 + k2, k0 + k1, k0], axis)


def _activated(x: Tensor, leaky: bool | None) -> Tensor:
    """Activate in place; ``None`` leaves it."""
    if leaky is None:
        return x
    return functional.leaky_relu_(x, LEAKY_SLOPE) if leaky else x.relu_()


def _part(x: Tensor, window: Window, of: Window) -> Tensor:
    rows, columns = window.within(of).slices
    return x[..., rows, columns]
