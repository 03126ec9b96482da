"""Every entry of a folder of reference outputs, one test id each.

The folder is that of the environment variable NOISEGEN_GOLDEN, by default tests/golden. An entry
of ``index.json`` names a file, what to run (``kind``), its settings and tolerances. Everything else
(shapes, seeds, number of cases) comes from the file. A kind, a setting or a field without code
fails.

A runner is a :class:`Kind`: its function returns every field it can make of a :class:`Case`; the
inputs among the file's fields are named by patterns, and all other fields are compared.
"""

import importlib.util
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("NOISEGEN_GOLDEN") or HERE.parent / "golden")

FOR_INFORMATION = ("phase", "options", "min_direction_margin", "raw_seed", "dummy")
EIGHT_BIT_PICTURES = ("fake_uint8", "output_uint8")


def load(path: Path) -> ModuleType:
    """Import a file that lies outside any package."""
    spec = importlib.util.spec_from_file_location(f"reference_outputs_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


golden = load(HERE.parent / "golden.py")


@dataclass(frozen=True)
class Case:
    """What a runner gets: the file's fields and the entry's settings."""

    fields: Mapping[str, np.ndarray]
    options: Mapping[str, Any]
    keys: tuple[str, ...] = ()
    image: Callable[[tuple[int, ...], int], np.ndarray] = golden.image

    def weights(self, net: int = 0) -> dict[str, np.ndarray]:
        """The state dict of one of the nets that the entry's ``keys`` name."""
        return golden.weights(golden.read_keys(self.keys[net], FOLDER))

    def shape(self, name: str = "shape") -> tuple[int, ...]:
        return tuple(int(n) for n in self.fields[name])


@dataclass(frozen=True)
class Kind:
    """How one kind of file is made again."""

    run: Callable[[Case], dict[str, Any]]
    inputs: tuple[str, ...]
    options: tuple[str, ...] = field(default=())


KINDS: dict[str, Kind] = {}
for _system in (
    "adfnet",
    "dncnn",
    "dualdn",
    "dualdn_networks",
    "neca",
    "neca_metrics",
    "neca_training",
    "r2rnet",
    "rffnet",
):
    KINDS |= {name: Kind(*row) for name, row in load(HERE / f"{_system}_outputs.py").KINDS.items()}

ENTRIES = json.loads((FOLDER / "index.json").read_text())


@pytest.mark.parametrize("entry", [pytest.param(e, id=e["file"]) for e in ENTRIES])
def test_reference_outputs(entry):
    assert entry["kind"] in KINDS, f"no code runs kind {entry['kind']}"
    kind = KINDS[entry["kind"]]
    unknown = set(entry["options"]) - set(kind.options)
    assert not unknown, f"{entry['kind']} does not know {unknown}"
    with np.load(FOLDER / f"{entry['file']}.npz") as file:
        fields = dict(file)
    keys = entry["keys"] or []
    keys = (keys,) if isinstance(keys, str) else tuple(keys)
    ours = kind.run(Case(fields, entry["options"], keys))
    wrong = []
    for name, reference in fields.items():
        if matches(name, (*FOR_INFORMATION, *kind.inputs)):
            continue
        limit = tolerance(name, entry)
        if limit is None:
            continue
        if name not in ours:
            wrong.append(f"{name}: nothing makes it")
        elif complaint := differs(name, np.asarray(ours[name]), reference, *limit):
            wrong.append(f"{name}: {complaint}")
    assert not wrong, "\n".join(wrong)


def tolerance(name: str, entry: Mapping[str, Any]) -> tuple[float, str] | None:
    """Return a field's tolerance and what it is relative to; None: do not compare."""
    limit = first_match(name, entry.get("field_tolerance", {}), entry["tolerance"])
    if limit is None:
        return None
    return limit, first_match(name, entry.get("relative", {}), "one or array")


def differs(
    name: str, ours: np.ndarray, reference: np.ndarray, limit: float, relative_to: str
) -> str | None:
    """Say how ``ours`` misses the reference, or nothing."""
    if ours.shape != reference.shape:
        return f"shape {ours.shape}, not {reference.shape}"
    if reference.dtype.kind != "f":
        unequal = ours != reference
        if name in EIGHT_BIT_PICTURES:
            far = np.abs(ours.astype(int) - reference.astype(int)) > 1
            return "further off than a level" if far.any() or unequal.mean() > 1e-3 else None
        return f"{np.count_nonzero(unequal)} values differ" if unequal.any() else None
    defined = ~np.isnan(reference)
    wanted = reference[defined].astype(np.float64)
    error = np.abs(ours[defined].astype(np.float64) - wanted)
    largest = np.abs(wanted).max(initial=0)
    scale = {
        "one or array": max(1, largest),
        "array": largest,
        "element": np.abs(wanted),
    }[relative_to]
    # "not within" rather than "beyond", so that a NaN of ours fails.
    if not np.all(error <= limit * scale):
        return f"off by {error.max():.3g}, largest value {largest:.3g}, tolerance {limit:g}"
    return None


def first_match(name: str, patterns: Mapping[str, Any], otherwise: Any) -> Any:
    return next((v for p, v in patterns.items() if fnmatchcase(name, p)), otherwise)


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, p) for p in patterns)


@pytest.mark.parametrize(
    ("ours", "reference", "limit", "relative_to", "passes"),
    [
        ([1.0, 2.0], [1.0, 2.0 + 1e-6], 1e-6, "one or array", True),
        ([0.5, 0.5], [0.5, 0.5 + 2e-6], 1e-6, "one or array", False),
        ([0.5, np.nan], [0.5, 0.5], 1.0, "one or array", False),
        ([0.5, 7.0], [0.5, np.nan], 0.0, "one or array", True),
        ([0.1, 1e-3], [0.1, 1.1e-3], 1e-2, "array", True),
        ([0.1, 1e-3], [0.1, 1.1e-3], 1e-2, "element", False),
        ([3, 4], [3, 4], 0, "one or array", True),
        ([3, 4], [3, 5], 9.0, "one or array", False),
        ([[1.0]], [1.0], 1.0, "one or array", False),
    ],
)
def test_comparison_itself(ours, reference, limit, relative_to, passes):
    result = differs("name", np.array(ours), np.array(reference), limit, relative_to)
    assert (result is None) == passes


def test_first_matching_pattern_decides():
    entry = {"tolerance": 1, "field_tolerance": {"grad_*_double": None, "grad_*": 3}}
    assert tolerance("grad_a", entry) == (3, "one or array")
    assert tolerance("grad_a_double", entry) is None
    assert tolerance("output", entry) == (1, "one or array")
