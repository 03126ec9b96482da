"""DualDn: a denoiser on the mosaic, the ISP, and a denoiser on the picture, trained as one.

With it the two networks that it is compared with: a denoiser on the mosaic alone, and one on the
picture alone. Parameters carry the names of the published code.

References
----------
R. Li et al., "DualDn: Dual-domain Denoising via Differentiable ISP", ECCV 2024.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

import torch
from pydantic import Field, ValidationError, model_validator
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from denoisers.backbones import FAMILIES, Backbone, below, prefixed
from denoisers.backbones.restormer import Norm
from denoisers.base import Counts, Denoiser, ModelEntry, Options, Shapes, convolution
from noisegen.isp import compiled, pipeline
from noisegen.isp.color import Reference
from noisegen.isp.packed import Border
from noisegen.isp.parameters import Demosaic, Gamma
from noisegen.isp.pipeline import Cfa
from noisegen.sensor.formulas import MAP_FLOOR
from pipelines.tables import first_problem

INPUTS = ("raw_noisy", "shot", "read", "white_balance", "cam_to_xyz", "alpha")
"""What the networks take, by the names of a batch's tensors."""

Domain = Literal["dual", "raw", "srgb"]

DUAL: dict[str, dict[str, Any]] = {
    "restormer": {
        "width": 64,
        "blocks": (2, 3, 3, 4),
        "refinement": 2,
        "heads": (1, 2, 4, 8),
        "expansion": 2.66,
        "bias": False,
        "norm": "bias-free",
    },
    "swinir": {"width": 60, "depths": (6, 6, 6), "heads": (6,), "ratio": 2},
    "mirnet": {"width": 64, "mrb": 1, "bias": False},
}
"""Published settings of each of DualDn's two backbones."""

SINGLE: dict[str, dict[str, Any]] = {
    "restormer": DUAL["restormer"] | {"blocks": (4, 6, 6, 8), "refinement": 4},
    "swinir": DUAL["swinir"] | {"depths": (6,) * 6},
    "mirnet": DUAL["mirnet"] | {"mrb": 2},
}
"""Published settings of the one backbone of a network on the mosaic or the picture alone."""

OF_BACKBONES = tuple(dict.fromkeys(name for own in DUAL.values() for name in own))
"""Names of options that are a backbone's."""


class DualDnOptions(Options):
    """Settings of :class:`DualDn`, :class:`RawDn` and :class:`SrgbDn`.

    What is not said of a backbone is as published for it and the domain.
    """

    domain: Domain = Field(
        "dual",
        description="Where noise is taken off: dual (mosaic and picture, two backbones), raw or "
        "srgb (one).",
    )
    backbone: Literal["restormer", "swinir", "mirnet"] = Field(
        "restormer", description="Kind of the backbones."
    )
    width: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Channels of the features; none: 64, of SwinIR 60."
    )
    noise_map: bool | None = Field(
        None, description="Noise maps beside mosaic and picture; none: yes, but in domain srgb."
    )
    blocks: Counts | None = Field(None, description="Restormer: blocks of its four levels.")
    refinement: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Restormer: blocks after the decoder."
    )
    heads: Counts | None = Field(
        None, description="Restormer, SwinIR: attention heads of each level or group."
    )
    expansion: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Restormer: hidden channels for each of a block's."
    )
    norm: Norm | None = Field(None, description="Restormer: kind of norm.")
    bias: bool | None = Field(None, description="Restormer, MIRNet-v2: biases of convolutions.")
    depths: Counts | None = Field(None, description="SwinIR: blocks of each residual group.")
    ratio: Annotated[int, Field(ge=1)] | None = Field(
        None, description="SwinIR: hidden channels of its perceptrons for each channel."
    )
    mrb: Annotated[int, Field(ge=1)] | None = Field(
        None, description="MIRNet-v2: multi-scale blocks of each group."
    )
    ends_bias: bool = Field(
        False, description="Biases of the convolutions before and after a backbone."
    )
    fusion_bias: bool = Field(False, description="Biases of the convolutions over noise maps.")
    demosaic: Demosaic = Field("ahd", description="Demosaicer of the ISP inside.")
    gamma: Gamma = Field("rec709", description="Transfer function of the ISP inside.")
    border: Border = Field(
        "reflect",
        description="How the ISP goes on beyond the mosaic; published: by zeros, which darkens.",
    )

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        """Fill in what is not said of the backbone, and refuse what it does not have."""
        if not isinstance(given, dict):
            return given
        domain, backbone = given.get("domain", "dual"), given.get("backbone", "restormer")
        defaults = (DUAL if domain == "dual" else SINGLE).get(str(backbone))
        if defaults is None:
            return given  # the field itself refuses it
        said = {name: value for name, value in given.items() if value is not None}
        for name in OF_BACKBONES:
            if name in said and name not in defaults:
                raise ValueError(f"{name}: {backbone} has no such option")
        if said.get("noise_map") and domain == "srgb":
            raise ValueError("noise_map: there is none in domain srgb, as published")
        return {"noise_map": domain != "srgb", **defaults, **said}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        family = FAMILIES[self.backbone]
        try:
            family.options.model_validate(self.of_backbone)
        except ValidationError as error:
            raise ValueError(first_problem(error, family.options)) from None
        return self

    @property
    def of_backbone(self) -> dict[str, Any]:
        """Arguments of a backbone."""
        return {name: getattr(self, name) for name in DUAL[self.backbone]}

    @property
    def isp(self) -> "Isp":
        """The ISP inside."""
        return Isp(self.demosaic, self.gamma, self.border)


