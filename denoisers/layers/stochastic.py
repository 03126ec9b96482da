"""Parts of a network that are left out at random while it is trained.

Draws come from torch's generator of the device, which a training step seeds.
"""

from torch import Tensor


def dropped_path(branch: Tensor, share: float) -> Tensor:
    """Return a branch that is nothing for some samples and larger for the others.

    Its mean is kept: the samples that are left are divided by ``1 - share``.

    Parameters
    ----------
    branch
        (N, ...), what is added to samples that may go without.
    share
        Probability of going without, below 1.

    References
    ----------
    G. Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016.
    """
    kept = branch.new_empty((len(branch),) + (1,) * (branch.dim() - 1)).bernoulli_(1 - share)
    return branch * (kept / (1 - share))
