"""Tables of a recipe: strict frozen values, their ranges, their errors and their TOML.

A step of the chain that can be switched on has a table of its own, one module each, which becomes a
field of :class:`pipelines.recipe.Recipe`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from noisegen.errors import did_you_mean

__all__ = ["Range", "Table", "check_range", "ends", "first_problem", "merged", "to_toml"]

Range = tuple[float, float]
"""Both ends of what is drawn from."""


class Table(BaseModel):
    """Keys and values that are checked once and never change; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def ends(value: float | Range) -> Range:
    """Return both ends of a number or a range."""
    return value if isinstance(value, tuple) else (value, value)


def check_range(
    name: str,
    value: float | Range | None,
    low: float,
    high: float = float("inf"),
    open_low: bool = False,
) -> None:
    """Refuse a number or a range that leaves its bounds or runs backwards.

    Raises
    ------
    ValueError
        One line for :func:`first_problem`.
    """
    if value is None:
        return
    first, last = ends(value)
    if first > last:
        raise ValueError(f"{name}: the range {first:g}-{last:g} runs backwards")
    if first < low or last > high or (open_low and first == low):
        if high == float("inf"):
            bounds = f"above {low:g}" if open_low else f"{low:g} or more"
        else:
            bounds = (
                f"above {low:g} and up to {high:g}" if open_low else f"from {low:g} to {high:g}"
            )
        wrong = first if first < low or (open_low and first == low) else last
        raise ValueError(f"{name}: {wrong:g} is not {bounds}")


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with the keys of ``over`` put over it, table by table."""
    out = dict(base)
    for key, value in over.items():
        old = out.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            out[key] = merged(old, value)
        else:
            out[key] = value
    return out


def first_problem(error: ValidationError, root: type[Table]) -> str:
    """Return one line that names the first wrong key of a table, its value and its nearest key."""
    problem = error.errors()[0]
    names = [str(part) for part in problem["loc"]]
    if problem["type"] == "extra_forbidden":
        key = names[-1]
        known = _known(root, names[:-1])
        hint = did_you_mean(key, known)
        if not hint and len(names) > 1:
            hint = f"; [{'.'.join(names[:-1])}] has {', '.join(known)}"
        return f"unknown key '{'.'.join(names)}'{hint}"
    message = problem["msg"].removeprefix("Value error, ")
    key = ".".join(_keys(root, names))
    if problem["type"] == "value_error" and not isinstance(problem["input"], Mapping):
        return f"{key}: {message} (found {problem['input']!r})" if key else message
    if problem["type"] == "value_error":
        return f"{key}.{message}" if key else message
    return f"{key}: {message} (found {problem['input']!r})" if key else message


def to_toml(data: Mapping[str, Any]) -> str:
    """Return JSON data as a TOML file: plain keys first, then a table each."""
    lines = [*_section(data)]
    for name, table in data.items():
        if isinstance(table, dict) and table:
            lines += ["", f"[{name}]", *_section(table)]
    return "\n".join(lines) + "\n"


def _section(table: Mapping[str, Any]) -> Iterator[str]:
    return (f"{_bare(k)} = {_toml(v)}" for k, v in table.items() if not isinstance(v, dict))


def _bare(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml(key)


def _keys(root: type[Table], names: list[str]) -> Iterator[str]:
    """Yield the keys of a place in an error, without what pydantic adds for kinds and items."""
    table: type[Table] | None = root
    for name in names:
        fields = _fields(table) if table else {}
        if name not in fields:
            return
        yield name
        table = fields[name]


def _known(root: type[Table], names: list[str]) -> list[str]:
    table: type[Table] | None = root
    for name in names:
        table = _fields(table).get(name) if table else None
    return list(_fields(table)) if table else []


def _fields(table: type[Table]) -> dict[str, type[Table] | None]:
    """Return the keys of a table, with the table that each holds if it holds one."""
    found: dict[str, type[Table] | None] = {}
    for name, field in table.model_fields.items():
        kind: Any = field.annotation
        nested = isinstance(kind, type) and issubclass(kind, Table)
        found[field.alias or name] = kind if nested else None
    return found


def _is_literal(text: str) -> bool:
    """Tell whether a text can stand between triple apostrophes as it is."""
    printable = all(c in "\n\t" or (c >= " " and c != "\x7f") for c in text)
    return printable and "'''" not in text and not text.endswith("'")


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(_toml(v) for v in value)}]"
    if isinstance(value, str) and "\n" in value and _is_literal(value):
        return f"'''\n{value}'''"
    if isinstance(value, str):
        # A JSON string is a TOML basic string but for the one control character JSON leaves alone.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
