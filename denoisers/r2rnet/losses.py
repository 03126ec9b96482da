"""What R2RNet's three networks are trained by: each function returns (n,), one value a sample.

References
----------
J. Hai et al., "R2RNet: Low-light Image Enhancement via Real-low to Real-normal Network", Journal of
Visual Communication and Image Representation 90, 2023.
"""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, instance_norm

from denoisers.r2rnet.decom import Parts
from denoisers.r2rnet.layers import Transform
from denoisers.vgg import VGG16

SEEN = (22,)
"""The ReLU after conv4_3, as torchvision counts: what the perceptual loss compares."""

MUTUAL = 0.1
"""Weight of the reconstructions with the other picture's illumination."""

PERCEPTUAL = 0.1

FREQUENCY = 0.01

LUMA = (0.299, 0.587, 0.114)


def absolute(x: Tensor, y: Tensor) -> Tensor:
    """Return each sample's mean of ``|x - y|``."""
    return (x - y).abs().flatten(1).mean(1)


def perceptual(seen: VGG16 | None, x: Tensor, y: Tensor) -> Tensor:
    """Return each sample's mean square of the difference of VGG16's normalised features.

    Parameters
    ----------
    seen
        With the layers :data:`SEEN`. Without one the loss is 0.
    x, y
        (N, 3, H, W) in [0, 1], as they are.
    """
    if seen is None:
        return x.new_zeros(len(x))
    (one,), (other,) = seen(x), seen(y)
    return (instance_norm(one) - instance_norm(other)).square().flatten(1).mean(1)


def frequency(x: Tensor, y: Tensor, *, batch: bool = False) -> Tensor:
    """Return each sample's distance between the values that the spectra have, over H x W.

    It is the Wasserstein distance of order 1 between the real parts plus that between the imaginary
    ones: the mean difference of sorted values. The published code computes it beside the graph, so
    that it teaches nothing; here it has a gradient.

    Parameters
    ----------
    x, y
        (N, C, H, W).
    batch
        As in :class:`denoisers.r2rnet.layers.Transform`.
    """
    axes = Transform(batch).axes
    spectra = [torch.view_as_real(torch.fft.fftn(z.float(), dim=axes)) for z in (x, y)]
    one, other = (s.flatten(1, -2).sort(1).values for s in spectra)
    return (one - other).abs().mean(1).sum(1) / (x.shape[-2] * x.shape[-1])


def decomposition(low: Parts, high: Parts, dark: Tensor, bright: Tensor) -> Tensor:
    """Return each sample's error of the products that should give the two pictures.

    Parameters
    ----------
    low, high
        Parts of the dark and of the bright picture.
    dark, bright
        (N, 3, H, W), the pictures.
    """
    own = absolute(low.product, dark) + absolute(high.product, bright)
    mutual = absolute(high.reflectance * low.illumination, dark) + absolute(
        low.reflectance * high.illumination, bright
    )
    return own + MUTUAL * mutual


def smoothness(illumination: Tensor, reflectance: Tensor) -> Tensor:
    """Return each sample's mean step of the illumination where the reflectance has none.

    The published training leaves it out; in RetinexNet's its weight is 0.1.

    References
    ----------
    C. Wei et al., "Deep Retinex Decomposition for Low-Light Enhancement", BMVC 2018, eq. 3.
    """
    grey = (reflectance * reflectance.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    total = illumination.new_zeros(len(illumination))
    for kernel in ([[0.0, 0.0], [-1.0, 1.0]], [[0.0, -1.0], [0.0, 1.0]]):
        step = illumination.new_tensor(kernel).view(1, 1, 2, 2)
        edges = avg_pool2d(conv2d(grey, step, padding=1).abs(), 3, stride=1, padding=1)
        weighted = conv2d(illumination, step, padding=1).abs() * (-10 * edges).exp()
        total = total + weighted.flatten(1).mean(1)
    return total