class Shot(NamedTuple):
    """What a network is told about mosaics, of each one.

    Attributes
    ----------
    shot, read
        (B,) K and S: the variance of the noise is K x + S, of x from 0 (black) to 1 (white).
    white_balance
        (B, 3) or (B, 4) gains, as :func:`noisegen.isp.pipeline.process` takes them.
    cam_to_xyz
        (B, 3, 3) matrices.
    alpha
        (B,) tone strengths.
    cfa
        As there.
    """

    shot: Tensor
    read: Tensor
    white_balance: Tensor
    cam_to_xyz: Tensor
    alpha: Tensor
    cfa: Cfa = "RGGB"

    def noise_map(self, mosaic: Tensor) -> Tensor:
        """Return the standard deviation of the noise of each value of (B, C, H, W).

        Its floor hides the read noise below K = 1e-3.
        """
        shot, read = (level.view(-1, 1, 1, 1) for level in (self.shot, self.read))
        return (shot * mosaic + read).clamp_min(MAP_FLOOR).sqrt()


@dataclass(frozen=True)
class Isp:
    """Settings of the ISP that a network holds; they may be changed after training.

    Attributes
    ----------
    demosaic, gamma, border, reference
        As in :func:`noisegen.isp.pipeline.process`.
    """

    demosaic: Demosaic = "ahd"
    gamma: Gamma = "rec709"
    border: Border = "reflect"
    reference: Reference = "D65"

    def develop(self, mosaic: Tensor, shot: Shot) -> Tensor:
        """Return (B, 3, H, W) pictures of (B, 1, H, W) mosaics.

        Without gradients, on the CPU and in float32 compiled code does it.
        """
        light = (shot.white_balance, shot.cam_to_xyz, shot.alpha)
        if (
            self.border == "reflect"
            and isinstance(shot.cfa, str)
            and compiled.takes(mosaic, *light, demosaic=self.demosaic)
        ):
            return compiled.process(
                mosaic, shot.cfa, *light,
                reference=self.reference, demosaic=self.demosaic, gamma=self.gamma,
            )  # fmt: skip
        return pipeline.process(
            mosaic,
            shot.cfa,
            *light,
            reference=self.reference,
            demosaic=self.demosaic,
            gamma=self.gamma,
            border=self.border,
        )


class Restored(NamedTuple):
    """What a network returns: (B, 3, H, W) pictures and (B, 1, H, W) mosaics, not clipped."""

    picture: Tensor
    mosaic: Tensor


