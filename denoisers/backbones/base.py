"""What a backbone is."""

from collections.abc import Iterable
from typing import ClassVar

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from denoisers.base import check_sides


class Backbone(nn.Module):
    """A network from (N, c, H, W) features to as many of the same size.

    Attributes
    ----------
    multiple
        Height and width must be multiples of this.
    recomputes
        Whether blocks are computed again for the gradient, instead of kept: less memory, more time.
    """

    multiple: ClassVar[int] = 1
    recomputes: bool = False

    def check(self, features: Tensor) -> None:
        """Refuse features of a size that does not fit.

        Raises
        ------
        InputError
            If height or width is no multiple.
        """
        check_sides(type(self).__name__, features, self.multiple)

    def through(self, blocks: Iterable[nn.Module], x: Tensor) -> Tensor:
        """Return ``x`` after one block after the other."""
        for block in blocks:
            if self.recomputes and self.training:
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        return x
