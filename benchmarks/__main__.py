"""Run all benches, or those named: ``python -m benchmarks [--list] [--out FOLDER] [NAME ...]``.

Each runs in a process of its own, prints its results as JSON and, with ``--out``, writes them to
``FOLDER/NAME.json``.
"""

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

BENCHES = (
    "noise", "picture_noise", "isp", "isp_torch", "finish", "store", "pipeline", "select",
    "denoisers", "guided", "loader", "mosaics", "neca",
)  # fmt: skip


def main() -> int:
    """Run what is asked for and return the number of benches that failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}")
    parser.add_argument("--list", action="store_true", help="say what each measures, and stop")
    parser.add_argument("--out", type=Path, help="folder for one JSON file a bench")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(BENCHES):
        parser.error(f"no bench is called {', '.join(sorted(unknown))}; see --list")
    names = asked.names or BENCHES
    if asked.list:
        for name in names:
            print(f"{name:13} {_first_line(name)}")
        return 0
    if asked.out:
        asked.out.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name in names:
        out = [str(asked.out / f"{name}.json")] if asked.out else []
        failed += subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *out]).returncode != 0
    return failed


def _first_line(name: str) -> str:
    """Return what a bench's module says of itself, without importing all that it measures."""
    spec = importlib.util.find_spec(f"benchmarks.{name}")
    source = Path(spec.origin).read_text() if spec and spec.origin else ""
    return source.removeprefix('"""').partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
