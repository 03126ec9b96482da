"""What developers share whose noise is drawn on the rendered picture."""

from dataclasses import dataclass

from noisegen.picture.parameters import Picture
from pipelines.develop import Sensor, Tile
from pipelines.recipe import Recipe
from pipelines.tile import Window


@dataclass(frozen=True)
class RenderedDeveloper:
    """A developer whose tiles are clean pictures.

    Attributes
    ----------
    recipe
        Its bits and seed say what is made.
    sensor
        Of the camera that the picture was rendered for; nothing is drawn from it.
    """

    recipe: Recipe
    sensor: Sensor

    @property
    def halo(self) -> int:
        """Surroundings of a patch that its tile carries: none."""
        return 0

    @property
    def core(self) -> int:
        """Edge of the square of a frame that a tile is: the patch."""
        return self.recipe.patch

    def window(self, y: int, x: int, height: int, width: int) -> Window:
        """Return the window of a tile at (y, x) of a frame of that size."""
        return Window(y, x, self.core, self.halo, height, width)

    @property
    def tile(self) -> Tile:
        """What a tile is."""
        dtype = "uint8" if self.recipe.depth == 8 else "uint16"
        return Tile("clean", dtype, (3,), "1", "clean picture")


__all__ = ["Picture", "RenderedDeveloper"]
