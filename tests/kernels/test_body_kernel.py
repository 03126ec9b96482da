"""The bytes of exposures with camera bodies: fixed for ever, and the same on other processors."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

DIGEST = Path(__file__).parent / "body_digest.py"
SHA256 = "ac5ebaa3b8019dbf6148ca578d120046a36bd7196f78b5dd89a98bdfe9b15390"


def test_the_bytes_of_bodies_never_change():
    assert runpy.run_path(str(DIGEST))["everything"]() == SHA256


@pytest.mark.slow
@pytest.mark.parametrize("cpu", ["haswell", "nocona"])
def test_other_processors_make_the_same_bytes(cpu, tmp_path):
    """AVX2 and SSE2 code, compiled afresh."""
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "import runpy, sys; print(runpy.run_path(sys.argv[1])['everything']())",
            str(DIGEST),
        ],
        env=os.environ
        | {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=400,
    )
    assert found.stdout.strip() == SHA256