def differences(restored: Restored, clean: Restored) -> Restored:
    """Return the mean absolute difference of each picture and each mosaic, (B,) both.

    Neither side is clipped: colours beyond sRGB count as far as they are off.
    """
    return Restored(
        *(
            (ours - wanted).abs().flatten(1).mean(1)
            for ours, wanted in zip(restored, clean, strict=True)
        )
    )


class _Fusion(nn.Module):
    """A 1x1 convolution of features and their noise map."""

    def __init__(self, channels: int, width: int, bias: bool) -> None:
        super().__init__()
        self.conv_out = nn.Conv2d(2 * channels, width, 1, bias=bias)

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        out: Tensor = self.conv_out(torch.cat((x, noise), 1))
        return out


class Developing(Denoiser):
    """What the three networks have in common.

    Attributes
    ----------
    isp
        The ISP inside.
    domain
        Where it takes noise off.
    maps_picture
        Whether the picture has a noise map.
    backbone_multiple
        Height and width of what a backbone gets, planes or pictures, must be multiples of this.
    """

    multiple: ClassVar[int] = 16
    maps_picture: bool = False
    backbone_multiple: ClassVar[int] = 8

    def __init__(self, options: DualDnOptions) -> None:
        super().__init__()
        self.isp, self.domain = options.isp, options.domain
        self.noise_map = bool(options.noise_map)

    def develop(self, mosaic: Tensor, shot: Shot) -> Tensor:
        """Return (B, 3, H, W) pictures of mosaics, by the ISP inside."""
        return self.isp.develop(mosaic, shot)

    def forward(
        self,
        noisy: Tensor,
        shot: Tensor,
        read: Tensor,
        white_balance: Tensor,
        cam_to_xyz: Tensor,
        alpha: Tensor,
        cfa: Cfa = "RGGB",
    ) -> Restored:
        """Return denoised pictures and mosaics.

        Parameters
        ----------
        noisy
            (B, 1, H, W) mosaics, 0 black and 1 white, clipped to that.
        shot, read, white_balance, cam_to_xyz, alpha, cfa
            As in :class:`Shot`.

        Raises
        ------
        InputError
            If height or width is no multiple of what the backbones take: 16, of MIRNet-v2 8.
        """
        return self.restore(noisy, Shot(shot, read, white_balance, cam_to_xyz, alpha, cfa))

    def restore(self, noisy: Tensor, shot: Shot) -> Restored:
        """See :meth:`forward`."""
        mosaic = pixel_shuffle(self.first(pixel_unshuffle(noisy, 2), shot), 2)
        picture = self.develop(mosaic, shot)
        return Restored(self.second(picture, self.rendered_map(noisy, shot)), mosaic)

    def first(self, packed: Tensor, shot: Shot) -> Tensor:
        """Return the denoised planes of mosaics, (B, 4, H/2, W/2); as they are in domain srgb."""
        raise NotImplementedError

    def rendered_map(self, noisy: Tensor, shot: Shot) -> Tensor | None:
        """Return the mosaics' noise maps as pictures, without a gradient; None if there is none."""
        if not self.maps_picture:
            return None
        with torch.no_grad():
            return self.develop(shot.noise_map(noisy), shot)

    def second(self, picture: Tensor, noise: Tensor | None) -> Tensor:
        """Return pictures whose noise is taken off, (B, 3, H, W); as they are in domain raw.

        Parameters
        ----------
        picture
            The ISP's.
        noise
            Of :meth:`rendered_map`.
        """
        raise NotImplementedError


