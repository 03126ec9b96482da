"""How everything here is measured: CPU time, interleaved rounds, ratios against a baseline.

Rates of a shared machine drift; ratios of two things measured in turns do not. A bench calls
:func:`ratio`, and :func:`report` prints the results with the machine and the versions as JSON.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("noisegen", "numpy", "numba", "llvmlite", "torch", "zarr", "numcodecs", "dask")


def ratio(
    baseline: Callable[[], object],
    subject: Callable[[], object],
    rounds: int = 9,
    before: Callable[[], object] = lambda: None,
) -> dict[str, float]:
    """Measure how many times faster ``subject`` is than ``baseline``.

    Both run once unmeasured, then in turns. Times are of this process's CPU, all threads. What
    clears the ground ``before`` every call is not measured.

    Returns
    -------
    dict
        Median seconds of both, their ``ratio``, and the lower and upper quartile of the rounds'
        own ratios.
    """

    def seconds(function: Callable[[], object]) -> float:
        before()
        return cpu_seconds(function)

    pairs = [(seconds(baseline), seconds(subject)) for _ in range(rounds + 1)][1:]
    first, second = (statistics.median(column) for column in zip(*pairs, strict=True))
    low, _, high = statistics.quantiles([a / b for a, b in pairs], n=4)
    return {
        "baseline_seconds": first,
        "subject_seconds": second,
        "ratio": first / second,
        "ratio_lower_quartile": low,
        "ratio_upper_quartile": high,
        "rounds": rounds,
    }


def cpu_seconds(function: Callable[[], object]) -> float:
    """Return the CPU seconds that one call takes."""
    start = time.process_time()
    function()
    return time.process_time() - start


def part(module: str, name: str, threads: int) -> Any:
    """Return what ``python -m MODULE --part NAME`` prints as JSON.

    A process of its own has ``threads`` of OpenMP from its beginning, and pays for memory as any
    other does: what a part before it freed is not there to be used again.
    """
    command = [sys.executable, "-m", module, "--part", name]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(run.stdout)


def extra_memory(function: Callable[[], object]) -> int:
    """Return the peak of this process's memory in a call, above what it had before, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = _status("VmRSS")
    function()
    return _status("VmHWM") - before


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def environment() -> dict[str, object]:
    """Return the machine, its load and the versions of what is measured."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def report(name: str, results: dict[str, object]) -> None:
    """Print one bench as JSON; a path as the program's first argument gets a copy."""
    text = json.dumps({"bench": name, "environment": environment(), "results": results}, indent=1)
    print(text)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text + "\n")


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
