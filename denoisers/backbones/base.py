"""What a backbone is."""

from collections.abc import Iterable
from typing import ClassVar

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from noisegen.errors import InputError


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
        height, width = features.shape[-2:]
        if height % self.multiple or width % self.multiple:
            raise InputError(
                f"{type(self).__name__} takes sides that are multiples of {self.multiple}, found "
                f"{height}x{width}: pad the picture (denoisers.inference.padding) or crop it"
            )

    def through(self, blocks: Iterable[nn.Module], x: Tensor) -> Tensor:
        """Return ``x`` after one block after the other."""
        for block in blocks:
            if self.recomputes and self.training:
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        return x