class DualDn(Developing):
    """A network on the packed mosaic, the ISP, and a network on the picture.

    The loss of the picture reaches the first network through the ISP. The picture's noise map is
    that of the mosaic, rendered as if it were a picture.

    Parameters
    ----------
    options
        Those of the registry's page.
    """

    def __init__(self, options: DualDnOptions) -> None:
        super().__init__(options)
        width = options.of_backbone["width"]
        ends, maps = options.ends_bias, 1 + self.noise_map
        self.conv_in1 = nn.Conv2d(4 * maps, width, 1, bias=ends)
        self.conv_out1 = _last(width, 4, ends)
        self.conv_in2 = nn.Conv2d(3 * maps, width, 1, bias=ends)
        self.conv_out2 = _last(width, 3, ends)
        if self.noise_map:
            for idle in (self.conv_in1, self.conv_in2):  # published weights have them all the same
                idle.requires_grad_(False)
            self.nm_fuse1 = _Fusion(4, width, options.fusion_bias)
            self.nm_fuse2 = _Fusion(3, width, options.fusion_bias)
        self.backbone1 = _backbone(options)
        self.backbone2 = _backbone(options)
        self.maps_picture = self.noise_map

    def first(self, packed: Tensor, shot: Shot) -> Tensor:
        """See :meth:`Developing.first`."""
        if self.noise_map:
            features = self.nm_fuse1(packed, shot.noise_map(packed))
        else:
            features = self.conv_in1(packed)
        return _added(self.conv_out1(self.backbone1(features)), packed)

    def second(self, picture: Tensor, noise: Tensor | None) -> Tensor:
        """See :meth:`Developing.second`."""
        features = self.conv_in2(picture) if noise is None else self.nm_fuse2(picture, noise)
        return _added(self.conv_out2(self.backbone2(features)), picture)


class RawDn(Developing):
    """A network on the packed mosaic, and the ISP (Raw_Dn of the published code).

    Parameters
    ----------
    options
        Those of the registry's page.
    """

    def __init__(self, options: DualDnOptions) -> None:
        super().__init__(options)
        width = options.of_backbone["width"]
        self.conv_in = nn.Conv2d(4, width, 1, bias=options.ends_bias)
        self.conv_out = _last(width, 4, options.ends_bias)
        self.nm_fuse = _Fusion(4, width, options.fusion_bias)
        (self.conv_in if self.noise_map else self.nm_fuse).requires_grad_(False)  # idle
        self.backbone = _backbone(options)

    def first(self, packed: Tensor, shot: Shot) -> Tensor:
        """See :meth:`Developing.first`."""
        if self.noise_map:
            features = self.nm_fuse(packed, shot.noise_map(packed))
        else:
            features = self.conv_in(packed)
        return _added(self.conv_out(self.backbone(features)), packed)

    def second(self, picture: Tensor, noise: Tensor | None) -> Tensor:
        """See :meth:`Developing.second`."""
        return picture


class SrgbDn(Developing):
    """The ISP, and a network on the picture; the mosaic stays as it is (sRGB_Dn).

    Parameters
    ----------
    options
        Those of the registry's page.
    """

    def __init__(self, options: DualDnOptions) -> None:
        super().__init__(options)
        width = options.of_backbone["width"]
        self.conv_in = nn.Conv2d(3, width, 1, bias=options.ends_bias)
        self.conv_out = _last(width, 3, options.ends_bias)
        self.backbone = _backbone(options)

    def first(self, packed: Tensor, shot: Shot) -> Tensor:
        """See :meth:`Developing.first`."""
        return packed

    def second(self, picture: Tensor, noise: Tensor | None) -> Tensor:
        """See :meth:`Developing.second`."""
        return _added(self.conv_out(self.backbone(self.conv_in(picture))), picture)


def develop(network: Developing, mosaic: Tensor, *shot: Tensor) -> Tensor:
    """Return (B, 3, H, W) pictures of mosaics by a network's own ISP; ``shot`` as :class:`Shot`."""
    return network.develop(mosaic, Shot(*shot))


def loss(network: Developing, restored: Restored, batch: Mapping[str, Tensor]) -> Tensor:
    """Return the (n,) loss of each sample: what is off in the mosaic, the picture, or both.

    Both count in domain dual, in the others that which is restored there. The clean picture is the
    clean mosaic's, by the network's own ISP.

    Parameters
    ----------
    network, restored
        And what it returned.
    batch
        Of :func:`denoisers.training.mosaics.prepared`.
    """
    clean = batch["raw_clean"]
    with torch.no_grad():
        picture = develop(network, clean, *(batch[name] for name in INPUTS[1:]))
    off = differences(restored, Restored(picture, clean))
    return {"dual": off.picture + off.mosaic, "raw": off.mosaic, "srgb": off.picture}[
        network.domain
    ]


