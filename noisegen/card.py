"""What every file of weights says of itself: the part that the cards of all networks share."""

import json
from importlib import metadata
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import noisegen
from noisegen.errors import WeightsError


def versions() -> dict[str, str]:
    """Return the versions of what makes and reads weights."""
    return {"noisegen": noisegen.__version__} | {
        name: metadata.version(name) for name in ("torch", "numpy", "safetensors")
    }


class WeightsCard(BaseModel):
    """Origin, training and terms of weights."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    origin: str = Field(
        default="", description="Where the weights come from: a run, a published file."
    )
    data: dict[str, str] = Field(
        default_factory=dict, description="Training data: name, and SHA-256 or address."
    )
    metrics: dict[str, float] = Field(
        default_factory=dict, description="What was measured: name with unit, and value."
    )
    licence: str = Field(default="", description="Terms of the weights.")
    versions: dict[str, str] = Field(
        default_factory=versions, description="Of the packages that wrote the file."
    )

    def to_json(self) -> str:
        """Return the card as JSON text."""
        return self.model_dump_json(indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the card of a JSON text.

        Raises
        ------
        WeightsError
            If it is none.
        """
        try:
            return cls.model_validate(json.loads(text))
        except ValidationError as error:
            first = error.errors()[0]
            where = [".".join(str(part) for part in first["loc"])] if first["loc"] else []
            raise WeightsError(": ".join(["not a card", *where, first["msg"]])) from None
        except (ValueError, TypeError) as error:
            raise WeightsError(f"not a card: {error}") from None
