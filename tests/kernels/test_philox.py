"""The counter-based fields: known answers, place in the frame, law, and bytes on other CPUs."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from noisegen.kernels import normals, words
from noisegen.random import Counter, Field, counter

# Random123 1.14, tests/kat_vectors, philox4x32 10: counter, key, result.
KNOWN = [
    (
        (0, 0, 0, 0),
        (0, 0),
        (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
    ),
    (
        (0xFFFFFFFF,) * 4,
        (0xFFFFFFFF,) * 2,
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]

NORMALS_SHA256 = "91ab70e652507131f613e6434868be07f45fe84a8e28a49d458d8389cb6a0c7f"


@pytest.mark.parametrize(("place", "key", "expected"), KNOWN)
def test_random123_known_answers(place, key, expected):
    column, row4, third, sample = place
    where = Counter(*key, sample, third >> 8)
    block = words((4, 1), where, third & 0xFF, y=4 * row4, x=column)
    assert tuple(int(v) for v in block[:, 0]) == expected


@pytest.mark.parametrize("field", [words, normals])
@settings(max_examples=60, deadline=None)
@given(
    y=st.integers(-40, 40),
    x=st.integers(-700, 700),
    height=st.integers(1, 13),
    width=st.integers(1, 600),
    inner=st.data(),
)
def test_a_crop_of_the_field_is_the_field_of_the_crop(field, y, x, height, width, inner):
    where = counter(11, 5, 2)
    whole = field((height, width), where, Field.READ, y, x)
    top = inner.draw(st.integers(0, height - 1))
    left = inner.draw(st.integers(0, width - 1))
    part = field((height - top, width - left), where, Field.READ, y + top, x + left)
    assert part.tobytes() == whole[top:, left:].tobytes()


def test_normals_follow_their_law():
    n = 4_000_000
    z = normals((2000, 2000), counter(1, 1), Field.SHOT).astype(np.float64).ravel()
    # Five standard errors each: a false alarm in 2e-6 of the seeds for every line.
    assert abs(z.mean()) < 5 / np.sqrt(n)
    assert abs(z.var() - 1) < 5 * np.sqrt(2 / n)
    assert abs((z**3).mean()) < 5 * np.sqrt(15 / n)
    assert abs((z**4).mean() - 3) < 5 * np.sqrt(96 / n)
    assert stats.kstest(z, "norm").pvalue > 1e-6
    tail = (np.abs(z) > 4).mean()
    expected = 2 * stats.norm.sf(4)
    assert abs(tail - expected) < 5 * np.sqrt(expected / n)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((counter(1, 1), Field.READ, 0, 0), (counter(2, 1), Field.READ, 0, 0)),
        ((counter(1, 1), Field.READ, 0, 0), (counter(1, 2), Field.READ, 0, 0)),
        ((counter(1, 1), Field.READ, 0, 0), (counter(1, 1, 1), Field.READ, 0, 0)),
        ((counter(1, 1), Field.READ, 0, 0), (counter(1, 1), Field.SHOT, 0, 0)),
        ((counter(1, 1), Field.READ, 0, 0), (counter(1 << 32, 1), Field.READ, 0, 0)),
        ((counter(1, 1), Field.READ, 0, 0), (counter(1, 1), Field.READ, 1, 0)),
        ((counter(1, 1), Field.READ, 0, 0), (counter(1, 1), Field.READ, 2, 0)),
        ((counter(1, 1), Field.READ, 0, 0), (counter(1, 1), Field.READ, 0, 1)),
    ],
    ids=["seed", "sample", "draw", "field", "high key", "row", "two rows", "column"],
)
def test_other_counters_and_places_are_independent(first, second):
    a, b = (
        normals((1000, 1000), where, field, y, x).astype(np.float64).ravel()
        for where, field, y, x in (first, second)
    )
    # Correlations of 1e6 independent pairs have standard error 1e-3; of the squares too.
    assert abs((a * b).mean()) < 5e-3
    assert abs(((a**2 - 1) * (b**2 - 1)).mean() / 2) < 5e-3


def test_the_bytes_of_the_field_never_change():
    assert digest() == NORMALS_SHA256


@pytest.mark.slow
@pytest.mark.parametrize("cpu", ["haswell", "nocona"])
def test_other_processors_make_the_same_bytes(cpu, tmp_path):
    """AVX2 and SSE2 code, compiled afresh, against the code of this processor."""
    script = "import runpy, sys; print(runpy.run_path(sys.argv[1])['everything']())"
    results = [
        subprocess.run(
            [sys.executable, "-c", script, str(Path(__file__).parent / "noise_digest.py")],
            env=os.environ | extra,
            capture_output=True,
            text=True,
            check=True,
            timeout=250,
        ).stdout
        for extra in (
            {},
            {
                "NUMBA_CPU_NAME": cpu,
                "NUMBA_CPU_FEATURES": "",
                "NUMBA_CACHE_DIR": str(tmp_path),
            },
        )
    ]
    assert len(results[0]) > 64
    assert results[0] == results[1]


def digest():
    z = normals((37, 300), counter(2024, 7, 3), Field.READ, y=-5, x=1001)
    return hashlib.sha256(z.tobytes()).hexdigest()
