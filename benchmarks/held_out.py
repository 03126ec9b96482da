"""Noise fitted to one half of the scenes of real pairs against the noise of the other half.

Run ``python -m benchmarks.held_out PAIRS``. Each model is fitted to every second scene and drawn on
the clean pictures of the others, several times with the strengths that it draws; then the halves
change places. The last line of a half sets the noise that was fitted to against the other half's:
what no fit can be expected to beat. Distances as in ``noisegen realism``.
"""

import sys
from collections.abc import Iterator

import numpy as np

from noisegen import random
from noisegen.picture import MODELS, PictureNoise, add_noise
from pipelines.fit import choose, fit_pairs
from pipelines.pairs import Pairs, open_pairs
from pipelines.realism import distances
from pipelines.realism.measures import Measures, measure
from pipelines.realism.noise import NoiseField, noise_field

DRAWS = 16

HEAD = (
    "| fitted to | noise | lag 1 | lag 2 | green-blue | variance (dB) | KLD (nats) | covariance |\n"
    "|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    """Measure and print."""
    pairs = open_pairs(sys.argv[1])
    print(HEAD)
    for half in (1, 2):
        fitted, held_out = choose(pairs, (half, 2)), choose(pairs, (3 - half, 2))
        real = measure(_real(held_out))
        _print(half, "**real, held out**", real, None)
        for model in MODELS:
            noise = fit_pairs(fitted, model).noise
            _print(half, f"`{model}`", measure(_drawn(held_out, noise)), real)
        _print(half, "real, fitted to", measure(_real(fitted)), real)


def _real(pairs: Pairs) -> Iterator[NoiseField]:
    return (noise_field(pair.clean, pair.noisy) for pair in pairs)


def _drawn(pairs: Pairs, noise: PictureNoise) -> Iterator[NoiseField]:
    for number, pair in enumerate(pairs):
        for draw in range(DRAWS):
            rng = random.generator(0, random.Stream.STRENGTH, number, draw)
            strength = noise.draw_strength(rng)
            where = random.counter(0, number, draw)
            yield noise_field(pair.clean, add_noise(pair.clean, noise, where, strength=strength))


def _print(half: int, name: str, found: Measures, real: Measures | None) -> None:
    correlations = [np.mean(found.lags(1)), np.mean(found.lags(2)), found.channels[1, 2]]
    # No minus before a zero.
    cells = [f"{round(float(r), 2) + 0.0:.2f}" for r in correlations]
    every = (distances.variance, distances.kld, distances.covariance)
    cells += ["" if real is None else f"{distance(real, found):.2f}" for distance in every]
    print(f"| half {half} | {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
