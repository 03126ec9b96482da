"""Kinds of option values that several commands share."""

from typing import Any

import click


class RangeType(click.ParamType):  # type: ignore[type-arg]
    """A number, or two with a dash between them: ``800`` or ``100-3200``.

    Parameters
    ----------
    words
        Words that may stand in their place.
    """

    def __init__(self, *words: str) -> None:
        self.words = words
        self.name = "|".join(("N", "LO-HI", *words))

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | tuple[float, float] | str:
        """Parse the text."""
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]
        if value in self.words:
            return value
        # A leading minus is a sign, and so is one after an exponent's e.
        for at in range(1, len(value)):
            if value[at] == "-" and value[at - 1] not in "eE":
                low, high = value[:at], value[at + 1 :]
                return self._number(low, param, ctx), self._number(high, param, ctx)
        return self._number(value, param, ctx)

    def _number(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return float(text)
        except ValueError:
            self.fail(f"'{text}' is not a number; write N or LO-HI", param, ctx)


class PartType(click.ParamType):  # type: ignore[type-arg]
    """One of several parts: ``2/5``."""

    name = "I/N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Parse the text."""
        if isinstance(value, tuple):
            return value
        part, _, parts = str(value).partition("/")
        if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
            self.fail(f"'{value}' is not I/N with I from 1 to N", param, ctx)
        return int(part), int(parts)


class AssignmentType(click.ParamType):  # type: ignore[type-arg]
    """A name and its value: ``size=1024``. Whole numbers become numbers."""

    name = "KEY=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str | int]:
        """Parse the text."""
        if isinstance(value, tuple):
            return value
        key, equals, text = str(value).partition("=")
        if not (key and equals and text):
            self.fail(f"'{value}' is not KEY=VALUE", param, ctx)
        return key, int(text) if text.isdecimal() else text


class SettingType(click.ParamType):  # type: ignore[type-arg]
    """A key of a recipe, through its table, and its value: ``tone=0-1`` or ``table.key=true``."""

    name = "TABLE.KEY=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, Any]:
        """Parse the text into nested tables."""
        if isinstance(value, dict):
            return value
        key, equals, text = str(value).partition("=")
        names = key.split(".")
        if not (equals and all(names)):
            self.fail(f"'{value}' is not KEY=VALUE or TABLE.KEY=VALUE", param, ctx)
        setting: Any = _value(text)
        for name in reversed(names):
            setting = {name: setting}
        return setting  # type: ignore[no-any-return]


def _value(text: str) -> bool | int | float | tuple[float, float] | str:
    """Return what a text means: a truth value, a number, a range, or the text itself."""
    if text in ("true", "false"):
        return text == "true"
    try:
        number = RANGE.convert(text, None, None)
    except click.UsageError:
        return text
    whole = isinstance(number, float) and text.lstrip("+-").isdecimal()
    return int(text) if whole else number


ASSIGNMENT = AssignmentType()
SETTING = SettingType()
RANGE = RangeType()
PART = PartType()


class ScenesType(click.ParamType):  # type: ignore[type-arg]
    """All scenes, those of a split, or one of several parts."""

    name = "all|train|val|test|I/N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | tuple[int, int]:
        """Parse the text."""
        if isinstance(value, tuple) or value in ("all", "train", "val", "test"):
            return value  # type: ignore[no-any-return]
        if "/" not in value:
            self.fail(f"'{value}' is not all, train, val, test or I/N", param, ctx)
        return PART.convert(value, param, ctx)


SCENES = click.option(
    "--scenes",
    type=ScenesType(),
    metavar="all|train|val|test|I/N",
    default="all",
    show_default=True,
    help="Which scenes: a split (by the hash of the scene's name), or part I of N of them.",
)
"""Which scenes of a set of pairs are taken."""

DEVICE = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where networks compute.",
)
