"""A network whose iterations are recorded once as CUDA graphs and replayed.

A narrow network on a small patch is thousands of short kernels, and a GPU waits for the processor
to start each of them. A graph starts all of them at once.
"""

import torch
from torch import Tensor, nn

from denoisers.base import Denoiser
from denoisers.training.ranks import Ranks
from noisegen.errors import InputError


class Graphed(nn.Module):
    """Records forward and backward at the first batch, whose shapes all others must have.

    Parameters
    ----------
    model
        On a GPU. It is recorded in the mode it is in then: training. In evaluation it computes as
        always.
    """

    def __init__(self, model: Denoiser) -> None:
        super().__init__()
        self.model = model
        self._recorded = False

    def forward(self, *pictures: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return what the network makes of pictures."""
        if not self._recorded:
            _expect_two_streams()
            torch.cuda.make_graphed_callables(
                self.model,
                tuple(picture.detach().clone() for picture in pictures),
                allow_unused_input=True,
            )
            self._recorded = True
        found: Tensor | tuple[Tensor, ...] = self.model(*pictures)
        return found


def _expect_two_streams() -> None:
    """Keep torch from warning that gradients are recorded on a stream of their own, as they are."""
    if silence := getattr(
        torch.autograd.graph, "set_warn_on_accumulate_grad_stream_mismatch", None
    ):
        silence(False)


def check(
    model: Denoiser, device: torch.device, ranks: Ranks, precision: str, *, changes: bool
) -> None:
    """Refuse what cannot be recorded.

    Parameters
    ----------
    model, device, ranks
        What is trained, where, and by how many processes.
    precision
        Of the recipe, settled.
    changes
        Whether the network is compiled, or trained in parts.

    Raises
    ------
    InputError
        One line.
    """
    if device.type != "cuda":
        raise InputError("--graph: CUDA graphs need a GPU; leave --graph away")
    if ranks.ranks > 1:
        raise InputError("--graph: one process trains with CUDA graphs; leave --graph away")
    if precision != "float32":
        # ADFNet in bfloat16 learned worse than without graphs, and came to infinite gradients.
        raise InputError(
            f"--graph: replays are right in float32 alone, not in {precision}; give --set "
            "precision=float32, or leave --graph away"
        )
    if changes or model.draws or next(model.buffers(), None) is not None:
        raise InputError(
            "--graph: the same kernels are replayed in each iteration, so that a network must "
            "neither be compiled nor be trained in phases, and neither keep statistics nor draw "
            "numbers; leave --graph away"
        )