def infer(shapes: Shapes) -> dict[str, Any]:
    """Return the options of a network from the shapes of its state dict."""
    dual = "conv_in1.weight" in shapes
    prefix, end = ("backbone1.", "conv_out1") if dual else ("backbone.", "conv_out")
    own = below(prefix, shapes)
    backbone = next(
        (name for name, last in _TELLING.items() if any(n.startswith(last) for n in own)), None
    )
    if backbone is None:
        raise LookupError(f"{prefix}output.weight")
    outputs, *_ = convolution(shapes, f"{end}.weight")
    domain = "dual" if dual else {4: "raw", 3: "srgb"}.get(outputs)
    if domain is None:
        raise ValueError(f"{end} makes {outputs} channels, not 4 or 3")
    fusion = "nm_fuse1" if dual else "nm_fuse"
    noise_map = f"{fusion}.conv_out.weight" in shapes
    return {
        "domain": domain,
        "backbone": backbone,
        "noise_map": noise_map,
        "ends_bias": f"{end}.bias" in shapes,
        "fusion_bias": f"{fusion}.conv_out.bias" in shapes,
        **FAMILIES[backbone].infer(own),
    }


_TELLING = {"restormer": "latent.", "swinir": "layers.", "mirnet": "body."}
"""How the names of each backbone begin that no other has."""


def _backbone(options: DualDnOptions) -> Backbone:
    return FAMILIES[options.backbone].make(**options.of_backbone)


def _last(width: int, channels: int, bias: bool) -> nn.Conv2d:
    """Return a last convolution, of nothing at first: training starts from what is given."""
    made = nn.Conv2d(width, channels, 1, bias=bias)
    nn.init.zeros_(made.weight)
    if made.bias is not None:
        nn.init.zeros_(made.bias)
    return made


def _added(residual: Tensor, given: Tensor) -> Tensor:
    """Return the sum in the type of what is given: the ISP takes no half precision."""
    return residual.to(given.dtype) + given


def _make(options: DualDnOptions) -> Developing:
    return {"dual": DualDn, "raw": RawDn, "srgb": SrgbDn}[options.domain](options)


def _shapes(options: DualDnOptions, height: int, width: int) -> tuple[tuple[int, ...], ...]:
    return (1, 1, height, width), (1,), (1,), (1, 3), (1, 3, 3), (1,)


def _keys(families: tuple[str, ...] = tuple(FAMILIES)) -> tuple[str, ...]:
    own = tuple(p for name in families for p in FAMILIES[name].keys)
    return (
        r"(conv_(in|out)[12]?|nm_fuse[12]?\.conv_out)\.(weight|bias)",
        *prefixed(r"backbone[12]?\.", own),
    )


ENTRY = ModelEntry(
    name="dualdn",
    title="Dual-domain denoising via a differentiable ISP",
    paper="R. Li et al., ECCV 2024",
    licence="CC BY-NC 4.0: not for commercial use",
    options=DualDnOptions,
    make=_make,
    variants={
        "restormer": {},
        "big": {},
        "mirnet": {"backbone": "mirnet"},
        "swinir": {"backbone": "swinir"},
        "raw-restormer": {"domain": "raw"},
        "raw-mirnet": {"domain": "raw", "backbone": "mirnet"},
        "raw-swinir": {"domain": "raw", "backbone": "swinir"},
        "srgb-restormer": {"domain": "srgb"},
        "srgb-mirnet": {"domain": "srgb", "backbone": "mirnet"},
        "srgb-swinir": {"domain": "srgb", "backbone": "swinir"},
    },
    keys=_keys(),
    infer=infer,
    inputs=INPUTS,
    shapes=_shapes,
    derived=prefixed(r"backbone[12]?\.", FAMILIES["swinir"].derived),
    loss=loss,
    develop=develop,
)
