"""NeCA's noise on a 512x512 picture against a plain transcription of the published layers.

The baseline runs E, P and C as they are written down, one operation of torch a layer, for every
draw. Bars, of CPU seconds on one thread: 2 times for the first draw with the gain read from a noisy
picture, 3 when the gain is given, 3 for each further draw of the same picture; no value of w
more than 1e-5 off. bfloat16 is there for information. Run ``python -m benchmarks.neca [OUT.json]``.

Peak memory is measured apart, as a process's largest: ``python -m benchmarks.neca --megapixels 50``
makes one noisy picture of that size.
"""

import resource
import sys
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.harness import cpu_seconds, ratio, report
from noisegen.neca import CorrelationNet, GainNet, LevelNet, Neca, Sampler
from noisegen.random import counter

EDGE = 512
ROUNDS = 3


def plain(state: dict[str, Tensor], clean: Tensor, noisy: Tensor, white: Tensor) -> Tensor:
    """w of a pair, layer by layer."""

    def conv(x: Tensor, name: str, **settings: int) -> Tensor:
        return functional.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], **settings)

    t = functional.relu(conv(noisy, "gain.model.0.0", padding=3))
    for k in (1, 2, 3):
        t = functional.relu(conv(t, f"gain.model.{k}.0", padding=1))
    gain = conv(t.mean((2, 3), keepdim=True), "gain.linear.0.0")

    t = conv(functional.pad(clean, (3, 3, 3, 3), "reflect"), "level.conv1")
    for k in (2, 3, 4):
        t = conv(t, f"level.conv{k}")
        mean, std = t.mean((1, 2, 3), keepdim=True), t.std((1, 2, 3), keepdim=True)
        t = functional.leaky_relu((t - mean) / (std + 1e-5) * gain, 0.01)
    independent = conv(t, "level.conv5") ** 2 * white

    skips: list[Tensor] = []
    t = independent
    for k in range(4):
        first = {"padding": 3} if k == 0 else {"padding": 1, "stride": 2}
        t = functional.relu(conv(t, f"correlation.encoders.{k}.0", **first))
        t = functional.relu(conv(t, f"correlation.encoders.{k}.2", padding=1))
        skips.append(t)
    t = skips.pop()
    for k in range(3):
        up = functional.interpolate(t, scale_factor=2.0, mode="nearest")
        t = torch.cat([up, skips.pop()], 1)
        t = functional.relu(conv(t, f"correlation.decoders.{k}.0", padding=1))
        t = functional.relu(conv(t, f"correlation.decoders.{k}.2", padding=1))
    return independent + torch.tanh(conv(t, "correlation.decoder_head.0"))


def networks() -> Neca:
    """Networks of the published size, with weights of unit gain."""
    neca = Neca(CorrelationNet(), LevelNet(), GainNet())
    draws = torch.Generator().manual_seed(1)
    for network in neca.networks.values():
        for tensor in network.parameters():
            scale = tensor[0].numel() ** -0.5 if tensor.dim() == 4 else 0.1
            tensor.copy_(scale * torch.randn(tensor.shape, generator=draws))
    return neca


def as_planes(picture: np.ndarray) -> Tensor:
    return torch.tensor(picture.transpose(2, 0, 1))[None] / 255


def speed() -> None:
    """Compare, and print."""
    neca = networks()
    sampler, half = Sampler(neca), Sampler(neca, precision="bfloat16")
    rng = np.random.Generator(np.random.SFC64(1))
    clean, noisy = rng.integers(0, 256, (2, EDGE, EDGE, 3), np.uint8)
    white = rng.standard_normal((EDGE, EDGE, 3), dtype=np.float32)
    planes = as_planes(clean), as_planes(noisy), torch.tensor(white.transpose(2, 0, 1))[None]
    shape, where = (EDGE, EDGE), counter(1, 1)
    gain = sampler.gain(noisy)
    level = sampler.level_map(clean, gain)

    def published() -> Tensor:
        return plain(neca.state, *planes)

    subjects: dict[str, Callable[[], object]] = {
        "first draw": lambda: sampler.noise(
            sampler.level_map(clean, sampler.gain(noisy)), shape, where
        ),
        "gain given": lambda: sampler.noise(sampler.level_map(clean, gain), shape, where),
        "further draw": lambda: sampler.noise(level, shape, where),
        "gain given, bfloat16": lambda: half.noise(half.level_map(clean, gain), shape, where),
    }
    measured: dict[str, object] = {
        name: ratio(published, subject, rounds=ROUNDS) for name, subject in subjects.items()
    }
    exact = published()[0].permute(1, 2, 0).numpy()
    for name, made in (("float32", sampler), ("bfloat16", half)):
        off = np.abs(made.noise(level, shape, white) - exact)
        measured[f"largest difference, {name}"] = float(off.max())
    report("neca", measured)


def memory(megapixels: float) -> None:
    """Make one noisy picture with all three networks, and print the largest memory."""
    height = round((megapixels * 1e6 * 2 / 3) ** 0.5)
    width = round(megapixels * 1e6 / height)
    rng = np.random.Generator(np.random.SFC64(1))
    clean = rng.integers(0, 256, (height, width, 3), np.uint8)
    sampler = Sampler(networks())

    def work() -> None:
        level = sampler.level_map(clean, sampler.gain(clean))
        sampler.add_noise(clean, level, counter(1, 1))

    seconds = cpu_seconds(work)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    size = {"height": height, "width": width}
    report("neca memory", size | {"peak_bytes": peak, "cpu_seconds": seconds})


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    with torch.no_grad():
        if sys.argv[1:2] == ["--megapixels"]:
            megapixels = float(sys.argv[2])
            del sys.argv[1:3]
            memory(megapixels)
        else:
            speed()


if __name__ == "__main__":
    main()
